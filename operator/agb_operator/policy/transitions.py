"""Pause, resume and release of a session, and the wait for them; pure steps of `plan`."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationState, OperationType, Reason, Report, Truth
from .backoff import SHORTEST
from .wording import (
    SLOW,
    WAYS_OUT,
    Action,
    Event,
    Facts,
    Plan,
    begun,
    elapsed,
    phase_of,
    poll_delay,
    seen_report,
    unfinished,
)

SETTLE: Final = 5.0
"""Seconds, doubled with each attempt, for which the state that a call has left may be a stale read."""
MANY_ATTEMPTS: Final = 3
"""Failures after which a person should look."""

_MOVES: Final = {
    SessionState.STARTING: (OperationType.CREATE, Reason.CREATING, Reason.CREATE_FAILED),
    SessionState.PAUSING: (OperationType.PAUSE, Reason.PAUSING, Reason.PAUSE_TIMED_OUT),
    SessionState.RESUMING: (OperationType.RESUME, Reason.RESUMING, Reason.RESUME_TIMED_OUT),
    SessionState.DELETING: (OperationType.RELEASE, Reason.DELETING, Reason.DELETION_BLOCKED),
}
_LEFT_BY: Final = {
    SessionState.RUNNING: {Action.PAUSE: OperationType.PAUSE, Action.RELEASE: OperationType.RELEASE},
    SessionState.PAUSED: {Action.RESUME: OperationType.RESUME},
}
"""The calls that a session leaves a state by, and what a status calls them."""
_CALLS: Final = {
    Action.PAUSE: (OperationType.PAUSE, SessionState.PAUSING, "PAUSING"),
    Action.RESUME: (OperationType.RESUME, SessionState.RESUMING, "RESUMING"),
    Action.RELEASE: (OperationType.RELEASE, SessionState.DELETING, "DELETING"),
}


def settled(session: AgbSession, seen: Observation, *, now: datetime, facts: Facts) -> Plan:
    """Report that the session is as asked; labels that changed in the spec are set now."""
    # The spec may have been flipped back at once: what looks like the goal may be what an accepted call is leaving.
    wait = _being_left_for(session, seen, now=now, facts=facts)
    if wait > 0:
        return _wait(session, wait)
    paused = seen.state == SessionState.PAUSED
    ready = ConditionDraft(
        status=Truth.TRUE,
        reason=Reason.PAUSED if paused else Reason.RUNNING,
        message="The session is paused, as asked; its state is kept."
        if paused
        else "The session is running, as asked.",
    )
    report = seen_report(session, seen, ready=ready)
    operation, events = finished(session, paused=paused, session_id=seen.session_id, now=now)
    if session.image_id and session.status.labels != session.labels:
        labelled = begun(session, OperationType.SET_LABELS, now=now).ended(OperationState.SUCCEEDED, now)
        report = replace(report, operation=labelled, labels=session.labels)
        return Plan(action=Action.SET_LABELS, report=report, requeue=0.0, events=events)
    return Plan(report=replace(report, operation=operation), events=events)


def _being_left_for(session: AgbSession, seen: Observation, *, now: datetime, facts: Facts) -> float:
    """Give the seconds for which the state seen may be from before a call of ours, whatever is wanted by now."""
    calls = _LEFT_BY[seen.state]
    last = session.status.operation
    if last is not None and any(last.is_running(kind) for kind in calls.values()):
        return _stale_for(last, now=now, facts=facts)
    if facts.called in calls and facts.since_call is not None:
        # Its answer, or the write about it, was lost; or AGB refused it because the state was another one.
        return SETTLE - facts.since_call
    return 0.0


def _stale_for(last: Operation, *, now: datetime, facts: Facts) -> float:
    """Give the seconds for which a look may still show the state that the last accepted call has left."""
    since = elapsed(last, now) if facts.since_call is None else facts.since_call
    return min(SLOW, SETTLE * 2.0 ** min(last.attempts, 16)) - since if last.attempts else 0.0


def _wait(session: AgbSession, seconds: float) -> Plan:
    # What is left of a wait may be a rounding error: that many passes would follow without time going by.
    return Plan(requeue=min(max(seconds, SHORTEST), session.poll_interval.total_seconds()))


def finished(
    session: AgbSession, *, paused: bool, session_id: str, now: datetime
) -> tuple[Operation | None, tuple[Event, ...]]:
    """Close the operation that brought the session here, and say so once."""
    last = session.status.operation
    if last is None or last.state == OperationState.SUCCEEDED:
        return last, ()
    if last.type in (OperationType.CREATE, OperationType.PAUSE if paused else OperationType.RESUME):
        word = "Paused" if paused else "Running"
        ended = last.ended(OperationState.SUCCEEDED, now)
        return ended, (Event(reason=word, message=f"Session {session_id} is {word.lower()}."),)
    if last.state == OperationState.IN_PROGRESS:
        return last.ended(OperationState.FAILED, now, "Not carried out, and no longer asked for."), ()
    return last, ()


def in_transition(session: AgbSession, seen: Observation, *, now: datetime) -> Plan:
    """Wait for a transition to end, and say so when it takes longer than the spec allows."""
    kind, reason, late_reason = _MOVES[seen.state]
    if seen.state == SessionState.DELETING and session.desired != DesiredState.GONE:
        late_reason = Reason.UNEXPECTED_STATE  # somebody else ends the session
    last = unfinished(session, kind) or begun(session, kind, now=now)
    if elapsed(last, now) <= session.timeout.total_seconds():
        drift = _drift(session, seen) if seen.state != SessionState.DELETING else ()
        return Plan(
            report=_under_way(session, seen_report(session, seen, ready=_moving(session, seen.state, reason)), last),
            requeue=poll_delay(session, last, now),
            events=drift,
            drifted=bool(drift),
        )
    message = (
        f"AGB has said {seen.status} for longer than spec.timeout. The operator keeps looking; "
        "if it does not end, ask AGB's support, or raise spec.timeout."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=late_reason, message=message)
    stalled = last.attempts >= MANY_ATTEMPTS or elapsed(last, now) > MANY_ATTEMPTS * session.timeout.total_seconds()
    report = replace(
        seen_report(session, seen, ready=ready),
        operation=last.ended(OperationState.FAILED, now, message),
        reconciling=True,
        stalled=ready if stalled else None,
    )
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    events: tuple[Event, ...] = ()
    if last.state == OperationState.IN_PROGRESS:
        events = (Event(reason=late_reason, message=message, warning=True),)
    return Plan(report=report, requeue=poll_delay(session, last, now), events=events)


def _moving(session: AgbSession, state: SessionState, reason: Reason) -> ConditionDraft:
    words = {
        SessionState.STARTING: "AGB is starting the session.",
        SessionState.PAUSING: "AGB is pausing the session.",
        SessionState.RESUMING: "AGB is resuming the session.",
        SessionState.DELETING: "AGB is ending the session.",
    }
    then = {
        (DesiredState.RUNNING, SessionState.PAUSING): " It is resumed once it is paused.",
        (DesiredState.PAUSED, SessionState.RESUMING): " It is paused once it is running.",
        (DesiredState.PAUSED, SessionState.STARTING): " It is paused once it is running.",
        (DesiredState.GONE, SessionState.PAUSING): " It is resumed once it is paused, then released.",
        (DesiredState.GONE, SessionState.RESUMING): " It is released once it is running.",
        (DesiredState.GONE, SessionState.STARTING): " It is released once it is running.",
    }
    message = words[state] + then.get((session.desired, state), "")
    return ConditionDraft(status=Truth.FALSE, reason=reason, message=message)


def _under_way(session: AgbSession, report: Report, operation: Operation) -> Report:
    """Add the operation that is under way, and that a person should look if calls before came to nothing."""
    report = replace(report, operation=operation, reconciling=True)
    if operation.type == OperationType.CREATE or operation.attempts <= MANY_ATTEMPTS:
        return report
    text = f"AGB accepts to {operation.type.lower()} the session, but it does not stay so. Ask AGB's support."
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.UNEXPECTED_STATE, message=text)
    report = replace(report, ready=ready, stalled=ready)
    return blocked(report, text) if session.desired == DesiredState.GONE else report


def start_transition(session: AgbSession, seen: Observation, action: Action, *, now: datetime, facts: Facts) -> Plan:
    """Make a call that is legal in the state seen, unless an accepted one has had too little time to show."""
    kind, state, status = _CALLS[action]
    last = unfinished(session, kind)
    if last is not None:
        # An accepted call left the session where it was: a stale read at first, a failure after that.
        wait = _stale_for(last, now=now, facts=facts)
        if wait > 0:
            return _wait(session, wait)
        if last.state == OperationState.IN_PROGRESS and elapsed(last, now) > session.timeout.total_seconds():
            return _call_failed(session, seen, last, now=now)
    else:
        wait = _being_left_for(session, seen, now=now, facts=facts)
        if wait > 0:
            return _wait(session, wait)
    # The API promises that an accepted call shows at once, so the report is what the next look will say.
    expected = replace(seen, state=state, status=status)
    operation = begun(session, kind, now=now, attempts=(last.attempts if last is not None else 0) + 1)
    ready = _moving(session, state, Reason(phase_of(state)))
    drift = _drift(session, seen)
    return Plan(
        action=action,
        report=_under_way(session, seen_report(session, expected, ready=ready), operation),
        requeue=session.poll_interval.total_seconds(),
        events=drift,
        drifted=bool(drift),
    )


def _call_failed(session: AgbSession, seen: Observation, last: Operation, *, now: datetime) -> Plan:
    """Say that accepted calls had no effect for longer than the timeout; the next pass calls again."""
    reason = {
        OperationType.PAUSE: Reason.PAUSE_TIMED_OUT,
        OperationType.RESUME: Reason.RESUME_TIMED_OUT,
    }.get(last.type, Reason.DELETION_BLOCKED)
    message = (
        f"AGB accepted to {last.type.lower()} the session, but it is {seen.status} after spec.timeout. "
        "The operator asks again; if this repeats, ask AGB's support."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    report = replace(
        seen_report(session, seen, ready=ready),
        operation=last.ended(OperationState.FAILED, now, message),
        reconciling=True,
        stalled=ready if last.attempts >= MANY_ATTEMPTS else None,
    )
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    return Plan(
        report=report,
        requeue=session.poll_interval.total_seconds(),
        events=(Event(reason=reason, message=message, warning=True),),
    )


def _drift(session: AgbSession, seen: Observation) -> tuple[Event, ...]:
    """Say that somebody else moved the session, if the last word was that all is as this very spec asks."""
    ready = session.status.condition("Ready")
    settled_before = (
        ready is not None
        and ready.status == Truth.TRUE
        and ready.reason != Reason.OBSERVED
        and ready.observed_generation == session.generation
        and not session.deleting
    )
    if not settled_before:
        return ()
    text = f"Session {seen.session_id} was found {seen.status} without a change of the spec; it is brought back."
    return (Event(reason="DriftDetected", message=text, warning=True),)


def unexpected(session: AgbSession, seen: Observation) -> Plan:
    """Say that the API's word is not known, and call nothing."""
    said = f"the status {seen.status!r}, which this operator does not know" if seen.status else "no status"
    message = f"AGB gives {said}. Nothing is called until it says something else; look for a newer operator."
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.UNEXPECTED_STATE, message=message)
    report = replace(seen_report(session, seen, ready=ready), reconciling=True)
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    return Plan(report=report, requeue=max(session.poll_interval.total_seconds(), 10.0))


def blocked(report: Report, message: str) -> Report:
    """Say that a deletion does not get on, and the two ways out."""
    text = f"{message} {WAYS_OUT}"
    verdict = ConditionDraft(status=Truth.TRUE, reason=Reason.DELETION_BLOCKED, message=text)
    return replace(report, stalled=verdict)
