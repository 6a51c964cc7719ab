"""Times and durations as people write them, and as they are shown to them: always in a zone that is named or offset."""

import os
import re
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from agb_operator.model.resource import parse_duration
from agb_operator.model.schedule import instant, zone_named

from .errors import WrongUsage

_TODAY: Final = re.compile(r"(\d{1,2}):(\d\d)", re.ASCII)
_LOCAL: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?", re.ASCII)
_DAYS: Final = re.compile(r"(?:(\d{1,4})d)?(.*)", re.ASCII)
_EXAMPLES: Final = "such as 18:00, 2026-12-24T18:00 or 2026-12-24T17:00:00Z"


class _System(tzinfo):
    """The zone of this computer, which need not have a name."""

    def utcoffset(self, dt: datetime | None) -> timedelta | None:
        """Ask the system, for the local time `dt`."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, dt: datetime | None) -> timedelta | None:
        """Not known."""
        return None

    def tzname(self, dt: datetime | None) -> str | None:
        """Say the system's abbreviation."""
        return None if dt is None else dt.replace(tzinfo=None).astimezone().tzname()

    def fromutc(self, dt: datetime) -> datetime:
        """Ask the system, for an instant."""
        local = dt.replace(tzinfo=UTC).astimezone()
        return local.replace(tzinfo=self, fold=_System._second(local))

    @staticmethod
    def _second(local: datetime) -> int:
        return int(local.replace(tzinfo=None, fold=0).astimezone().utcoffset() != local.utcoffset())


def read_zone(name: str) -> tzinfo:
    """Give the zone of that name; without one the local zone.

    Raises:
        WrongUsage: there is no such zone.
    """
    if not name:
        return zone_named(os.environ.get("TZ", "").removeprefix(":")) or _System()
    zone = zone_named(name)
    if zone is None:
        raise WrongUsage(f"--tz {name}: there is no such time zone; say a name such as Europe/Berlin, or UTC")
    return zone


def read_time(text: str, option: str, *, zone: tzinfo, now: datetime) -> datetime:
    """Read a time as an instant in UTC; a time of day is today's.

    Raises:
        WrongUsage: it is none.
    """
    try:
        if found := _TODAY.fullmatch(text):
            today = now.astimezone(zone).replace(tzinfo=None)
            local = today.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
            return instant(local, zone, last=False)
        moment = datetime.fromisoformat(text.upper())
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
        if _LOCAL.fullmatch(text):
            return instant(moment, zone, last=False)
    except (ValueError, OverflowError):
        pass
    raise WrongUsage(f"{option} {text}: this is no time {_EXAMPLES}")


def read_coming(text: str, option: str, *, zone: tzinfo, now: datetime) -> datetime:
    """Read a time that is still to come.

    Raises:
        WrongUsage: it is none, or has passed.
    """
    moment = read_time(text, option, zone=zone, now=now)
    if moment > now:
        return moment
    if _TODAY.fullmatch(text):
        local = moment.astimezone(zone) + timedelta(days=1)
        raise WrongUsage(f"{option} {text} has passed today; say {local:%Y-%m-%dT%H:%M}")
    raise WrongUsage(f"{option} {text} has passed; it is {shown(now, zone, seconds=True)} now")


def read_duration(text: str, option: str) -> timedelta:
    """Read a duration such as 90s, 1h30m or 3d.

    Raises:
        WrongUsage: it is none, or not longer than nothing.
    """
    found = _DAYS.fullmatch(text)
    days, rest = (found[1], found[2]) if found else (None, text)
    duration = parse_duration(rest) if rest else timedelta(0)
    if duration is not None and (total := duration + timedelta(days=int(days or 0))):
        return total
    raise WrongUsage(f"{option} {text}: say how long, longer than 0s, such as 30m, 2h or 3d")


def shown(moment: datetime, zone: tzinfo, *, seconds: bool = False) -> str:
    """Write an instant for people, such as `Wed 25 Nov 20:00 +01:00`; seconds where they are not 0 or are asked for."""
    local = moment.astimezone(zone)
    clock = f"{local:%H:%M:%S}" if seconds or local.second else f"{local:%H:%M}"
    return f"{local:%a} {local.day} {local:%b} {clock} {offset(local)}"


def day_and_time(moment: datetime, zone: tzinfo) -> str:
    """Write an instant that has passed: to the minute, such as `Wed 25 Nov 20:00`."""
    local = moment.astimezone(zone)
    return f"{local:%a} {local.day} {local:%b} {local:%H:%M}"


def brief(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """Write an instant that is near: without the date if it is today, such as `22:41 (+01:00)`."""
    local = moment.astimezone(zone)
    if local.date() != now.astimezone(zone).date():
        return shown(moment, zone)
    return f"{local:%H:%M:%S} ({offset(local)})" if local.second else f"{local:%H:%M} ({offset(local)})"


def offset(local: datetime) -> str:
    """Write a time's offset, such as +01:00."""
    return local.isoformat()[-6:] if local.utcoffset() is not None else ""
