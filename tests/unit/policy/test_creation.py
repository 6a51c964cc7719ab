"""How a session comes into being: intent, look-up, createSession, id; and never two for one resource."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from agb_operator.model.resource import AgbSession
from agb_operator.model.states import Created, Observation
from agb_operator.model.status import OperationState, OperationType, Phase
from agb_operator.policy.backoff import LABELS_SHOW, LOOK_UP_AGAIN, SLOW
from agb_operator.policy.creation import created, living, needs_lookup
from agb_operator.policy.decide import decide as policy
from agb_operator.policy.plan import Action, Plan, Recalled, finish
from agb_operator.policy.proof import Evidence
from unit.builders import (
    NOTHING,
    NOW,
    a_session,
    a_status,
    an_operation,
    before_looking,
    carried_on,
    conditions,
    given,
    later,
    ours,
    plan_creation,
    said,
    seen,
)

CREATE = OperationType.CREATE
JUST_SENT, LONG_SENT = Recalled(since_create=1.0), Recalled(since_create=LABELS_SHOW)


def intending(*, attempts: int = 1, **fields: Any) -> AgbSession:
    """Build a resource whose intent to create a session is in its status."""
    operation = an_operation(CREATE, attempts=attempts, message=fields.pop("message", ""))
    return a_session(status=a_status(session_id="", phase=Phase.CREATING, operation=operation), **fields)


def decide(session: AgbSession, *found: Observation, recalled: Recalled = NOTHING, at: float = 0) -> Plan:
    return plan_creation(session, found, now=later(at), recalled=recalled)


def answer(session: AgbSession, *, request_id: str = "", at: float = 0) -> Plan:
    """Give what is written once createSession has answered."""
    about = given(session, later(at))
    return finish(about, created(about, Created(session_id="session-7", request_id=request_id, seen_with="w1")))


def test_a_session_comes_into_being_by_finalizer_intent_look_up_call_and_id_each_a_pass_of_its_own() -> None:
    session = a_session(held=False)
    first = before_looking(session, recalled=NOTHING)
    assert first is not None
    assert (first.action, first.status) == (Action.ADD_FINALIZER, None)

    session = a_session()
    assert not needs_lookup(session)
    intent = decide(session)
    assert (intent.action, intent.requeue) == (Action.NONE, 0.0)
    session = carried_on(session, intent)
    assert needs_lookup(session)
    operation = session.status.operation
    assert operation is not None
    assert (operation.state, operation.attempts, operation.started_at) == (OperationState.IN_PROGRESS, 1, NOW)
    assert conditions(session) == {
        "Ready": ("False", "Creating"),
        "Paused": ("False", "Creating"),
        "Reconciling": ("True", "Creating"),
    }

    assert said(session, "Paused") == "There is no session yet."

    assert decide(session).action == Action.CREATE

    answered = answer(session, request_id="7C0E", at=1)
    (event,) = answered.events
    session = carried_on(session, answered)
    assert session.session_id == "session-7"
    assert not needs_lookup(session)
    assert session.status.operation == replace(operation, request_id="7C0E")
    assert said(session, "Paused") == "The session has not been looked at yet."
    assert (event.reason, event.warning) == ("Created", False)
    assert event.message == "Created session session-7 from image agb-code-space-1."


def test_the_labels_that_were_sent_with_the_create_are_noted() -> None:
    session = intending(labels={"team": "a"})

    answered = answer(session)

    assert answered.status is not None
    assert answered.status.labels == {"team": "a"}


def test_an_id_that_could_not_be_written_is_written_before_all_else() -> None:
    session = intending(labels={"team": "a"})
    remembers = Recalled(created=Created(session_id="session-7", request_id="7C0E", seen_with="w1"))

    plan = before_looking(session, recalled=remembers)

    assert plan is not None
    assert (plan.action, plan.requeue) == (Action.NONE, 0.0)
    assert plan.status is not None
    assert (plan.status.session_id, plan.status.labels) == ("session-7", None), "the labels may be another spec's"
    assert plan.status.operation is not None
    assert plan.status.operation.request_id == "7C0E"


def test_it_is_written_while_the_resource_is_being_deleted_too() -> None:
    remembers = Recalled(created=Created(session_id="session-7", request_id="", seen_with="w1"))

    plan = before_looking(intending(deleting=True), recalled=remembers)

    assert plan is not None
    assert plan.status is not None
    assert plan.status.session_id == "session-7"


def test_what_the_status_names_is_not_written_again() -> None:
    remembers = Recalled(created=Created(session_id="session-7", request_id="", seen_with="w1"))

    assert before_looking(a_session(status=a_status()), recalled=remembers) is None


def test_the_event_of_a_replacement_names_both_sessions() -> None:
    session = intending(message="Takes the place of session-1.")

    (event,) = answer(session).events

    assert "session-7" in event.message
    assert "session-1" in event.message


def test_what_is_replaced_is_remembered_from_one_intent_to_the_next() -> None:
    session = intending(attempts=0, message="Takes the place of session-1.")

    after = carried_on(session, decide(session))

    operation = after.status.operation
    assert operation is not None
    assert (operation.attempts, operation.message) == (1, "Takes the place of session-1.")


def test_an_operation_of_another_kind_says_nothing_of_creates() -> None:
    session = a_session(status=a_status(session_id="", operation=an_operation(OperationType.PAUSE, attempts=7)))

    assert not needs_lookup(session)
    after = carried_on(session, decide(session, at=601))
    operation = after.status.operation
    assert operation is not None
    assert (operation.type, operation.attempts, operation.message) == (CREATE, 1, "")
    assert conditions(after)["Ready"] == ("False", "Creating")


def test_intents_are_counted_for_creation_alone() -> None:
    assert intending(attempts=2).status.create_attempts == 2
    assert a_status(operation=an_operation(OperationType.PAUSE)).create_attempts == 0
    assert a_session().status.create_attempts == 0


# After a create whose outcome is not known


def test_no_second_create_is_sent_while_the_first_ones_session_may_still_show_up() -> None:
    decided = decide(intending(), recalled=JUST_SENT)

    assert (decided.action, decided.status, decided.requeue) == (Action.NONE, None, LOOK_UP_AGAIN)


def test_look_ups_have_to_stay_empty_for_half_a_minute() -> None:
    assert LABELS_SHOW == 30.0
    assert decide(intending(), recalled=Recalled(since_create=29.9)).status is None
    assert decide(intending(), recalled=Recalled(since_create=30.0)).status is not None


def test_after_the_grace_period_the_intent_is_stated_anew_before_the_next_create() -> None:
    session = intending()

    again = decide(session, recalled=LONG_SENT, at=31)
    session = carried_on(session, again)

    assert (again.action, again.requeue) == (Action.NONE, 0.0)
    operation = session.status.operation
    assert operation is not None
    assert (operation.attempts, operation.started_at) == (2, NOW), "the timeout counts from the first intent"
    assert decide(session).action == Action.CREATE
    assert carried_on(session, answer(session)).status.may_have_duplicates


@pytest.mark.parametrize("recalled", [NOTHING, JUST_SENT, LONG_SENT])
@pytest.mark.parametrize("deleting", [True, False])
@pytest.mark.parametrize("policy", ["Manage", "Observe"])
def test_what_an_interrupted_create_left_is_taken_over_whatever_else_is_true(
    recalled: Recalled, deleting: bool, policy: str
) -> None:
    session = intending(deleting=deleting, managementPolicy=policy)

    decided = decide(session, seen("RUNNING", "session-8"), recalled=recalled)
    after = carried_on(session, decided)

    assert (decided.action, decided.requeue) == (Action.NONE, 0.0)
    assert (after.session_id, after.status.session_status) == ("session-8", "RUNNING")
    assert after.status.labels is None, "they may be those of an earlier spec"
    assert after.status.operation == session.status.operation, "it has come into being, but does not run yet"
    assert [e.reason for e in decided.events] == ["Created"]
    assert "session-8" in decided.events[0].message


def test_of_several_the_oldest_is_taken_over() -> None:
    found = [seen("RUNNING", "session-8"), seen("RUNNING", "session-9")]

    after = carried_on(intending(), decide(intending(), *found))

    assert after.session_id == "session-8"


@pytest.mark.parametrize("ending", ["DELETING", "DELETED", "FINISH"])
def test_a_session_that_is_ending_is_not_taken_over(ending: str) -> None:
    assert decide(intending(), seen(ending, "session-8")).action == Action.CREATE


@pytest.mark.parametrize(
    ("found", "kept"),
    [
        ([], []),
        ([seen("PAUSED", "a"), seen("DELETING", "b"), seen("HIBERNATING", "c")], ["a", "c"]),
    ],
)
def test_whatever_is_not_ending_counts_as_a_session_that_exists(found: Sequence[Observation], kept: list[str]) -> None:
    assert [observation.session_id for observation in living(found)] == kept


def test_a_create_that_takes_longer_than_the_timeout_is_said_to_have_failed_and_goes_on() -> None:
    session = intending(attempts=3)

    again = decide(session, recalled=LONG_SENT, at=601)
    after = carried_on(session, again)

    assert conditions(after)["Ready"] == ("False", "CreateFailed")
    assert conditions(after)["Reconciling"] == ("True", "CreateFailed")
    assert "within spec.timeout" in said(after)


def test_a_session_that_came_late_is_not_said_to_be_missing() -> None:
    session = intending()

    after = carried_on(session, answer(session, at=601))
    taken = carried_on(session, decide(session, seen("RUNNING", "session-8"), at=601))

    assert conditions(after)["Ready"] == ("False", "Creating")
    assert conditions(taken)["Ready"] == ("False", "Creating")
    assert said(after) == "AGB has created the session."
    for late in (after, taken):
        operation = late.status.operation
        assert operation is not None
        assert operation.started_at == later(601), "what held up the call is no delay of the session's start"


def test_a_create_is_sent_with_the_key_that_its_intent_names_and_with_no_other() -> None:
    session = intending()
    first = session.status.operation
    assert first is not None
    session = replace(session, status=replace(session.status, operation=replace(first, sent_with="w1")))
    moved = Evidence(sender="w2", looked_up_by="w1")

    again = policy(given(session, found=(), evidence=moved))
    session = carried_on(session, again)

    assert (again.action, again.requeue) == (Action.NONE, 0.0)
    second = session.status.operation
    assert second is not None
    assert (second.attempts, second.sent_with) == (2, "w2")
    looked_up = replace(moved, looked_up_by="w2")
    assert policy(given(session, found=(), evidence=looked_up)).action == Action.CREATE


# Deletion and Observe


def test_a_deletion_waits_for_a_create_that_may_have_been_sent() -> None:
    decided = decide(intending(deleting=True), recalled=JUST_SENT)

    assert (decided.action, decided.requeue) == (Action.NONE, LOOK_UP_AGAIN)


@pytest.mark.parametrize("recalled", [NOTHING, LONG_SENT])
def test_a_deletion_lets_go_when_no_session_came_into_being(recalled: Recalled) -> None:
    assert decide(intending(deleting=True), recalled=recalled).action == Action.REMOVE_FINALIZER


def test_a_deletion_while_creating_takes_the_session_over_first_so_that_it_is_released() -> None:
    session = intending(deleting=True)

    after = carried_on(session, decide(session, seen("RUNNING", "session-8"), recalled=JUST_SENT))

    assert before_looking(after, recalled=NOTHING) is None, "it is looked at and released from here on"
    assert after.session_id == "session-8"
    assert after.status.phase == Phase.DELETING


@pytest.mark.parametrize("attempts", [0, 1])
def test_observe_creates_nothing_and_says_what_to_do(attempts: int) -> None:
    session = intending(attempts=attempts, managementPolicy="Observe", held=False)

    decided = decide(session)
    after = carried_on(session, decided)

    assert (decided.action, decided.requeue) == (Action.NONE, SLOW)
    assert conditions(after) == {
        "Ready": ("False", "SessionNotFound"),
        "Paused": ("False", "SessionNotFound"),
        "Stalled": ("True", "SessionNotFound"),
    }
    assert "Set it to Manage to create one" in said(after)
    assert said(after, "Paused") == "There is no session."
    assert after.status.phase == Phase.PENDING


# Duplicates


@pytest.mark.parametrize(("attempts", "may"), [(1, False), (2, True), (3, True)])
def test_the_status_says_that_there_may_be_duplicates_after_more_than_one_intent(attempts: int, may: bool) -> None:
    session = intending(attempts=attempts)

    assert carried_on(session, answer(session)).status.may_have_duplicates == may
    taken = carried_on(session, decide(session, seen("RUNNING", "session-8")))
    assert taken.status.may_have_duplicates == may


def test_what_is_left_when_the_oldest_of_several_is_taken_over_may_be_a_duplicate() -> None:
    session = intending()
    found = [seen("RUNNING", "session-8"), seen("RUNNING", "session-9")]

    assert carried_on(session, decide(session, *found)).status.may_have_duplicates


def doubled(*, session_status: str = "RUNNING", **spec: Any) -> AgbSession:
    """Build a resource whose session runs, and of whose creates one more may have taken effect."""
    operation = an_operation(CREATE, OperationState.SUCCEEDED, attempts=2)
    status = a_status(operation=operation, session_status=session_status, labels={})
    return a_session(status=replace(status, may_have_duplicates=True), **spec)


def after_look(
    session: AgbSession, look: str, *found: Observation, looked_up: bool = True, recalled: Recalled = LONG_SENT
) -> Plan:
    others = found if looked_up else None
    about = given(session, recalled=recalled, seen=seen(look), found=others, evidence=ours(session))
    return policy(about)


def test_what_the_user_asked_for_goes_before_any_look_up() -> None:
    decided = after_look(doubled(paused=True), "RUNNING", looked_up=False)

    assert decided.action == Action.PAUSE
    assert decided.status is not None
    assert decided.status.may_have_duplicates, "so that it is not forgotten"


@pytest.mark.parametrize(("look", "paused"), [("RUNNING", False), ("PAUSED", True), ("PAUSING", True)])
def test_a_session_with_nothing_else_to_do_has_its_duplicates_looked_up_once_they_would_show(
    look: str, paused: bool
) -> None:
    session = doubled(paused=paused)

    early = after_look(session, look, looked_up=False, recalled=Recalled(since_create=10.0))
    assert early.action == Action.NONE
    assert early.requeue is not None
    assert early.requeue <= LABELS_SHOW - 10.0
    assert after_look(session, look, looked_up=False).action == Action.LOOK_UP


def test_a_look_up_that_failed_is_not_tried_again_at_once() -> None:
    rests = replace(LONG_SENT, look_up_rests=40.0)

    decided = after_look(doubled(), "RUNNING", looked_up=False, recalled=rests)

    assert (decided.action, decided.requeue) == (Action.NONE, 40.0)


@pytest.mark.parametrize(("word", "acts"), [("RUNNING", True), ("PAUSED", True), ("RESUMING", False)])
def test_a_duplicate_is_ended_one_step_at_a_time_while_the_session_stays_ready(word: str, acts: bool) -> None:
    decided = after_look(doubled(), "RUNNING", seen(word, "session-9"))

    assert decided.action == (Action.END_DUPLICATE if acts else Action.NONE)
    assert decided.requeue == LOOK_UP_AGAIN
    assert decided.status is not None
    assert decided.status.ready.status == "True"
    assert decided.status.may_have_duplicates


def test_a_duplicate_that_is_released_is_told() -> None:
    (event,) = after_look(doubled(), "RUNNING", seen("RUNNING", "session-9")).events

    assert (event.reason, event.warning) == ("DuplicateReleased", True)
    assert "session-9" in event.message


def test_once_none_is_found_the_status_says_so() -> None:
    decided = after_look(doubled(), "RUNNING")

    assert decided.action == Action.NONE
    assert decided.status is not None
    assert not decided.status.may_have_duplicates


def test_a_deletion_ends_what_carries_the_uid_before_it_lets_go() -> None:
    session = doubled(deleting=True)

    assert after_look(session, "FINISH", looked_up=False).action == Action.LOOK_UP
    ending = after_look(session, "FINISH", seen("RUNNING", "session-9"))
    assert ending.action == Action.END_DUPLICATE
    assert ending.status is not None
    assert "session-9" in ending.status.ready.message
    assert after_look(session, "FINISH").action == Action.REMOVE_FINALIZER


def test_observe_releases_no_duplicates() -> None:
    session = doubled(managementPolicy="Observe", held=False)

    assert after_look(session, "RUNNING", looked_up=False).action == Action.NONE
