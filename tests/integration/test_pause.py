"""Pause and resume with all real parts in virtual time."""

import pytest

from integration.world import World

pytestmark = pytest.mark.looptime


async def test_a_patch_pauses_and_another_resumes() -> None:
    async with World(transition=3.0) as world:
        session_id = world.control.add_session(key="simulator-key-a")
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.cluster.status_writes.clear()
        world.cluster.events.clear()
        world.patch(paused=True)
        await world.ready("Paused")
        assert len(world.cluster.status_writes) == 2
        assert [event.reason for event in world.cluster.events] == ["Paused"]
        assert world.calls("pauseSessionAsync") == 1
        world.patch(paused=False)
        await world.ready("Running")
        assert world.calls("resumeSessionAsync") == 1
        world.assert_clean()


async def test_a_created_session_is_born_paused_and_released_with_its_resource() -> None:
    async with World() as world:
        world.apply(imageId="agb-code-space-1", paused=True)
        await world.ready("Paused")
        assert len(world.live()) == 1
        world.cluster.delete("ml", "s")
        await world.until(lambda: not world.exists())
        assert world.live() == []
        world.assert_clean()
