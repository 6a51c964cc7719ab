"""Whatever phase a resource is in, it may be deleted or flipped, and the operator may be restarted.

One row of docs/lifecycle.md is one test here or in test_matrix_faults.py.
"""

import pytest

from agb_operator.model.status import Phase
from integration.matrix import FOREIGN_WORD, PHASES, bring, give_key, new_world, statuses
from integration.world import NAMESPACE, World

pytestmark = pytest.mark.looptime
CHANGING = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync", "SetLabel")


def changes(world: World) -> dict[str, int]:
    """Count the calls that change a session, by endpoint."""
    return {endpoint: count for endpoint in CHANGING if (count := world.calls(endpoint))}


async def gone(world: World) -> None:
    await world.until(lambda: not world.exists(), within=300.0)
    world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_deleted(phase: Phase) -> None:
    async with new_world() as world:
        session_id = await bring(world, phase)
        before = changes(world)
        world.cluster.delete(NAMESPACE, "s")
        if phase == Phase.UNKNOWN:
            await world.until(lambda: world.condition("Stalled").get("reason") == "DeletionBlocked")
            assert "deletionPolicy to Retain" in world.condition("Stalled")["message"]
            assert changes(world) == before, "in a status that is not known no call is legal"
            world.control.set_status(session_id, "RUNNING")
        await gone(world)
        assert world.live() == []
        made = {endpoint: count - before.get(endpoint, 0) for endpoint, count in changes(world).items()}
        done = {endpoint: count for endpoint, count in made.items() if count}
        release = {"releaseSessionAsync": 1}
        assert done == {
            Phase.PENDING: {},
            Phase.PAUSING: {"resumeSessionAsync": 1, **release},
            Phase.PAUSED: {"resumeSessionAsync": 1, **release},
            Phase.DELETING: {},
            Phase.LOST: {},
        }.get(phase, release)


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_flipped(phase: Phase) -> None:
    async with new_world() as world:
        session_id = await bring(world, phase)
        before = changes(world)
        pausing = not world.session().paused
        world.patch(paused=pausing)
        goal = "Paused" if pausing else "Running"
        await world.until(lambda: phase == Phase.DELETING or world.status()["desiredState"] == goal)
        if phase == Phase.DELETING:
            await gone(world)
            assert (world.live(), changes(world)) == ([], before)
            return
        if phase == Phase.LOST:
            await world.ready("SessionNotFound")
            assert changes(world) == before, "a session that is gone is neither paused nor replaced"
            return
        if phase == Phase.PENDING:
            give_key(world)
        if phase == Phase.UNKNOWN:
            assert changes(world) == before, "in a status that is not known no call is legal"
            world.control.set_status(session_id, "RUNNING")
        await world.ready(goal)
        assert statuses(world) == [goal.upper()]
        assert world.calls("createSession") == 1
        if phase == Phase.PAUSING:
            assert (world.calls("pauseSessionAsync"), world.calls("resumeSessionAsync")) == (1, 1)
        world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_restarted(phase: Phase) -> None:
    async with new_world() as world:
        await bring(world, phase)
        before = changes(world)
        events = len(world.cluster.events)
        await world.restart()
        if phase == Phase.DELETING:
            await gone(world)
            assert (world.live(), changes(world)) == ([], before), "an accepted release is not repeated"
            return
        if phase == Phase.PENDING:
            give_key(world)
        goal = {Phase.PAUSING: "Paused", Phase.PAUSED: "Paused", Phase.LOST: "SessionNotFound"}.get(phase, "Running")
        if phase == Phase.UNKNOWN:
            goal = "UnexpectedState"
        await world.until(lambda: world.calls("getSession") + world.calls("ListSession") > 0)
        await world.ready(goal)
        word = {"Paused": "PAUSED", "Running": "RUNNING", "UnexpectedState": FOREIGN_WORD}
        assert statuses(world) == ([word[goal]] if goal in word else [])
        if phase == Phase.PENDING:
            assert changes(world) == {"createSession": 1}
        else:
            assert changes(world) == before, "what was accepted is not repeated"
        if phase in (Phase.RUNNING, Phase.PAUSED, Phase.LOST, Phase.UNKNOWN):
            assert len(world.cluster.events) == events, "a restart tells nothing new"
        world.assert_clean()
