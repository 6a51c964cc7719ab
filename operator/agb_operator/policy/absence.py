"""Sessions that are gone, or that are only observed; pure steps of `plan`.

"Not found" is believed only on the API's own code, twice, and not when a whole key suddenly sees nothing.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final

from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import (
    ConditionDraft,
    Operation,
    OperationState,
    OperationType,
    Phase,
    Reason,
    Truth,
    parse_timestamp,
    timestamp,
)
from .transitions import blocked, finished, unexpected
from .wording import SLOW, Action, Event, Facts, Plan, base_report, seen_report, unseen_phase

BELIEVE_AFTER: Final = 5.0
"""Seconds between the two looks after which "not found" is believed."""
RECREATIONS_AN_HOUR: Final = 3
_MOVING: Final = (SessionState.STARTING, SessionState.PAUSING, SessionState.RESUMING, SessionState.DELETING)


def session_absent(session: AgbSession, seen: Observation, *, now: datetime, facts: Facts) -> Plan:
    """Report a session that is gone, or have a new one take its place."""
    if (doubt := _doubt(session, seen, facts)) is not None:
        return doubt
    if _may_recreate(session, now):
        text = f"Session {session.session_id} is gone with its state; a new one takes its place."
        ready = ConditionDraft(status=Truth.FALSE, reason=Reason.CREATING, message=text)
        report = replace(
            seen_report(session, seen, ready=ready),
            phase=Phase.CREATING,
            session_id="",
            session_status="",
            operation=Operation(
                type=OperationType.CREATE,
                state=OperationState.IN_PROGRESS,
                started_at=now,
                message=f"Takes the place of {session.session_id}.",
            ),
            recreations=(*_recent(session, now), timestamp(now)),
            labels=None,
            reconciling=True,
        )
        return Plan(report=report, requeue=0.0, events=(Event(reason="SessionLost", message=text, warning=True),))
    message = _lost_message(session, seen)
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=message)
    report = replace(
        seen_report(session, seen, ready=ready),
        session_status=seen.status or session.status.session_status,
        operation=_failed_by_loss(session, now),
        stalled=ready,
    )
    known = session.status.phase == Phase.LOST
    return Plan(
        report=report,
        requeue=SLOW,
        events=() if known else (Event(reason="SessionLost", message=message, warning=True),),
    )


def _doubt(session: AgbSession, seen: Observation, facts: Facts) -> Plan | None:
    """Hold back while "not found" may be a passing mistake: one look, or a key that suddenly sees nothing."""
    if seen.state != SessionState.NOT_FOUND or session.status.phase == Phase.LOST:
        return None
    if facts.missing_looks < 2 or facts.missing_for < BELIEVE_AFTER:
        return Plan(requeue=max(BELIEVE_AFTER - facts.missing_for, 1.0))
    if not facts.mass_loss:
        return None
    message = (
        "Most sessions of this API key are suddenly not found, so the key or the endpoint is suspect and none is "
        "taken for lost. Check that the key belongs to the account of the sessions and that the endpoint is right."
    )
    ready = ConditionDraft(status=Truth.UNKNOWN, reason=Reason.API_UNAVAILABLE, message=message)
    paused = replace(ready, message="AGB's answers are not believed at present.")
    report = base_report(session, phase=unseen_phase(session), ready=ready, paused=paused)
    if session.desired == DesiredState.GONE:
        report = blocked(report, message)
    return Plan(report=report, requeue=60.0)


def _lost_message(session: AgbSession, seen: Observation) -> str:
    never_seen = seen.state == SessionState.NOT_FOUND and not session.status.session_status
    if session.adopted_id and never_seen:
        return (
            f"The API key sees no session {session.adopted_id}: the id is mistyped, the session belongs to another "
            "account, or it has ended. Check spec.sessionId and the key; the id cannot be changed, so to adopt another "
            "session delete this resource and create another one."
        )
    text = (
        f"AGB no longer has session {session.session_id}; its state is gone (AGB ends idle and old sessions by itself)."
    )
    if session.adopted_id:
        return text + " Delete this resource; to adopt another session, create another one."
    if session.observe_only:
        return text + " To get a new session set spec.managementPolicy to Manage and spec.onSessionLost to Recreate."
    if not session.recreate:
        return (
            text
            + " To get a new session set spec.onSessionLost to Recreate, or delete this resource and apply it again."
        )
    if session.paused:
        return text + " A new one is created once spec.paused is false."
    return text + f" It was replaced {RECREATIONS_AN_HOUR} times within an hour; the operator goes on later."


def _may_recreate(session: AgbSession, now: datetime) -> bool:
    wanted = session.recreate and bool(session.image_id) and not session.paused
    return wanted and len(_recent(session, now)) < RECREATIONS_AN_HOUR


def _recent(session: AgbSession, now: datetime) -> tuple[str, ...]:
    moments = [(text, parse_timestamp(text)) for text in session.status.recreations]
    return tuple(text for text, moment in moments if moment is not None and (now - moment).total_seconds() < 3600.0)


def _failed_by_loss(session: AgbSession, now: datetime) -> Operation | None:
    last = session.status.operation
    if last is None or last.state != OperationState.IN_PROGRESS:
        return last
    return last.ended(OperationState.FAILED, now, "The session was lost meanwhile.")


def session_ended(session: AgbSession, seen: Observation, *, facts: Facts) -> Plan:
    """Let go of a resource that is being deleted: its session is gone."""
    last = session.status.operation
    released = last is not None and last.type == OperationType.RELEASE
    if not released and (doubt := _doubt(session, seen, facts)) is not None:
        return doubt
    text = f"Session {seen.session_id} is released." if released else f"Session {seen.session_id} was gone already."
    return Plan(action=Action.REMOVE_FINALIZER, events=(Event(reason="Released", message=text),))


def observe_only(session: AgbSession, seen: Observation, *, now: datetime, facts: Facts) -> Plan:
    """Report what is seen and call nothing (managementPolicy: Observe)."""
    if seen.state == SessionState.UNKNOWN:
        return unexpected(session, seen)
    if seen.state in (SessionState.NOT_FOUND, SessionState.RELEASED):
        if (doubt := _doubt(session, seen, facts)) is not None:
            return doubt
        ready = ConditionDraft(
            status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=_lost_message(session, seen)
        )
        # AGB's last word stays: it tells a session that ended from one that never was.
        said = seen.status or session.status.session_status
        report = replace(seen_report(session, seen, ready=ready), session_status=said, stalled=ready)
        return Plan(report=report, requeue=SLOW)
    message = "The session is only observed (spec.managementPolicy: Observe)."
    if session.paused != (seen.state in (SessionState.PAUSED, SessionState.PAUSING)):
        message += " spec.paused differs and is not enforced."
    ready = ConditionDraft(status=Truth.TRUE, reason=Reason.OBSERVED, message=message)
    report = seen_report(session, seen, ready=ready)
    if seen.state in _MOVING:
        return Plan(report=report, requeue=session.poll_interval.total_seconds())
    # What was under way when Observe was set has come to its end, or will not go on.
    paused = seen.state == SessionState.PAUSED
    operation, events = finished(session, paused=paused, session_id=seen.session_id, now=now)
    return Plan(report=replace(report, operation=operation), events=events)
