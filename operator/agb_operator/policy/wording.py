"""The pieces that `plan`, `creation` and `failure` decide with: actions, plans, and what is said of a session; pure.

A plan is one step: at most one call, and the report to write once that call was accepted (or at once when there is
none). `report` None means that nothing is to be said yet.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Final

from ..model.resource import ABANDON_ANNOTATION, AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationState, OperationType, Phase, Reason, Report, Truth


class Action(StrEnum):
    """What the reconciler is to do; at most one of these in a pass."""

    NONE = "None"
    PAUSE = "Pause"
    RESUME = "Resume"
    RELEASE = "Release"
    CREATE = "Create"
    SET_LABELS = "SetLabels"
    ADD_FINALIZER = "AddFinalizer"
    """Put our finalizer on the resource, before a session may come into being for it."""
    REMOVE_FINALIZER = "RemoveFinalizer"
    """Take our finalizer off: deletion has no work left to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An Event for people: sent once the report that goes with it has been written."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """One decided step.

    Attributes:
        action: what to do.
        report: what to write when the action was accepted; None leaves the status alone.
        requeue: seconds until the next pass; None leaves it to the resync and to the watch.
        announcements: events that go with the report.
        drifted: whether the session was changed behind our back.
    """

    action: Action = Action.NONE
    report: Report | None = None
    requeue: float | None = None
    events: tuple[Event, ...] = ()
    drifted: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What this process remembers of a resource; all of it may be lost at a restart without harm.

    Times are ages in seconds; None means that there is nothing to remember.

    Attributes:
        called: our last call for the session, if AGB took it, may have taken it, or refused it for the session's state:
            in each case a look that fits the call may be from before.
        since_call: since our last call for the session ended.
        missing_looks: how many looks in a row found no such session.
        missing_for: since the first of them.
        failing_for: since the first of the failures in a row.
        mass_loss: most sessions of the same key are missing too, so the key is suspect, not the sessions.
        since_create: since a createSession may last have been sent, by this process or by an earlier one.
        other_claimant: the resource that manages the adopted session instead, "" when none does.
    """

    called: Action | None = None
    since_call: float | None = None
    missing_looks: int = 0
    missing_for: float = 0.0
    failing_for: float = 0.0
    mass_loss: bool = False
    since_create: float | None = None
    other_claimant: str = ""


SLOW: Final = 300.0
"""Seconds between looks at what only a person or AGB can mend."""

WAYS_OUT: Final = (
    "To delete the resource and leave the session alone, set spec.deletionPolicy to Retain "
    f'or annotate the resource with {ABANDON_ANNOTATION}="true".'
)

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


def phase_of(state: SessionState) -> Phase:
    """Give the word people read for a state."""
    return _PHASES[state]


def unseen_phase(session: AgbSession) -> Phase:
    """Give the word for a session that cannot be looked at; what was seen before no longer counts."""
    before = session.status.phase or Phase.PENDING
    return before if before == Phase.PENDING or not session.session_id else Phase.UNKNOWN


def paused_verdict(state: SessionState, status: str) -> ConditionDraft:
    """Say whether the session is paused; only the API's PAUSED counts."""
    truth = {SessionState.PAUSED: Truth.TRUE, SessionState.UNKNOWN: Truth.UNKNOWN}.get(state, Truth.FALSE)
    if state in (SessionState.RELEASED, SessionState.NOT_FOUND):
        message = "AGB no longer has the session."
    else:
        message = f"AGB says {status}." if status else "AGB gave no status."
    return ConditionDraft(status=truth, reason=_PAUSED_REASONS[state], message=message)


def no_look_verdict(reason: Reason) -> ConditionDraft:
    """Say that nothing is known of the session at present."""
    return ConditionDraft(status=Truth.UNKNOWN, reason=reason, message="The session could not be looked at.")


def base_report(session: AgbSession, *, phase: Phase, ready: ConditionDraft, paused: ConditionDraft) -> Report:
    """Start a report with what every report repeats from the resource and its status."""
    status = session.status
    return Report(
        phase=Phase.DELETING if session.deleting else phase,
        ready=ready,
        paused=paused,
        desired_state=_desired_word(session),
        session_id=session.session_id,
        session_status=status.session_status,
        operation=status.operation,
        labels=status.labels,
        recreations=status.recreations,
        last_handled_reconcile_at=session.reconcile_requested_at or status.last_handled_reconcile_at,
    )


def seen_report(session: AgbSession, seen: Observation, *, ready: ConditionDraft) -> Report:
    """Start a report from a look that succeeded."""
    report = base_report(
        session, phase=phase_of(seen.state), ready=ready, paused=paused_verdict(seen.state, seen.status)
    )
    return replace(report, session_id=seen.session_id, session_status=seen.status)


def _desired_word(session: AgbSession) -> str:
    return str(DesiredState.PAUSED if session.paused else DesiredState.RUNNING)


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


def begun(
    session: AgbSession, kind: OperationType, *, now: datetime, attempts: int | None = None, message: str = ""
) -> Operation:
    """Give the operation of that kind that is under way, or begin one."""
    last = session.status.operation
    if last is not None and last.is_running(kind):
        return last if attempts is None else replace(last, attempts=attempts, message=message)
    return Operation(
        type=kind,
        state=OperationState.IN_PROGRESS,
        started_at=now,
        attempts=1 if attempts is None else attempts,
        message=message,
    )


def unfinished(session: AgbSession, kind: OperationType) -> Operation | None:
    """Give the last operation if it is of that kind and has not succeeded; None when all was well since it failed."""
    last, ready = session.status.operation, session.status.condition("Ready")
    if last is None or last.type != kind or last.state == OperationState.SUCCEEDED:
        return None
    well = ready is not None and ready.status == Truth.TRUE
    return None if well and last.state == OperationState.FAILED else last


def elapsed(operation: Operation, now: datetime) -> float:
    """Give an operation's age in seconds; a clock that was set back does not make it negative."""
    return max(0.0, (now - operation.started_at).total_seconds())


def poll_delay(session: AgbSession, operation: Operation, now: datetime) -> float:
    """Give the seconds until a moving session is looked at again.

    That is the resource's pollInterval, and past its timeout a tenth of the time it has been moving (at most `SLOW`).
    """
    usual = session.poll_interval.total_seconds()
    if elapsed(operation, now) <= session.timeout.total_seconds():
        return usual
    return min(SLOW, max(usual, elapsed(operation, now) / 10))
