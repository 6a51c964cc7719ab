"""Clocks of two machines differ: no span between them stops anything."""

import asyncio
from datetime import datetime, timedelta

import pytest

from integration.world import KEY, World
from simulated import wall

pytestmark = pytest.mark.looptime


@pytest.mark.parametrize("hours", [-2, 2])
async def test_a_pause_that_fell_back_is_asked_again_after_a_fail_over_to_another_clock(hours: int) -> None:
    ahead = timedelta(hours=0)

    def clock() -> datetime:
        return wall() + ahead

    async with World(wall=clock, transition=60.0) as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.patch(paused=True)
        await world.until(lambda: world.calls("pauseSessionAsync") == 1)
        ahead = timedelta(hours=hours)
        world.control.set_status(session_id, "RUNNING")
        await world.restart()

        await world.until(lambda: world.calls("pauseSessionAsync") == 2, within=60.0)
        await world.ready("Paused")
        assert asyncio.get_running_loop().time() < 600
