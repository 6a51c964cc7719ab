"""How long a session ran and slept, by months of UTC; pure.

Counted when what the time counts as changes, in the status write that is made anyway: a span is added to its months
when it ends. What is open is added by whoever reads (`until`). Seconds are facts; what they cost is nobody's here.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Final

from ..model.states import SessionState, state_of
from ..model.status import Phase, Reason, SessionStatus, Usage, UsageMonth, UsageState

MONTHS: Final = 13
"""Months that are kept: the present one, and a year before it."""

_COUNTS_AS: Final = {
    Phase.PENDING: UsageState.NONE,
    Phase.RUNNING: UsageState.RUNNING,
    Phase.PAUSING: UsageState.RUNNING,
    Phase.RESUMING: UsageState.RUNNING,
    Phase.PAUSED: UsageState.PAUSED,
    Phase.LOST: UsageState.NONE,
}


def counts_as(status: SessionStatus) -> UsageState:
    """Tell what a session's time counts as from a status on; one that cannot be seen goes on as what it was."""
    before = status.usage.state if status.usage is not None else UsageState.NONE
    if status.ready.reason == Reason.SESSION_CONFLICT:
        return UsageState.NONE  # the resource that manages the session counts it
    match status.phase:
        case Phase.CREATING:
            return UsageState.RUNNING if status.session_id else UsageState.NONE
        case Phase.DELETING:
            return _of_the_api(status.session_status, before)
        case _:
            return _COUNTS_AS.get(status.phase, before) if status.phase is not None else before


def _of_the_api(word: str, before: UsageState) -> UsageState:
    """Read the API's word: while a resource is being deleted the phase says no more than that."""
    match state_of(word):
        case SessionState.PAUSED:
            return UsageState.PAUSED
        case SessionState.UNKNOWN:
            return before
        case SessionState.RELEASED | SessionState.NOT_FOUND:
            return UsageState.NONE
        case _:
            return UsageState.RUNNING


def count(usage: Usage | None, state: UsageState, now: datetime, *, left_out: float = 0.0) -> Usage:
    """Give the usage of a session whose time counts as `state` from now on; unchanged if it did before.

    Args:
        usage: what was counted so far; None begins it.
        state: what the time counts as from now on.
        now: the time of day. One before the end of the last count adds nothing: the clock was set back.
        left_out: seconds by which the clock has provably jumped ahead during the span.
    """
    now = now.astimezone(UTC).replace(microsecond=0)  # what the status holds, so that no fraction is lost or won
    if usage is None:
        return Usage(state=state, counted_until=now)
    if usage.state == state:
        return usage
    months = _with_span(usage, now - timedelta(seconds=left_out))
    match usage.state, state:
        case UsageState.RUNNING, UsageState.PAUSED:
            months = _added(months, UsageMonth(month=month_of(now), pauses=1))
        case UsageState.PAUSED, UsageState.RUNNING:
            months = _added(months, UsageMonth(month=month_of(now), resumes=1))
    return Usage(state=state, counted_until=now, months=_latest(months))


def until(usage: Usage, now: datetime) -> Usage:
    """Add what is open until now, for whoever reads."""
    return replace(usage, counted_until=max(usage.counted_until, now), months=_latest(_with_span(usage, now)))


def total(usage: Usage) -> UsageMonth:
    """Add up the months; `month` names the first of them, the last count's where there is none."""
    first = usage.months[0].month if usage.months else month_of(usage.counted_until)
    whole = UsageMonth(month=first)
    for month in usage.months:
        whole = _sum(whole, month)
    return whole


def month_of(moment: datetime) -> str:
    """Name the month of UTC that a moment lies in, such as 2026-11."""
    return f"{moment.astimezone(UTC):%Y-%m}"


def kept_months(now: datetime) -> list[str]:
    """Name the months that are kept, the oldest first."""
    months, start = [], _first_kept(now)
    for _ in range(MONTHS):
        months.append(month_of(start))
        start = _next_month(start)
    return months


def _with_span(usage: Usage, end: datetime) -> dict[str, UsageMonth]:
    """Add the span from the last count to `end` to its months."""
    months = {month.month: month for month in usage.months}
    if usage.state == UsageState.NONE:
        return months
    start = max(usage.counted_until, _first_kept(end))
    while start < end:
        stop = min(end, _next_month(start))
        seconds = int((stop - start).total_seconds())
        paused = usage.state == UsageState.PAUSED
        span = UsageMonth(
            month=month_of(start), running_seconds=0 if paused else seconds, paused_seconds=seconds if paused else 0
        )
        months = _added(months, span)
        start = stop
    return months


def _added(months: dict[str, UsageMonth], more: UsageMonth) -> dict[str, UsageMonth]:
    known = months.get(more.month)
    return {**months, more.month: more if known is None else _sum(known, more)}


def _sum(one: UsageMonth, other: UsageMonth) -> UsageMonth:
    return replace(
        one,
        running_seconds=one.running_seconds + other.running_seconds,
        paused_seconds=one.paused_seconds + other.paused_seconds,
        pauses=one.pauses + other.pauses,
        resumes=one.resumes + other.resumes,
    )


def _latest(months: dict[str, UsageMonth]) -> tuple[UsageMonth, ...]:
    return tuple(months[name] for name in sorted(months)[-MONTHS:])


def _next_month(moment: datetime) -> datetime:
    year, month = divmod(moment.year * 12 + moment.month, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)


def _first_kept(end: datetime) -> datetime:
    """Give the beginning of the first month that is kept, seen from `end`."""
    end = end.astimezone(UTC)
    year, month = divmod(end.year * 12 + end.month - MONTHS, 12)
    return datetime(year, month + 1, 1, tzinfo=UTC)
