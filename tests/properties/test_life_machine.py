"""Whatever happens, in whatever order: each call is justified, nothing is written in vain, and all ends well."""

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from properties.life_machine import CalmLife, RoughLife

ENOUGH = settings(max_examples=100, stateful_step_count=25, deadline=None, database=None, derandomize=True)
"""The same lives each time, so that a run of all tests means the same everywhere; without `derandomize` new ones."""


@pytest.mark.parametrize("life", [CalmLife, RoughLife])
def test_whatever_happens_all_ends_well(life: type[CalmLife]) -> None:
    run_state_machine_as_test(life, settings=ENOUGH)
