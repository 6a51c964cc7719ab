"""What an interrupted create has left is ended, and never stands in the way of what the user asked for."""

import asyncio

import pytest

from agb_simulator.effects import HttpError, LostAnswer
from integration.world import NAMESPACE, World

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"


async def with_a_late_create(world: World) -> None:
    """Create a session whose first createSession seemed lost and takes effect later, too."""
    world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
    world.apply(imageId=IMAGE)
    await world.ready("Running")


def reasons(world: World) -> list[str]:
    return [event.reason for event in world.cluster.events]


async def test_a_pause_is_carried_out_while_the_look_up_of_duplicates_fails() -> None:
    async with World() as world:
        await with_a_late_create(world)
        lists = world.control.add_fault(HttpError(status=500), endpoint="ListSession")
        await asyncio.sleep(60)
        world.patch(paused=True)

        await world.ready("Paused", within=60.0)
        assert world.calls("pauseSessionAsync") == 1
        assert world.status()["mayHaveDuplicates"]

        world.control.remove_fault(lists)
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        await world.until(lambda: "mayHaveDuplicates" not in world.status(), within=60.0)
        world.assert_clean()


async def test_a_duplicate_that_cannot_be_released_is_no_failure_of_the_session() -> None:
    async with World() as world:
        await with_a_late_create(world)
        refused = world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
        await world.until(lambda: len(world.live()) == 2)
        before = world.calls("releaseSessionAsync")
        await asyncio.sleep(1200)

        assert (world.condition("Ready")["status"], world.status()["phase"]) == ("True", "Running")
        assert reasons(world).count("DuplicateNotEnded") == 1
        assert 2 <= world.calls("releaseSessionAsync") - before <= 15, "tried again, slowly"

        world.control.remove_fault(refused)
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        assert "DuplicateReleased" in reasons(world)
        world.assert_clean()


async def test_a_duplicate_is_not_forgotten_over_a_pause_and_a_restart() -> None:
    async with World() as world:
        await with_a_late_create(world)
        world.patch(paused=True)
        await world.ready("Paused")
        await world.restart()

        await world.until(lambda: len(world.live()) == 2)
        await world.until(lambda: len(world.live()) == 1, within=200.0)
        assert world.live()[0]["sessionId"] == world.status()["sessionId"]
        world.assert_clean()


async def test_a_deletion_ends_the_duplicate_too() -> None:
    async with World() as world:
        await with_a_late_create(world)
        await world.until(lambda: len(world.live()) == 2)
        world.cluster.delete(NAMESPACE, "s")

        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()
        world.assert_clean()
