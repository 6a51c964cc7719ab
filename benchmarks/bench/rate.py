"""What is measured of the rate that AGB allows: limits of several sizes, one that changes, a queue, two keys.

All of it is part of `make rate-table` and runs with default settings. The same fleet is paused and resumed in turn, so
that one control plane serves for many runs.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agb_simulator.effects import Effect, HttpError
from agb_simulator.limits import Capacity, RateLimit
from agb_simulator.requestlog import Entry

from .contenders import Contender
from .fleet import Fleet
from .scenarios import Limits, Trial
from .stage import KEY, OTHER_KEY, Stage

Result = dict[str, Any]
Runs = dict[str, Result]
CAPACITY: Final = 100.0
"""Requests a second that the endpoint serves which queues the rest."""
SHARES: Final = (200.0, 20.0, 200.0)
"""What the limit that changes is, one after the other, in requests a second."""
_SETTLE_IN: Final = 30.0
"""Seconds that a change of the limit gets until the new rate has to be found."""
_WINDOW: Final = 5.0
_AT_FIRST: Final = 10.0
"""Seconds after the start whose refusals do not count."""
_TIMEOUT: Final = 20.0
"""Seconds after which the operator gives up a look."""
_OURS: Final = 150.0
"""Seconds that the operator gets for all flips under a limit."""
_THEIRS: Final = 60.0
"""The same for the baseline, which does not finish: more than the goals, so that it shows."""
_STRANGERS: Final = 4
"""One session of the refused key for so many of the other."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limit:
    """A limit on the requests of a key, and whether its refusals say when to come back."""

    per_second: float
    says_when: bool

    @property
    def name(self) -> str:
        """Its key among the runs."""
        return f"e {self.per_second:g}" + (" Retry-After" if self.says_when else "")

    @property
    def effect(self) -> Effect:
        """The simulator's fault."""
        return RateLimit(per_second=self.per_second, retry_after=1.0 if self.says_when else None)


class Runner:
    """Runs parts on one stage, and keeps which way the fleet flips next."""

    def __init__(self, stage: Stage, *, deadline: float = 600.0, samples: int = 100) -> None:
        self._stage = stage
        self._trial = Trial(stage, scenarios="", limits=Limits(deadline=deadline, samples=samples))
        self._paused = False

    @property
    def runs(self) -> Runs:
        """What was measured, by its name."""
        return self._trial.results

    async def without_limit(self) -> None:
        """Flip all, found at the start, and all while it runs."""
        await self._trial.note("adopt", self._trial.adopt())
        await self._trial.note("b", self._found_at_start())
        self._paused = not self._paused
        await self._trial.note("b-warm", self._trial.flips_while_running(paused=self._paused))

    async def limited(self, limits: Sequence[Limit], *, within: float) -> None:
        """Flip all under each limit, one after the other; each may take so many seconds."""
        for limit in limits:
            await self._under(limit.name, limit.effect, within=within)

    async def queueing(self) -> None:
        """Flip all at an endpoint of fixed capacity that queues."""
        await self._under("queue", Capacity(per_second=CAPACITY), within=600.0)

    async def two_keys(self) -> None:
        """Flip all while a second key, which has sessions of its own, is refused all the time."""
        stage = self._stage
        refused = stage.control.add_fault(HttpError(status=429), key=OTHER_KEY)
        ids = stage.control.add_sessions(OTHER_KEY, count=max(1, stage.size // _STRANGERS))
        await stage.user.create_secrets({"other": OTHER_KEY})
        await stage.user.create({f"other-{number:06}": each for number, each in enumerate(ids)}, secret="other")
        await self._trial.note("keys", self._found_at_start())
        stage.stop()
        stage.control.remove_fault(refused)

    async def large(self, *, singles: bool) -> None:
        """Flip all while it runs, and one after the other beside a settled fleet."""
        await self._trial.note("adopt", self._trial.adopt())
        await self._trial.note("a", self._trial.cold_start())
        if singles:
            await self._trial.note("c", self._trial.single_flips())
        self._paused = not self._paused
        await self._trial.note("b-warm", self._trial.flips_while_running(paused=self._paused))

    async def changing(self) -> None:
        """Change the limit while all flip."""
        await self._trial.note("change", self._changing())
        self._stage.stop()

    async def _found_at_start(self) -> Result:
        self._paused = not self._paused
        return await self._trial.flips_at_once(paused=self._paused)

    async def _under(self, name: str, effect: Effect, *, within: float) -> None:
        stage = self._stage
        stage.stop()
        fault = stage.control.add_fault(effect, key=None if isinstance(effect, Capacity) else KEY)
        seen, began = stage.requests_so_far(), time.time()
        trial = Trial(stage, scenarios="", limits=Limits(deadline=within))
        self._paused = not self._paused
        finished = await trial.note(name, trial.flips_at_once(paused=self._paused))
        entries = stage.control.requests(since=seen)
        result = trial.results[name]
        result |= _refusals(entries) | (_queue(entries, flips=stage.size) if isinstance(effect, Capacity) else {})
        self.runs[name] = result
        stage.control.remove_fault(fault)
        if not finished:
            await self._finish(since=began)
        stage.stop()

    async def _finish(self, *, since: float) -> None:
        """Let all become settled without a limit, so that the next run starts with all of them."""
        async with Fleet(self._stage.user) as fleet:
            await fleet.all_settled(self._stage.size, within=max(60.0, time.time() - since))

    async def _changing(self) -> Result:
        stage = self._stage
        self._paused = not self._paused
        await stage.user.pause_all(stage.sessions, self._paused)
        seen, served = stage.requests_so_far(), []
        async with Fleet(stage.user) as fleet:
            for number, per_second in enumerate(SHARES):
                fault = stage.control.add_fault(Limit(per_second=per_second, says_when=True).effect, key=KEY)
                if number == 0:
                    stage.start()
                    await _first_call(stage, since=seen)
                await asyncio.sleep(_SETTLE_IN if number else _AT_FIRST)
                since = time.time()
                await asyncio.sleep(_WINDOW)
                served.append((since, since + _WINDOW))
                stage.control.remove_fault(fault)
            left = stage.size - len(fleet.settled_at)
            await fleet.all_settled(stage.size, within=300.0)
            lost = stage.size - len(fleet.settled_at)
        entries = stage.control.requests(since=seen)
        return {
            "finished": lost == 0,
            "served": [_per_second(entries, *window) for window in served],
            "left_at_the_end": left,
            "lost": lost,
            **_refusals(entries),
        }


Work = Callable[[Runner], Awaitable[None]]
PARTS: Final = ("fleet", "small", "created", "large")


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """How many AgbSessions: under the slowest limit, in most parts, and where the size is what counts."""

    few: int = 300
    many: int = 2000
    most: int = 10_000


async def run_part(part: str, *, operator: Contender, baseline: Contender, sizes: Sizes) -> list[Result]:
    """Run one of `PARTS`; returns contender, size and runs of each stage."""
    fast = [Limit(per_second=each, says_when=says) for each in (50.0, 200.0) for says in (True, False)]
    slow = [Limit(per_second=10.0, says_when=says) for says in (True, False)]

    def limited(limits: Sequence[Limit], within: float) -> Work:
        async def work(runner: Runner) -> None:
            await runner.without_limit()
            await runner.limited(limits, within=within)

        return work

    async def all_of_it(runner: Runner) -> None:
        await limited(fast, _OURS)(runner)
        await runner.queueing()
        await runner.two_keys()

    async def large(runner: Runner) -> None:
        await runner.large(singles=True)
        await runner.changing()

    async def baseline_large(runner: Runner) -> None:
        await runner.large(singles=False)

    stages: dict[str, list[tuple[Contender, int, Work, bool]]] = {
        "fleet": [
            (operator, sizes.many, all_of_it, False),
            (baseline, sizes.many, limited(fast[::2], _THEIRS), False),
        ],
        "small": [
            (operator, sizes.few, limited(slow, _OURS), False),
            (baseline, sizes.few, limited(slow[:1], _THEIRS), False),
        ],
        "created": [
            (operator, sizes.many, limited(fast, _OURS), True),
            (operator, sizes.few, limited(slow, _OURS), True),
        ],
        "large": [(operator, sizes.most, large, False), (baseline, sizes.most, baseline_large, False)],
    }
    return [await _on_stage(*each) for each in stages[part]]


async def _on_stage(contender: Contender, size: int, work: Work, created: bool) -> Result:
    async with Stage(contender, size, created=created) as stage:
        runner = Runner(stage)
        await work(runner)
    return {"contender": contender.name, "size": size, "created": created, "scenarios": runner.runs}


async def _first_call(stage: Stage, *, since: int) -> None:
    """Wait for the first call that changed something."""
    deadline = time.monotonic() + 120.0
    while time.monotonic() < deadline:
        if any(entry.applied for entry in stage.control.requests(since=since)):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"no call in two minutes: {stage.complaint()}")


def _refusals(entries: Sequence[Entry]) -> Result:
    """Count the refused calls from ten seconds after the first one on."""
    since = entries[0].wall_time + _AT_FIRST if entries else 0.0
    late = [entry for entry in entries if entry.wall_time >= since]
    return {"late_calls": len(late), "late_refused": sum(entry.limited for entry in late)}


def _queue(entries: Sequence[Entry], *, flips: int) -> Result:
    """Say how much of the capacity was used, but for two seconds at both ends, and how slow the answers were."""
    answered = [entry.wall_time + entry.delay for entry in entries]
    since, until = min(answered) + 2.0, min(answered) + flips / CAPACITY - 2.0
    served = sum(since < at <= until for at in answered) / (until - since) if until > since else None
    return {
        "capacity_used": None if served is None else served / CAPACITY,
        "slowest_call": max(entry.delay for entry in entries),
        "timed_out": sum(entry.delay >= _TIMEOUT for entry in entries),
    }


def _per_second(entries: Sequence[Entry], since: float, until: float) -> float:
    """Give how many calls a second were let through in a time."""
    return sum(since < entry.wall_time <= until and not entry.limited for entry in entries) / (until - since)
