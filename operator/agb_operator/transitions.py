"""Pause, resume and release of a session, and the wait for them; pure steps of `plan`."""

from dataclasses import replace
from datetime import datetime
from typing import Final

from .reports import (
    SLOW,
    WAYS_OUT,
    Action,
    Announcement,
    Facts,
    Plan,
    begun,
    elapsed,
    paused_verdict,
    phase_of,
    poll_delay,
    seen_report,
)
from .resource import AgbSession
from .states import DesiredState, Observation, SessionState
from .status import Operation, OperationState, OperationType, Phase, Reason, Report, Truth, Verdict

SETTLE: Final = 5.0
"""Seconds for which the state that a call has just left may still be read before it counts as a failure."""
MANY_ATTEMPTS: Final = 3
"""Failures after which a person should look."""

_MOVES: Final = {
    SessionState.STARTING: (OperationType.CREATE, Reason.CREATING, Reason.CREATE_FAILED),
    SessionState.PAUSING: (OperationType.PAUSE, Reason.PAUSING, Reason.PAUSE_TIMED_OUT),
    SessionState.RESUMING: (OperationType.RESUME, Reason.RESUMING, Reason.RESUME_TIMED_OUT),
    SessionState.DELETING: (OperationType.RELEASE, Reason.DELETING, Reason.DELETION_BLOCKED),
}
_CALLS: Final = {
    Action.PAUSE: (OperationType.PAUSE, SessionState.PAUSING, "PAUSING"),
    Action.RESUME: (OperationType.RESUME, SessionState.RESUMING, "RESUMING"),
    Action.RELEASE: (OperationType.RELEASE, SessionState.DELETING, "DELETING"),
}


def settled(session: AgbSession, seen: Observation, *, now: datetime) -> Plan:
    """Report that the session is as asked; labels that changed in the spec are set now."""
    paused = seen.state == SessionState.PAUSED
    ready = Verdict(
        status=Truth.TRUE,
        reason=Reason.PAUSED if paused else Reason.RUNNING,
        message="The session is paused, as asked; its state is kept."
        if paused
        else "The session is running, as asked.",
    )
    report = seen_report(session, seen, ready=ready)
    operation, announcements = _finished(session, paused=paused, session_id=seen.session_id, now=now)
    if session.image_id and session.status.labels != session.labels:
        labelled = begun(session, OperationType.SET_LABELS, now=now).ended(OperationState.SUCCEEDED, now)
        report = replace(report, operation=labelled, labels=session.labels)
        return Plan(action=Action.SET_LABELS, report=report, requeue=0.0, announcements=announcements)
    return Plan(report=replace(report, operation=operation), announcements=announcements)


def _finished(
    session: AgbSession, *, paused: bool, session_id: str, now: datetime
) -> tuple[Operation | None, tuple[Announcement, ...]]:
    """Close the operation that brought the session here, and say so once."""
    last = session.status.operation
    if last is None or last.state == OperationState.SUCCEEDED:
        return last, ()
    brought = {OperationType.PAUSE} if paused else {OperationType.RESUME, OperationType.CREATE}
    if last.type in brought:
        word = "Paused" if paused else "Running"
        ended = last.ended(OperationState.SUCCEEDED, now)
        return ended, (Announcement(reason=word, message=f"Session {session_id} is {word.lower()}."),)
    if last.state == OperationState.IN_PROGRESS:
        return last.ended(OperationState.FAILED, now, "Not carried out, and no longer asked for."), ()
    return last, ()


def moving(session: AgbSession, seen: Observation, *, now: datetime) -> Plan:
    """Wait for a transition to end, and say so when it takes longer than the spec allows."""
    kind, reason, late_reason = _MOVES[seen.state]
    if seen.state == SessionState.DELETING and session.desired != DesiredState.GONE:
        late_reason = Reason.UNEXPECTED_STATE  # somebody else ends the session
    last = session.status.operation
    if last is None or last.type != kind or last.state == OperationState.SUCCEEDED:
        last = begun(session, kind, now=now)
    too_long = elapsed(last, now) > session.timeout.total_seconds()
    if not too_long:
        ready = Verdict(status=Truth.FALSE, reason=reason, message=_moving_message(session, seen.state))
        report = replace(seen_report(session, seen, ready=ready), operation=last, reconciling=True)
        return Plan(report=report, requeue=poll_delay(session, last, now))
    message = (
        f"AGB has said {seen.status} for longer than spec.timeout. The operator keeps looking; "
        "if it does not end, ask AGB's support, or raise spec.timeout."
    )
    ready = Verdict(status=Truth.FALSE, reason=late_reason, message=message)
    stalled = last.attempts >= MANY_ATTEMPTS or elapsed(last, now) > MANY_ATTEMPTS * session.timeout.total_seconds()
    report = replace(
        seen_report(session, seen, ready=ready),
        operation=last.ended(OperationState.FAILED, now, message),
        reconciling=True,
        stalled=ready if stalled else None,
    )
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    announcements = ()
    if last.state == OperationState.IN_PROGRESS:
        announcements = (Announcement(reason=late_reason, message=message, warning=True),)
    return Plan(report=report, requeue=poll_delay(session, last, now), announcements=announcements)


def _moving_message(session: AgbSession, state: SessionState) -> str:
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
    return words[state] + then.get((session.desired, state), "")


def call(session: AgbSession, seen: Observation, action: Action, *, now: datetime, facts: Facts) -> Plan:
    """Make a call that is legal in the state seen, unless an accepted one has had too little time to show."""
    kind, state, status = _CALLS[action]
    last = session.status.operation
    again = last is not None and last.type == kind and last.state != OperationState.SUCCEEDED
    attempts = 0
    if again and last is not None:
        # An accepted call left the session where it was: a stale read at first, a failure after that.
        attempts = last.attempts
        wait = 0.0 if facts.since_call is None else max(SETTLE, min(SLOW, 5.0 * 2.0**attempts)) - facts.since_call
        if attempts and wait > 0:
            return Plan(requeue=min(wait, session.poll_interval.total_seconds()))
        if last.state == OperationState.IN_PROGRESS and elapsed(last, now) > session.timeout.total_seconds():
            return _call_failed(session, seen, last, now=now)
    operation = begun(session, kind, now=now, attempts=attempts + 1)
    ready = Verdict(status=Truth.FALSE, reason=Reason(phase_of(state)), message=_moving_message(session, state))
    report = seen_report(session, seen, ready=ready)
    report = replace(
        report,
        phase=phase_of(state),
        session_status=status,  # the API promises that an accepted call shows at once
        paused=paused_verdict(state, status),
        operation=operation,
        reconciling=True,
    )
    if attempts >= MANY_ATTEMPTS:
        text = f"AGB accepts to {kind.lower()} the session, but it does not stay so. Ask AGB's support."
        report = replace(report, stalled=replace(ready, reason=Reason.UNEXPECTED_STATE, message=text))
        if session.desired == DesiredState.GONE:
            report = blocked(report, text)
    drifted = _was_settled(session)
    announcements = ()
    if drifted:
        text = f"Session {seen.session_id} was found {seen.status} without a change of the spec; it is brought back."
        announcements = (Announcement(reason="DriftDetected", message=text, warning=True),)
    return Plan(
        action=action,
        report=report,
        requeue=session.poll_interval.total_seconds(),
        announcements=announcements,
        drifted=drifted,
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
    ready = Verdict(status=Truth.FALSE, reason=reason, message=message)
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
        announcements=(Announcement(reason=reason, message=message, warning=True),),
    )


def _was_settled(session: AgbSession) -> bool:
    """Tell whether the last word was that all is as this very spec asks."""
    ready = session.status.condition("Ready")
    return (
        ready is not None
        and ready.status == Truth.TRUE
        and ready.reason != Reason.OBSERVED
        and ready.observed_generation == session.generation
        and not session.deleting
    )


def unexpected(session: AgbSession, seen: Observation, *, now: datetime) -> Plan:
    """Say that the API's word is not known, and call nothing."""
    said = f"the status {seen.status!r}, which this operator does not know" if seen.status else "no status"
    message = f"AGB gives {said}. Nothing is called until it says something else; look for a newer operator."
    ready = Verdict(status=Truth.FALSE, reason=Reason.UNEXPECTED_STATE, message=message)
    report = replace(seen_report(session, seen, ready=ready), reconciling=True)
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    return Plan(report=report, requeue=max(poll_delay(session, None, now), 10.0))


def blocked(report: Report, message: str) -> Report:
    """Say that a deletion does not get on, and the two ways out."""
    text = f"{message} {WAYS_OUT}"
    verdict = Verdict(status=Truth.TRUE, reason=Reason.DELETION_BLOCKED, message=text)
    return replace(report, stalled=verdict, phase=Phase.DELETING)
