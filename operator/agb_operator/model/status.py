"""The status of an AgbSession: its values, the words people read in it, and how it moves from one to the next.

Pure. Owns the reasons and the conditions (kstatus conventions); what to report is decided in `plan`. Messages hold no
counters, clocks or request ids, so that a failure that repeats does not rewrite the object.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum


class Reason(StrEnum):
    """Reasons of conditions; stable words that scripts and alerts may rely on."""

    RUNNING = "Running"
    PAUSED = "Paused"
    OBSERVED = "Observed"
    CREATING = "Creating"
    PAUSING = "Pausing"
    RESUMING = "Resuming"
    DELETING = "Deleting"
    PAUSE_TIMED_OUT = "PauseTimedOut"
    RESUME_TIMED_OUT = "ResumeTimedOut"
    CREATE_FAILED = "CreateFailed"
    DELETION_BLOCKED = "DeletionBlocked"
    THROTTLED = "Throttled"
    UNEXPECTED_STATE = "UnexpectedState"
    SESSION_NOT_FOUND = "SessionNotFound"
    SESSION_CONFLICT = "SessionConflict"
    CREDENTIALS_MISSING = "CredentialsMissing"
    CREDENTIALS_INVALID = "CredentialsInvalid"
    QUOTA_EXCEEDED = "QuotaExceeded"
    NOT_SUPPORTED = "NotSupported"
    INVALID_SPEC = "InvalidSpec"
    API_UNAVAILABLE = "ApiUnavailable"


class Phase(StrEnum):
    """One word for people; scripts use conditions."""

    PENDING = "Pending"
    CREATING = "Creating"
    RUNNING = "Running"
    PAUSING = "Pausing"
    PAUSED = "Paused"
    RESUMING = "Resuming"
    DELETING = "Deleting"
    LOST = "Lost"
    UNKNOWN = "Unknown"


class OperationType(StrEnum):
    """The calls that change a session."""

    CREATE = "Create"
    PAUSE = "Pause"
    RESUME = "Resume"
    RELEASE = "Release"
    SET_LABELS = "SetLabels"


class OperationState(StrEnum):
    """How far an operation is."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Truth(StrEnum):
    """The three values of a condition's status."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """The running or the last finished operation: what a restarted operator continues from."""

    type: OperationType
    state: OperationState
    started_at: datetime
    finished_at: datetime | None = None
    request_id: str = ""
    attempts: int = 0
    message: str = ""

    def ended(self, state: OperationState, now: datetime, message: str = "") -> "Operation":
        """Close the operation; one that is closed already keeps its times."""
        if self.state == state:
            return replace(self, message=message)
        return replace(self, state=state, finished_at=now, message=message)

    def is_running(self, kind: OperationType) -> bool:
        """Tell whether this is an operation of that kind which has not ended."""
        return self.type == kind and self.state == OperationState.IN_PROGRESS


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A metav1.Condition."""

    type: str
    status: Truth
    reason: str
    message: str
    observed_generation: int
    last_transition_time: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionDraft:
    """What a condition is to say; `next_status` adds generation and transition time."""

    status: Truth
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStatus:
    """The status subresource as a value; `observed_generation` -1 means that the operator has not looked yet."""

    observed_generation: int = -1
    phase: Phase | None = None
    session_id: str = ""
    session_status: str = ""
    desired_state: str = ""
    operation: Operation | None = None
    labels: Mapping[str, str] | None = None
    recreations: tuple[str, ...] = ()
    last_handled_reconcile_at: str = ""
    conditions: tuple[Condition, ...] = ()

    def condition(self, kind: str) -> Condition | None:
        """Give one condition by its type."""
        return next((c for c in self.conditions if c.type == kind), None)


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """All that one pass has to say; `next_status` turns it into a status.

    `reconciling` and `stalled` say whether these conditions are present, Stalled before Reconciling; they repeat
    Ready's reason and message (a stalled deletion has its own words in `stalled`).
    """

    phase: Phase
    ready: ConditionDraft
    paused: ConditionDraft
    reconciling: bool = False
    stalled: ConditionDraft | None = None
    desired_state: str = ""
    session_id: str = ""
    session_status: str = ""
    operation: Operation | None = None
    labels: Mapping[str, str] | None = None
    recreations: tuple[str, ...] = field(default=())
    last_handled_reconcile_at: str = ""


def next_status(previous: SessionStatus, report: Report, *, generation: int, now: datetime) -> SessionStatus:
    """Move the status on; a condition's transition time moves only when its status flips."""
    said = {"Ready": report.ready, "Paused": report.paused}
    if report.stalled is not None:
        said["Stalled"] = replace(report.stalled, status=Truth.TRUE)
    elif report.reconciling:
        # Never both: kstatus believes the one it meets first, and would wait for what a person has to mend.
        said["Reconciling"] = replace(report.ready, status=Truth.TRUE)
    return SessionStatus(
        observed_generation=generation,
        phase=report.phase,
        session_id=report.session_id,
        session_status=report.session_status,
        desired_state=report.desired_state,
        operation=report.operation,
        labels=report.labels,
        recreations=report.recreations,
        last_handled_reconcile_at=report.last_handled_reconcile_at,
        conditions=tuple(
            _condition(previous.condition(kind), kind, verdict, generation=generation, now=now)
            for kind, verdict in said.items()
        ),
    )


def _condition(
    previous: Condition | None, kind: str, verdict: ConditionDraft, *, generation: int, now: datetime
) -> Condition:
    flipped = previous is None or previous.status != verdict.status
    return Condition(
        type=kind,
        status=verdict.status,
        reason=verdict.reason,
        message=verdict.message,
        observed_generation=generation,
        last_transition_time=timestamp(now) if flipped or previous is None else previous.last_transition_time,
    )


def timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes does (metav1.Time: UTC, whole seconds)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_timestamp(text: object) -> datetime | None:
    """Read an RFC 3339 time, as UTC; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
