"""A look may be older than it says; what was called last is remembered although nothing was written about it."""

from itertools import pairwise

import pytest

from agb_operator.model.errors import Conflict
from agb_simulator.effects import Delay, LostAnswer, StaleRead
from integration.world import KEY, World

pytestmark = pytest.mark.looptime


async def test_a_pause_whose_answer_was_lost_is_not_repeated_on_a_stale_look() -> None:
    async with World(transition=3.0) as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.add_fault(LostAnswer(), endpoint="pauseSessionAsync", count=1)
        world.control.add_fault(StaleRead(seconds=2.0), session_id=session_id)
        world.patch(paused=True)
        await world.ready("Paused")
        assert world.calls("pauseSessionAsync") == 1
        world.assert_clean()


async def test_a_pause_whose_report_met_a_conflict_is_not_repeated_on_a_stale_look() -> None:
    async with World(transition=3.0) as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.add_fault(StaleRead(seconds=2.0), session_id=session_id)
        world.cluster.fail = [Conflict("somebody was faster", http_status=409)]
        world.patch(paused=True)
        await world.ready("Paused")
        assert not world.cluster.fail
        assert world.calls("pauseSessionAsync") == 1
        world.assert_clean()


async def test_looks_follow_each_other_in_the_poll_interval_however_old_their_answers_are() -> None:
    async with World(transition=9.0) as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.add_fault(Delay(seconds=1.5), endpoint="getSession")
        world.patch(paused=True)
        await world.ready("Paused")
        world.assert_clean()
        (paused_at,) = [e.time for e in world.control.requests() if e.endpoint == "pauseSessionAsync"]
        looks = [e.time for e in world.control.requests() if e.endpoint == "getSession" and e.time > paused_at]
    assert [after - before for before, after in pairwise(looks)] == pytest.approx([2.0] * (len(looks) - 1), abs=0.1)
    assert len(looks) >= 4
