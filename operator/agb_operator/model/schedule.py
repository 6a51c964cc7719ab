"""The AgbPauseSchedule as a typed value, read from what the API server says; pure.

The API server refuses most mistakes. What it cannot see (a date that does not exist, a zone newer than ours), and
objects made under an older CRD, get here all the same, so reading never raises: what is wrong goes into `problem`,
which becomes the reason `InvalidSchedule`. Cron expressions are read in `policy.schedule`, which knows what they mean.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

from .fields import mapping_in, number_in, seconds_in, text_in
from .resource import ObjectKey
from .schedule_status import ScheduleStatus, schedule_status_from_dict
from .selector import LabelSelector, read_selector

KIND: Final = "AgbPauseSchedule"
PLURAL: Final = "agbpauseschedules"
LONGEST_SPREAD: Final = timedelta(hours=4)

_ZONES_AGE: Final = timedelta(days=548)
_MINUTE: Final = timedelta(minutes=1)
_ZONE: Final = re.compile(r"UTC|[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*)+")
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_DURATION: Final = re.compile(r"(\d{1,6}(?:\.\d{1,3})?)(ms|h|m|s)", re.ASCII)


class Stretch(NamedTuple):
    """A window or an exception as instants in UTC: `begin` belongs to it, `end` does not."""

    begin: datetime
    end: datetime

    def covers(self, moment: datetime) -> bool:
        """Tell whether the moment lies in it."""
        return self.begin <= moment < self.end


@dataclass(frozen=True, kw_only=True, slots=True)
class AgbPauseSchedule:
    """One resource: what it selects, and when it asks for a pause.

    Attributes:
        selector: None when it cannot be read; nobody knows then whom it selects.
        zone: what all of its times are read in; UTC when it cannot be read.
        pause_at: a cron expression as it was written, "" if there is none; `resume_at` likewise.
        days_off: local dates on which `resume_at` does not come.
        spread: each session follows late by its share of this.
        problem: "" or what makes the spec unusable.
    """

    namespace: str = ""
    name: str
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    deleting: bool = False
    selector: LabelSelector | None
    zone: tzinfo
    pause_at: str = ""
    resume_at: str = ""
    days_off: frozenset[date] = frozenset()
    windows: tuple[Stretch, ...] = ()
    exceptions: tuple[Stretch, ...] = ()
    spread: timedelta = timedelta(0)
    enabled: bool = True
    problem: str = ""
    status: ScheduleStatus = field(default_factory=ScheduleStatus)

    @property
    def key(self) -> ObjectKey:
        """What names it in its cluster."""
        return ObjectKey(self.namespace, self.name, KIND)

    @classmethod
    def from_body(cls, body: Mapping[str, Any]) -> "AgbPauseSchedule":
        """Read an object as the watch or a GET gives it."""
        meta, spec = mapping_in(body, "metadata"), mapping_in(body, "spec")
        problems: list[str] = []
        zone = _zone(spec.get("timeZone"), problems)
        return cls(
            namespace=text_in(meta, "namespace"),
            name=text_in(meta, "name"),
            uid=text_in(meta, "uid"),
            resource_version=text_in(meta, "resourceVersion"),
            generation=number_in(meta, "generation"),
            deleting=bool(meta.get("deletionTimestamp")),
            selector=read_selector(spec.get("selector"), "spec.selector", problems),
            zone=zone or UTC,
            pause_at=text_in(spec, "pauseAt"),
            resume_at=text_in(spec, "resumeAt"),
            days_off=_days_off(spec, problems),
            windows=_stretches(spec, "windows", zone, problems),
            exceptions=_stretches(spec, "exceptions", zone, problems),
            spread=_spread(spec, problems),
            enabled=_enabled(spec, problems),
            problem="; ".join(problems),
            status=schedule_status_from_dict(body.get("status")),
        )


def old_zones(version: str, now: datetime) -> str:
    """Say that the pinned rules of time zones are older than 18 months; "" if they are not.

    Args:
        version: of the package `tzdata`, which tells the year and not the day; half of that year is taken as gone.
        now: the time of day.
    """
    year = int(version.partition(".")[0])
    if now < datetime(year, 7, 1, tzinfo=UTC) + _ZONES_AGE:
        return ""
    return f"the time zone rules are from {year}: schedules may be wrong where rules have changed; use a newer image"


@lru_cache(maxsize=256)
def zone_named(name: str) -> ZoneInfo | None:
    """Give a time zone by its IANA name; None if our data does not have it.

    The data is the pinned package's alone. `ZoneInfo(name)` would prefer the system's, which differs from machine to
    machine, and with it the answer to when a session sleeps.
    """
    if not _ZONE.fullmatch(name):
        return None
    try:
        with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as data:
            return ZoneInfo.from_file(data, key=name)
    except (OSError, ValueError):  # no such zone; a folder of zones; a file of the package that is no zone
        return None


def instant(local: datetime, zone: tzinfo, *, last: bool) -> datetime:
    """Give the instant, in UTC, at which a clock of the zone shows a local time.

    A time that the clocks leave out comes when the gap ends. One that comes twice is its second coming if `last`.
    """
    moment = local.replace(tzinfo=zone, fold=int(last)).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == local:
        return moment
    # In a gap the fold chooses between the offset before (0) and after (1) the change, which lies in between.
    earlier, later = sorted(local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    after = later.astimezone(zone).utcoffset()
    while later - _MINUTE >= earlier and (later - _MINUTE).astimezone(zone).utcoffset() == after:
        later -= _MINUTE
    return later


def _zone(value: object, problems: list[str]) -> ZoneInfo | None:
    if not isinstance(value, str) or not _ZONE.fullmatch(value):
        problems.append(
            f"spec.timeZone is '{value}' and must be a name of the IANA time zone database such as Europe/Berlin, "
            "or UTC; offsets and abbreviations know no daylight saving time"
        )
        return None
    zone = zone_named(value)
    if zone is None:
        problems.append(f"spec.timeZone: unknown time zone {value}; write it as in the IANA time zone database")
    return zone


def _days_off(spec: Mapping[str, Any], problems: list[str]) -> frozenset[date]:
    days = set()
    for index, text in enumerate(_list(spec, "daysOff", problems)):
        try:
            if not isinstance(text, str) or not _DATE.fullmatch(text):
                raise ValueError
            days.add(date.fromisoformat(text))
        except ValueError:
            problems.append(f"spec.daysOff[{index}] is '{text}', and a day off is a date such as 2026-12-25")
    return frozenset(days)


def _stretches(spec: Mapping[str, Any], field: str, zone: ZoneInfo | None, problems: list[str]) -> tuple[Stretch, ...]:
    """Read the windows or the exceptions; one that lies in a gap of the clocks is empty."""
    found = []
    for index, entry in enumerate(_list(spec, field, problems)):
        path = f"spec.{field}[{index}]"
        begin, end = (_local(entry, bound, path, problems) for bound in ("from", "to"))
        if begin is None or end is None or zone is None:
            continue
        if begin >= end:
            problems.append(f"{path}: from must be before to")
            continue
        try:
            found.append(Stretch(instant(begin, zone, last=False), instant(end, zone, last=True)))
        except OverflowError:
            problems.append(f"{path} lies at the end of what a calendar can hold; choose another year")
    return tuple(found)


def _local(entry: object, bound: str, path: str, problems: list[str]) -> datetime | None:
    text = entry.get(bound) if isinstance(entry, Mapping) else None
    try:
        if not isinstance(text, str) or not _LOCAL.fullmatch(text):
            raise ValueError
        return datetime.fromisoformat(text)  # local on purpose: the zone is the schedule's
    except ValueError:
        problems.append(
            f"{path}.{bound} is '{text}' and must be a local time such as 2026-12-24T18:00, without an offset; "
            "it is read in timeZone"
        )
        return None


def _spread(spec: Mapping[str, Any], problems: list[str]) -> timedelta:
    text = spec.get("spread")
    if text is None:
        return timedelta(0)
    seconds = seconds_in(text, _DURATION) if isinstance(text, str) else None
    if seconds is None or seconds > LONGEST_SPREAD.total_seconds():
        problems.append(f"spec.spread is '{text}' and must be a duration from 0s to 4h, such as 90s, 10m or 1h30m")
        return timedelta(0)
    return timedelta(seconds=seconds)


def _enabled(spec: Mapping[str, Any], problems: list[str]) -> bool:
    value = spec.get("enabled")
    if value is None:
        return True
    if not isinstance(value, bool):
        problems.append("spec.enabled must be true or false")
        return True
    return value


def _list(spec: Mapping[str, Any], field: str, problems: list[str]) -> list[Any]:
    value = spec.get(field)
    if value is None:
        return []
    if not isinstance(value, list):
        problems.append(f"spec.{field} must be a list")
        return []
    return value
