"""What docs/reliability.md says cannot be ruled out from outside: what is seen of it is as it says."""

import asyncio

import pytest

from agb_simulator.effects import LostAnswer
from integration.world import KEY, NAMESPACE, World

pytestmark = pytest.mark.looptime


async def test_a_create_that_takes_effect_after_its_resource_is_gone_is_counted_and_left_alone() -> None:
    async with World() as world:
        world.apply("another", sessionId=world.control.add_session(KEY))
        world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
        world.apply(imageId="agb-code-space-1")
        await world.until(lambda: world.calls("createSession") == 1)
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        assert len(world.live()) == 1
        await asyncio.sleep(1500.0)

        assert len(world.live()) == 2
        assert "agb_sessions_without_resource 1.0" in world.operator.parts.metrics.page()[0].decode().splitlines()
        assert world.calls("releaseSessionAsync") == 0


@pytest.mark.parametrize(
    ("away", "operation", "reasons"),
    [
        pytest.param(0.0, "Pause", ["Paused"], id="the next process comes while AGB is at it"),
        pytest.param(10.0, "", [], id="AGB is done before the next process comes"),
    ],
)
async def test_after_a_kill_between_an_answer_and_the_status_the_state_is_right(
    away: float, operation: str, reasons: list[str]
) -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        world.patch(paused=True)
        await world.until(lambda: world.calls("pauseSessionAsync") == 1, every=0.0001)
        await world.restart(after=away)
        await world.ready("Paused")
        await asyncio.sleep(30.0)

        assert (world.status()["phase"], world.condition("Paused")["status"]) == ("Paused", "True")
        assert world.status().get("lastOperation", {}).get("type", "") == operation
        assert [event.reason for event in world.cluster.events] == reasons
        assert world.calls("pauseSessionAsync") == 1
