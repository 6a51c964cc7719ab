"""A release whose parts disagree is not made."""

import shutil
from pathlib import Path

import pytest

import release_check
from image import ROOT, version
from release_check import problems

PARTS = ("charts/agb-operator/Chart.yaml", "Dockerfile", "deploy/base/operator.yaml", "docs/how-to/install.md")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The parts of a release that is consistent."""
    for part in PARTS:
        (tmp_path / part).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / part, tmp_path / part)
    (tmp_path / "CHANGELOG.md").write_text(f"# Changelog\n\n## {version()}\n\n- Something.\n")
    return tmp_path


def test_a_consistent_tree_has_no_problems(tree: Path) -> None:
    assert list(problems(tree)) == []


@pytest.mark.parametrize(
    ("part", "old", "new", "problem"),
    [
        ("charts/agb-operator/Chart.yaml", f"\nversion: {version()}", "\nversion: 9.9.9", "version is 9.9.9"),
        ("charts/agb-operator/Chart.yaml", f"appVersion: {version()}", "appVersion: 9.9.9", "appVersion is 9.9.9"),
        ("CHANGELOG.md", f"## {version()}", "## Unreleased", f"no heading `## {version()}`"),
        ("Dockerfile", "org.opencontainers.image.licenses", "licenses", "no label org.opencontainers.image.licenses"),
        ("docs/how-to/install.md", f":{version()} registry", ":9.9.9 registry", "'9.9.9'"),
        ("deploy/base/operator.yaml", f":{version()}\n", ":9.9.9\n", "run `make generate`"),
    ],
)
def test_each_disagreement_is_named(tree: Path, part: str, old: str, new: str, problem: str) -> None:
    path = tree / part
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    (found,) = problems(tree)
    assert found.startswith(part)
    assert problem in found


def test_a_tree_without_a_changelog_is_no_release(tree: Path) -> None:
    (tree / "CHANGELOG.md").unlink()
    assert [problem.split(":")[0] for problem in problems(tree)] == ["CHANGELOG.md"]


def test_a_tag_of_another_version_is_named(tree: Path) -> None:
    assert list(problems(tree, wanted=version())) == []
    (found,) = problems(tree, wanted="9.9.9")
    assert found.startswith("the tag says 9.9.9")


def test_main_says_what_is_wrong_and_fails(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(release_check, "problems", lambda wanted: iter(["Chart.yaml: version is 9.9.9"]))
    assert release_check.main([]) == 1
    assert capsys.readouterr().err == "release-check: Chart.yaml: version is 9.9.9\n"
