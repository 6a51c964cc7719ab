"""The repository's layout: what would break quietly if somebody moved it."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "operator"
LONGEST = 300
"""Lines of a module; a longer one is due to be split."""
MODULES = sorted(SOURCE.rglob("*.py"))


def test_the_source_root_holds_packages_and_no_python_files_of_its_own() -> None:
    """A package called `operator` at the repository's root would shadow the standard library's module."""
    assert list(SOURCE.glob("*.py")) == []
    assert {path.name for path in SOURCE.iterdir() if (path / "__init__.py").is_file()} == {
        "agb_operator",
        "agb_simulator",
        "kubectl_agb",
    }


def test_the_standard_librarys_operator_is_found_from_the_root_of_the_repository() -> None:
    asked = [sys.executable, "-c", "import operator; print(operator.__file__)"]

    answer = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert Path(answer.strip()).parent == Path(os.__file__).parent


def test_the_wheel_takes_each_package_by_its_path() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert sorted(packages) == sorted(path.parent.relative_to(ROOT).as_posix() for path in SOURCE.glob("*/__init__.py"))


def test_there_are_modules_to_check() -> None:
    assert SOURCE / "agb_operator" / "policy" / "decide.py" in MODULES
    assert SOURCE / "agb_simulator" / "world.py" in MODULES


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(SOURCE).as_posix())
def test_no_module_is_longer_than_a_reader_can_keep_in_mind(path: Path) -> None:
    lines = len(path.read_text().splitlines())

    assert lines <= LONGEST


def test_tests_are_no_package_since_pytest_imports_them_by_path() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_each_module_that_the_docs_name_is_there() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    rooms = "|".join(path.parent.name for path in SOURCE.glob("agb_operator/*/__init__.py"))
    name = re.compile(rf"`((?:{rooms})/\w+)(?:\.py)?`")

    named = {module: page.name for page in pages for module in name.findall(page.read_text())}

    assert "policy/decide" in named
    missing = {module: page for module, page in named.items() if not (SOURCE / f"agb_operator/{module}.py").is_file()}
    assert missing == {}
