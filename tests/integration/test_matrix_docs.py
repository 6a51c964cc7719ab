"""docs/lifecycle.md tells what happens in every phase, and every line of it is a test."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from agb_operator.model.status import Phase
from integration import test_matrix_asked, test_matrix_faults

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "lifecycle.md").read_text()
ROW = re.compile(r"^\| [^|]+ \| ([^|]+) \| `(test_\w+)\[(\w+)\]` \|$", re.MULTILINE)


def collected(module: Any) -> Iterable[tuple[str, str]]:
    """Give the tests of a matrix module as pytest collects them: (function, parameter)."""
    for name, function in vars(module).items():
        for mark in getattr(function, "pytestmark", ()) if name.startswith("test_") else ():
            if mark.name == "parametrize":
                yield from ((name, str(value)) for value in mark.args[1])


TESTS = sorted({*collected(test_matrix_asked), *collected(test_matrix_faults)})


def test_there_is_a_test_for_each_of_seven_events_in_every_phase() -> None:
    assert len(TESTS) == 7 * len(Phase)


def test_each_line_names_a_test_and_each_test_has_its_line() -> None:
    assert sorted((function, phase) for _, function, phase in ROW.findall(PAGE)) == TESTS


@pytest.mark.parametrize("phase", Phase, ids=str)
def test_each_phase_has_its_own_table(phase: Phase) -> None:
    section = PAGE.split(f"### {phase}\n")[1].split("\n### ")[0]
    assert {said for _, _, said in ROW.findall(section)} == {str(phase)}
