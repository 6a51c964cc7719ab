"""A replica whose lease has run out sends nothing more, wherever it was in its work when that happened."""

import asyncio

import pytest

from agb_simulator.effects import HttpError
from integration.world import KEY, World

pytestmark = pytest.mark.looptime

LONG = 600.0


async def test_without_the_lease_nothing_is_asked_called_or_written() -> None:
    async with World() as world:
        world.apply(imageId="agb-code-space-1", deletionPolicy="Delete")
        world.apply("gone", imageId="agb-code-space-1", deletionPolicy="Delete")
        await world.ready("Running")
        await world.ready("Running", "gone")
        world.schedule(selector={}, pauseAt="5 0 * * *", resumeAt="8 0 * * *")
        await world.until(lambda: world.cluster.schedule_writes)
        requests, writes = world.control.stats()["requests"], len(world.cluster.status_writes)
        world.cluster.schedule_writes.clear()
        world.leads = False
        world.patch(paused=True)
        world.apply("other", imageId="agb-code-space-1")
        world.cluster.delete("ml", "gone")
        await asyncio.sleep(LONG)
        assert world.control.stats()["requests"] == requests
        assert len(world.cluster.status_writes) == writes
        assert world.cluster.schedule_writes == [], "not at its edges either"
        assert world.exists("gone")


async def test_a_call_that_waits_for_its_turn_is_not_sent_once_the_lease_has_run_out() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        world.control.add_fault(HttpError(status=429, retry_after=2.0), endpoint="pauseSessionAsync", count=1)
        world.patch(paused=True)
        await world.until(lambda: world.calls("pauseSessionAsync"))
        world.leads = False
        await asyncio.sleep(LONG)
        assert world.calls("pauseSessionAsync") == 1


async def test_what_a_call_has_led_to_is_not_written_once_the_lease_has_run_out() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.configure(latency=5.0)
        world.patch(paused=True)
        await world.until(lambda: world.calls("pauseSessionAsync"))
        writes = len(world.cluster.status_writes)
        world.leads = False
        await asyncio.sleep(LONG)
        assert world.control.session(session_id)["status"] == "PAUSED"
        assert len(world.cluster.status_writes) == writes
