"""How long sessions ran and slept, lived through: cycles, restarts, clocks that are set, an upgrade, two leaders."""

import asyncio
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import pytest

from agb_operator.model.status import UsageMonth
from agb_operator.policy.usage import total, until
from integration.world import KEY, NAMESPACE, World
from simulated import EPOCH, loop_time, wall

pytestmark = pytest.mark.looptime

PAUSE, RESUME = "pauseSessionAsync", "resumeSessionAsync"
TRANSITION = 1.0
"""Seconds that a pause or resume takes in the simulator, unless told otherwise."""
NEAR = 2.0
"""Seconds by which a transition may be noticed late."""


async def adopted(world: World, name: str = "s", **spec: Any) -> str:
    """Adopt a running session and wait until it is settled."""
    session_id = world.control.add_session(KEY)
    world.apply(name, sessionId=session_id, **spec)
    await world.ready("Observed" if spec.get("managementPolicy") else "Running", name)
    return session_id


def used(world: World, name: str = "s") -> UsageMonth:
    """Give what a reader adds up now."""
    usage = world.session(name).status.usage
    assert usage is not None
    return total(until(usage, wall()))


def begun(world: World) -> float:
    """Give when the session was first counted as running, in seconds of the world."""
    usages = [write["usage"] for write in world.cluster.status_writes if "usage" in write]
    first = next(usage for usage in usages if usage["state"] == "Running")
    return (datetime.fromisoformat(first["countedUntil"]) - EPOCH).total_seconds()


def by_the_log(world: World, *, since: float, transition: float = TRANSITION) -> tuple[float, float]:
    """Give the seconds awake and asleep until now, as the simulator's log tells them."""
    awake, asleep, at, sleeps = 0.0, 0.0, since, False
    for entry in world.control.requests():
        if not entry.applied or entry.endpoint not in (PAUSE, RESUME):
            continue
        moment = entry.time + (transition if entry.endpoint == PAUSE else 0.0)
        awake, asleep = (awake, asleep + moment - at) if sleeps else (awake + moment - at, asleep)
        at, sleeps = moment, entry.endpoint == PAUSE
    rest = loop_time() - at
    return (awake, asleep + rest) if sleeps else (awake + rest, asleep)


async def passes(world: World, phase: str) -> None:
    await world.until(lambda: world.status().get("phase") == phase)


async def flip(world: World, *, paused: bool, lasts: float) -> None:
    world.patch(paused=paused)
    await world.ready("Paused" if paused else "Running")
    await asyncio.sleep(lasts)


async def test_three_cycles_are_counted_within_two_seconds_a_transition_and_cost_no_write_more() -> None:
    async with World() as world:
        await adopted(world)
        start = begun(world)
        await asyncio.sleep(300)
        written = len(world.cluster.status_writes)
        for asleep, awake in ((600, 120), (3600, 900), (47, 1800)):
            await flip(world, paused=True, lasts=asleep)
            await flip(world, paused=False, lasts=awake)

        awake_log, asleep_log = by_the_log(world, since=start)
        usage = used(world)
        assert usage.running_seconds == pytest.approx(awake_log, abs=6 * NEAR)
        assert usage.paused_seconds == pytest.approx(asleep_log, abs=6 * NEAR)
        assert (usage.pauses, usage.resumes) == (3, 3)
        assert len(world.cluster.status_writes) - written == 12  # two for each flip


@pytest.mark.parametrize("phase", ["Running", "Pausing", "Paused", "Resuming"])
async def test_a_restart_in_each_state_loses_nothing(phase: str) -> None:
    async with World(transition=30.0) as world:
        await adopted(world)
        start = begun(world)
        await asyncio.sleep(100)
        for paused, passing in ((True, "Pausing"), (False, "Resuming")):
            world.patch(paused=paused)
            await passes(world, passing)
            if phase == passing:
                await world.restart(after=3.0)
            await world.ready("Paused" if paused else "Running")
            await asyncio.sleep(500)
            if phase == world.status()["phase"]:
                await world.restart(after=60.0)
                await asyncio.sleep(500)

        awake, asleep = by_the_log(world, since=start, transition=30.0)
        usage = used(world)
        assert usage.running_seconds + usage.paused_seconds == pytest.approx(loop_time() - start, abs=1.0)
        assert usage.running_seconds == pytest.approx(awake, abs=2 * NEAR + 3.0)
        assert usage.paused_seconds == pytest.approx(asleep, abs=2 * NEAR + 3.0)
        assert (usage.pauses, usage.resumes) == (1, 1)


async def test_a_settled_fleet_writes_nothing_for_its_usage() -> None:
    async with World() as world:
        for name in ("a", "b", "c"):
            await adopted(world, name)
        written = len(world.cluster.status_writes)
        await asyncio.sleep(36000)

        assert len(world.cluster.status_writes) == written
        assert used(world, "a").running_seconds == pytest.approx(36000, abs=10)


async def test_after_an_upgrade_each_session_is_written_once_spread_over_a_round_and_never_again() -> None:
    names = [f"s-{number}" for number in range(30)]
    async with World() as world:
        for name in names:
            await adopted(world, name)
        await world.restart()
        for name in names:
            del world.cluster.objects[NAMESPACE, name]["status"]["usage"]
        world.cluster.status_writes.clear()
        await world.restart()

        await asyncio.sleep(30)
        assert 5 < len(world.cluster.status_writes) < 25
        await asyncio.sleep(40)
        assert len(world.cluster.status_writes) == 30
        assert all(world.status(name)["usage"]["months"] == [] for name in names)
        await asyncio.sleep(3600)
        assert len(world.cluster.status_writes) == 30


async def test_an_observed_session_is_counted_as_it_is_seen() -> None:
    async with World() as world:
        session_id = await adopted(world, managementPolicy="Observe")
        await asyncio.sleep(1000)
        world.control.set_status(session_id, "PAUSED")
        await asyncio.sleep(1000)

        usage = used(world)
        assert usage.running_seconds == pytest.approx(1000, abs=70)
        assert usage.paused_seconds == pytest.approx(1000, abs=70)
        assert usage.pauses == 1


async def test_a_lost_session_counts_as_nothing_from_the_moment_that_is_noticed() -> None:
    async with World() as world:
        session_id = await adopted(world)
        await asyncio.sleep(1000)
        world.control.set_status(session_id, "FINISH")
        await world.ready("SessionNotFound")
        counted = used(world)
        await asyncio.sleep(5000)

        assert used(world) == counted
        assert world.status()["usage"]["state"] == "None"


class Hands:
    """A time of day that can be set."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return wall() + self.ahead


def closed(world: World) -> Mapping[str, Any]:
    """Give what is counted in the status, all months in one."""
    months = world.status()["usage"]["months"]
    return {field: sum(month[field] for month in months) for field in ("runningSeconds", "pausedSeconds")}


@pytest.mark.parametrize("restarts", [False, True])
async def test_of_a_jump_ahead_the_difference_is_left_out_and_told(
    restarts: bool, caplog: pytest.LogCaptureFixture
) -> None:
    hands = Hands()
    async with World(wall=hands) as world:
        await adopted(world)
        start = begun(world)
        await asyncio.sleep(500)
        if restarts:
            await world.restart()
        hands.ahead = timedelta(days=40)
        await asyncio.sleep(500)
        await flip(world, paused=True, lasts=300)
        first = closed(world)
        hands.ahead = timedelta(days=80)
        await flip(world, paused=False, lasts=10)

        assert first["runningSeconds"] == pytest.approx(1000 - start, abs=5)
        assert closed(world)["pausedSeconds"] == pytest.approx(300, abs=5)
        told = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING and "jumped ahead" in r.message]
        assert len(told) == 2


async def test_a_clock_set_back_counts_nothing() -> None:
    hands = Hands()
    async with World(wall=hands) as world:
        hands.ahead = timedelta(hours=5)
        await adopted(world)
        await asyncio.sleep(500)
        hands.ahead = timedelta()
        await flip(world, paused=True, lasts=300)
        assert closed(world)["runningSeconds"] == 0
        await flip(world, paused=False, lasts=10)

        assert closed(world)["pausedSeconds"] == pytest.approx(300, abs=5)


def counters(world: World) -> Mapping[str, float]:
    """Read agb_session_seconds_total of the operator that runs now."""
    return {sample.labels["state"]: sample.value for sample in world.samples("agb_session_seconds_total")}


async def test_the_counters_of_two_leaders_in_turn_add_up_to_what_the_statuses_tell() -> None:
    async with World() as world:
        await adopted(world)
        await adopted(world, "other")
        await asyncio.sleep(400)
        await flip(world, paused=True, lasts=500)
        first = counters(world)
        await world.restart()
        await asyncio.sleep(200)
        await flip(world, paused=False, lasts=100)
        second = counters(world)
        one, other = used(world), used(world, "other")

        for state, seconds in (
            ("Running", one.running_seconds + other.running_seconds),
            ("Paused", one.paused_seconds + other.paused_seconds),
        ):
            assert first[state] + second[state] == pytest.approx(seconds, abs=5)


async def test_a_deleted_session_stays_in_the_counters_and_tells_its_totals_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    async with World() as world:
        await adopted(world)
        await asyncio.sleep(1000)
        await flip(world, paused=True, lasts=500)
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        await asyncio.sleep(100)
        before = counters(world)
        await asyncio.sleep(1000)

        assert counters(world) == before
        assert before["Running"] == pytest.approx(1000, abs=5)
        assert before["Paused"] == pytest.approx(500, abs=5)
        (line,) = [r.getMessage() for r in caplog.records if "is gone" in r.getMessage()]
        assert line.startswith(f"{NAMESPACE}/s: is gone; since 2026-01 its session ran for 100")
        assert line.endswith("(pauses: 1, resumes: 0)")
