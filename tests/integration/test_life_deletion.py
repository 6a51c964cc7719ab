"""A deletion ends in every case, or says what it waits for and how to let go."""

import asyncio
from typing import Any

import pytest

from agb_simulator.effects import BusinessError, HttpError, Ignored, NeverEnds
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"
WAYS_OUT = (
    "To delete the resource and leave the session alone, set spec.deletionPolicy to Retain "
    'or annotate the resource with agb.cloud/abandon="true".'
)


async def started(world: World, *, paused: bool = False, **spec: Any) -> str:
    """Create a session; returns its id."""
    world.apply(imageId=IMAGE, paused=paused, **spec)
    await world.ready("Paused" if paused else "Running")
    return str(world.status()["sessionId"])


async def gone(world: World, *, within: float = 120.0) -> None:
    await world.until(lambda: not world.exists(), within=within)
    world.assert_clean()


async def blocked(world: World, *, within: float = 900.0) -> str:
    """Wait until the deletion says that it is blocked; returns the message."""
    await world.until(lambda: world.condition("Stalled").get("reason") == "DeletionBlocked", within=within)
    message = str(world.condition("Stalled")["message"])
    assert message.endswith(WAYS_OUT)
    assert world.status()["phase"] == "Deleting"
    return message


@pytest.mark.parametrize("seconds", [5.0, 300.0], ids=["FINISH is shown", "not found at once"])
async def test_a_release_is_over_when_agb_says_so_in_either_way(seconds: float) -> None:
    async with World() as world:
        world.control.configure(finish_for=0.0 if seconds > 100 else seconds)
        session_id = await started(world)
        world.cluster.delete(NAMESPACE, "s")
        await gone(world)
        assert world.live() == []
        assert [e.message for e in world.cluster.events if e.reason == "Released"] == [
            f"Session {session_id} is released."
        ]


async def test_a_release_that_agb_refuses_is_tried_again_and_then_said_to_be_blocked() -> None:
    async with World() as world:
        await started(world, timeout="1m")
        world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
        world.cluster.delete(NAMESPACE, "s")
        message = await blocked(world)
        assert "Releasing the session failed: AGB failed to serve releaseSessionAsync (HTTP 500" in message
        world.control.clear_faults()
        await gone(world, within=330.0)
        assert world.live() == []


@pytest.mark.parametrize("effect", [NeverEnds(), Ignored()], ids=["it never ends", "it never begins"])
async def test_a_release_that_comes_to_nothing_is_said_to_be_blocked(effect: NeverEnds | Ignored) -> None:
    async with World() as world:
        session_id = await started(world, timeout="1m")
        world.control.add_fault(effect, endpoint="releaseSessionAsync")
        world.cluster.delete(NAMESPACE, "s")
        message = await blocked(world)
        assert "spec.timeout" in message
        world.control.clear_faults()
        if isinstance(effect, NeverEnds):
            world.control.set_status(session_id, "FINISH")
        await gone(world, within=700.0)


async def test_a_paused_session_that_cannot_be_resumed_blocks_its_deletion_and_says_why() -> None:
    async with World() as world:
        await started(world, paused=True)
        refusal = BusinessError(code="QuotaExceeded.Session", message="too many running sessions")
        world.control.add_fault(refusal, endpoint="resumeSessionAsync")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: "too many running sessions" in str(world.status()))
        await blocked(world, within=1200.0)
        world.control.clear_faults()
        await gone(world)
        assert world.live() == []


@pytest.mark.parametrize("way", ["Retain", "abandon"])
async def test_both_ways_out_let_go_at_once_without_agb_and_without_the_secret(way: str) -> None:
    async with World() as world:
        session_id = await started(world, timeout="1m")
        world.control.add_fault(HttpError(status=503))
        world.cluster.delete(NAMESPACE, "s")
        await blocked(world)
        del world.cluster.secrets[NAMESPACE, SECRET]
        await world.restart()
        requests = len(world.control.requests())
        if way == "Retain":
            world.patch(deletionPolicy="Retain")
        else:
            world.cluster.annotate(NAMESPACE, "s", abandon="true")
        await world.until(lambda: not world.exists(), within=2.0)
        assert len(world.control.requests()) == requests
        assert world.control.session(session_id)["live"]


async def test_a_resource_that_retains_its_session_has_no_finalizer_and_goes_without_the_operator() -> None:
    async with World() as world:
        session_id = await started(world, deletionPolicy="Retain", paused=True)
        assert not world.session().finalizers
        await world.operator.kill()
        world.cluster.delete(NAMESPACE, "s")
        assert not world.exists()
        world.operator.start()
        assert world.control.session(session_id)["status"] == "PAUSED"


async def test_the_finalizer_follows_the_policy() -> None:
    async with World() as world:
        session_id = await started(world)
        assert world.session().has_finalizer
        world.patch(deletionPolicy="Retain")
        await world.until(lambda: not world.session().has_finalizer)
        world.patch(deletionPolicy="Delete")
        await world.until(lambda: world.session().has_finalizer)
        world.cluster.delete(NAMESPACE, "s")
        await gone(world)
        assert not world.control.session(session_id)["live"]


async def test_a_deletion_while_the_operator_is_down_is_carried_out_when_it_is_back() -> None:
    async with World() as world:
        await started(world, paused=True)
        await world.operator.kill()
        world.cluster.delete(NAMESPACE, "s")
        await asyncio.sleep(3600.0)
        assert world.exists()
        world.operator.start()
        await gone(world)
        assert world.live() == []
        assert world.calls("resumeSessionAsync") == world.calls("releaseSessionAsync") == 1


async def test_a_session_that_was_released_by_somebody_is_no_obstacle() -> None:
    async with World() as world:
        session_id = await started(world)
        world.control.act(session_id, "vanish")
        world.cluster.delete(NAMESPACE, "s")
        await gone(world, within=15.0)
        assert [e.message for e in world.cluster.events if e.reason == "Released"] == [
            f"Session {session_id} was gone already."
        ]
        assert world.calls("releaseSessionAsync") == 0


async def test_the_secret_may_go_first_because_the_last_good_key_is_kept() -> None:
    async with World() as world:
        await started(world, paused=True)
        del world.cluster.secrets[NAMESPACE, SECRET]
        await world.ready("CredentialsMissing", within=180.0)
        world.cluster.delete(NAMESPACE, "s")
        await gone(world)
        assert world.live() == []


async def test_a_restart_after_the_secret_has_gone_needs_the_secret_or_a_way_out() -> None:
    async with World() as world:
        await started(world)
        del world.cluster.secrets[NAMESPACE, SECRET]
        world.cluster.objects[NAMESPACE, "s"]["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
        await world.restart()
        message = await blocked(world, within=60.0)
        assert f"Secret {SECRET} does not exist in namespace {NAMESPACE}" in message
        await asyncio.sleep(600.0)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        await gone(world, within=60.0)
        assert world.live() == []


async def test_the_same_name_again_within_a_second_gets_a_session_of_its_own() -> None:
    async with World() as world:
        old = await started(world)
        uid = world.session().uid
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists(), every=0.001)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        new = world.status()["sessionId"]
        assert (new != old, world.session().uid != uid) == (True, True)
        assert [session["sessionId"] for session in world.live()] == [new]
        assert world.control.session(new)["labels"]["agb-operator-uid"] == world.session().uid


async def test_the_same_name_again_while_the_operator_is_down_gets_a_session_of_its_own() -> None:
    async with World() as world:
        session_id = await started(world, deletionPolicy="Retain")
        await world.operator.kill()
        world.cluster.delete(NAMESPACE, "s")
        world.apply(imageId=IMAGE, deletionPolicy="Retain", paused=True)
        world.operator.start()
        await world.ready("Paused")
        assert world.control.session(session_id)["status"] == "RUNNING", "it was let go of"
        assert len(world.live()) == 2
