"""A cluster that does not know our kinds, or not all of them, and rights to a part of them."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from control_plane import ControlPlane
from e2e.stack import until_established
from kubectl import Kubectl
from plugin.conftest import Fleet, Plugin
from plugin.test_import import stranger

CRD = Path(__file__).resolve().parents[2] / "crds" / "agbsessions.yaml"


@pytest.fixture(scope="module")
def bare(
    kubectl_program: Path, plugin_env: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Plugin]:
    """The plugin for a cluster in which nothing is installed."""
    with ControlPlane() as blank:
        kubectl = Kubectl(program=kubectl_program, kubeconfig=blank.kubeconfig, home=tmp_path_factory.mktemp("home"))
        env = {**plugin_env, "KUBECONFIG": str(blank.kubeconfig)}
        yield Plugin(kubectl_program=kubectl_program, namespace="default", env=env, kubectl=kubectl)


def test_without_the_crds_one_line_says_what_to_install(bare: Plugin) -> None:
    for words in (("why", "s"), ("plan",), ("pause", "s"), ("pause", "--all")):
        ended = bare.here(*words)

        assert ended.code == 1
        assert "this cluster does not know AgbSessions and AgbPauseSchedules: install the chart" in ended.err


def test_without_the_crd_of_schedules_there_are_none(bare: Plugin) -> None:
    assert bare.kubectl("apply", "-f", str(CRD)).succeeded
    until_established(bare.kubectl, f"--filename={CRD}")
    Fleet(agb=bare).session("s")

    ended = bare.here("why", "s")

    assert ended.code == 0, ended.err
    assert "  schedules    none selects this session\n" in ended.out
    assert bare.here("resume", "s").code == 0


def test_without_the_right_to_schedules_it_says_so_and_does_what_it_can(
    agb: Plugin, fleet: Fleet, tmp_path: Path
) -> None:
    fleet.session("s")
    fleet.asleep_now("nights")
    fleet.status("s", "Paused", desiredState="Paused", why="Schedule/nights")
    limited = replace(agb, env={**agb.env, "KUBECONFIG": str(stranger(agb, tmp_path))})

    reasons, plan = limited.here("why", "s"), limited.here("plan")

    assert reasons.code == 0
    assert "  schedules    cannot be read: you lack a right: agbpauseschedules.agb.cloud is forbidden" in reasons.out
    assert "Wanted: Paused (Schedule/nights)." in reasons.out
    assert plan.code == 1
    assert 'cannot list resource "agbpauseschedules"' in plan.line
