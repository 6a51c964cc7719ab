"""AGB is protected from us, and no resource waits for another one's trouble; the whole operator in virtual time."""

import asyncio
import statistics

import pytest

from agb_simulator.effects import HttpError
from integration.world import KEY, World
from simulated import loop_time

pytestmark = pytest.mark.looptime

FLEET = 500
SERVED_WITHIN = 90.0
"""Seconds after the end of a trouble until what was asked for is done, the transition included."""


async def test_of_500_flips_at_once_the_slowest_waits_less_than_three_times_the_median() -> None:
    async with World(transition=1.0) as world:
        world.control.configure(latency=0.02, rate_limit=100.0)
        names = [f"s{number}" for number in range(FLEET)]
        for name, session_id in zip(names, world.control.add_sessions(KEY, count=FLEET), strict=True):
            world.apply(name, sessionId=session_id, pollInterval="1s")
        for name in names:
            await world.ready("Running", name, within=600)
        flipped = loop_time()
        for name in names:
            world.patch(name, paused=True)
        waits: dict[str, float] = {}

        def settled() -> bool:
            for name in names:
                if name not in waits and world.reason(name) == "Paused":
                    waits[name] = loop_time() - flipped
            return len(waits) == FLEET

        await world.until(settled, within=600, every=0.1)
        assert max(waits.values()) < 3 * statistics.median(waits.values())
        world.assert_clean()


async def test_retry_after_holds_the_whole_key() -> None:
    async with World() as world:
        for name in ("a", "b", "c"):
            world.apply(name, sessionId=world.control.add_session(KEY))
            await world.ready("Running", name)
        world.control.add_fault(HttpError(status=429, retry_after=30.0), endpoint="pauseSessionAsync", count=1)
        world.patch("a", paused=True)
        await world.until(lambda: world.calls("pauseSessionAsync") == 1)
        blocked_at, requests = loop_time(), world.control.stats()["requests"]
        world.patch("b", paused=True)
        world.patch("c", paused=True)
        await world.until(lambda: world.control.stats()["requests"] > requests)
        assert loop_time() - blocked_at >= 30.0
        for name in ("a", "b", "c"):
            await world.ready("Paused", name)


async def test_a_dead_endpoint_is_asked_now_and_then_and_not_by_everybody() -> None:
    async with World() as world:
        names = [f"s{number}" for number in range(50)]
        for name in names:
            world.apply(name, sessionId=world.control.add_session(KEY))
            await world.ready("Running", name)
        fault = world.control.add_fault(HttpError(status=503, html=True))
        before = world.control.stats()["requests"]
        for name in names:
            world.patch(name, paused=True)
        died = loop_time()
        await world.until(lambda: loop_time() > died + 120, within=200)
        # Without the breaker each of the fifty would have asked some eight times by now.
        assert world.control.stats()["requests"] - before < 50
        world.control.remove_fault(fault)
        mended = loop_time()
        for name in names:
            await world.ready("Paused", name, within=400)
        assert loop_time() - mended < SERVED_WITHIN
        world.assert_clean()


@pytest.mark.parametrize("minutes", [1, 5, 30])
async def test_a_single_session_is_served_soon_after_a_dead_endpoint_has_come_back(minutes: int) -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        fault = world.control.add_fault(HttpError(status=503, html=True))
        world.patch(paused=True)
        died = loop_time()
        while loop_time() - died < 60 * minutes:
            await asyncio.sleep(7)  # patches, each of which is a reason to try at once, do not lengthen the back-off
            world.patch(paused=loop_time() // 7 % 2 == 0)
        world.patch(paused=True)
        world.control.remove_fault(fault)
        mended = loop_time()
        await world.ready("Paused", within=400)
        assert loop_time() - mended < SERVED_WITHIN
        world.assert_clean()


async def test_a_refused_key_is_hardly_asked_and_serves_again_within_minutes_of_its_return() -> None:
    async with World() as world:
        names = [f"s{number}" for number in range(20)]
        for name in names:
            world.apply(name, sessionId=world.control.add_session(KEY))
            await world.ready("Running", name)
        world.control.revoke_key(KEY)
        before = world.control.stats()["requests"]
        for name in names:
            world.patch(name, paused=True)
        for name in names:
            await world.ready("CredentialsInvalid", name)
        refused = loop_time()
        await world.until(lambda: loop_time() > refused + 120, within=200)
        assert world.control.stats()["requests"] - before < len(names)
        world.control.add_key(KEY)
        for name in names:
            await world.ready("Paused", name, within=400)
        world.assert_clean()


async def test_however_few_calls_are_allowed_no_pass_that_waits_for_its_turn_is_taken_for_a_hung_one() -> None:
    async with World(qps=0.05, resync=36000.0) as world:
        names = [f"s{number}" for number in range(20)]
        for name in names:
            world.apply(name, sessionId=world.control.add_session(KEY), paused=True)
        for name in names:
            await world.ready("Paused", name, within=7200)
        assert 'reason="Unforeseen"} 0.0' in world.operator.parts.metrics.page()[0].decode()
        world.assert_clean()
