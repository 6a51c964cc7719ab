"""The pieces that decisions are made of: waits, operations, the finalizer's rule, and what every status repeats."""

from dataclasses import replace

import pytest

from agb_operator.model.resource import AgbSession
from agb_operator.model.states import SessionState
from agb_operator.model.status import ConditionDraft, OperationState, OperationType, Phase, Reason, SessionStatus, Truth
from agb_operator.policy.backoff import SLOW
from agb_operator.policy.wording import (
    begun,
    may_have_session,
    needs_finalizer,
    of_look,
    of_no_look,
    paused_draft,
    phase_of,
    poll_delay,
    unfinished,
    unseen_phase,
)
from unit.builders import ID, NOW, a_session, a_status, an_operation, given, later, seen

READY = ConditionDraft(status=Truth.TRUE, reason=Reason.RUNNING, message="The session is running, as asked.")
PAUSE, CREATE = OperationType.PAUSE, OperationType.CREATE


@pytest.mark.parametrize("state", SessionState)
def test_every_state_has_a_phase_and_a_word_for_paused(state: SessionState) -> None:
    assert phase_of(state) in Phase
    assert paused_draft(state, "WORD").reason in Reason


@pytest.mark.parametrize("state", SessionState)
def test_only_the_word_paused_is_paused_and_only_an_unknown_word_is_unknown(state: SessionState) -> None:
    expected = {SessionState.PAUSED: Truth.TRUE, SessionState.UNKNOWN: Truth.UNKNOWN}.get(state, Truth.FALSE)

    assert paused_draft(state, "WORD").status == expected


def test_paused_quotes_the_api() -> None:
    assert paused_draft(SessionState.PAUSING, "PAUSING").message == "AGB says PAUSING."
    assert paused_draft(SessionState.UNKNOWN, "").message == "AGB gave no status."
    assert paused_draft(SessionState.RELEASED, "FINISH").message == "AGB no longer has the session."


def test_without_a_look_nothing_is_known_of_paused_unless_it_is_told() -> None:
    unknown, told = (
        of_no_look(given(a_session()), READY),
        of_no_look(given(a_session()), READY, paused="There is none."),
    )

    assert unknown.paused is not None
    assert (unknown.paused.status, unknown.paused.reason) == (Truth.UNKNOWN, READY.reason)
    assert told.paused == replace(READY, message="There is none.")


def test_what_is_said_repeats_what_the_status_keeps() -> None:
    status = a_status(operation=an_operation(PAUSE), labels={"a": "b"}, recreations=("2026-03-01T12:00:00Z",))
    session = a_session(status=replace(status, last_handled_reconcile_at="1", session_status="PAUSING"), paused=True)

    said = of_no_look(given(session), READY, phase=Phase.UNKNOWN).status

    assert said is not None
    assert (said.session_id, said.session_status) == (ID, "PAUSING")
    assert said.operation == status.operation
    assert (said.labels, said.recreations) == ({"a": "b"}, status.recreations)
    assert said.last_handled_reconcile_at == "1"


def test_what_is_said_of_a_look_has_the_words_of_the_look() -> None:
    session = a_session(status=a_status(session_status="RUNNING", phase=Phase.RUNNING))

    said = of_look(given(session), seen("PAUSING"), READY).status

    assert said is not None
    assert (said.phase, said.session_status, said.session_id) == (Phase.PAUSING, "PAUSING", ID)


@pytest.mark.parametrize(
    ("before", "session_id", "phase"),
    [
        (None, ID, Phase.PENDING),
        (Phase.PENDING, ID, Phase.PENDING),
        (Phase.CREATING, "", Phase.CREATING),
        (Phase.CREATING, ID, Phase.UNKNOWN),
        (Phase.PAUSED, ID, Phase.UNKNOWN),
        (Phase.LOST, ID, Phase.UNKNOWN),
        (Phase.UNKNOWN, ID, Phase.UNKNOWN),
    ],
)
def test_a_session_that_cannot_be_looked_at_is_not_said_to_be_as_it_was(
    before: Phase | None, session_id: str, phase: Phase
) -> None:
    assert unseen_phase(a_session(status=a_status(phase=before, session_id=session_id))) == phase


def test_an_operation_under_way_is_continued_and_any_other_begun() -> None:
    session = a_session(status=a_status(operation=an_operation(PAUSE, started=-60)))

    continued = begun(given(session), PAUSE, attempts=2, message="Once more.")
    fresh = begun(given(session), OperationType.RESUME)

    assert (continued.started_at, continued.attempts, continued.message) == (later(-60), 2, "Once more.")
    assert (fresh.type, fresh.started_at, fresh.attempts) == (OperationType.RESUME, NOW, 1)


@pytest.mark.parametrize(
    ("ready", "state", "counts"),
    [
        (Truth.FALSE, OperationState.IN_PROGRESS, True),
        (Truth.FALSE, OperationState.FAILED, True),
        (Truth.UNKNOWN, OperationState.FAILED, True),
        (Truth.FALSE, OperationState.SUCCEEDED, False),
        (Truth.TRUE, OperationState.FAILED, False),
        (Truth.TRUE, OperationState.IN_PROGRESS, True),
    ],
)
def test_a_failed_operation_counts_until_all_is_well(ready: Truth, state: OperationState, counts: bool) -> None:
    session = a_session(status=a_status(ready=ready, operation=an_operation(PAUSE, state)))

    assert (unfinished(session, PAUSE) is not None) == counts
    assert unfinished(session, OperationType.RESUME) is None


def test_a_failed_operation_counts_when_nothing_was_ever_said() -> None:
    status = SessionStatus(operation=an_operation(PAUSE, OperationState.FAILED))

    assert unfinished(a_session(status=status), PAUSE) is not None


def test_a_resource_without_an_operation_has_none_unfinished() -> None:
    assert unfinished(a_session(), PAUSE) is None


@pytest.mark.parametrize(("age", "seconds"), [(0, 30.0), (600, 30.0), (601, 60.1), (2999, 299.9), (10**6, SLOW)])
def test_a_session_is_looked_at_every_poll_interval_and_less_often_past_its_timeout(age: int, seconds: float) -> None:
    session = a_session(pollInterval="30s", timeout="10m")

    assert poll_delay(given(session), age) == pytest.approx(seconds)


def test_past_the_timeout_the_poll_interval_is_still_the_least_wait() -> None:
    session = a_session(pollInterval="5m", timeout="1m")

    assert poll_delay(given(session), 61) == 300.0


MAY_EXIST = a_status(session_id="", operation=an_operation(CREATE, attempts=1))


@pytest.mark.parametrize(
    ("why", "session", "belongs"),
    [
        ("a session will be created", a_session(), True),
        ("a session exists", a_session(status=a_status()), True),
        ("deleted before one was asked for", a_session(deleting=True), False),
        ("deleted while one may exist", a_session(deleting=True, status=MAY_EXIST), True),
        ("adopted, retained by default", a_session(adopted=ID), False),
        ("adopted, to be deleted", a_session(adopted=ID, deletionPolicy="Delete"), True),
        ("to be retained", a_session(status=a_status(), deletionPolicy="Retain"), False),
        ("only observed", a_session(status=a_status(), managementPolicy="Observe"), False),
        ("abandoned", a_session(status=a_status(), annotations={"agb.cloud/abandon": "true"}), False),
        ("unusable, with no session", a_session(timeout="never"), False),
        ("unusable, with a session", a_session(timeout="never", status=a_status()), True),
    ],
)
def test_the_finalizer_belongs_where_deletion_has_a_session_to_end(
    why: str, session: AgbSession, belongs: bool
) -> None:
    assert needs_finalizer(session) == belongs, why


@pytest.mark.parametrize(
    ("status", "may"),
    [
        (SessionStatus(), False),
        (a_status(), True),
        (MAY_EXIST, True),
        (a_status(session_id="", operation=an_operation(CREATE, attempts=0)), False),
        (a_status(session_id="", operation=an_operation(PAUSE)), False),
    ],
)
def test_a_session_may_exist_once_a_create_may_have_been_sent(status: SessionStatus, may: bool) -> None:
    assert may_have_session(a_session(status=status)) == may
