"""What is done to each contender, and what is taken down of it.

One trial runs one contender at one size through all scenarios, in an order in which each leaves behind what the next
needs. A contender that cannot finish a scenario in time has its progress noted, and the trial goes on if it can.
"""

import asyncio
import json
import logging
import math
import time
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any, Final

from .fleet import Fleet
from .stage import Counts, Stage

logger = logging.getLogger(__name__)

Result = dict[str, Any]
SPACING: Final = 0.3
"""Seconds between the starts of two of them."""
RATE: Final = 50.0
"""Requests a second that AGB allows in scenario (e)."""
_QUIET: Final = 1.5
"""Seconds without a write after which everything has been written, the Events that follow the statuses included."""
_CALLS: Final = ("pauseSessionAsync", "resumeSessionAsync")


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """`settled` is how long scenario (d) lasts, `deadline` how long any other may take, both in seconds.

    `samples` is how many single flips scenario (c) does, each way.
    """

    settled: float = 300.0
    deadline: float = 900.0
    samples: int = 100


class Trial:
    """One contender at one size."""

    def __init__(self, stage: Stage, *, scenarios: str, limits: Limits) -> None:
        self._stage = stage
        self._scenarios = scenarios
        self._limits = limits
        self.results: dict[str, Result] = {}

    async def run(self) -> dict[str, Result]:
        """Run the chosen scenarios; a letter of `scenarios` each."""
        if not self._stage.contender.watches:
            await self._loop_scenarios()
            return self.results
        if not await self.note("adopt", self.adopt()):
            return self.results
        if set("acd") & set(self._scenarios):
            await self.note("a", self.cold_start())
            if "d" in self._scenarios:
                await self.note("d", self._settled())
            if "c" in self._scenarios:
                await self.note("c", self.single_flips())
            self._stage.stop()
        if "b" in self._scenarios:
            if not await self.note("b", self.flips_at_once()):
                return self.results
            if not await self.note("b-warm", self.flips_while_running()):
                return self.results
        if "e" in self._scenarios:
            self._stage.limit_rate(RATE)
            await self.note("e", self.flips_at_once())
        return self.results

    async def note(self, name: str, work: Coroutine[Any, Any, Result]) -> bool:
        """Keep the result of a scenario, and log it; tells whether the contender has finished it."""
        began = time.monotonic()
        result = self.results[name] = await work
        took = time.monotonic() - began
        where = f"{self._stage.contender.name}, {self._stage.size}"
        logger.info("%s: (%s) in %.1f s: %s", where, name, took, _short(result))
        if not self._stage.running and not result.get("finished"):
            logger.warning("%s: (%s): %s", where, name, self._stage.complaint())
        return bool(result.get("finished", True))

    async def adopt(self) -> Result:
        """The first start: every AgbSession is new and gets its first status."""
        async with Fleet(self._stage.user) as fleet:
            result = await self._from_start(fleet, self._stage.size)
        self._stage.stop()
        return result

    async def cold_start(self) -> Result:
        """Start beside a settled fleet, and patch the AgbSession that comes last in every list."""
        stage = self._stage
        async with Fleet(stage.user) as fleet:
            last = max(stage.sessions)
            since = stage.counting()
            await stage.user.pause(last, True)
            seen = stage.requests_so_far()
            started = stage.start()
            called_at = await self._call_for(stage.sessions[last], since=seen)
            await self._settle(fleet, stage.size)
            finished = len(fleet.settled_at) == stage.size
            await stage.user.pause(last, False)
            await asyncio.sleep(0.1)
            await self._settle(fleet, stage.size)
            usage, counts = stage.usage(), since()
            return {
                "finished": finished and called_at is not None,
                "seconds_to_first_call": None if called_at is None else called_at - started,
                "cpu": usage.cpu,
                "rss": usage.rss,
                "peak": usage.peak,
                "counts": asdict(counts),
            }

    async def _settled(self) -> Result:
        """Do nothing for a while."""
        await asyncio.sleep(5.0)
        since = self._stage.counting()
        began = time.monotonic()
        await asyncio.sleep(self._limits.settled)
        seconds = time.monotonic() - began
        counts, usage = since(), self._stage.usage()
        return {
            "seconds": seconds,
            "cpu_share": counts.cpu / seconds,
            "rss": usage.rss,
            "peak": usage.peak,
            "counts": asdict(counts),
        }

    async def single_flips(self) -> Result:
        """Pause some AgbSessions one after the other, and resume them, while all others are settled."""
        stage = self._stage
        names = list(stage.sessions)
        samples = self._limits.samples
        chosen = names[:: max(1, len(names) // samples)][:samples]
        to_call: list[float] = []
        to_settled: list[float] = []
        lost = 0
        since = stage.counting()
        async with Fleet(stage.user) as fleet:
            for paused in (True, False):
                seen = stage.requests_so_far()
                sent: dict[str, float] = {}
                for name in chosen:
                    sent[name] = time.time()
                    await stage.user.pause(name, paused)
                    await asyncio.sleep(SPACING)
                await self._settle(fleet, stage.size, within=60.0)
                calls = self._first_calls(seen)
                for name, at in sent.items():
                    called, settled = calls.get(stage.sessions[name]), fleet.settled_at.get(name)
                    if called is None or settled is None:
                        lost += 1
                        continue
                    to_call.append(called - at)
                    to_settled.append(settled - at)
        return {
            "flips": len(to_call),
            "lost": lost,
            "to_call": _spread(to_call),
            "to_settled": _spread(to_settled),
            "counts": asdict(since()),
        }

    async def flips_at_once(self, *, paused: bool = True) -> Result:
        """Start beside a fleet that all asks to be paused, or resumed."""
        stage = self._stage
        await stage.user.pause_all(stage.sessions, paused)
        async with Fleet(stage.user) as fleet:
            result = await self._from_start(fleet, stage.size)
        return {**result, "paused_at_agb": stage.control.stats()["sessions"].get("PAUSED", 0)}

    async def flips_while_running(self, *, paused: bool = False) -> Result:
        """Resume or pause all while the contender runs, as fast as the API server takes the patches."""
        stage = self._stage
        since = stage.counting()
        sent: dict[str, float] = {}
        async with Fleet(stage.user) as fleet:
            began = time.time()
            await stage.user.pause_all(stage.sessions, paused, sent)
            patched = time.time()
            await self._settle(fleet, stage.size)
            counts = await self._last_writes(since)
            took = [fleet.settled_at[name] - at for name, at in sent.items() if name in fleet.settled_at]
            result = self._flip_result(counts, took, began=began, ended=max(fleet.settled_at.values(), default=began))
        stage.stop()
        return {**result, "seconds_of_patching": patched - began}

    async def _from_start(self, fleet: Fleet, count: int, *arguments: str) -> Result:
        stage = self._stage
        since = stage.counting()
        started = stage.start(*arguments)
        await self._settle(fleet, count)
        ended = max(fleet.settled_at.values(), default=started)
        took = [at - started for at in fleet.settled_at.values()]
        return self._flip_result(await self._last_writes(since), took, began=started, ended=ended)

    async def _last_writes(self, since: Callable[[], Counts]) -> Counts:
        """Wait until nothing more is written; returns what was done until then."""
        deadline = time.monotonic() + self._limits.deadline
        counts = since()
        while self._stage.running and time.monotonic() < deadline:
            await asyncio.sleep(_QUIET)
            before, counts = counts, since()
            if counts.writes == before.writes:
                break
        return counts

    def _flip_result(self, counts: Counts, took: list[float], *, began: float, ended: float) -> Result:
        size, usage = self._stage.size, self._stage.usage() if self._stage.running else None
        calls = sum(counts.calls.values())
        return {
            "finished": len(took) == size,
            "flips": len(took),
            "wall": ended - began,
            "seconds_to_last_write": counts.last_write - began,
            "latency": _spread(took),
            "slowest_to_median": max(took) / median(took) if took else None,
            "writes_per_flip": sum(counts.writes.values()) / size,
            "calls_per_flip": calls / size,
            "cpu_ms_per_flip": counts.cpu * 1000 / size,
            "rss": usage.rss if usage else None,
            "peak": usage.peak if usage else None,
            "counts": asdict(counts),
        }

    async def _settle(self, fleet: Fleet, count: int, within: float | None = None) -> None:
        """Wait until so many are settled, the contender has ended, or time is up."""
        deadline = time.monotonic() + (within or self._limits.deadline)
        while time.monotonic() < deadline and self._stage.running:
            if await fleet.all_settled(count, within=0.5):
                return

    async def _call_for(self, session_id: str, *, since: int) -> float | None:
        """Wait for the first call that moves a session; returns the time of day at which AGB had it."""
        deadline = time.monotonic() + self._limits.deadline
        while time.monotonic() < deadline and self._stage.running:
            called = self._first_calls(since).get(session_id)
            if called is not None:
                return called
            await asyncio.sleep(0.05)
        return None

    def _first_calls(self, since: int) -> dict[str, float]:
        calls: dict[str, float] = {}
        for entry in self._stage.control.requests(since=since):
            if entry.endpoint in _CALLS and entry.applied and entry.session_id is not None:
                calls.setdefault(entry.session_id, entry.wall_time)
        return calls

    async def _loop_scenarios(self) -> None:
        for name, action, rate in (("b", "pause", None), ("b-warm", "resume", None), ("e", "pause", RATE)):
            if name[0] in self._scenarios:
                self._stage.limit_rate(rate)
                await self.note(name, self._loop(action))

    async def _loop(self, action: str) -> Result:
        """Let a contender without Kubernetes pause or resume all sessions; it ends when it is done."""
        stage = self._stage
        since = stage.counting()
        goal = "PAUSED" if action == "pause" else "RUNNING"
        started = stage.start(action, *stage.sessions.values())
        deadline = time.monotonic() + self._limits.deadline
        cpu = 0.0
        while stage.running and time.monotonic() < deadline:
            cpu = stage.cpu() or cpu
            await asyncio.sleep(0.1)
        wall = time.time() - started
        reached = stage.control.stats()["sessions"].get(goal, 0)
        counts = since()
        stage.stop()
        return {
            "finished": reached == stage.size,
            "flips": reached,
            "wall": wall,
            "calls_per_flip": sum(counts.calls.values()) / stage.size,
            "cpu_ms_per_flip": cpu * 1000 / stage.size,
            "counts": asdict(counts),
        }


def _spread(values: list[float]) -> dict[str, float] | None:
    """Give median, 99th percentile (nearest rank) and maximum."""
    if not values:
        return None
    ranked = sorted(values)
    return {"p50": median(ranked), "p99": ranked[math.ceil(0.99 * len(ranked)) - 1], "max": ranked[-1]}


def _short(result: Result) -> str:
    shown = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in result.items()
        if value is not None
    }
    return json.dumps(shown)
