"""The status of an AgbPauseSchedule as a value, and as the API server holds it; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final

from pydantic import TypeAdapter

from .status import Condition, ConditionDraft, Time, Truth, with_transitions
from .tolerance import AS_IN_KUBERNETES, KNOWN, SAID, Fit, FitOnes


class ScheduleReason(StrEnum):
    """Reasons of a schedule's conditions; stable words that scripts and alerts may rely on."""

    ACTIVE = "Active"
    DISABLED = "Disabled"
    INVALID_SCHEDULE = "InvalidSchedule"


class Asks(StrEnum):
    """What a schedule asks for."""

    PAUSED = "Paused"
    NOTHING = "Nothing"


@dataclass(frozen=True, kw_only=True, slots=True)
class NextAsk:
    """When a schedule asks for something else, and for what."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    at: Time
    asks: Asks


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleStatus:
    """The status subresource; `observed_generation` -1 means that the operator has not looked yet."""

    __pydantic_config__: ClassVar = AS_IN_KUBERNETES

    observed_generation: Annotated[int, Fit] = -1
    asks: Annotated[Asks | None, Fit, KNOWN] = None
    next: Annotated[NextAsk | None, Fit, KNOWN] = None
    sessions: Annotated[int | None, Fit, KNOWN] = None
    """How many AgbSessions are selected; those only observed and the losers of a conflict do not count."""
    settled: Annotated[int | None, Fit, KNOWN] = None
    """How many of these are Ready as they are wanted."""
    conditions: Annotated[tuple[Condition, ...], FitOnes, SAID] = ()

    @property
    def ready(self) -> Condition:
        """The condition Ready; one without a reason before the first pass."""
        ready = next((c for c in self.conditions if c.type == "Ready"), None)
        return ready or Condition(type="Ready", status=Truth.UNKNOWN)

    def saying(self, drafts: Mapping[str, ConditionDraft], *, generation: int, now: datetime) -> "ScheduleStatus":
        """Give the status with these conditions and no others; a transition time moves only when a status flips."""
        conditions = with_transitions(self.conditions, drafts, generation=generation, now=now)
        return replace(self, observed_generation=generation, conditions=conditions)


_ADAPTER: Final = TypeAdapter(ScheduleStatus)


def schedule_status_to_dict(status: ScheduleStatus) -> dict[str, Any]:
    """Write a status as the API server holds it; absent fields are left out."""
    written: dict[str, Any] = _ADAPTER.dump_python(status, mode="json", by_alias=True)
    return written


def schedule_status_from_dict(body: object) -> ScheduleStatus:
    """Read a status; whatever does not fit is read as absent, because the next pass writes it anew."""
    return _ADAPTER.validate_python(body) if isinstance(body, dict) else ScheduleStatus()
