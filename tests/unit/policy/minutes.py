"""A slow and obvious evaluation of schedules: walk through all minutes and look at the clock on the wall.

It shares nothing with the product: not cronsim, no arithmetic with the changes of the clocks, no bisection. It judges
the product in property tests, so it is written to be read.
"""

import calendar
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_DAYS = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Wall:
    """What a clock on the wall goes through in one minute of real time: usually one reading."""

    moment: datetime
    readings: tuple[datetime, ...]
    first_time: bool


@lru_cache(maxsize=4)
def minutes(zone: ZoneInfo, begin: datetime, end: datetime) -> tuple[Wall, ...]:
    """Walk from one instant to another; where the clock is put forward, the minutes left out are read at once."""
    return tuple(_walk(zone, begin, end))


def _walk(zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[Wall]:
    moment, before = begin, (begin - MINUTE).astimezone(zone).replace(tzinfo=None)
    while moment < end:
        shown = moment.astimezone(zone)
        now = shown.replace(tzinfo=None, fold=0)
        readings = [now]
        skipped = before.replace(fold=0) + MINUTE
        while skipped < now:
            readings.append(skipped)
            skipped += MINUTE
        yield Wall(moment=moment, readings=tuple(readings), first_time=shown.fold == 0)
        moment, before = moment + MINUTE, now


def matches(cron: str, wall: datetime) -> bool:
    """Tell whether the five fields of a cron expression fit a reading of the clock."""
    minute, hour, day, month, weekday = _fields(cron)
    if wall.minute != int(minute) or not _fits(hour, wall.hour, 0, 23) or not _fits(month, wall.month, 1, 12, _MONTHS):
        return False
    last = calendar.monthrange(wall.year, wall.month)[1]
    weekdays = [n for n in range(1, last + 1) if calendar.weekday(wall.year, wall.month, n) < 5]
    special = {"L": last, "LW": weekdays[-1]}
    day_fits = wall.day == special[day] if day in special else _fits(day, wall.day, 1, 31)
    return day_fits and any(_weekday_fits(term, wall) for term in weekday.split(","))


@lru_cache
def _fields(cron: str) -> list[str]:
    return cron.upper().split()


def _weekday_fits(term: str, wall: datetime) -> bool:
    name, _, nth = term.partition("#")
    day = wall.isoweekday() % 7
    fits = _fits(name, day, 0, 7, _DAYS) or (day == 0 and _fits(name, 7, 0, 7, _DAYS))
    return fits and (not nth or (wall.day - 1) // 7 + 1 == int(nth))


def _fits(field: str, value: int, least: int, most: int, names: list[str] | None = None) -> bool:
    def number(text: str) -> int:
        return names.index(text) + least if names and text in names else int(text)

    for term in field.split(","):
        span, _, step = term.partition("/")
        first, _, end = span.partition("-")
        if span == "*":
            low, high = least, most
        else:
            low = number(first)
            high = number(end) if end else most if step else low
        if low <= value <= high and (value - low) % int(step or 1) == 0:
            return True
    return False


def ticks(cron: str, wall: Wall) -> bool:
    """Tell whether a cron expression ticks in this minute: once, and never in an hour's second coming."""
    return any(matches(cron, reading) for reading in wall.readings if wall.first_time)


def asks(spec: Mapping[str, Any], zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[tuple[datetime, bool]]:
    """Yield for each minute whether a schedule asks for a pause, once both of its crons have ticked."""
    last: dict[str, datetime] = {}

    def is_off(moment: datetime) -> bool:
        return moment.astimezone(zone).date().isoformat() in spec.get("daysOff", ())

    windows = [_bounds(window, zone, begin, end) for window in spec.get("windows", ())]
    exceptions = [_bounds(exception, zone, begin, end) for exception in spec.get("exceptions", ())]
    for wall in minutes(zone, begin, end):
        for field in ("pauseAt", "resumeAt"):
            if field in spec and ticks(spec[field], wall) and (field == "pauseAt" or not is_off(wall.moment)):
                last[field] = wall.moment
        if "pauseAt" in spec and len(last) < 2:
            continue
        asleep = "pauseAt" in spec and last["pauseAt"] > last["resumeAt"]
        asleep = asleep or any(first <= wall.moment < to for first, to in windows)
        yield wall.moment, asleep and not any(first <= wall.moment < to for first, to in exceptions)


def _bounds(span: Mapping[str, str], zone: ZoneInfo, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
    """The first minute that shows `from` and the last that shows `to`; one that is left out is shown by the next."""
    first, to = (datetime.fromisoformat(span[bound]) for bound in ("from", "to"))
    far = datetime.max.replace(tzinfo=UTC)
    shows_from = [wall.moment for wall in minutes(zone, begin, end) if first in wall.readings]
    shows_to = [wall.moment for wall in minutes(zone, begin, end) if to in wall.readings]
    return (shows_from[0] if shows_from else far), (shows_to[-1] if shows_to else far)
