"""What schedules cost: a fleet at rest under five of them, and one edge that puts all of it to sleep.

    make edges
    EDGE_N=2000 EDGE_REST=60 make edges

Everything is the operator's default but the lease. The figures of docs/performance.md come from it.
"""

import asyncio
import logging
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bench.contenders import operator
from bench.fleet import Fleet
from bench.stage import Counts, Stage

SIZE: Final = int(os.environ.get("EDGE_N", "10000"))
REST: Final = float(os.environ.get("EDGE_REST", "300"))
DEADLINE: Final = 1800.0
NIGHTS: Final = {"pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}
"""What four of the five schedules say, for labels that no session has."""


def minute(number: int) -> datetime:
    """Give the beginning of the minute so many after this one."""
    return datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=number)


def window(begin: datetime) -> dict[str, Any]:
    """Give a schedule of one long window, for all sessions."""
    bounds = {"from": f"{begin:%Y-%m-%dT%H:%M}", "to": "2099-01-01T00:00"}
    return {"selector": {}, "timeZone": "UTC", "windows": [bounds]}


async def settled(stage: Stage, fleet: Fleet) -> float:
    """Wait until all are settled; returns the time of day."""
    began = time.monotonic()
    while not await fleet.all_settled(stage.size, within=1.0):
        if time.monotonic() - began > DEADLINE or not stage.running:
            raise RuntimeError(f"{len(fleet.settled_at)} of {stage.size} settled: {stage.complaint()}")
    return max(fleet.settled_at.values())


async def asleep(stage: Stage) -> None:
    """Wait until AGB holds all of them paused, and no status is on its way any more."""
    began = time.monotonic()
    while stage.control.stats()["sessions"].get("PAUSED", 0) < stage.size:
        if time.monotonic() - began > DEADLINE or not stage.running:
            raise RuntimeError(f"{stage.control.stats()['sessions']}: {stage.complaint()}")
        await asyncio.sleep(0.5)


def told(title: str, seconds: float, counts: Counts) -> None:
    """Print what was counted."""
    print(
        f"{title}: {seconds:.1f} s, {counts.cpu:.2f} s of CPU; writes {dict(counts.writes)}; calls {dict(counts.calls)}"
    )


async def quiet(since: Any) -> Counts:
    """Wait until nothing has been written for a while."""
    counts: Counts = since()
    while True:
        await asyncio.sleep(12.0)
        before, counts = counts, since()
        if counts.writes == before.writes:
            return counts


async def main() -> None:
    """Measure."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    async with Stage(operator(), SIZE) as stage:
        for number in range(4):
            spec = {"selector": {"matchLabels": {"team": f"t{number}"}}, "timeZone": "Europe/Berlin", **NIGHTS}
            await stage.user.create_schedule(f"nights-{number}", spec)
        await stage.user.create_schedule("edge", window(datetime(2098, 1, 1, tzinfo=UTC)))
        async with Fleet(stage.user) as fleet:
            stage.start()
            await settled(stage, fleet)
        await asyncio.sleep(30.0)
        since = stage.counting()
        await asyncio.sleep(REST)
        counts = since()
        told(f"{SIZE:,} sessions and 5 schedules at rest", REST, counts)
        print(f"  {counts.cpu / REST * 100:.2f} % of a core, {stage.usage().rss:.0f} MiB")
        begin = minute(2 if SIZE > 5000 else 1)
        await stage.user.replace_schedule("edge", window(begin))
        since = stage.counting()
        await asyncio.sleep(max(0.0, begin.timestamp() - time.time() - 1.0))
        told("the edit of the schedule", 0.0, since())
        since, seen = stage.counting(), stage.requests_so_far()
        await asleep(stage)
        ended = time.time()
        calls = [e.wall_time for e in stage.control.requests(since=seen) if e.endpoint == "pauseSessionAsync"]
        counts = await quiet(since)
        told(f"one edge of {SIZE:,}", ended - begin.timestamp(), counts)
        print(f"  first call {min(calls) - begin.timestamp():.2f} s after the edge, {len(calls):,} calls")
        print(f"  {counts.cpu * 1000 / SIZE:.2f} ms of CPU a session, peak {stage.usage().peak:.0f} MiB")


if __name__ == "__main__":
    asyncio.run(main())
