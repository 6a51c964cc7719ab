"""Whatever AGB says: nobody's work is ended, nothing is bought that nobody asked for, nothing is left behind."""

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from properties.lying_life import LyingLife
from properties.test_life_machine import ENOUGH


def test_whatever_is_said_nobody_is_harmed() -> None:
    run_state_machine_as_test(LyingLife, settings=settings(ENOUGH, max_examples=30))
