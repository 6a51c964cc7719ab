"""The plugin answers at once: `--help` loads little, and kubectl finds it."""

import json
import resource
import subprocess
import sys

import pytest

from kubectl_agb.__main__ import VERBS, main
from plugin.conftest import Plugin

_LOADED = """
import json, sys
before = set(sys.modules)
from kubectl_agb.__main__ import main
try:
    main(["--help"], prog_name="kubectl agb")
except SystemExit as end:
    assert not end.code
print(json.dumps(sorted(name for name in set(sys.modules) - before)))
"""
OURS = {"agb_operator", "kubectl_agb", "kubectl_agb.__main__", "kubectl_agb.lazy"}
OTHERS = {"click"}
"""Packages that `--help` may load beside the standard library and `OURS`."""


def test_help_loads_click_and_nothing_else_that_is_not_the_standard_librarys() -> None:
    said = subprocess.run([sys.executable, "-c", _LOADED], capture_output=True, text=True, check=True).stdout
    loaded = {name for name in json.loads(said.splitlines()[-1]) if not name.startswith("__")}
    ours = {name for name in loaded if name.startswith(("agb_operator", "kubectl_agb"))}
    packages = {name.partition(".")[0] for name in loaded - ours} - sys.stdlib_module_names

    assert ours <= OURS
    assert packages == OTHERS


@pytest.mark.parametrize("name", VERBS)
def test_the_groups_help_says_of_a_verb_what_its_own_help_begins_with(name: str) -> None:
    command = main.get_command(None, name)  # type: ignore[arg-type]  # the table knows

    assert command is not None
    assert command.help is not None
    assert VERBS[name].help == command.help.splitlines()[0]


def test_kubectl_finds_the_plugin(agb: Plugin) -> None:
    ended = agb("--help", env={"KUBECONFIG": "/nonexistent"})

    assert ended.code == 0
    assert ended.out.startswith("Usage: kubectl agb ")
    assert max(map(len, ended.out.splitlines())) <= 80


def test_what_is_no_verb_is_wrong_usage(agb: Plugin) -> None:
    ended = agb("wy")

    assert ended.code == 2
    assert "No such command 'wy'" in ended.err


def test_help_takes_less_than_half_a_second_of_cpu_without_a_cluster(agb: Plugin) -> None:
    """CPU time of the child, kubectl's own included: wall time would measure who else is at work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ended = agb("--help", env={"KUBECONFIG": "/absent"})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    assert ended.code == 0
    assert (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime) < 0.5
