"""The plan table: for every state that may be wanted and every one that may be seen, what is done and what is said."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from agb_operator.model.resource import AgbSession
from agb_operator.model.states import DesiredState, Observation, SessionState
from agb_operator.model.status import OperationState, OperationType, Phase, SessionStatus, Truth
from agb_operator.policy.backoff import SLOW
from agb_operator.policy.decide import TABLE, is_settled
from agb_operator.policy.plan import Action, Recalled
from unit.builders import (
    ID,
    IMAGE,
    NOTHING,
    NOW,
    a_body,
    a_session,
    a_status,
    an_operation,
    before_looking,
    carried_on,
    conditions,
    intent,
    not_found,
    plan,
    said,
    seen,
)

WORDS = {
    SessionState.STARTING: "STARTING",
    SessionState.RUNNING: "RUNNING",
    SessionState.PAUSING: "PAUSING",
    SessionState.PAUSED: "PAUSED",
    SessionState.RESUMING: "RESUMING",
    SessionState.DELETING: "DELETING",
    SessionState.RELEASED: "FINISH",
    SessionState.UNKNOWN: "HIBERNATING",
}
POLL, SETTLED, AT_ONCE = 2.0, None, 0.0
"""Seconds until the next pass: the default pollInterval, none (the resync looks after it), and none to lose."""

BELIEVED = Recalled(missing_looks=2, missing_for=6.0)


def a_look(state: SessionState) -> Observation:
    return not_found() if state == SessionState.NOT_FOUND else seen(WORDS[state])


def wanting(desired: DesiredState, **spec: Any) -> AgbSession:
    """Build a resource with a session that nothing was said of yet."""
    return a_session(
        status=replace(a_status(), conditions=()),
        deleting=desired == DesiredState.GONE,
        paused=desired == DesiredState.PAUSED,
        **spec,
    )


def words(report: SessionStatus) -> str:
    """Give phase, Ready, Paused and what else is present, as a row of the table has it."""
    parts = [str(report.phase), f"{report.ready.status}/{report.ready.reason}"]
    parts.append(f"{report.paused.status}/{report.paused.reason}")
    if report.stalled is not None:
        parts.append(f"Stalled/{report.stalled.reason}")
    elif report.condition("Reconciling") is not None:
        parts.append("Reconciling")
    return " ".join(parts)


def moving(word: str, *, phase: str = "") -> str:
    """Give what is said while something is under way."""
    return f"{phase or word} False/{word} False/{word} Reconciling"


LOST = "Lost False/SessionNotFound False/SessionNotFound Stalled/SessionNotFound"


class Case(NamedTuple):
    """A row: what is done, what is said (phase, Ready, Paused, more), and when to look again."""

    desired: DesiredState
    seen: SessionState
    does: Action
    says: str
    again: float | None


RUN, PAUSE, GONE = DesiredState.RUNNING, DesiredState.PAUSED, DesiredState.GONE
S = SessionState
NONE = Action.NONE

CASES = {
    # Wanted: running
    "a session that starts is waited for": Case(RUN, S.STARTING, NONE, moving("Creating"), POLL),
    "a session that runs as asked is left alone": Case(
        RUN, S.RUNNING, NONE, "Running True/Running False/Running", SETTLED
    ),
    "asked to run while pausing waits for the pause to end, since nothing is legal before": Case(
        RUN, S.PAUSING, NONE, moving("Pausing"), POLL
    ),
    "a paused session that is to run is resumed": Case(RUN, S.PAUSED, Action.RESUME, moving("Resuming"), POLL),
    "a session that resumes as asked is waited for": Case(RUN, S.RESUMING, NONE, moving("Resuming"), POLL),
    "a session that somebody else ends is watched, since no call can stop that": Case(
        RUN, S.DELETING, NONE, moving("Deleting"), POLL
    ),
    "a session that is over by the API's own word is lost, and a person decides": Case(
        RUN, S.RELEASED, NONE, LOST, SLOW
    ),
    "a session that was twice not found is lost, and a person decides": Case(RUN, S.NOT_FOUND, NONE, LOST, SLOW),
    "a word that nobody knows is no licence to call anything": Case(
        RUN, S.UNKNOWN, NONE, "Unknown False/UnexpectedState Unknown/UnexpectedState Reconciling", 10.0
    ),
    # Wanted: paused
    "a session born paused has to run first": Case(PAUSE, S.STARTING, NONE, moving("Creating"), POLL),
    "a running session that is to be paused is paused": Case(PAUSE, S.RUNNING, Action.PAUSE, moving("Pausing"), POLL),
    "a session that pauses as asked is waited for": Case(PAUSE, S.PAUSING, NONE, moving("Pausing"), POLL),
    "paused as asked is ready, so that helm and Argo CD do not hang on it": Case(
        PAUSE, S.PAUSED, NONE, "Paused True/Paused True/Paused", SETTLED
    ),
    "asked to pause while resuming waits for the resume to end": Case(
        PAUSE, S.RESUMING, NONE, moving("Resuming"), POLL
    ),
    "a session that somebody else ends is watched, paused or not": Case(
        PAUSE, S.DELETING, NONE, moving("Deleting"), POLL
    ),
    "a session that is over is not paused, whatever the spec says": Case(PAUSE, S.RELEASED, NONE, LOST, SLOW),
    "a session that was twice not found is not paused either": Case(PAUSE, S.NOT_FOUND, NONE, LOST, SLOW),
    "a word that nobody knows is never taken for paused": Case(
        PAUSE, S.UNKNOWN, NONE, "Unknown False/UnexpectedState Unknown/UnexpectedState Reconciling", 10.0
    ),
    # Wanted: gone
    "a session that starts is released once it runs": Case(
        GONE, S.STARTING, NONE, moving("Creating", phase="Deleting"), POLL
    ),
    "a running session is released": Case(GONE, S.RUNNING, Action.RELEASE, moving("Deleting"), POLL),
    "release is legal in RUNNING only, so a pause has to end first": Case(
        GONE, S.PAUSING, NONE, moving("Pausing", phase="Deleting"), POLL
    ),
    "AGB refuses to release a paused session, so it is resumed first": Case(
        GONE, S.PAUSED, Action.RESUME, moving("Resuming", phase="Deleting"), POLL
    ),
    "a resume has to end before the release": Case(GONE, S.RESUMING, NONE, moving("Resuming", phase="Deleting"), POLL),
    "an accepted release is waited for": Case(GONE, S.DELETING, NONE, moving("Deleting"), POLL),
    "FINISH completes the deletion": Case(GONE, S.RELEASED, Action.REMOVE_FINALIZER, "", None),
    "not found, believed, completes the deletion": Case(GONE, S.NOT_FOUND, Action.REMOVE_FINALIZER, "", None),
    "a deletion that meets an unknown word calls nothing and names the two ways out": Case(
        GONE, S.UNKNOWN, NONE, "Deleting False/UnexpectedState Unknown/UnexpectedState Stalled/DeletionBlocked", 10.0
    ),
}


def test_the_table_has_a_step_for_every_wanted_and_every_seen_state() -> None:
    assert {(desired, state) for desired in TABLE for state in TABLE[desired]} == {
        (desired, state) for desired in DesiredState for state in SessionState
    }


def test_the_cases_cover_every_pair_once() -> None:
    covered = [(case.desired, case.seen) for case in CASES.values()]

    assert sorted(covered) == sorted((desired, state) for desired in DesiredState for state in SessionState)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_pair_of_wanted_and_seen_state(case: Case) -> None:
    decided = plan(wanting(case.desired), a_look(case.seen), now=NOW, recalled=BELIEVED)

    assert decided.action == case.does
    assert ("" if decided.status is None else words(decided.status)) == case.says
    assert decided.requeue == case.again


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_pass_that_sees_the_same_again_writes_nothing_and_announces_nothing(case: Case) -> None:
    session = wanting(case.desired)
    first = plan(session, a_look(case.seen), now=NOW, recalled=BELIEVED)
    after = carried_on(session, first)
    state = {Action.PAUSE: S.PAUSING, Action.RESUME: S.RESUMING, Action.RELEASE: S.DELETING}.get(
        first.action, case.seen
    )

    second = plan(after, a_look(state), now=NOW, recalled=BELIEVED)

    assert carried_on(after, second) == after
    assert first.status is None or second.events == ()


OBSERVED = {
    S.STARTING: ("Creating True/Observed False/Creating", POLL),
    S.RUNNING: ("Running True/Observed False/Running", SETTLED),
    S.PAUSING: ("Pausing True/Observed False/Pausing", POLL),
    S.PAUSED: ("Paused True/Observed True/Paused", SETTLED),
    S.RESUMING: ("Resuming True/Observed False/Resuming", POLL),
    S.DELETING: ("Deleting True/Observed False/Deleting", POLL),
    S.RELEASED: ("Lost False/SessionNotFound False/SessionNotFound Stalled/SessionNotFound", SLOW),
    S.NOT_FOUND: ("Lost False/SessionNotFound False/SessionNotFound Stalled/SessionNotFound", SLOW),
    S.UNKNOWN: ("Unknown False/UnexpectedState Unknown/UnexpectedState Reconciling", 10.0),
}


@pytest.mark.parametrize("desired", [RUN, PAUSE])
@pytest.mark.parametrize("state", SessionState)
def test_observe_reports_what_is_seen_and_calls_nothing(desired: DesiredState, state: SessionState) -> None:
    session = wanting(desired, managementPolicy="Observe", onSessionLost="Recreate")

    decided = plan(session, a_look(state), now=NOW, recalled=BELIEVED)

    says, again = OBSERVED[state]
    assert decided.action == Action.NONE
    assert decided.status is not None
    assert words(decided.status) == says
    assert decided.requeue == again
    assert decided.status.session_id == ID


@pytest.mark.parametrize(
    ("paused", "status", "differs"),
    [(True, "RUNNING", True), (False, "PAUSED", True), (True, "PAUSED", False), (False, "RUNNING", False)],
)
def test_observe_says_when_the_spec_asks_for_something_else(paused: bool, status: str, differs: bool) -> None:
    session = a_session(adopted=ID, managementPolicy="Observe", paused=paused)

    after = carried_on(session, plan(session, seen(status), now=NOW, recalled=NOTHING))

    assert ("differs and is not enforced" in said(after)) == differs


def test_the_first_report_says_whose_session_it_is_and_what_is_wanted() -> None:
    session = a_session(adopted="session-9", paused=True, generation=4, held=False)

    after = carried_on(session, plan(session, seen("RUNNING", "session-9"), now=NOW, recalled=NOTHING)).status

    assert after.session_id == "session-9"
    assert (after.session_status, after.desired_state, after.observed_generation) == ("PAUSING", "Paused", 4)
    assert {c.observed_generation for c in after.conditions} == {4}


def test_an_answered_request_to_reconcile_is_noted() -> None:
    session = a_session(adopted=ID, annotations={"agb.cloud/reconcile-requested-at": "1772366400"})

    after = carried_on(session, plan(session, seen("RUNNING"), now=NOW, recalled=NOTHING))

    assert after.status.last_handled_reconcile_at == "1772366400"


# Before any look


class Before(NamedTuple):
    """What is decided without a look; `does` None means that the session is to be looked at."""

    session: AgbSession
    does: Action | None
    recalled: Recalled = NOTHING


CREATE_SENT = a_status(session_id="", operation=an_operation(OperationType.CREATE, attempts=1))
CREATE_MEANT = a_status(session_id="", operation=an_operation(OperationType.CREATE, attempts=0))
OWNED = Recalled(owner="ml/older")

BEFORE = {
    "the finalizer comes before the session": Before(a_session(held=False), Action.ADD_FINALIZER),
    "held already: go on": Before(a_session(), None),
    "an adopted session is retained unasked": Before(a_session(adopted=ID, held=False), None),
    "an adopted session that is to be deleted is held": Before(
        a_session(adopted=ID, held=False, deletionPolicy="Delete"), Action.ADD_FINALIZER
    ),
    "Retain needs no finalizer, so that nothing hangs after an uninstall": Before(
        a_session(deletionPolicy="Retain"), Action.REMOVE_FINALIZER
    ),
    "Observe needs none either": Before(a_session(managementPolicy="Observe"), Action.REMOVE_FINALIZER),
    "an abandoned resource needs none either": Before(
        a_session(annotations={"agb.cloud/abandon": "true"}), Action.REMOVE_FINALIZER
    ),
    "back to Delete: held again": Before(a_session(held=False, status=a_status()), Action.ADD_FINALIZER),
    "an unusable spec without a session is not held": Before(a_session(timeout="never"), Action.REMOVE_FINALIZER),
    "an unusable spec with a session stays held, since the session has to be ended": Before(
        a_session(timeout="never", status=a_status(), held=False), Action.ADD_FINALIZER
    ),
    "deleted and not held: the API server finishes by itself": Before(
        a_session(deleting=True, held=False), Action.NONE
    ),
    "deleted before a session was ever asked for": Before(a_session(deleting=True), Action.REMOVE_FINALIZER),
    "deleted with an intent that was never sent": Before(
        a_session(deleting=True, status=CREATE_MEANT), Action.REMOVE_FINALIZER
    ),
    "deleted while a create may have been sent: look for its session": Before(
        a_session(deleting=True, status=CREATE_SENT), None
    ),
    "deleted with a session: look at it": Before(a_session(deleting=True, status=a_status()), None),
    "Retain lets go at once, without AGB or the Secret": Before(
        a_session(deleting=True, status=a_status(), deletionPolicy="Retain"), Action.REMOVE_FINALIZER
    ),
    "abandon lets go at once, without AGB or the Secret": Before(
        a_session(deleting=True, status=a_status(), annotations={"agb.cloud/abandon": "true"}), Action.REMOVE_FINALIZER
    ),
    "Observe never ends a session": Before(
        a_session(deleting=True, status=a_status(), managementPolicy="Observe"), Action.REMOVE_FINALIZER
    ),
    "who does not manage the session does not end it": Before(
        a_session(adopted=ID, deleting=True, deletionPolicy="Delete"), Action.REMOVE_FINALIZER, OWNED
    ),
    "an unusable spec does not keep a session alive": Before(
        a_session(deleting=True, status=a_status(), timeout="never"), None
    ),
}


@pytest.mark.parametrize("case", BEFORE.values(), ids=BEFORE)
def test_what_needs_no_look(case: Before) -> None:
    decided = before_looking(case.session, recalled=case.recalled)

    assert (decided.action if decided is not None else None) == case.does
    assert decided is None or decided.status is None


def test_a_change_of_the_finalizer_is_followed_by_another_pass_at_once() -> None:
    decided = before_looking(a_session(held=False), recalled=NOTHING)

    assert decided is not None
    assert decided.requeue == AT_ONCE


def unusable(spec: Mapping[str, Any]) -> AgbSession:
    return AgbSession.from_body(a_body(spec=spec, finalizers=()))


def test_an_unusable_spec_is_stalled_and_says_what_is_right() -> None:
    session = unusable({"imageId": IMAGE, "timeout": "never"})

    decided = before_looking(session, recalled=NOTHING)

    assert decided is not None
    after = carried_on(session, decided)
    assert conditions(after) == {
        "Ready": ("False", "InvalidSpec"),
        "Paused": ("Unknown", "InvalidSpec"),
        "Stalled": ("True", "InvalidSpec"),
    }
    assert "spec.timeout must be a duration from 1s to 24h" in said(after)
    assert after.status.phase == Phase.PENDING
    assert decided.requeue == SLOW
    assert [(e.reason, e.warning) for e in decided.events] == [("InvalidSpec", True)]


def test_the_younger_of_two_resources_with_one_session_is_stalled_and_names_the_other() -> None:
    session = a_session(adopted=ID, held=False)

    decided = before_looking(session, recalled=OWNED)

    assert decided is not None
    after = carried_on(session, decided)
    assert decided.action == Action.NONE
    assert conditions(after) == {
        "Ready": ("False", "SessionConflict"),
        "Paused": ("Unknown", "SessionConflict"),
        "Stalled": ("True", "SessionConflict"),
    }
    assert "ml/older" in said(after)
    assert "set spec.managementPolicy to Observe" in said(after)


def test_what_stalls_before_the_look_is_said_once() -> None:
    session = a_session(adopted=ID, held=False)
    first = before_looking(session, recalled=OWNED)
    assert first is not None
    after = carried_on(session, first)

    again = before_looking(after, recalled=OWNED)

    assert again is not None
    assert again.events == ()
    assert carried_on(after, again) == after


def test_what_stalls_for_another_reason_than_before_is_said() -> None:
    session = a_session(adopted=ID, held=False, status=a_status(reason="InvalidSpec"))

    decided = before_looking(session, recalled=OWNED)

    assert decided is not None
    assert [e.reason for e in decided.events] == ["SessionConflict"]


def test_a_manager_that_lost_its_session_to_an_older_one_no_longer_shows_what_it_last_saw() -> None:
    session = a_session(adopted=ID, held=False, status=a_status(phase=Phase.RUNNING))

    decided = before_looking(session, recalled=OWNED)

    assert decided is not None
    assert decided.status is not None
    assert decided.status.phase == Phase.UNKNOWN


# What the resync looks after

WELL = a_status(ready=Truth.TRUE, reason="Running", phase=Phase.RUNNING)


@pytest.mark.parametrize(
    ("why", "session", "settled"),
    [
        ("ready and asked for nothing else", a_session(status=WELL), True),
        ("an older CRD, or operator, has kept no why", a_session(status=replace(WELL, why="")), True),
        ("another why than what is wanted now has", a_session(status=replace(WELL, why="Spec")), False),
        ("nothing said yet", a_session(), False),
        ("not ready", a_session(status=a_status()), False),
        ("the spec has changed since", a_session(status=WELL, generation=2), False),
        ("being deleted", a_session(status=WELL, deleting=True), False),
        ("a finalizer to put on", a_session(status=WELL, held=False), False),
        ("a finalizer to take off", a_session(status=WELL, deletionPolicy="Retain"), False),
        ("a look asked for", a_session(status=WELL, annotations={"agb.cloud/reconcile-requested-at": "1"}), False),
    ],
)
def test_a_resource_is_settled_when_nothing_is_left_to_do(why: str, session: AgbSession, settled: bool) -> None:
    assert is_settled(session, intent(session)) == settled, why


def is_at_rest(session: AgbSession) -> bool:
    return is_settled(session, intent(session))


def test_a_resource_whose_request_was_answered_is_settled() -> None:
    session = a_session(
        status=replace(WELL, last_handled_reconcile_at="1"), annotations={"agb.cloud/reconcile-requested-at": "1"}
    )

    assert is_settled(session, intent(session))


def test_a_request_that_was_answered_and_taken_back_is_no_reason_to_look() -> None:
    assert is_at_rest(a_session(status=replace(WELL, last_handled_reconcile_at="1")))


def test_an_operation_that_ended_is_no_reason_to_look() -> None:
    ended = an_operation(OperationType.RESUME, OperationState.SUCCEEDED)

    assert is_at_rest(a_session(status=replace(WELL, operation=ended)))
