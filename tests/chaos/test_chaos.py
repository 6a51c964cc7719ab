"""A minute of chaos loses nothing; and where the operator has a bug, the judgement turns red.

`make chaos` is the same for ten minutes or a whole night.
"""

import pytest

from chaos.planted import BUGS
from chaos.provocations import PROVOCATIONS
from chaos.run import Order, Outcome, carry_out

SEED = 20260722
SIGNS = {"no-look": "while PAUSED", "unguarded-status": "the status tells of", "early-finalizer": "leaked"}
"""Words of the violation that each bug leads to."""


@pytest.mark.timeout(560)
def test_a_minute_of_chaos_loses_nothing() -> None:
    outcome = carry_out(Order(seconds=60.0, sessions=50, pace=8.0, lasts=(1.0, 6.0), seed=SEED))
    assert not outcome.violations, _told(outcome)


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_a_planted_bug_turns_a_run_red(bug: str) -> None:
    order = Order(seconds=60.0, sessions=8, seed=SEED, bug=bug, provocation=PROVOCATIONS[bug], settled_within=60.0)
    outcome = carry_out(order)
    assert any(SIGNS[bug] in violation for violation in outcome.violations), _told(outcome)


@pytest.mark.parametrize("bug", sorted(BUGS))
def test_what_turns_a_run_with_a_bug_red_leaves_one_without_green(bug: str) -> None:
    outcome = carry_out(Order(seconds=0.0, sessions=8, seed=SEED, provocation=PROVOCATIONS[bug], settled_within=60.0))
    assert not outcome.violations, _told(outcome)


def test_every_bug_has_its_provocation() -> None:
    assert set(BUGS) == set(PROVOCATIONS) == set(SIGNS)


def _told(outcome: Outcome) -> str:
    return "\n".join([*outcome.violations, *outcome.report])
