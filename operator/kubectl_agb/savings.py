"""What sessions used in a month, by groups, and which ones have slept for long: sums over statuses, pure.

A status holds what was counted; what is open since then is added here, until now.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from agb_operator.model.status import SessionStatus, Truth, UsageMonth, UsageState, parse_timestamp
from agb_operator.model.status_json import status_from_dict, usage_from_dict
from agb_operator.policy.usage import kept_months, until

_HOUR: Final = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sums:
    """What some sessions used together."""

    sessions: int = 0
    """Those that have time in the month."""
    running_seconds: int = 0
    paused_seconds: int = 0
    pauses: int = 0
    resumes: int = 0

    @property
    def running_hours(self) -> float:
        """The time awake."""
        return self.running_seconds / _HOUR

    @property
    def paused_hours(self) -> float:
        """The time asleep."""
        return self.paused_seconds / _HOUR

    @property
    def asleep(self) -> float:
        """The share of the time that was slept, from 0 to 1; 0 where there is no time."""
        whole = self.running_seconds + self.paused_seconds
        return self.paused_seconds / whole if whole else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """What one hour costs, as the caller says."""

    running: float
    paused: float
    currency: str = ""

    def cost(self, sums: Sums) -> float:
        """Give what the time cost."""
        return sums.running_hours * self.running + sums.paused_hours * self.paused

    def saved(self, sums: Sums) -> float:
        """Give what the paused hours would have cost running, less what they cost paused."""
        return sums.paused_hours * (self.running - self.paused)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grouping:
    """By what the sessions are grouped."""

    heading: str
    of: Callable[[Mapping[str, Any]], str]
    """Gives the group of an AgbSession."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Report:
    """What the sessions used."""

    heading: str
    """Names the groups."""
    month: str
    """Such as 2026-11, of UTC."""
    at: datetime
    """Until when the time is counted that is still open."""
    groups: Sequence[tuple[str, Sums]]
    total: Sums = Sums()
    months: Sequence[tuple[str, Sums]] = ()
    """All months from the first that is known to the present one."""
    not_counted: int = 0
    """AgbSessions whose operator has not counted them yet."""
    rates: Rates | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Sleeper:
    """A session that sleeps."""

    namespace: str
    name: str
    session_id: str
    since: datetime
    why: str


@dataclass(kw_only=True, slots=True)
class _Tally:
    """Sums in the making."""

    sessions: int = 0
    running: int = 0
    paused: int = 0
    pauses: int = 0
    resumes: int = 0

    def add(self, used: UsageMonth) -> None:
        """Add a month of one session."""
        self.sessions += 1
        self.running += used.running_seconds
        self.paused += used.paused_seconds
        self.pauses += used.pauses
        self.resumes += used.resumes

    def sums(self) -> Sums:
        return Sums(
            sessions=self.sessions,
            running_seconds=self.running,
            paused_seconds=self.paused,
            pauses=self.pauses,
            resumes=self.resumes,
        )


def report(
    bodies: Iterable[Mapping[str, Any]],
    *,
    grouping: Grouping,
    month: str,
    now: datetime,
    sort: str,
    rates: Rates | None,
) -> Report:
    """Add up what AgbSessions used in a month; `sort` names a column."""
    by_group: dict[str, _Tally] = defaultdict(_Tally)
    by_month: dict[str, _Tally] = defaultdict(_Tally)
    total, not_counted = _Tally(), 0
    for body in bodies:
        usage = usage_from_dict(body.get("status"))
        if usage is None:
            not_counted += 1
            continue
        for used in until(usage, now).months:
            by_month[used.month].add(used)
            if used.month == month:
                by_group[grouping.of(body)].add(used)
                total.add(used)
    groups = [(name, by_group[name].sums()) for name in sorted(by_group)]
    if sort != GROUP:
        groups.sort(key=lambda entry: -_sorted_by(sort, entry[1], rates))
    first = min(by_month, default=month)
    return Report(
        heading=grouping.heading,
        month=month,
        at=now,
        groups=groups,
        total=total.sums(),
        months=[(name, by_month[name].sums()) for name in kept_months(now) if name >= first],
        not_counted=not_counted,
        rates=rates,
    )


GROUP: Final = "group"
MONEY: Final = ("cost", "saved")
"""What can be sorted by only with rates. Numbers are sorted from the greatest on, groups by their names."""


def _sorted_by(column: str, sums: Sums, rates: Rates | None) -> float:
    if rates is not None and column in MONEY:
        return rates.cost(sums) if column == "cost" else rates.saved(sums)
    return {
        "sessions": sums.sessions,
        "running": sums.running_seconds,
        "paused": sums.paused_seconds,
        "asleep": sums.asleep,
        "pauses": sums.pauses,
    }[column]


def sleepers(bodies: Iterable[Mapping[str, Any]], *, longer_than: timedelta, now: datetime) -> list[Sleeper]:
    """Give the sessions that have slept at least so long, the longest first."""
    found = []
    for body in bodies:
        status, meta = status_from_dict(body.get("status")), body["metadata"]
        since = _asleep_since(status)
        if since is not None and now - since >= longer_than:
            found.append(
                Sleeper(
                    namespace=meta["namespace"],
                    name=meta["name"],
                    session_id=status.session_id,
                    since=since,
                    why=status.why,
                )
            )
    return sorted(found, key=lambda sleeper: (sleeper.since, sleeper.namespace, sleeper.name))


def _asleep_since(status: SessionStatus) -> datetime | None:
    """Give since when a session sleeps; the earlier of two words, as each may be younger than the pause.

    The usage may have been counted for the first time while it slept, and the condition moves when a look fails.
    """
    if status.paused.status != Truth.TRUE:
        return None
    told = [parse_timestamp(status.paused.last_transition_time)]
    if status.usage is not None and status.usage.state == UsageState.PAUSED:
        told.append(status.usage.counted_until)
    return min((moment for moment in told if moment is not None), default=None)


def amount(number: float) -> str:
    """Write hours or money for people: whole numbers where they are large."""
    if abs(number) < 0.005:
        return "0"
    return f"{number:,.2f}" if abs(number) < 10 else f"{number:,.1f}" if abs(number) < 100 else f"{number:,.0f}"


def share(sums: Sums) -> str:
    """Write the share that was slept."""
    return f"{100 * sums.asleep:.0f} %"


def usage_cells(sums: Sums) -> list[str]:
    """Write what was used for people: sessions, hours running and paused, the share that was slept, pauses."""
    return [
        f"{sums.sessions:,}",
        amount(sums.running_hours),
        amount(sums.paused_hours),
        share(sums),
        f"{sums.pauses:,}",
    ]


def money_cells(found: Report, sums: Sums) -> list[str]:
    """Write what it cost and what was saved; nothing without rates."""
    rates = found.rates
    return [] if rates is None else [amount(rates.cost(sums)), amount(rates.saved(sums))]


def notes(found: Report) -> list[str]:
    """Say what a reader has to know of the numbers."""
    said = []
    if found.not_counted:
        said.append(
            f"not counted yet: {found.not_counted:,}. An operator that counts writes each once, within five minutes."
        )
    if found.rates is not None:
        said.append("SAVED is what the paused hours would have cost running, less what they cost paused.")
    return [*said, "Deleted AgbSessions are not in it."]
