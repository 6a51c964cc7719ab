"""The coming week as a picture of characters: a row for each group of sessions, a column for each hour."""

import itertools
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from agb_operator.model.schedule import instant
from agb_operator.model.states import DesiredState

from .forecast import Member
from .output import paint
from .times import offset

DAYS: Final = 7
_LONGEST_LABEL: Final = 26
_GAP: Final = "  "
_RULER: Final = "0     6     12    18    "
_HOURS: Final = len(_RULER)


@dataclass(frozen=True, kw_only=True, slots=True)
class Signs:
    """How an hour looks."""

    asleep: str
    partly: str
    awake: str


BLOCKS: Final = Signs(asleep="█", partly="▒", awake="·")
PLAIN: Final = Signs(asleep="#", partly="+", awake=".")


def week(now: datetime, zone: tzinfo) -> list[date]:
    """Give the seven days that begin with today."""
    today = now.astimezone(zone).date()
    return [today + timedelta(days=number) for number in range(DAYS)]


def midnight(day: date, zone: tzinfo) -> datetime:
    """Give the instant at which a day begins."""
    return instant(datetime(day.year, day.month, day.day), zone, last=False)  # noqa: DTZ001  # local on purpose


def draw(members: Sequence[Member], *, now: datetime, zone: tzinfo) -> Iterator[str]:
    """Draw the week line by line: as many days beside each other as the terminal is wide."""
    signs = BLOCKS if sys.stdout.isatty() else PLAIN
    groups: dict[tuple[object, ...], list[Member]] = {}
    for member in members:
        groups.setdefault(member.group, []).append(member)
    labels = [_label(group) for group in groups.values()]
    margin = max(map(len, labels), default=0)
    days = week(now, zone)
    rows = [[_cells(group, day, now, zone) for day in days] for group in groups.values()]
    beside = max(1, (shutil.get_terminal_size().columns - margin) // (_HOURS + len(_GAP)))
    for first in range(0, DAYS, beside):
        shown = range(first, min(first + beside, DAYS))
        yield _line("", margin, [f"{days[at]:%a} {days[at].day} {days[at]:%b}".ljust(_HOURS) for at in shown])
        yield _line("", margin, [_RULER] * len(shown))
        for label, row in zip(labels, rows, strict=True):
            yield _line(label, margin, ["".join(_sign(cell, signs) for cell in row[at]) for at in shown])
        yield ""
    yield f"{signs.asleep} asleep   {signs.partly} for a part of the hour, or some of them   {signs.awake} awake"
    yield f"Hours are at {_offsets(days, zone)}; --tz shows another zone."


def _offsets(days: Sequence[date], zone: tzinfo) -> str:
    """Name the offset of the hours, and the day from which it is another one."""
    said, before = "", ""
    for day in days:
        now = offset(_hour(day, 12, zone).astimezone(zone))
        if now != before:
            said += f", from {day:%a} {day.day} {day:%b} at {now}" if said else now
        before = now
    return said


def _line(label: str, margin: int, cells: Sequence[str]) -> str:
    return (label.ljust(margin) + _GAP + _GAP.join(cells)).rstrip()


def _label(group: Sequence[Member]) -> str:
    more = f" +{len(group) - 1}" if len(group) > 1 else ""
    name, room = group[0].session.key.name, _LONGEST_LABEL - len(more)
    return (name if len(name) <= room else name[: room - 2] + "..") + more


def _sign(asleep: bool | str | None, signs: Signs) -> str:
    looks: Mapping[bool | str | None, str] = {
        True: paint(signs.asleep, "blue"),
        None: paint(signs.partly, "blue"),
        False: signs.awake,
        "": " ",
    }
    return looks[asleep]


def _cells(group: Sequence[Member], day: date, now: datetime, zone: tzinfo) -> list[bool | str | None]:
    """Say for each hour of a day whether all of a group are asleep all of it, or none; "" for an hour that is none.

    None stands for anything between. The hours of a day on which the clocks change are those that they show: one that
    comes twice is one cell.
    """
    distinct = {id(member.changes): member for member in group}.values()
    bounds = [midnight(day, zone)]
    bounds += [_hour(day, hour, zone) for hour in range(1, _HOURS)]
    bounds.append(midnight(day + timedelta(days=1), zone))
    cells: list[bool | str | None] = []
    for begin, end in itertools.pairwise(bounds):
        begin = max(begin, now)
        if begin >= end:
            cells.append("")
            continue
        seen = {state for member in distinct for state in _between(member, begin, end)}
        cells.append(None if len(seen) > 1 else seen == {DesiredState.PAUSED})
    return cells


def _hour(day: date, hour: int, zone: tzinfo) -> datetime:
    return instant(datetime(day.year, day.month, day.day, hour), zone, last=False)  # noqa: DTZ001  # local on purpose


def _between(member: Member, begin: datetime, end: datetime) -> Iterator[DesiredState]:
    """Give the states of a session between two instants."""
    state = member.first.state
    for change in member.changes:
        if change.at >= end:
            break
        if change.at > begin:
            yield state
        state = change.state
    yield state
