"""Resources that come back from a backup: no session runs on unseen, and none is ended that may hold work."""

import asyncio
from typing import Any

import pytest

from integration.world import KEY, NAMESPACE, World

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"
TWO_ROUNDS = 700.0


async def lost_with_the_cluster(world: World) -> dict[str, Any]:
    """Create a resource and lose it as a cluster is lost; gives it as a backup has it."""
    world.apply(imageId=IMAGE)
    await world.ready("Running")
    body = world.cluster.objects.pop((NAMESPACE, "s"))
    await world.restart()
    return body


def events(world: World, reason: str) -> list[str]:
    return [event.message for event in world.cluster.events if event.reason == reason]


def nobodys(world: World) -> float | None:
    return next((sample.value for sample in world.samples("agb_sessions_without_resource")), None)


async def test_the_session_of_a_resource_restored_without_its_status_is_told_of_and_not_ended() -> None:
    async with World() as world:
        backup = await lost_with_the_cluster(world)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        first = backup["status"]["sessionId"]
        await asyncio.sleep(TWO_ROUNDS)

        assert first in world.condition("Ready")["message"]
        assert len(events(world, "SessionLeftBehind")) == 1
        assert f"spec.sessionId {first}" in events(world, "SessionLeftBehind")[0]
        assert nobodys(world) == 1
        assert len(world.live()) == 2
        writes = len(world.cluster.status_writes)
        await asyncio.sleep(TWO_ROUNDS)
        assert len(world.cluster.status_writes) == writes

        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        world.apply(sessionId=first)
        await world.ready("Running")
        await asyncio.sleep(TWO_ROUNDS)
        assert [s["sessionId"] for s in world.live()] == [first]
        assert nobodys(world) == 0
        assert world.condition("Ready")["message"] == "The session is running, as asked."


async def test_a_status_restored_while_the_operator_runs_leaves_one_session_the_restored_one() -> None:
    async with World() as world:
        backup = await lost_with_the_cluster(world)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        first, second = backup["status"]["sessionId"], world.status()["sessionId"]
        world.cluster.objects[NAMESPACE, "s"]["status"] = backup["status"]
        world.cluster.touch(NAMESPACE, "s")
        await asyncio.sleep(TWO_ROUNDS)

        assert [s["sessionId"] for s in world.live()] == [first]
        assert world.status()["sessionId"] == first
        assert [second in text for text in events(world, "DuplicateReleased")] == [True]
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        assert not world.live()
        world.assert_clean()


async def test_sessions_of_no_resource_are_counted_and_named_once_where_the_cluster_has_a_name_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    labels = {"agb-operator-uid": "uid-gone", "agb-operator-namespace": "ml", "agb-operator-name": "gone"}
    for cluster, count in (("test", 1.0), ("kubernetes", None)):
        async with World(cluster_name=cluster) as world:
            world.apply(sessionId=world.control.add_session(KEY))
            world.control.add_session(KEY, labels={**labels, "agb-operator-cluster": cluster})
            world.control.add_session(KEY, labels={**labels, "agb-operator-cluster": "elsewhere"})
            caplog.clear()
            await asyncio.sleep(2 * TWO_ROUNDS)

            assert nobodys(world) == count
            assert len(world.live()) == 3
            told = [line for line in caplog.messages if "belongs to no AgbSession: it was created for ml/gone" in line]
            assert len(told) == (count or 0)
