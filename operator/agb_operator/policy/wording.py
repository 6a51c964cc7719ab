"""The words for what is seen, and the pieces that the steps decide with: waits, operations, the finalizer; pure."""

from dataclasses import replace
from typing import Any, Final

from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationState, OperationType, Phase, Reason, Truth, timestamp
from .backoff import SLOW
from .intent import DEFAULT, OVERRIDE, SCHEDULE, SPEC
from .plan import Draft, Input

_PHASES: Final = {
    SessionState.STARTING: Phase.CREATING,
    SessionState.RUNNING: Phase.RUNNING,
    SessionState.PAUSING: Phase.PAUSING,
    SessionState.PAUSED: Phase.PAUSED,
    SessionState.RESUMING: Phase.RESUMING,
    SessionState.DELETING: Phase.DELETING,
    SessionState.RELEASED: Phase.LOST,
    SessionState.NOT_FOUND: Phase.LOST,
    SessionState.UNKNOWN: Phase.UNKNOWN,
}
_PAUSED_REASONS: Final = {
    SessionState.STARTING: Reason.CREATING,
    SessionState.RUNNING: Reason.RUNNING,
    SessionState.PAUSING: Reason.PAUSING,
    SessionState.PAUSED: Reason.PAUSED,
    SessionState.RESUMING: Reason.RESUMING,
    SessionState.DELETING: Reason.DELETING,
    SessionState.RELEASED: Reason.SESSION_NOT_FOUND,
    SessionState.NOT_FOUND: Reason.SESSION_NOT_FOUND,
    SessionState.UNKNOWN: Reason.UNEXPECTED_STATE,
}


def as_wanted(given: Input) -> str:
    """Say that the session is as it is wanted, by whom, and until when."""
    override, why, paused = given.session.override, given.intent.why, given.desired == DesiredState.PAUSED
    kept = "; its state is kept." if paused else "."
    if why == OVERRIDE and override is not None and override.holds(given.now):
        reason = f" ({override.reason})" if override.reason else ""
        word = "paused" if paused else "running"
        return f"The session is {word} because of spec.override until {timestamp(override.until)}{reason}{kept}"
    if given.intent.kept:
        return (
            f"The session stays paused ({why}), because schedules that may select it cannot be used or read; its "
            f"state is kept. {_sooner(given, 'To wake it')}"
        )
    if why.startswith(SCHEDULE):
        return f"The session is paused by {_asker(given)}{kept} {_sooner(given, 'To wake it sooner')}"
    return f"The session is {'paused' if paused else 'running'}, as asked{kept}"


def _sooner(given: Input, begin: str) -> str:
    """Say how to wake a session for a time."""
    return f"{begin}: kubectl agb resume {given.session.key.name} --for 2h, or set spec.override."


def _asker(given: Input) -> str:
    """Name the schedule that asks for the pause, and its end if that is known."""
    change = given.intent.shown
    until = f" until {timestamp(change.at)}" if change is not None else ""
    return f"AgbPauseSchedule {given.intent.why.removeprefix(SCHEDULE)}{until}"


def decider(given: Input) -> str:
    """Name the field or the schedule that decides what is wanted."""
    if given.intent.why in (DEFAULT, SPEC):
        return "spec.paused"
    return "spec.override" if given.intent.why == OVERRIDE else _asker(given)


def instead(given: Input) -> str:
    """Say what a session that somebody else has moved should be, and how to have it so."""
    if given.intent.why.startswith(SCHEDULE):
        return f"but {_asker(given)} wants it paused; {_sooner(given, 'to wake it').removesuffix('.')}"
    return "although the desired state did not change"


def new_one_waits(given: Input) -> str:
    """Say when a lost session is replaced, while Paused is wanted."""
    if given.intent.why == SPEC:
        return "A new one is created once spec.paused is false."
    return f"A new one is created once the desired state is Running; {decider(given)} asks for Paused."


def phase_of(state: SessionState) -> Phase:
    """Give the word people read for a state."""
    return _PHASES[state]


def unseen_phase(session: AgbSession) -> Phase:
    """Give the word for a session that cannot be looked at; what was seen before no longer counts."""
    before = session.status.phase or Phase.PENDING
    return before if before == Phase.PENDING or not session.session_id else Phase.UNKNOWN


def paused_draft(state: SessionState, status: str) -> ConditionDraft:
    """Say whether the session is paused; only the API's PAUSED counts."""
    truth = {SessionState.PAUSED: Truth.TRUE, SessionState.UNKNOWN: Truth.UNKNOWN}.get(state, Truth.FALSE)
    if state in (SessionState.RELEASED, SessionState.NOT_FOUND):
        message = "AGB no longer has the session."
    else:
        message = f"AGB says {status}." if status else "AGB gave no status."
    return ConditionDraft(status=truth, reason=_PAUSED_REASONS[state], message=message)


def of_look(given: Input, seen: Observation, ready: ConditionDraft, **fields: Any) -> Draft:
    """Begin a step that says what a look has brought; `fields` change the status further."""
    status = replace(
        given.session.status,
        **{
            "phase": phase_of(seen.state),
            "session_id": seen.session_id,
            "session_status": seen.status,
            "seen_with": given.evidence.witness or given.session.status.seen_with,
            **fields,
        },
    )
    return Draft(status=status, ready=ready, paused=paused_draft(seen.state, seen.status))


def of_no_look(given: Input, ready: ConditionDraft, paused: str = "", **fields: Any) -> Draft:
    """Begin a step that says something without a look; `paused` tells what else is known, "" that nothing is."""
    status = replace(
        given.session.status,
        **{"phase": unseen_phase(given.session), "session_id": given.session.session_id, **fields},
    )
    if paused:
        return Draft(status=status, ready=ready, paused=replace(ready, message=paused))
    unknown = ConditionDraft(status=Truth.UNKNOWN, reason=ready.reason, message="The session could not be looked at.")
    return Draft(status=status, ready=ready, paused=unknown)


def needs_finalizer(session: AgbSession) -> bool:
    """Tell whether our finalizer belongs on the resource: its deletion has to end a session."""
    if not session.deletes_session or session.observe_only or session.abandoned:
        return False
    # A resource that asks for a session has the finalizer before createSession, so that nothing can leak.
    return may_have_session(session) or not (session.deleting or session.problem)


def may_have_session(session: AgbSession) -> bool:
    """Tell whether a session was created for the resource, or may have been."""
    operation = session.status.operation
    asked = operation is not None and operation.type == OperationType.CREATE and operation.attempts > 0
    return bool(session.session_id) or asked


def begun(given: Input, kind: OperationType, *, attempts: int | None = None, message: str = "") -> Operation:
    """Give the operation of that kind that is under way, or begin one."""
    last = given.session.status.operation
    if last is not None and last.is_running(kind):
        return last if attempts is None else replace(last, attempts=attempts, message=message)
    return Operation(
        type=kind,
        state=OperationState.IN_PROGRESS,
        started_at=given.now,
        attempts=1 if attempts is None else attempts,
        message=message,
    )


def unfinished(session: AgbSession, kind: OperationType) -> Operation | None:
    """Give the last operation if it is of that kind and has not succeeded; None when all was well since it failed."""
    last = session.status.operation
    if last is None or last.type != kind or last.state == OperationState.SUCCEEDED:
        return None
    well = session.status.ready.status == Truth.TRUE
    return None if well and last.state == OperationState.FAILED else last


def poll_delay(given: Input, age: float) -> float:
    """Give the seconds until a session is looked at again that has been moving for `age` seconds.

    That is the resource's pollInterval, and past its timeout a tenth of the time it has been moving (at most `SLOW`).
    """
    usual = given.session.poll_interval.total_seconds()
    if age <= given.session.timeout.total_seconds():
        return usual
    return min(SLOW, max(usual, age / 10))
