"""Lost sessions: when "not found" is believed, what is said, and when a new session takes the old one's place."""

from dataclasses import replace
from typing import Any

import pytest

from agb_operator.model.resource import AgbSession
from agb_operator.model.states import Observation
from agb_operator.model.status import OperationState, OperationType, Phase, SessionStatus, Truth, timestamp
from agb_operator.policy.backoff import SLOW
from agb_operator.policy.creation import needs_lookup
from agb_operator.policy.decide import decide
from agb_operator.policy.plan import WAYS_OUT, Action, Recalled
from unit.builders import (
    ID,
    NOTHING,
    NOW,
    Story,
    a_session,
    a_status,
    an_operation,
    carried_on,
    conditions,
    given,
    later,
    not_found,
    plan,
    said,
    seen,
)

ONCE = Recalled(missing_looks=1)
TWICE = Recalled(missing_looks=2, missing_for=6.0)
MASS = replace(TWICE, mass_loss=True)

WELL = a_status(ready=Truth.TRUE, reason="Running", phase=Phase.RUNNING, session_status="RUNNING")


def created(*, status: SessionStatus = WELL, **spec: Any) -> AgbSession:
    return a_session(status=status, **spec)


# Belief


@pytest.mark.parametrize("deleting", [True, False])
def test_before_a_key_is_believed_that_has_seen_no_other_session_meanwhile_it_is_asked_for_one(deleting: bool) -> None:
    decided = decide(given(created(deleting=deleting), NOW, recalled=TWICE, seen=not_found()))

    assert (decided.action, decided.status, decided.events) == (Action.ASK_OTHERS, None, ())
    vouched = decide(given(created(), NOW, recalled=replace(TWICE, vouched=True), seen=not_found()))
    assert vouched.status is not None


@pytest.mark.parametrize(
    "recalled", [ONCE, Recalled(missing_looks=1, missing_for=60.0), Recalled(missing_looks=5, missing_for=4.9)]
)
@pytest.mark.parametrize("deleting", [True, False])
@pytest.mark.parametrize("policy", ["Manage", "Observe"])
def test_not_found_is_not_believed_before_two_looks_some_seconds_apart(
    recalled: Recalled, deleting: bool, policy: str
) -> None:
    session = created(deleting=deleting, managementPolicy="Manage" if deleting else policy)

    decided = plan(session, not_found(), now=NOW, recalled=recalled)

    assert (decided.action, decided.status, decided.events) == (Action.NONE, None, ())
    assert decided.requeue is not None
    assert 1.0 <= decided.requeue <= 5.0


def test_not_found_twice_is_lost_and_says_what_to_do() -> None:
    session = created()

    decided = plan(session, not_found(), now=NOW, recalled=TWICE)
    after = carried_on(session, decided)

    assert after.status.phase == Phase.LOST
    assert conditions(after) == {
        "Ready": ("False", "SessionNotFound"),
        "Paused": ("False", "SessionNotFound"),
        "Stalled": ("True", "SessionNotFound"),
    }
    assert ID in said(after)
    assert "set spec.onSessionLost to Recreate, or delete this resource" in said(after)
    assert [(e.reason, e.warning) for e in decided.events] == [("SessionLost", True)]
    assert decided.requeue == SLOW
    assert (after.status.session_id, after.status.session_status) == (ID, "RUNNING"), "what is known is kept"


def test_the_apis_own_word_for_the_end_is_believed_at_once() -> None:
    decided = plan(created(), seen("FINISH"), now=NOW, recalled=NOTHING)

    assert decided.status is not None
    assert (decided.status.phase, decided.status.session_status) == (Phase.LOST, "FINISH")


def test_a_lost_session_is_said_once() -> None:
    story = Story(created())
    for at in (0, 300, 600):
        story.look(not_found(), at=at, recalled=TWICE)

    assert (story.writes, story.events) == (1, ["SessionLost"])


def test_a_lost_session_that_is_reported_already_needs_no_second_look_after_a_restart() -> None:
    story = Story(created(status=replace(WELL, phase=Phase.LOST)))

    assert story.look(not_found(), at=0, recalled=ONCE).status is not None


def test_a_lost_session_that_shows_up_again_is_managed_again() -> None:
    story = Story(created())
    story.look(not_found(), at=0, recalled=TWICE)

    story.look("RUNNING", at=300)

    assert conditions(story.session) == {"Ready": ("True", "Running"), "Paused": ("False", "Running")}
    assert story.session.status.phase == Phase.RUNNING


def test_a_session_lost_in_the_middle_of_a_pause_closes_the_operation() -> None:
    story = Story(created(paused=True, status=a_status(operation=an_operation(OperationType.PAUSE))))

    story.look(not_found(), at=60, recalled=TWICE)

    operation = story.session.status.operation
    assert operation is not None
    assert (operation.state, operation.message) == (OperationState.FAILED, "The session was lost meanwhile.")
    assert operation.finished_at == later(60)


def test_a_loss_leaves_an_operation_that_had_ended_as_it_was() -> None:
    resumed = an_operation(OperationType.RESUME, OperationState.SUCCEEDED)
    story = Story(created(status=replace(WELL, operation=resumed)))

    story.look(not_found(), at=60, recalled=TWICE)

    assert story.session.status.operation == resumed


def test_an_adopted_session_that_was_never_seen_may_have_another_id_or_another_account() -> None:
    session = a_session(adopted=ID)

    after = carried_on(session, plan(session, not_found(), now=NOW, recalled=TWICE))

    assert said(after).startswith(f"The API key sees no session {ID}: the id is mistyped")


def test_an_adopted_session_that_is_lost_cannot_come_back() -> None:
    session = a_session(adopted=ID)

    after = carried_on(session, plan(session, seen("DELETED"), now=NOW, recalled=NOTHING))

    assert "to adopt another session, create another one" in said(after)


# Most sessions of a key at once


def test_when_most_sessions_of_a_key_vanish_the_key_is_suspect_and_none_is_lost() -> None:
    session = created(onSessionLost="Recreate")

    decided = plan(session, not_found(), now=NOW, recalled=MASS)
    after = carried_on(session, decided)

    assert decided.action == Action.NONE
    assert conditions(after) == {"Ready": ("Unknown", "ApiUnavailable"), "Paused": ("Unknown", "ApiUnavailable")}
    assert after.status.phase == Phase.UNKNOWN
    assert after.status.session_id == ID
    assert "the key or the endpoint is suspect" in said(after)
    assert "Check that the key belongs to the account" in said(after)
    assert said(after, "Paused") == "The operator does not trust AGB's answers at present."
    assert decided.requeue == 60.0


def test_a_deletion_is_not_completed_by_a_key_that_suddenly_sees_nothing() -> None:
    session = created(deleting=True)

    decided = plan(session, not_found(), now=NOW, recalled=MASS)
    after = carried_on(session, decided)

    assert decided.action == Action.NONE
    assert conditions(after)["Stalled"] == ("True", "DeletionBlocked")
    assert WAYS_OUT in said(after, "Stalled")
    assert after.status.phase == Phase.DELETING


def test_the_apis_own_word_for_the_end_is_believed_even_then() -> None:
    decided = plan(created(deleting=True), seen("FINISH"), now=NOW, recalled=MASS)

    assert decided.action == Action.REMOVE_FINALIZER


def test_a_session_that_was_released_by_us_is_gone_at_the_first_look_that_does_not_find_it() -> None:
    status = replace(WELL, operation=an_operation(OperationType.RELEASE))

    decided = plan(created(deleting=True, status=status), not_found(), now=NOW, recalled=replace(MASS, missing_looks=1))

    assert decided.action == Action.REMOVE_FINALIZER
    assert decided.events[0].message == f"Session {ID} is released."


@pytest.mark.parametrize("kind", [OperationType.RESUME, OperationType.PAUSE])
def test_a_session_that_was_not_released_yet_is_not_gone_at_the_first_look(kind: OperationType) -> None:
    status = replace(WELL, operation=an_operation(kind))

    decided = plan(created(deleting=True, status=status), not_found(), now=NOW, recalled=ONCE)

    assert decided.action == Action.NONE


def test_a_session_that_was_gone_before_the_deletion_is_said_to_have_been() -> None:
    decided = plan(created(deleting=True), not_found(), now=NOW, recalled=TWICE)

    assert decided.action == Action.REMOVE_FINALIZER
    assert decided.events[0].message == f"Session {ID} was gone already."


def test_a_deleted_resource_whose_session_is_lost_lets_go_at_the_first_look() -> None:
    session = created(deleting=True, status=replace(WELL, phase=Phase.LOST))

    assert plan(session, not_found(), now=NOW, recalled=ONCE).action == Action.REMOVE_FINALIZER


# A new session in the place of the old one


@pytest.mark.parametrize("look", [not_found(), seen("FINISH")], ids=["not found", "FINISH"])
def test_a_lost_session_is_replaced_when_the_spec_says_so(look: Observation) -> None:
    session = created(onSessionLost="Recreate", labels={"team": "a"})

    decided = plan(session, look, now=NOW, recalled=TWICE)
    after = carried_on(session, decided)

    assert (decided.action, decided.requeue) == (Action.NONE, 0.0), "creation begins with its own intent"
    assert (after.session_id, after.status.session_status, after.status.labels) == ("", "", None)
    assert (after.status.phase, after.status.recreations) == (Phase.CREATING, (timestamp(NOW),))
    assert conditions(after) == {
        "Ready": ("False", "Creating"),
        "Paused": ("False", "SessionNotFound"),
        "Reconciling": ("True", "Creating"),
    }
    operation = after.status.operation
    assert operation is not None
    assert (operation.type, operation.attempts) == (OperationType.CREATE, 0)
    assert operation.message == f"Takes the place of {ID}."
    assert not needs_lookup(after), "nothing was sent yet"
    assert [(e.reason, e.warning) for e in decided.events] == [("SessionLost", True)]
    assert ID in decided.events[0].message


def test_an_adopted_session_is_never_replaced_even_if_an_old_object_asks_for_it() -> None:
    session = a_session(adopted=ID, onSessionLost="Recreate")

    decided = plan(session, seen("FINISH"), now=NOW, recalled=NOTHING)

    assert decided.status is not None
    assert (decided.status.phase, decided.status.session_id) == (Phase.LOST, ID)


def test_no_session_is_made_only_to_be_paused() -> None:
    session = created(onSessionLost="Recreate", paused=True)

    after = carried_on(session, plan(session, seen("FINISH"), now=NOW, recalled=NOTHING))

    assert after.status.phase == Phase.LOST
    assert "A new one is created once spec.paused is false." in said(after)


def test_a_lost_session_is_replaced_once_it_is_to_run_again() -> None:
    story = Story(created(onSessionLost="Recreate", paused=True))
    story.look("FINISH", at=0)
    story.edit(paused=False)

    story.look(not_found(), at=60, recalled=ONCE)

    assert story.session.status.phase == Phase.CREATING


def ago(*seconds: float) -> tuple[str, ...]:
    return tuple(timestamp(later(-s)) for s in seconds)


@pytest.mark.parametrize(
    ("why", "recreations", "allowed"),
    [
        ("none yet", (), True),
        ("two within the hour", ago(1800, 60), True),
        ("three within the hour", ago(3599, 1800, 60), False),
        ("the first of three was an hour ago", ago(3600, 1800, 60), True),
        ("words that are no times do not count", ("soon", "", "later", *ago(60)), True),
        ("times ahead of a clock that was set back count", ago(-60, -120, -180), False),
        ("times of a clock that ran hours ahead hold nothing up for hours", ago(-3600, -7200, -10800), True),
    ],
)
def test_a_session_is_replaced_at_most_three_times_an_hour(
    why: str, recreations: tuple[str, ...], allowed: bool
) -> None:
    session = created(onSessionLost="Recreate", status=replace(WELL, recreations=recreations))

    after = carried_on(session, plan(session, seen("FINISH"), now=NOW, recalled=NOTHING))

    assert (after.status.phase == Phase.CREATING) == allowed, why
    assert allowed or "It was replaced 3 times within an hour" in said(after)


def test_only_the_last_hours_replacements_are_kept_in_the_status() -> None:
    session = created(onSessionLost="Recreate", status=replace(WELL, recreations=ago(7200, 4000, 60)))

    after = carried_on(session, plan(session, seen("FINISH"), now=NOW, recalled=NOTHING))

    assert after.status.recreations == ago(60, 0)


def test_observe_reports_a_lost_session_and_replaces_nothing() -> None:
    session = created(onSessionLost="Recreate", managementPolicy="Observe")

    after = carried_on(session, plan(session, not_found(), now=NOW, recalled=TWICE))

    assert conditions(after)["Stalled"] == ("True", "SessionNotFound")
    assert after.session_id == ID
