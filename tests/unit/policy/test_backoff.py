"""Waits between tries, as pure arithmetic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.policy.backoff import FIRST_DELAY, MAX_DELAY, SHORTEST, ceiling, jittered, rest_of, retry_delay

DRAWS = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)


@pytest.mark.parametrize(
    ("failures", "seconds"), [(0, 1.0), (1, 1.0), (2, 2.0), (3, 4.0), (9, 256.0), (10, MAX_DELAY), (10**9, MAX_DELAY)]
)
def test_the_ceiling_doubles_until_five_minutes(failures: int, seconds: float) -> None:
    assert ceiling(failures) == seconds


def test_nothing_rests_longer_than_five_minutes() -> None:
    assert MAX_DELAY == 300.0


@given(failures=st.integers(min_value=-5, max_value=10**6), draw=DRAWS)
def test_a_wait_lies_between_a_tenth_of_the_ceiling_and_the_ceiling(failures: int, draw: float) -> None:
    top = ceiling(failures)

    assert top / 10 <= retry_delay(failures, draw=draw) <= top


@given(failures=st.integers(min_value=1, max_value=40), draws=st.tuples(DRAWS, DRAWS))
def test_two_draws_give_two_waits_so_that_what_failed_together_does_not_return_together(
    failures: int, draws: tuple[float, float]
) -> None:
    one, other = (retry_delay(failures, draw=draw) for draw in draws)

    assert abs(one - other) == pytest.approx(0.9 * ceiling(failures) * abs(draws[0] - draws[1]))


def test_the_first_wait_is_at_most_a_second() -> None:
    assert retry_delay(1, draw=0.999999) < FIRST_DELAY == 1.0


@given(seconds=st.floats(min_value=0.001, max_value=1e6), draw=DRAWS)
def test_an_interval_is_spread_by_at_most_a_tenth(seconds: float, draw: float) -> None:
    assert jittered(seconds, draw=draw) == pytest.approx(seconds, rel=0.1 + 1e-9)


def test_the_middle_draw_leaves_an_interval_alone() -> None:
    assert jittered(60.0, draw=0.5) == 60.0


@pytest.mark.parametrize(
    ("age", "seconds"),
    [(0.0, 2.0), (0.5, 1.5), (1.95, SHORTEST), (2.0, 2.0), (3.0, 1.0), (1.9999999999999998, SHORTEST)],
)
def test_an_interval_counts_from_its_beginning_and_not_from_when_it_was_heard_of(age: float, seconds: float) -> None:
    assert rest_of(2.0, age=age) == pytest.approx(seconds)
