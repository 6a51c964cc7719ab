"""Commands in the docs reach what they mean: the right namespace, every Pod, and long enough."""

import re
from pathlib import Path

import pytest

from chart_rbac import CHART

ROOT = CHART.parent.parent
TEXTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "charts/**/*.md", "charts/**/NOTES.txt", "examples/*", "crds/*.yaml")
    for path in ROOT.glob(pattern)
    # The tutorial's simulator takes three seconds for a pause.
    if path.is_file() and path.name not in ("CHANGELOG.md", "tutorial.md")
)


def lines(*words: str) -> list[tuple[Path, str]]:
    """Return the lines of all texts that hold every one of the words; continued lines are joined."""
    found = []
    for path in TEXTS:
        for line in path.read_text().replace("\\\n", " ").splitlines():
            if all(word in line for word in words):
                found.append((path.relative_to(ROOT), line.strip()))
    assert found, words
    return found


@pytest.mark.parametrize("condition", ["Paused", "Ready"])
def test_who_waits_for_a_session_gives_it_more_than_kubectls_half_minute(condition: str) -> None:
    for path, line in lines(f"--for=condition={condition}"):
        if "kubectl" in line:
            assert "--timeout=" in line, f"{path}: {line}"


def test_the_logs_of_every_replica_are_read() -> None:
    """`deployment/...` picks one Pod, perhaps the one that stands by."""
    for path, line in lines("kubectl", "logs "):
        assert "deployment/" not in line, f"{path}: {line}"
        if "-l app.kubernetes.io" in line:
            assert "--prefix" in line, f"{path}: {line}"


def test_commands_are_run_in_the_pod_that_leads() -> None:
    for path, line in lines("kubectl exec"):
        assert "deployment/" not in line, f"{path}: {line}"


def test_every_helm_command_names_the_namespace_of_the_release() -> None:
    for path, line in lines("helm "):
        for command in re.findall(r"(?:^|`)(helm (?:install|upgrade|rollback|uninstall|test) [^`]*)", line):
            assert re.search(r"(-n|--namespace)[ =]", command), f"{path}: {command}"


def test_an_install_can_be_repeated_and_a_change_keeps_the_other_values() -> None:
    for path, line in lines("helm "):
        for command in re.findall(r"(?:^|`)(helm (?:install|upgrade) [^`]*)", line):
            repeatable = "upgrade --install" in command or "--reset-then-reuse-values" in command
            assert repeatable, f"{path}: {command}"
