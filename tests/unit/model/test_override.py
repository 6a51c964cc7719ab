"""`spec.override` as it is read: what the API server takes is understood, and what is wrong is said."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agb_operator.model.override import Override, read_override
from agb_operator.model.states import DesiredState
from unit.builders import a_session

UNTIL = datetime(2026, 11, 25, 22, tzinfo=UTC)
RIGHT = {"state": "Running", "until": "2026-11-25T22:00:00Z"}


def read(value: Any) -> tuple[Override | None, list[str]]:
    problems: list[str] = []
    return read_override({"override": value}, problems), problems


@pytest.mark.parametrize(
    "until",
    ["2026-11-25T22:00:00Z", "2026-11-25t22:00:00z", "2026-11-25T23:00:00+01:00", "2026-11-25T22:00:00.000000000Z"],
)
def test_every_way_to_write_the_time_means_the_same_instant(until: str) -> None:
    assert read({**RIGHT, "until": until}) == (Override(state=DesiredState.RUNNING, until=UNTIL), [])


def test_the_reason_is_kept() -> None:
    override, _ = read({**RIGHT, "state": "Paused", "reason": "release night"})

    assert override == Override(state=DesiredState.PAUSED, until=UNTIL, reason="release night")


@pytest.mark.parametrize("value", [None])
def test_absent_and_null_are_none(value: None) -> None:
    assert read(value) == (None, [])
    assert read_override({}, []) is None


def test_it_holds_before_its_end_and_not_at_it() -> None:
    override, _ = read(RIGHT)

    assert override is not None
    assert override.holds(UNTIL - timedelta(seconds=1))
    assert not override.holds(UNTIL)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("awake", "spec.override must have a state and an until"),
        ({"until": RIGHT["until"]}, "spec.override.state must be Running or Paused"),
        ({**RIGHT, "state": "Gone"}, "spec.override.state must be Running or Paused"),
        ({"state": "Running"}, "spec.override.until must be a time with its offset"),
        ({**RIGHT, "until": "tomorrow"}, "spec.override.until must be a time with its offset"),
        ({**RIGHT, "until": "2026-11-25T22:00"}, "spec.override.until must be a time with its offset"),
        ({**RIGHT, "until": 7}, "spec.override.until must be a time with its offset"),
        ({**RIGHT, "until": "9999-12-31T23:59:59-01:00"}, "spec.override.until must be a time with its offset"),
    ],
)
def test_a_wrong_one_is_none_and_says_what_is_right(value: Any, says: str) -> None:
    override, problems = read(value)

    assert override is None
    assert [problem[: len(says)] for problem in problems] == [says]


def test_a_session_carries_it() -> None:
    assert a_session(override=RIGHT).override == Override(state=DesiredState.RUNNING, until=UNTIL)
    assert "spec.override.state" in a_session(override={**RIGHT, "state": "Off"}).problem
