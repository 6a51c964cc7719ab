"""A plan in words for people: a table of what the clock will do to how many, and what is to be known about it."""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Final

from agb_operator.model.resource import AgbSession
from agb_operator.model.states import DesiredState
from agb_operator.model.status import timestamp
from agb_operator.policy.intent import DEFAULT, OVERRIDE, SPEC

from .forecast import Change, Forecast, Member, asleep, in_order
from .output import table
from .times import shown

_NAMES: Final = 5
"""Sessions that are named one by one."""
_SHORT: Final = timedelta(minutes=2)
"""A pause that is over sooner may not be reached: AGB publishes no time, and seconds to a minute are seen."""
_VERBS: Final = {DesiredState.PAUSED: "pause", DesiredState.RUNNING: "resume"}


def objects(members: Iterable[Member]) -> Iterator[dict[str, str]]:
    """Give the changes one by one, for programs."""
    for change, session in in_order(members):
        yield _object(session, change.at, change.state, change.why)


def states(members: Iterable[Member]) -> Iterator[dict[str, str]]:
    """Give what is wanted at the forecast's beginning, for programs."""
    for member in members:
        yield _object(member.session, member.first.at, member.first.state, member.first.why)


def _object(session: AgbSession, at: datetime, state: str, why: str) -> dict[str, str]:
    key = session.key
    return {"at": timestamp(at), "namespace": key.namespace, "name": key.name, "state": str(state), "why": why}


@dataclass(frozen=True, kw_only=True, slots=True)
class Words:
    """Says what a forecast means.

    Attributes:
        many: whether there is more than one namespace.
    """

    forecast: Forecast
    members: Sequence[Member]
    zone: tzinfo
    many: bool

    def state_table(self) -> str:
        """Say what is wanted of each session when the forecast begins."""
        rows = [
            (*self._namespace(member.session), member.session.key.name, member.first.state, member.first.why)
            for member in self.members
        ]
        return table([*self._header(), "NAME", "STATE", "WHY"], rows)

    def change_table(self) -> str:
        """Say what will be done to how many sessions."""
        counts: Counter[tuple[datetime, str, DesiredState, str, str]] = Counter()
        for changes, namespace, number in self._alike():
            for change in changes:
                counts[change.due, namespace, change.state, change.why, change.cause] += number
        rows = [
            (shown(due, self.zone), *([namespace] if self.many else []), _VERBS[state], f"{number:,}", said)
            for due, namespace, state, said, number in sorted(self._worded(counts))
        ]
        if not rows:
            return "Nothing changes in this time."
        return table(["WHEN", *self._header(), "WHAT", "SESSIONS", "WHY"], rows)

    def notes(self) -> Iterator[str]:
        """Say what the table does not."""
        yield from self._steady()
        yield from self._sum()
        yield from self._unusable()
        yield from self._observed()
        yield from self._short()
        yield from self._wakes()

    def _alike(self) -> Iterator[tuple[Sequence[Change], str, int]]:
        """Give each list of changes once, with how many sessions of which namespace have it."""
        numbers: Counter[tuple[int, str]] = Counter()
        lists: dict[tuple[int, str], Sequence[Change]] = {}
        for member in self.members:
            key = id(member.changes), member.session.key.namespace
            numbers[key] += 1
            lists[key] = member.changes
        for key, number in numbers.items():
            yield lists[key], key[1], number

    def _worded(
        self, counts: Mapping[tuple[datetime, str, DesiredState, str, str], int]
    ) -> Iterator[tuple[datetime, str, DesiredState, str, int]]:
        for (due, namespace, state, why, cause), number in counts.items():
            spread = self.forecast.spread(namespace, cause)
            said = [*([] if why == DEFAULT else [why]), *([f"over {length(spread)}"] if spread else [])]
            yield due, namespace, state, ", ".join(said), number

    def _steady(self) -> Iterator[str]:
        for state in (DesiredState.RUNNING, DesiredState.PAUSED):
            steady = [each for each in self.members if not each.changes and each.first.state == state]
            reasons: dict[str, list[Member]] = {}
            for each in steady:
                reasons.setdefault(self._why_steady(each), []).append(each)
            named = (f"{self._first_names(alike)} ({reason})" for reason, alike in reasons.items())
            if steady:
                yield f"{_sessions(len(steady))} {_s('stay', steady)} {state}: {', '.join(named)}"

    def _why_steady(self, member: Member) -> str:
        why, session = member.first.why, member.session
        if why == OVERRIDE and session.override is not None:
            return f"Override until {shown(session.override.until, self.zone)}"
        if why == SPEC:
            return "spec.paused"
        if why == DEFAULT:
            namespace = self.forecast.schedules.get(session.key.namespace)
            heard = namespace is not None and any(each.selects(session.object_labels) for each in namespace.existing)
            return "no change in this time" if heard else "not selected"
        return why

    def _sum(self) -> Iterator[str]:
        moved = [member for member in self.members if member.changes]
        begin, end = self.forecast.begin, self.forecast.end
        slept = sum((asleep(member, begin, end) for member in moved), timedelta(0)) / timedelta(hours=1)
        whole = len(moved) * (end - begin) / timedelta(hours=1)
        if moved:
            yield (
                f"In these {_period(end - begin)}: {_sessions(len(moved))}, {slept:,.0f} of {whole:,.0f} session-hours "
                f"asleep ({slept / whole:.0%})."
            ).replace("%)", " %)")

    def _unusable(self) -> Iterator[str]:
        for namespace, schedules in self.forecast.schedules.items():
            for schedule in schedules.existing:
                if schedule.problem:
                    yield (
                        f"Note: AgbPauseSchedule {namespace}/{schedule.name} cannot be used, so the sessions that it "
                        f"selects and that sleep are not woken: {schedule.problem}"
                    )

    def _observed(self) -> Iterator[str]:
        observed = [each for each in self.members if each.changes and each.session.observe_only]
        if observed:
            yield (
                f"Note: {_sessions(len(observed))} {_s('be', observed)} only observed (managementPolicy: Observe): "
                "nothing is done to them."
            )

    def _short(self) -> Iterator[str]:
        short = [each for each in self.members if any(_lasts(each.changes, shorter=_SHORT))]
        if short:
            yield (
                f"Note: a pause of {_sessions(len(short))} ends within {length(_SHORT)}, which may be less than it "
                f"takes: {self._first_names(short)}"
            )

    def _wakes(self) -> Iterator[str]:
        woken = [each for each in self.members if _wakes(each) and not each.session.observe_only]
        if not woken:
            return
        recreated = sum(each.session.recreate for each in woken)
        yield (
            f"Note: the clock wakes {_sessions(len(woken))} ({self._first_names(woken)}). AGB's own idle and lifetime "
            "limits run from each wake, as short as 5 minutes idle: one that nobody uses may be released"
            + (f", and {recreated:,} of them would be bought anew (Recreate)" if recreated else "")
            + ". Where the first user comes later than that, keep spec.paused true and wake it with "
            "kubectl agb resume NAME --for 2h."
        )

    def _first_names(self, members: Sequence[Member]) -> str:
        more = f" and {len(members) - _NAMES:,} more" if len(members) > _NAMES else ""
        return ", ".join(self._name(each) for each in members[:_NAMES]) + more

    def _name(self, member: Member) -> str:
        key = member.session.key
        return str(key) if self.many else key.name

    def _header(self) -> list[str]:
        return ["NAMESPACE"] if self.many else []

    def _namespace(self, session: AgbSession) -> list[str]:
        return [session.key.namespace] if self.many else []


def length(duration: timedelta) -> str:
    """Write a duration as people say it, such as 10m or 1h30m."""
    seconds = int(duration.total_seconds())
    parts = ((seconds // 3600, "h"), (seconds // 60 % 60, "m"), (seconds % 60, "s"))
    return "".join(f"{number}{unit}" for number, unit in parts if number) or "0s"


def _lasts(changes: Sequence[Change], *, shorter: timedelta) -> Iterator[bool]:
    for begin, end in itertools.pairwise(changes):
        yield begin.state == DesiredState.PAUSED and end.at - begin.at < shorter


def _wakes(member: Member) -> bool:
    return any(change.state == DesiredState.RUNNING for change in member.changes)


def _sessions(number: int) -> str:
    return f"{number:,} session" + ("" if number == 1 else "s")


def _s(verb: str, subjects: Sequence[object]) -> str:
    one = len(subjects) == 1
    return ("is" if one else "are") if verb == "be" else verb + ("s" if one else "")


def _period(duration: timedelta) -> str:
    hours = round(duration / timedelta(hours=1))
    return f"{hours // 24} days" if hours % 24 == 0 and hours > 24 else f"{hours} hours"
