"""What changes while a pass is under way, and what a pass may not forget; the whole operator in virtual time."""

import asyncio
from collections import Counter

import pytest

from agb_operator.model.resource import ObjectKey
from agb_simulator.effects import Delay, LostAnswer, StatusValue
from integration.world import KEY, NAMESPACE, World

pytestmark = pytest.mark.looptime


async def running(world: World, name: str = "s", **spec: object) -> str:
    session_id = str(spec.pop("sessionId", "")) or world.control.add_session(KEY)
    world.apply(name, sessionId=session_id, **spec)
    await world.ready("Running", name)
    await asyncio.sleep(5)  # the first round of the resync is over: what comes next is a look of the resource's own
    return session_id


async def shows_running(world: World, *, seconds: float) -> None:
    """Let AGB call its sessions RUNNING for some time, whatever they are."""
    stale = world.control.add_fault(StatusValue(status="RUNNING"))
    await asyncio.sleep(seconds)
    world.control.remove_fault(stale)


async def test_who_takes_a_pause_back_during_the_look_sees_no_pause() -> None:
    async with World() as world:
        await running(world)
        world.control.add_fault(Delay(seconds=3.0), count=1)
        world.patch(paused=True)
        await asyncio.sleep(1.5)
        world.patch(paused=False)
        await world.ready("Running")
        await asyncio.sleep(10)
        assert world.calls("pauseSessionAsync") == 0


async def test_a_resource_that_learns_during_its_look_of_an_older_manager_calls_nothing() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply("older", sessionId=session_id, managementPolicy="Observe")
        await world.ready("Observed", "older")
        await running(world, "younger", sessionId=session_id)
        world.control.add_fault(Delay(seconds=3.0), count=1)
        world.patch("younger", paused=True)
        await asyncio.sleep(1.5)
        world.patch("older", managementPolicy="Manage")
        await world.ready("SessionConflict", "younger")
        assert world.calls("pauseSessionAsync") == 0
        world.assert_clean()


async def test_a_release_whose_answer_was_lost_is_not_repeated_on_a_stale_look() -> None:
    async with World() as world:
        await running(world, deletionPolicy="Delete")
        world.control.add_fault(LostAnswer(), endpoint="releaseSessionAsync", count=1)
        world.cluster.delete(NAMESPACE, "s")
        await shows_running(world, seconds=4.0)
        await world.until(lambda: not world.exists())
        assert world.calls("releaseSessionAsync") == 1
        world.assert_clean()


async def test_a_conflict_is_got_over_at_once_although_the_watch_lags_behind() -> None:
    async with World() as world:
        session_id = await running(world)
        world.cluster.watch_delay = 600.0
        world.cluster.annotate(NAMESPACE, "s", of_somebody_else="1")
        world.control.act(session_id, "pause")
        await world.until(lambda: world.calls("resumeSessionAsync") == 1)
        await world.until(lambda: world.status()["phase"] == "Resuming", within=5.0)
        await world.ready("Running")
        world.assert_clean()


async def test_a_call_refused_for_the_state_is_not_repeated_on_a_stale_look() -> None:
    async with World(transition=3.0) as world:
        session_id = await running(world)
        world.control.act(session_id, "pause")
        world.patch(paused=True)
        await shows_running(world, seconds=4.0)
        await world.ready("Paused")
        assert world.calls("pauseSessionAsync") == 1, "AGB has refused it once"


async def test_labels_that_go_there_and_back_while_a_status_meets_a_conflict_are_set_as_they_are_asked_for() -> None:
    async with World() as world:
        world.apply(imageId="agb-code-space-1", labels={"team": "a"})
        await world.ready("Running")
        world.cluster.watch_delay = 0.5
        world.patch(labels={"team": "b"})
        await world.until(lambda: world.calls("SetLabel") == 1, every=0.0005)
        world.patch(labels={"team": "a"})  # before the status could say what was sent

        await asyncio.sleep(60.0)
        assert world.control.session(world.status()["sessionId"])["labels"]["team"] == "a"
        assert world.status()["labels"] == {"team": "a"}


async def edited_without_end(world: World, name: str, *, seconds: float, **spec: object) -> None:
    for number in range(int(seconds * 100)):
        world.patch(name, timeout=f"{number + 20}s", **spec)
        await asyncio.sleep(0.01)


async def test_whoever_edits_without_end_has_no_look_at_agb_for_each_edit() -> None:
    async with World() as world:
        world.control.add_sessions(KEY, count=20_000)  # no list is cheaper than a look
        await running(world)
        world.control.configure(latency=0.05)
        before = world.calls("getSession")
        await edited_without_end(world, "s", seconds=20.0, paused=True)

        assert world.calls("getSession") - before <= 70, "twenty edits at once, then one a second"
        await world.ready("Paused", within=10.0)


async def test_whoever_edits_without_end_has_no_pass_of_a_neighbour_for_each_edit() -> None:
    async with World() as world:
        session_id = await running(world, "a")
        world.apply("b", sessionId=session_id)
        await world.ready("SessionConflict", "b")
        passes: Counter[str] = Counter()
        reconcile = world.operator.parts.workers.reconcile

        async def counting(key: ObjectKey) -> float | None:
            passes[key.name] += 1
            return await reconcile(key)

        world.operator.parts.workers.reconcile = counting
        await edited_without_end(world, "a", seconds=20.0)
        assert passes["b"] <= 70, "twenty edits at once, then one a second"

        world.patch("a", managementPolicy="Observe")
        await world.ready("Running", "b", within=10.0)
