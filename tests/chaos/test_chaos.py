"""A minute of chaos loses nothing; and where the operator has a bug, a run of it turns red.

`make chaos` is the same for ten minutes or a whole night.
"""

import pytest

from chaos.planted import BUGS
from chaos.run import Order, carry_out

SEED = 20260722


@pytest.mark.timeout(560)
def test_a_minute_of_chaos_loses_nothing() -> None:
    outcome = carry_out(Order(seconds=60.0, sessions=50, pace=8.0, lasts=(1.0, 6.0), seed=SEED))
    assert not outcome.violations, "\n".join([*outcome.violations, *outcome.report])


@pytest.mark.planted
@pytest.mark.parametrize(
    ("bug", "lanes", "sign"),
    [
        ("no-look", ("AGB",), "while"),
        ("unguarded-status", (), "the status tells of"),
        ("early-finalizer", (), "leaked"),
    ],
)
def test_a_planted_bug_turns_a_run_red(bug: str, lanes: tuple[str, ...], sign: str) -> None:
    order = Order(
        seconds=15.0,
        sessions=16,
        pace=15.0,
        lasts=(1.0, 4.0),
        seed=SEED,
        lanes=lanes,
        bug=bug,
        settled_within=10.0,
    )
    outcome = carry_out(order)
    assert any(sign in violation for violation in outcome.violations), [*outcome.violations, *outcome.report]


def test_every_bug_that_can_be_planted_is() -> None:
    assert set(BUGS) == {"no-look", "unguarded-status", "early-finalizer"}
