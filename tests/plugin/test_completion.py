"""Completion as kubectl asks for it: `kubectl __complete` finds `kubectl_complete-agb` and hands its answer on."""

import subprocess

import pytest

from plugin.conftest import Fleet, Plugin


def completed(agb: Plugin, *words: str) -> tuple[list[str], str]:
    """Give what is proposed, without the help behind it, and the directive to the shell."""
    command = [str(agb.kubectl_program), "__complete", "agb", *words]
    done = subprocess.run(command, env=dict(agb.env), capture_output=True, text=True, timeout=60, check=True)
    *lines, directive = done.stdout.splitlines()
    return [line.partition("\t")[0] for line in lines], directive


def test_verbs(agb: Plugin) -> None:
    found, directive = completed(agb, "p")

    assert found == ["plan", "pause"]
    assert directive == ":4"


def test_names_of_sessions_of_the_namespace_that_was_said(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("batch-7", "batch-8", "other")

    found, _ = completed(agb, "why", "-n", agb.namespace, "ba")

    assert found == ["batch-7", "batch-8"]


def test_options(agb: Plugin) -> None:
    found, _ = completed(agb, "resume", "x", "--un")

    assert found == ["--until"]


@pytest.mark.parametrize("verb", ["why", "pause"])
def test_without_a_cluster_nothing_is_proposed_and_nothing_is_said(agb: Plugin, verb: str) -> None:
    lost = Plugin(
        kubectl_program=agb.kubectl_program,
        namespace="x",
        env={**agb.env, "KUBECONFIG": "/absent"},
        kubectl=agb.kubectl,
    )

    assert completed(lost, verb, "")[0] == []
