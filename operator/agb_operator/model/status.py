"""The status of an AgbSession: its values, the words people read in it, and its conditions (kstatus conventions).

Pure. What to say is decided in `policy`; how the API server holds it stands in `status_json`. Messages hold no
counters, clocks or request ids, so that a failure that repeats does not rewrite the object.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import BeforeValidator, Field, PlainSerializer

from .states import DesiredState
from .tolerance import AS_IN_KUBERNETES, KNOWN, SAID, Fit, FitOnes


def timestamp(moment: datetime) -> str:
    """Write a time as Kubernetes does (metav1.Time: UTC, whole seconds)."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").removesuffix("+00:00") + "Z"


def parse_timestamp(text: object) -> datetime | None:
    """Read an RFC 3339 time, as UTC; None when it is none."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def _read_timestamp(text: object) -> datetime:
    moment = parse_timestamp(text)
    if moment is None:
        raise ValueError("no RFC 3339 time")
    return moment


Time = Annotated[datetime, BeforeValidator(_read_timestamp), PlainSerializer(timestamp)]


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
    FINALIZER_REFUSED = "FinalizerRefused"
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

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    type: OperationType
    state: OperationState
    started_at: Time
    finished_at: Annotated[Time | None, Fit, KNOWN] = None
    request_id: Annotated[str, Fit, SAID] = ""
    attempts: Annotated[int, Fit] = 0
    message: Annotated[str, Fit, SAID] = ""
    sent_with: Annotated[str, Fit, SAID] = ""
    """Names the key that a createSession was sent with, see `AgbSession`'s evidence."""

    def ended(self, state: OperationState, now: datetime, message: str = "") -> "Operation":
        """Close the operation; one that is closed already keeps its times."""
        if self.state == state:
            return replace(self, message=message)
        return replace(self, state=state, finished_at=now, message=message)

    def is_running(self, kind: OperationType) -> bool:
        """Tell whether this is an operation of that kind which has not ended."""
        return self.type == kind and self.state == OperationState.IN_PROGRESS


@dataclass(frozen=True, kw_only=True, slots=True)
class NextChange:
    """When the clock alone changes what is wanted, and to what."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    at: Time
    state: DesiredState


class UsageState(StrEnum):
    """What a session's time counts as."""

    RUNNING = "Running"
    """Also everything on its way: what AGB bills while a session moves is not public."""
    PAUSED = "Paused"
    NONE = "None"
    """There is no session yet, or no more, or another resource manages it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class UsageMonth:
    """What was counted in one month of UTC."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    month: Annotated[str, Field(pattern=r"^\d{4}-(0[1-9]|1[0-2])$")]
    running_seconds: int = 0
    paused_seconds: int = 0
    pauses: int = 0
    resumes: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """How long the session ran and slept; what is open since `counted_until` is the reader's to add."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    state: UsageState
    counted_until: Time
    months: Annotated[tuple[UsageMonth, ...], FitOnes] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """A metav1.Condition."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    type: Annotated[str, Field(min_length=1)]
    status: Truth
    reason: Annotated[str, Fit] = ""
    message: Annotated[str, Fit] = ""
    observed_generation: Annotated[int, Fit] = 0
    last_transition_time: Annotated[str, Fit] = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ConditionDraft:
    """What a condition is to say; `SessionStatus.saying` adds generation and transition time."""

    status: Truth
    reason: StrEnum
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionStatus:
    """The status subresource as a value; `observed_generation` -1 means that the operator has not looked yet."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    observed_generation: Annotated[int, Fit] = -1
    phase: Annotated[Phase | None, Fit, KNOWN] = None
    session_id: Annotated[str, Fit, SAID] = ""
    session_status: Annotated[str, Fit, SAID] = ""
    desired_state: Annotated[str, Fit, SAID] = ""
    why: Annotated[str, Fit, SAID] = ""
    next_change: Annotated[NextChange | None, Fit, KNOWN] = None
    operation: Annotated[Operation | None, Fit, Field(alias="lastOperation"), KNOWN] = None
    labels: Annotated[Mapping[str, str] | None, Fit, KNOWN] = None
    recreations: Annotated[tuple[str, ...], Fit, SAID] = ()
    may_have_duplicates: Annotated[bool, Fit, SAID] = False
    """More than one createSession may have taken effect for the session, and nobody has looked since."""
    seen_with: Annotated[str, Fit, SAID] = ""
    """Names the key that last saw the session; "" before that, and after an upgrade."""
    usage: Annotated[Usage | None, Fit, KNOWN] = None
    """None before the first count."""
    last_handled_reconcile_at: Annotated[str, Fit, SAID] = ""
    conditions: Annotated[tuple[Condition, ...], FitOnes, SAID] = ()

    @property
    def create_attempts(self) -> int:
        """How many createSessions may have been sent for the session that is coming into being."""
        operation = self.operation
        return operation.attempts if operation is not None and operation.is_running(OperationType.CREATE) else 0

    def condition(self, kind: str) -> Condition | None:
        """Give one condition by its type."""
        return next((c for c in self.conditions if c.type == kind), None)

    @property
    def ready(self) -> Condition:
        """The condition Ready; one without a reason before the first pass."""
        return self.condition("Ready") or Condition(type="Ready", status=Truth.UNKNOWN)

    @property
    def paused(self) -> Condition:
        """The condition Paused; one without a reason before the first pass."""
        return self.condition("Paused") or Condition(type="Paused", status=Truth.UNKNOWN)

    @property
    def stalled(self) -> Condition | None:
        """The condition Stalled, while a person has to act."""
        return self.condition("Stalled")

    def saying(self, drafts: Mapping[str, ConditionDraft], *, generation: int, now: datetime) -> "SessionStatus":
        """Give the status with these conditions and no others; a transition time moves only when a status flips."""
        conditions = with_transitions(self.conditions, drafts, generation=generation, now=now)
        return replace(self, observed_generation=generation, conditions=conditions)


def with_transitions(
    before: Iterable[Condition], drafts: Mapping[str, ConditionDraft], *, generation: int, now: datetime
) -> tuple[Condition, ...]:
    """Make the drafts conditions; the time of one whose status is as `before` is kept."""
    known = {(condition.type, condition.status): condition.last_transition_time for condition in before}
    return tuple(
        Condition(
            type=kind,
            status=draft.status,
            reason=draft.reason,
            message=draft.message,
            observed_generation=generation,
            last_transition_time=known.get((kind, draft.status)) or timestamp(now),
        )
        for kind, draft in drafts.items()
    )
