"""What the status of a schedule says, and what is announced of it; pure."""

from dataclasses import dataclass, replace
from datetime import datetime

from ..model.event import Event
from ..model.schedule_status import Asks, NextAsk, ScheduleReason, ScheduleStatus
from ..model.status import ConditionDraft, Truth, timestamp
from .schedule import Schedule


@dataclass(frozen=True, kw_only=True, slots=True)
class ScheduleReport:
    """A status to write, and what goes with it."""

    status: ScheduleStatus
    events: tuple[Event, ...] = ()
    next_at: datetime | None = None
    """When it is to be written anew, by the clock alone."""
    only_counts: bool
    """It differs from the one before in how many sessions there are, and in nothing that anybody waits for."""


def report_of(
    schedule: Schedule, *, before: ScheduleStatus, sessions: int, settled: int, now: datetime
) -> ScheduleReport:
    """Say what a schedule asks for and how far that is."""
    resource = schedule.resource
    asks, change = None, None
    if not schedule.problem:
        span = schedule.span(now)
        asks = Asks.PAUSED if span.asks else Asks.NOTHING
        if span.until is not None:
            change = NextAsk(at=span.until, asks=Asks.NOTHING if span.asks else Asks.PAUSED)
    ready = _ready(schedule, asks, change, sessions)
    drafts = {"Ready": ready}
    if schedule.problem:
        drafts["Stalled"] = replace(ready, status=Truth.TRUE)
    status = replace(before, asks=asks, next=change, sessions=sessions, settled=settled).saying(
        drafts, generation=resource.generation, now=now
    )
    return ScheduleReport(
        status=status,
        events=_events(before, status),
        next_at=None if change is None else change.at,
        only_counts=(before.observed_generation, before.asks, before.next, before.ready.reason)
        == (status.observed_generation, status.asks, status.next, status.ready.reason),
    )


def _ready(schedule: Schedule, asks: Asks | None, change: NextAsk | None, sessions: int) -> ConditionDraft:
    if schedule.problem:
        text = f"The schedule cannot be used, and the sessions that it paused stay asleep: {schedule.problem}."
        return ConditionDraft(status=Truth.FALSE, reason=ScheduleReason.INVALID_SCHEDULE, message=text)
    if not schedule.resource.enabled:
        text = "The schedule asks for nothing, because spec.enabled is false."
        return ConditionDraft(status=Truth.TRUE, reason=ScheduleReason.DISABLED, message=text)
    if not sessions:
        text = "No AgbSession in this namespace has these labels."
    else:
        until = "" if change is None else f" until {timestamp(change.at)}"
        text = f"It asks for {'a pause' if asks == Asks.PAUSED else 'nothing'}{until}."
    return ConditionDraft(status=Truth.TRUE, reason=ScheduleReason.ACTIVE, message=text)


def _events(before: ScheduleStatus, status: ScheduleStatus) -> tuple[Event, ...]:
    if status.ready.reason == ScheduleReason.INVALID_SCHEDULE:
        if before.ready.message == status.ready.message:
            return ()
        return (Event(reason=ScheduleReason.INVALID_SCHEDULE, message=status.ready.message, warning=True),)
    if status.asks == before.asks:
        return ()
    if status.asks == Asks.PAUSED:
        return (Event(reason="PauseAsked", message=f"AgbSessions asked to pause: {status.sessions}."),)
    if before.asks == Asks.PAUSED:
        return (Event(reason="PauseEnded", message=f"AgbSessions no longer asked to pause: {status.sessions}."),)
    return ()
