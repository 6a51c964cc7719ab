"""How a session comes into being for a resource that has none yet, never twice; pure.

The steps, each a pass of its own: finalizer (in `plan`), intent in the status (its write is guarded by
resourceVersion), look-up by the label that holds the resource's UID, createSession, and the new id in the status.
`attempts` of the Create operation is raised by the intent, so a count above zero means: a createSession may have
been sent.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from ..model.resource import AgbSession
from ..model.states import Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationState, OperationType, Phase, Reason, Report, Truth
from .wording import SLOW, Action, Event, Facts, Plan, base_report, begun, elapsed

GRACE: Final = 30.0
"""Seconds for which look-ups must stay empty after a create that may have been sent; labels show up late."""
LOOK_AGAIN: Final = 5.0
"""Seconds between look-ups meanwhile."""


def living(found: Sequence[Observation]) -> list[Observation]:
    """Keep the sessions that can still be used, the oldest first as the API lists them."""
    return [seen for seen in found if seen.state not in (SessionState.DELETING, SessionState.RELEASED)]


def needs_lookup(session: AgbSession) -> bool:
    """Tell whether the next step depends on what the API lists for the resource's UID."""
    operation = session.status.operation
    if session.session_id or operation is None:
        return False
    return operation.is_running(OperationType.CREATE) and operation.attempts > 0


def create_attempts(session: AgbSession) -> int:
    """Count the createSessions that may have been sent for the session that is coming into being."""
    operation = session.status.operation
    return operation.attempts if operation is not None and operation.is_running(OperationType.CREATE) else 0


def plan_creation(session: AgbSession, found: Sequence[Observation], *, now: datetime, facts: Facts) -> Plan:
    """Choose the next step towards a session; `found` is what carries our UID label (empty before the intent)."""
    usable = living(found)
    if usable:
        return _took_over(session, usable[0], now=now)
    unsure = facts.since_create is not None and facts.since_create < GRACE
    if session.deleting:
        return Plan(requeue=LOOK_AGAIN) if unsure else Plan(action=Action.REMOVE_FINALIZER)
    if unsure:
        return Plan(requeue=LOOK_AGAIN)
    if session.observe_only:
        return Plan(report=_nothing_to_observe(session), requeue=SLOW)
    if not needs_lookup(session) or facts.since_create is not None:
        # Either nothing was ever sent, or what was sent is known to have come to nothing: (re)state the intent.
        return Plan(report=_intent(session, now=now), requeue=0.0)
    return Plan(action=Action.CREATE)  # what it brings is reported by `created_report`


def _intent(session: AgbSession, *, now: datetime) -> Report:
    last = session.status.operation
    attempts = last.attempts if last is not None and last.type == OperationType.CREATE else 0
    operation = begun(session, OperationType.CREATE, now=now, attempts=attempts + 1)
    if last is not None and last.is_running(OperationType.CREATE):
        operation = replace(operation, message=last.message)
    return replace(_asking(session, now=now), operation=operation)


def _asking(session: AgbSession, *, now: datetime) -> Report:
    operation = session.status.operation
    created = operation is not None and operation.type == OperationType.CREATE
    if created and operation is not None and elapsed(operation, now) > session.timeout.total_seconds():
        text = "No session came into being within spec.timeout. The operator tries on; if it lasts, ask AGB's support."
        return _creating(session, Reason.CREATE_FAILED, text, paused="There is no session yet.")
    return _creating(session, Reason.CREATING, "AGB is asked for a session.", paused="There is no session yet.")


def _creating(session: AgbSession, reason: Reason, message: str, *, paused: str) -> Report:
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    report = base_report(session, phase=Phase.CREATING, ready=ready, paused=replace(ready, message=paused))
    return replace(report, reconciling=True)


def _nothing_to_observe(session: AgbSession) -> Report:
    message = (
        "There is no session to observe, and none is created while spec.managementPolicy is Observe. Set it to Manage "
        "to create one; to observe a session that exists, name it by spec.sessionId in another AgbSession."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=message)
    paused = replace(ready, message="There is no session.")
    return replace(base_report(session, phase=Phase.PENDING, ready=ready, paused=paused), stalled=ready)


def _exists(session: AgbSession) -> Report:
    looked = "The session has not been looked at yet."
    return _creating(session, Reason.CREATING, "AGB has created the session.", paused=looked)


def _since_it_exists(session: AgbSession, *, now: datetime) -> Operation:
    """Give the Create operation; what held up the call before (a refused key, a quota) is no delay of the session's."""
    operation = begun(session, OperationType.CREATE, now=now)
    late = elapsed(operation, now) > session.timeout.total_seconds()
    return replace(operation, started_at=now) if late else operation


def created_report(session: AgbSession, *, session_id: str, request_id: str, now: datetime) -> tuple[Report, Event]:
    """Give what to write once createSession has answered: the id, before anything else happens."""
    report = _exists(session)
    operation = _since_it_exists(session, now=now)
    report = replace(
        report, session_id=session_id, labels=session.labels, operation=replace(operation, request_id=request_id)
    )
    text = f"Created session {session_id} from image {session.image_id}."
    if operation.message:
        text += f" {operation.message}"
    return report, Event(reason="Created", message=text)


def _took_over(session: AgbSession, seen: Observation, *, now: datetime) -> Plan:
    report = _exists(session)
    operation = _since_it_exists(session, now=now)
    # Its labels may be those of an earlier spec, so they count as unknown and are set again.
    report = replace(report, session_id=seen.session_id, session_status=seen.status, labels=None, operation=operation)
    text = f"Took over session {seen.session_id}, which an interrupted create had left."
    return Plan(report=report, requeue=0.0, events=(Event(reason="Created", message=text),))


def may_have_duplicates(session: AgbSession) -> bool:
    """Tell whether more than one createSession may have been sent for this resource, so that one is to be released."""
    operation = session.status.operation
    return (
        not session.observe_only
        and operation is not None
        and operation.type == OperationType.CREATE
        and operation.attempts > 1
        and operation.state != OperationState.FAILED
    )
