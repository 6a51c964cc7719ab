"""What an AgbPauseSchedule asks for at any instant: level-triggered, a function of the clock and of nothing else.

Evaluating cron is slow, so a schedule is evaluated once, as the list of its changes, and asked by bisection. The list
begins early enough to know since when a pause is asked for, and grows as far as it is asked about, 400 days at most.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from hashlib import sha256
from heapq import merge
from itertools import groupby
from typing import Final, NamedTuple

from cronsim import CronSim, CronSimError

from ..model.schedule import AgbPauseSchedule

FAR: Final = timedelta(days=400)
"""Nobody is told of changes further away than this."""

_SECOND: Final = timedelta(seconds=1)
_NO_SHARE: Final = timedelta(0)
_BACK: Final = timedelta(hours=26)
_CRON: Final = (
    "must be five fields of cron: one minute, hours, days of month, months, days of week (0-7 or SUN-SAT), "
    "such as '0 20 * * 1-5'"
)
_PAUSE, _RESUME, _BOUND = range(3)
_NEVER: Final = datetime.min.replace(tzinfo=UTC)


class Span(NamedTuple):
    """A time in which what a schedule asks for stays the same.

    Attributes:
        asks: whether it asks for a pause.
        since: when the pause began that is asked for; None if that is more than 400 days ago, or none is asked for.
        until: when that ends; None if it does not end within 400 days.
    """

    asks: bool
    since: datetime | None
    until: datetime | None


_SILENCE: Final = Span(asks=False, since=None, until=None)


class Schedule:
    """One AgbPauseSchedule on the clock; a new one is made when the resource changes.

    Its answers depend on its resource and the instant asked about alone; what it keeps is the list of changes found so
    far. One that is not enabled or cannot be used asks for nothing.
    """

    def __init__(self, resource: AgbPauseSchedule) -> None:
        self.resource: Final = resource
        self.problem: Final = "; ".join(filter(None, [resource.problem, *cron_problems(resource)]))
        """"" or what makes it unusable, for people."""
        self._silent = bool(self.problem) or not resource.enabled
        self._shares = int(resource.spread.total_seconds()) + 1
        self._since: datetime | None = None
        self._moments: list[datetime] = []

    @property
    def name(self) -> str:
        """The name of the resource."""
        return self.resource.name

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Tell whether it speaks for a session with these `metadata.labels`.

        Not enabled, it speaks for none. With a selector that cannot be read it may speak for any, so it does for all.
        """
        if not self.resource.enabled:
            return False
        selector = self.resource.selector
        return selector is None or selector.matches(labels)

    def share(self, uid: str) -> timedelta:
        """How late a session follows: always the same whole seconds from 0 to `spread`; 0 without a uid."""
        return timedelta(seconds=_number(uid) % self._shares) if uid and self._shares > 1 else _NO_SHARE

    def span(self, at: datetime) -> Span:
        """Give what is asked for at an instant, with the changes before and after it.

        A session sees the clock late by its share: ask for `now - share`, and add the share to the answer.
        """
        if self._silent:
            return _SILENCE
        if self._since is None or at < self._since:
            self._restart(at)
        moments = self._moments
        while (not moments or moments[-1] <= at) and self._known <= at + FAR:
            self._find_more()
        index = bisect_right(moments, at)
        asks = self._asked_first != bool(index % 2)
        since = moments[index - 1] if index and asks and at - moments[index - 1] <= FAR else None
        until = moments[index] if index < len(moments) and moments[index] - at <= FAR else None
        return Span(asks, since, until)

    def _restart(self, at: datetime) -> None:
        """Begin the list anew: early enough for each session's share, and to know since when a pause is asked for."""
        self._since = _quiet_before(self.resource, at - self.resource.spread)
        self._events = changes(self.resource, self._since)
        self._known, self._asked_first = next(self._events)
        self._asked_last = self._asked_first
        self._moments.clear()

    def _find_more(self) -> None:
        """Read on to the next event; one that changes nothing only tells how far the list is known."""
        self._known, asks = next(self._events, (datetime.max.replace(tzinfo=UTC), self._asked_last))
        if asks != self._asked_last:
            self._asked_last = asks
            self._moments.append(self._known)


@lru_cache(maxsize=64)
def _number(uid: str) -> int:
    return int.from_bytes(sha256(uid.encode()).digest())


def changes(schedule: AgbPauseSchedule, since: datetime) -> Iterator[tuple[datetime, bool]]:
    """Yield what a usable schedule asks for from an instant on: first at it, then at each event, changing or not.

    It asks for nothing inside an exception, for a pause inside a window, and else for a pause if the last `pauseAt` is
    later than the last `resumeAt`. It ends when there are only windows and all of them are over.
    """
    paused, pauses = _paused(schedule, since)
    resumed, resumes = _resumed(schedule, since, paused)
    streams = [((moment, _PAUSE) for moment in pauses), ((moment, _RESUME) for moment in resumes)]
    bounds = sorted(bound for stretch in (*schedule.windows, *schedule.exceptions) for bound in stretch)
    streams.append((bound, _BOUND) for bound in bounds if bound > since)

    yield since, _asks(schedule, since, paused > resumed)
    for moment, events in groupby(merge(*streams), key=lambda event: event[0]):
        for _, kind in events:
            paused = moment if kind == _PAUSE else paused
            resumed = moment if kind == _RESUME else resumed
        yield moment, _asks(schedule, moment, paused > resumed)


def ticks(cron: str, zone: tzinfo, at: datetime) -> tuple[datetime, Iterator[datetime]]:
    """Give the last tick of a usable cron expression at or before an instant, and those after it.

    A tick that falls into a gap of the clocks comes when the gap ends, and one in an hour that comes twice comes the
    first time. What cronsim finds on the way back is a tick, but may not be the last one: started inside an hour that
    comes twice it may give yesterday's, for which a whole fleet would wake. So: back from 26 hours earlier, where no
    change of the clocks is near, and from there forward to `at`.

    There always is one: the rarest day, a 29th of February on one day of the week, comes once in 40 years at least, and
    cronsim looks back 50.
    """
    expression = _by_the_clock(cron)
    start = next(CronSim(expression, (at - _BACK).astimezone(zone), reverse=True))
    last = start.astimezone(UTC)
    following = (tick.astimezone(UTC) for tick in CronSim(expression, start))
    for tick in following:
        if tick > at:
            return last, _led_by(tick, following)
        last = tick
    return last, iter(())


def _paused(schedule: AgbPauseSchedule, at: datetime) -> tuple[datetime, Iterator[datetime]]:
    """Give the last `pauseAt` at or before an instant, and those after it; without one, that is longest ago."""
    return ticks(schedule.pause_at, schedule.zone, at) if schedule.pause_at else (_NEVER, iter(()))


def _resumed(schedule: AgbPauseSchedule, at: datetime, paused: datetime) -> tuple[datetime, Iterator[datetime]]:
    """The same of `resumeAt`, which does not come on days off.

    Once it is before `paused`, the last `pauseAt`, it may be a day off: a rare one would be sought for thousands of
    years.
    """
    if not schedule.resume_at:
        return _NEVER, iter(())
    last, following = ticks(schedule.resume_at, schedule.zone, at)
    while last >= paused and _is_off(schedule, last):
        last, _ = ticks(schedule.resume_at, schedule.zone, last - _SECOND)
    return last, (moment for moment in following if not _is_off(schedule, moment))


def _quiet_before(schedule: AgbPauseSchedule, at: datetime) -> datetime:
    """Go back to where nothing is asked for, some 400 days at most."""
    earliest = at - FAR
    while at > earliest:
        paused = _paused(schedule, at)[0]
        resumed = _resumed(schedule, at, paused)[0]
        if not _asks(schedule, at, paused > resumed):
            return at
        begins = [max(window.begin, earliest) - _SECOND for window in schedule.windows if window.covers(at)]
        at = min(begins, default=resumed)
    return earliest


def cron_problems(schedule: AgbPauseSchedule) -> Iterator[str]:
    """Yield what is wrong with the times of a schedule, in words for people."""
    for field, cron in (("pauseAt", schedule.pause_at), ("resumeAt", schedule.resume_at)):
        if cron and (problem := _cron_problem(cron)):
            yield f"spec.{field} is '{cron}': {problem}"
    if bool(schedule.pause_at) != bool(schedule.resume_at):
        yield "set spec.pauseAt and spec.resumeAt together"
    elif schedule.pause_at == schedule.resume_at != "":
        yield "spec.pauseAt and spec.resumeAt are the same moment; the sessions would never be paused"
    elif not schedule.pause_at and not schedule.windows and not schedule.problem:
        yield "say when to pause: spec.pauseAt with spec.resumeAt for every week, or spec.windows for certain dates"
    elif not schedule.pause_at and schedule.days_off:
        yield "spec.daysOff says on which days resumeAt does not come; it needs pauseAt and resumeAt"


def _cron_problem(cron: str) -> str:
    fields = cron.split()
    if len(fields) != 5 or not fields[0].isdecimal():
        return _CRON
    if not fields[2].startswith("*") and not fields[4].startswith("*"):
        return (
            "day of month and day of week together mean either of them to cron; give one of the two as *, or make two "
            "schedules"
        )
    try:
        found = next(CronSim(_by_the_clock(cron), datetime(2000, 1, 1, tzinfo=UTC)), None)
    except CronSimError as error:
        return f"{str(error).lower()}; it {_CRON}"
    return "" if found else "this day never comes"


def _by_the_clock(cron: str) -> str:
    """Write hours that begin with a star as numbers.

    To cron a star means "each hour that passes", one that comes twice counted twice and one that is left out not at
    all; here every tick is a time on the clock, for which the one rule of `ticks` holds.
    """
    return re.sub(r"^(\S+\s+)\*", r"\g<1>0-23", cron.strip())


def _is_off(schedule: AgbPauseSchedule, tick: datetime) -> bool:
    return bool(schedule.days_off) and tick.astimezone(schedule.zone).date() in schedule.days_off


def _asks(schedule: AgbPauseSchedule, moment: datetime, by_cron: bool) -> bool:
    if any(stretch.covers(moment) for stretch in schedule.exceptions):
        return False
    return by_cron or any(stretch.covers(moment) for stretch in schedule.windows)


def _led_by(first: datetime, following: Iterator[datetime]) -> Iterator[datetime]:
    yield first
    yield from following
