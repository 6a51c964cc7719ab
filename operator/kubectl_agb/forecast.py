"""What the clock will do to many sessions: the operator's own answer for each, worked out once for those that share it.

Pure. Sessions whose spec and schedules say the same sleep at the same times, but for their share of a `spread`: they
are groups with one fate, which each member meets late by its share.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from heapq import merge
from itertools import pairwise
from typing import Final, NamedTuple

from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.model.states import DesiredState
from agb_operator.policy.intent import OVERRIDE, SCHEDULE, Schedules, Subject, Wanted, follow
from agb_operator.policy.schedule import Schedule

_NONE: Final = timedelta(0)


class Change(NamedTuple):
    """A moment at which the clock puts a session to sleep or wakes it.

    Attributes:
        at: for this session, its share of a spread included.
        why: what decides from then on, as in `status.why`.
        cause: the schedule that begins to ask, or whose asking ends; "" for anything else.
        due: the same for a session that follows this schedule at once.
    """

    at: datetime
    state: DesiredState
    why: str
    cause: str
    due: datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """One session in the time that is looked at.

    Attributes:
        group: the same for all that share a fate.
        first: what is wanted when the time begins.
        changes: of state, in order of time; those of equal sessions are one object.
    """

    session: AgbSession
    group: tuple[object, ...]
    first: Wanted
    changes: Sequence[Change]


class _Fate(NamedTuple):
    """What is wanted over time, every change of it and those of the state."""

    steps: Sequence[Wanted]
    changes: Sequence[Change]

    @classmethod
    def of(cls, steps: Iterable[Wanted], shares: Mapping[str, timedelta]) -> "_Fate":
        """Take the changes of state out."""
        known = tuple(steps)
        return cls(known, [_change(*pair, shares) for pair in pairwise(known) if pair[0].state != pair[1].state])

    def late(self, share: timedelta, begin: datetime, end: datetime) -> tuple[Wanted, list[Change]]:
        """Give what is wanted at `begin`, and the changes from then to `end`, for one who hears all of it late."""
        first = self.steps[bisect_right(self.steps, begin - share, key=_at) - 1]
        low, high = (bisect_right(self.changes, moment - share, key=_at) for moment in (begin, end))
        changes = [Change(at + share, state, why, cause, due) for at, state, why, cause, due in self.changes[low:high]]
        return first._replace(at=begin), changes


@dataclass(kw_only=True, slots=True, eq=False)
class Forecast:
    """The coming times of sessions, from `begin` to `end`; `now` is when what is known was read.

    A session that sleeps now and is not to, or the other way round, changes at `now`: so it is where something is
    tried that has not been applied.
    """

    now: datetime
    begin: datetime
    end: datetime
    schedules: Mapping[str, Schedules]
    """By namespace."""
    _fates: dict[tuple[object, ...], _Fate] = field(init=False, default_factory=dict)
    _members: dict[tuple[object, ...], tuple[Wanted, list[Change]]] = field(init=False, default_factory=dict)

    def of(self, sessions: Iterable[AgbSession]) -> list[Member]:
        """Work it out for each session that is not being deleted."""
        return [self._member(session) for session in sessions if not session.deleting]

    def spread(self, namespace: str, cause: str) -> timedelta:
        """Give the time over which sessions follow a schedule."""
        known = self.schedules.get(namespace, Schedules()).existing
        return next((each.resource.spread for each in known if each.name == cause), _NONE)

    def _member(self, session: AgbSession) -> Member:
        subject = Subject.of(session)
        schedules = self.schedules.get(session.key.namespace, Schedules())
        heard = [each for each in schedules.existing if each.selects(subject.labels)]
        shares = {each.name: each.share(subject.uid) for each in heard}
        group = (session.key.namespace, *shares, subject.override, subject.paused)
        if any(each.problem for each in heard):
            group += (subject.desired_state, subject.why)  # it counts whether it sleeps now
        key = (*group, subject.desired_state, *shares.values())
        if key not in self._members:
            self._members[key] = self._late(subject, *self._fate(subject, schedules, heard, group, shares))
        first, changes = self._members[key]
        return Member(session=session, group=group, first=first, changes=changes)

    def _late(self, subject: Subject, fate: _Fate, share: timedelta) -> tuple[Wanted, list[Change]]:
        first, changes = fate.late(share, self.begin, self.end)
        if self.begin <= self.now and subject.desired_state not in ("", first.state):
            changes.insert(0, Change(first.at, first.state, first.why, "", first.at))
        return first, changes

    def _fate(
        self,
        subject: Subject,
        schedules: Schedules,
        heard: Sequence[Schedule],
        group: tuple[object, ...],
        shares: Mapping[str, timedelta],
    ) -> tuple[_Fate, timedelta]:
        """Find the fate, and how late it comes: who hears one clock only, hears what all of its group hear."""
        absolute = subject.override is not None and subject.override.holds(self.now)
        if absolute or subject.paused or any(each.problem for each in heard) or len(set(shares.values())) != 1:
            return _Fate.of(follow(subject, schedules, self.now, self.end), shares), _NONE
        if group not in self._fates:
            longest = max(each.resource.spread for each in heard)
            on_time = Subject(uid="", labels=subject.labels)
            self._fates[group] = _Fate.of(follow(on_time, schedules, self.now - longest, self.end), {})
        return self._fates[group], next(iter(shares.values()))


def _change(before: Wanted, after: Wanted, shares: Mapping[str, timedelta]) -> Change:
    # The end of an override is the same moment for all, whoever speaks then.
    decider = after.why if after.why.startswith(SCHEDULE) and before.why != OVERRIDE else before.why
    cause = decider.removeprefix(SCHEDULE) if decider.startswith(SCHEDULE) else ""
    return Change(after.at, after.state, after.why, cause, after.at - shares.get(cause, _NONE))


def _at(entry: Wanted | Change) -> datetime:
    return entry.at


def in_order(members: Iterable[Member]) -> Iterator[tuple[Change, AgbSession]]:
    """Give all changes in order of time, and of name where they come together."""
    for _, _, change, session in merge(*map(_dated, members), key=lambda entry: entry[:2]):
        yield change, session


def _dated(member: Member) -> Iterator[tuple[datetime, ObjectKey, Change, AgbSession]]:
    for change in member.changes:
        yield change.at, member.session.key, change, member.session


def asleep(member: Member, begin: datetime, end: datetime) -> timedelta:
    """Add up how long a session sleeps between two instants."""
    total, state, since = _NONE, member.first.state, begin
    for change in member.changes:
        at = min(max(change.at, begin), end)
        if state == DesiredState.PAUSED:
            total += at - since
        state, since = change.state, at
    return total + (end - since if state == DesiredState.PAUSED else _NONE)
