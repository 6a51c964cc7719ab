"""Sessions that are gone, or that are only observed; pure steps of `decide`.

What "not found" is worth is `proof`'s to say.
"""

from dataclasses import replace
from datetime import datetime
from typing import Final, assert_never

from ..model.event import Event
from ..model.resource import CONFIRM_LOST_ANNOTATION, AgbSession
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
from .backoff import BELIEVE_AFTER, SECRET_RECHECK, SLOW, SUSPECT
from .plan import Action, Draft, Input
from .proof import Absence, release_was_taken
from .transitions import finished, unexpected
from .wording import decider, new_one_waits, of_look, of_no_look

RECREATIONS_AN_HOUR: Final = 3
_MOVING: Final = (SessionState.STARTING, SessionState.PAUSING, SessionState.RESUMING, SessionState.DELETING)


def session_absent(given: Input, seen: Observation) -> Draft:
    """Report a session that is gone, or have a new one take its place."""
    session = given.session
    if (doubt := _doubt(given)) is not None:
        return doubt
    if _may_recreate(given):
        return _recreated(given, seen)
    message = _lost_message(given, seen)
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=message)
    draft = of_look(
        given,
        seen,
        ready,
        session_status=seen.status or session.status.session_status,
        seen_with="",  # it is proven: whatever key looks from now on need not have seen it
        operation=_failed_by_loss(session, given.now),
    )
    known = session.status.phase == Phase.LOST
    event = Event(reason="SessionLost", message=message, warning=True)
    return replace(draft, stalled=True, requeue=SLOW, events=() if known else (event,))


def _recreated(given: Input, seen: Observation) -> Draft:
    session, now = given.session, given.now
    text = f"Session {session.session_id} is gone with its state; a new one takes its place."
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.CREATING, message=text)
    draft = of_look(
        given,
        seen,
        ready,
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
        seen_with="",
    )
    event = Event(reason="SessionLost", message=text, warning=True)
    return replace(draft, reconciling=True, requeue=0.0, events=(event,))


def _doubt(given: Input) -> Draft | None:
    """Hold back while "not found" may be a passing mistake: one look, or a key that suddenly sees nothing."""
    match given.absence:
        case None | Absence.BELIEVED:
            return None
        case Absence.UNVOUCHED:
            return Draft(action=Action.ASK_OTHERS)
        case Absence.FORMER_UNASKED:
            return Draft(action=Action.ASK_FORMER)
        case Absence.TOO_EARLY:
            return Draft(requeue=max(BELIEVE_AFTER - given.recalled.missing_for, 1.0))
        case Absence.OTHER_KEY:
            return _seen_by_another_key(given)
        case Absence.KEY_SUSPECT:
            return _key_suspect(given)
        case never:
            assert_never(never)


def _seen_by_another_key(given: Input) -> Draft:
    session_id = given.session.session_id
    message = (
        f"The API key does not see session {session_id}, which the previous key saw, so it seems to belong to another "
        "account. Put back a key of the session's account. If the session is really gone, annotate the resource with "
        f"{CONFIRM_LOST_ANNOTATION}={session_id}."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.CREDENTIALS_INVALID, message=message)
    return replace(of_no_look(given, ready), stalled=True, blocks=True, warns=True, requeue=SECRET_RECHECK)


def _key_suspect(given: Input) -> Draft:
    message = (
        "Most sessions of this API key are suddenly not found, so the key or the endpoint is suspect and none "
        "counts as lost until the key sees another of its sessions, or an hour has passed. Check that the key belongs "
        "to the account of the sessions and that the endpoint is right. If this session is really gone, annotate the "
        f"resource with {CONFIRM_LOST_ANNOTATION}={given.session.session_id}."
    )
    ready = ConditionDraft(status=Truth.UNKNOWN, reason=Reason.API_UNAVAILABLE, message=message)
    draft = of_no_look(given, ready, paused="The operator does not trust AGB's answers at present.")
    return replace(draft, blocks=True, requeue=SUSPECT)


def _lost_message(given: Input, seen: Observation) -> str:
    session = given.session
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
    if given.desired == DesiredState.PAUSED:
        return text + " " + new_one_waits(given)
    return text + f" It was replaced {RECREATIONS_AN_HOUR} times within an hour; the operator continues later."


def _may_recreate(given: Input) -> bool:
    session = given.session
    wanted = session.recreate and bool(session.image_id) and given.desired != DesiredState.PAUSED
    return wanted and len(_recent(session, given.now)) < RECREATIONS_AN_HOUR


def _recent(session: AgbSession, now: datetime) -> tuple[str, ...]:
    """Keep the recreations of the last hour; by a clock that ran ahead, of the coming one."""
    moments = [(text, parse_timestamp(text)) for text in session.status.recreations]
    return tuple(
        text for text, moment in moments if moment is not None and abs((now - moment).total_seconds()) < 3600.0
    )


def _failed_by_loss(session: AgbSession, now: datetime) -> Operation | None:
    last = session.status.operation
    if last is None or last.state != OperationState.IN_PROGRESS:
        return last
    return last.ended(OperationState.FAILED, now, "The session was lost meanwhile.")


def session_ended(given: Input, seen: Observation) -> Draft:
    """Let go of a resource that is being deleted: its session is gone, and no other carries its UID."""
    if (doubt := _doubt(given)) is not None:
        return doubt
    if given.session.image_id and given.found is None:
        return Draft(action=Action.LOOK_UP)
    how = "is released" if release_was_taken(given.session) else "was gone already"
    event = Event(reason="Released", message=f"Session {seen.session_id} {how}.")
    return Draft(action=Action.REMOVE_FINALIZER, events=(event,))


def observe_only(given: Input, seen: Observation) -> Draft:
    """Report what is seen and call nothing (managementPolicy: Observe)."""
    session = given.session
    if seen.state == SessionState.UNKNOWN:
        return unexpected(given, seen)
    if seen.state in (SessionState.NOT_FOUND, SessionState.RELEASED):
        if (doubt := _doubt(given)) is not None:
            return doubt
        message = _lost_message(given, seen)
        ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=message)
        # AGB's last word stays: it tells a session that ended from one that never was.
        said = seen.status or session.status.session_status
        draft = of_look(given, seen, ready, session_status=said, seen_with="")
        return replace(draft, stalled=True, requeue=SLOW)
    message = "The session is only observed (spec.managementPolicy: Observe)."
    if (given.desired == DesiredState.PAUSED) != (seen.state in (SessionState.PAUSED, SessionState.PAUSING)):
        message += f" {decider(given)} differs and is not enforced."
    ready = ConditionDraft(status=Truth.TRUE, reason=Reason.OBSERVED, message=message)
    if seen.state in _MOVING:
        return replace(of_look(given, seen, ready), requeue=session.poll_interval.total_seconds())
    # What was under way when Observe was set has come to its end, or will not go on.
    operation, events = finished(given, paused=seen.state == SessionState.PAUSED, session_id=seen.session_id)
    return replace(of_look(given, seen, ready, operation=operation), events=events)
