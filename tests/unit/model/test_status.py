"""How a status moves on: conditions by the rules of kstatus and metav1.Condition."""

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.model.errors import AgbError
from agb_operator.model.status import (
    ConditionDraft,
    OperationState,
    OperationType,
    Reason,
    SessionStatus,
    Truth,
    parse_timestamp,
    timestamp,
)
from unit.builders import NOW, an_operation, later

READY = ConditionDraft(status=Truth.TRUE, reason=Reason.PAUSED, message="The session is paused, as asked.")
PAUSED = ConditionDraft(status=Truth.TRUE, reason=Reason.PAUSED, message="AGB says PAUSED.")


def saying(
    ready: ConditionDraft = READY, *, before: SessionStatus | None = None, at: float = 0, of: int = 1
) -> SessionStatus:
    drafts = {"Ready": ready, "Paused": PAUSED}
    return (before or SessionStatus()).saying(drafts, generation=of, now=later(at))


def test_the_first_status_has_the_conditions_that_are_said_and_nothing_else() -> None:
    status = saying()

    assert [c.type for c in status.conditions] == ["Ready", "Paused"]
    assert {c.last_transition_time for c in status.conditions} == {timestamp(NOW)}


def test_status_and_each_condition_carry_the_generation() -> None:
    status = saying(of=3)

    assert status.observed_generation == 3
    assert [c.observed_generation for c in status.conditions] == [3, 3]


def test_the_transition_time_stays_when_reason_message_and_generation_change_but_the_status_does_not() -> None:
    other = ConditionDraft(status=Truth.TRUE, reason=Reason.OBSERVED, message="Other words.")

    second = saying(other, before=saying(), at=60, of=2)

    assert (second.ready.reason, second.ready.observed_generation) == ("Observed", 2)
    assert second.ready.last_transition_time == timestamp(NOW)


@pytest.mark.parametrize("truth", [Truth.FALSE, Truth.UNKNOWN])
def test_the_transition_time_moves_for_the_condition_that_flips_and_for_no_other(truth: Truth) -> None:
    second = saying(replace(READY, status=truth), before=saying(), at=60)

    assert second.ready.last_transition_time == timestamp(later(60))
    assert second.paused.last_transition_time == timestamp(NOW)


def test_a_condition_that_comes_back_has_a_new_transition_time() -> None:
    rest = SessionStatus().saying({"Ready": READY}, generation=1, now=NOW)

    again = rest.saying({"Ready": READY, "Stalled": READY}, generation=1, now=later(9))

    assert again.stalled is not None
    assert again.stalled.last_transition_time == timestamp(later(9))


def test_the_same_said_twice_gives_the_same_status_whatever_the_time() -> None:
    assert saying(before=saying(), at=3600) == saying()


def test_an_operation_that_ends_has_a_finishing_time() -> None:
    ended = an_operation(OperationType.PAUSE).ended(OperationState.SUCCEEDED, later(4))

    assert (ended.state, ended.finished_at) == (OperationState.SUCCEEDED, later(4))


def test_an_operation_that_has_ended_keeps_its_time_when_it_ends_so_again() -> None:
    ended = an_operation(OperationType.PAUSE).ended(OperationState.FAILED, later(4), "Too long.")

    assert ended.ended(OperationState.FAILED, later(9), "Too long.") == ended


def test_only_an_operation_of_that_kind_that_has_not_ended_is_running() -> None:
    pause = an_operation(OperationType.PAUSE)

    assert pause.is_running(OperationType.PAUSE)
    assert not pause.is_running(OperationType.RESUME)
    assert not pause.ended(OperationState.FAILED, NOW).is_running(OperationType.PAUSE)


def test_each_error_has_a_reason_that_a_condition_can_carry() -> None:
    def tree(kind: type[AgbError]) -> list[type[AgbError]]:
        return [kind, *(found for child in kind.__subclasses__() for found in tree(child))]

    assert {Reason(kind.reason) for kind in tree(AgbError)} <= set(Reason)


def test_a_time_is_written_in_utc_and_whole_seconds() -> None:
    moment = datetime(2026, 3, 1, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))

    assert timestamp(moment) == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-03-01T12:00:00Z", NOW),
        ("2026-03-01T14:00:00+02:00", NOW),
        ("2026-03-01T12:00:00.250000Z", NOW + timedelta(milliseconds=250)),
        ("2026-03-01T12:00:00", NOW),
        ("yesterday", None),
        ("", None),
        (None, None),
        (1772366400, None),
        ("0001-01-01T00:00:00+23:59", None),
    ],
)
def test_a_time_is_read_as_utc_and_anything_else_as_none(text: object, moment: datetime | None) -> None:
    assert parse_timestamp(text) == moment


@given(st.floats(min_value=-1e9, max_value=1e9))
def test_a_time_that_is_written_and_read_is_the_same_to_the_second(seconds: float) -> None:
    assert parse_timestamp(timestamp(later(seconds))) == later(seconds).replace(microsecond=0)
