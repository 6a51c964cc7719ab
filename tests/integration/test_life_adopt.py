"""Adopted and observed sessions: who manages one that several name, and who calls nothing at all."""

import asyncio
from typing import Any

import pytest

from agb_operator.model.errors import ClusterUnavailable
from fakes import FakeCluster
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime
CREDENTIALS = {"secretRef": {"name": SECRET}}
OTHER = "other"
"""A second namespace."""


def changes(world: World) -> int:
    """Count the calls that change a session."""
    calls = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync", "SetLabel")
    return sum(world.calls(endpoint) for endpoint in calls)


def reason_in(world: World, namespace: str, name: str = "s") -> str:
    """Give the reason of Ready of a resource in any namespace."""
    conditions = world.cluster.status(namespace, name).get("conditions", ())
    return next((str(c["reason"]) for c in conditions if c["type"] == "Ready"), "")


def apply_in(world: World, namespace: str, key: str, **spec: Any) -> None:
    """Apply a resource in another namespace, whose Secret holds `key`."""
    world.cluster.put_secret(namespace, SECRET, apiKey=key)
    world.cluster.apply(namespace, "s", {"credentials": CREDENTIALS, **spec})


def two_who_disagree(world: World) -> str:
    """Apply two resources that name one session, the younger one with another wish; returns the session's id."""
    session_id = world.control.add_session(KEY)
    world.apply("old", sessionId=session_id)
    world.apply("young", sessionId=session_id, paused=True)
    return session_id


async def test_the_older_of_two_manages_and_the_other_says_who_does() -> None:
    async with World() as world:
        session_id = two_who_disagree(world)
        await world.ready("Running", "old")
        await world.ready("SessionConflict", "young")
        assert world.condition("Ready", "young")["message"] == (
            f"Session {session_id} is managed by AgbSession ml/old, which is older. "
            "Delete one of the two, or set spec.managementPolicy to Observe here."
        )
        assert world.condition("Stalled", "young")["reason"] == "SessionConflict"
        assert world.condition("Paused", "young")["status"] == "Unknown"
        await asyncio.sleep(600.0)
        assert changes(world) == 0, "two who want opposite things do not fight"


async def test_the_other_takes_over_when_the_winner_is_deleted() -> None:
    async with World() as world:
        two_who_disagree(world)
        await world.ready("SessionConflict", "young")
        world.cluster.delete(NAMESPACE, "old")
        await world.ready("Paused", "young", within=10.0)
        assert world.condition("Stalled", "young") == {}


async def test_the_other_takes_over_when_the_winner_only_observes() -> None:
    async with World() as world:
        two_who_disagree(world)
        await world.ready("SessionConflict", "young")
        world.patch("old", managementPolicy="Observe")
        await world.ready("Paused", "young", within=10.0)
        await world.ready("Observed", "old")


async def test_a_loser_that_is_deleted_leaves_the_winner_s_session_alone() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply("old", sessionId=session_id)
        world.apply("young", sessionId=session_id, deletionPolicy="Delete")
        await world.ready("SessionConflict", "young")
        world.cluster.delete(NAMESPACE, "young")
        await world.until(lambda: not world.exists("young"))
        assert world.control.session(session_id)["status"] == "RUNNING"
        assert changes(world) == 0


async def test_a_conflict_reaches_across_namespaces() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        apply_in(world, OTHER, KEY, sessionId=session_id, paused=True)
        await world.ready("Running")
        await world.until(lambda: reason_in(world, OTHER) == "SessionConflict")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: reason_in(world, OTHER) == "Paused", within=10.0)


async def test_nobody_blocks_a_stranger_s_session_by_naming_its_id() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.control.add_key("simulator-key-stranger")
        apply_in(world, OTHER, "simulator-key-stranger", sessionId=session_id, deletionPolicy="Delete", paused=True)
        await world.until(lambda: reason_in(world, OTHER) == "SessionNotFound")
        world.apply(sessionId=session_id)
        await world.ready("Running", within=10.0)
        world.cluster.delete(OTHER, "s")
        await world.until(lambda: (OTHER, "s") not in world.cluster.objects)
        await asyncio.sleep(120.0)
        assert world.control.session(session_id)["status"] == "RUNNING"
        assert changes(world) == 0


class LockedSecrets(FakeCluster):
    """A cluster in which one namespace's Secrets cannot be read at present."""

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        if namespace == OTHER:
            raise ClusterUnavailable("the API server is overloaded")
        return await super().read_secret(namespace, name)


async def test_a_claim_that_cannot_be_judged_blocks_nobody_for_long() -> None:
    async with World(cluster=LockedSecrets()) as world:
        session_id = world.control.add_session(KEY)
        apply_in(world, OTHER, KEY, sessionId=session_id)
        world.apply(sessionId=session_id, paused=True)
        await world.ready("Paused", within=60.0)


async def test_a_claim_that_cannot_be_used_blocks_nobody() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        apply_in(world, OTHER, KEY, sessionId=session_id, imageId="both-are-set-under-an-older-crd")
        world.apply(sessionId=session_id, paused=True)
        await world.ready("Paused", within=10.0)
        assert reason_in(world, OTHER) == "InvalidSpec"


async def test_an_observed_session_is_reported_and_never_called() -> None:
    async with World(transition=10.0) as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id, managementPolicy="Observe", paused=True)
        await world.ready("Observed")
        assert world.condition("Paused")["status"] == "False"
        assert "spec.paused differs and is not enforced" in world.condition("Ready")["message"]
        world.control.act(session_id, "pause")
        await world.until(lambda: world.condition("Paused")["status"] == "True")
        world.control.act(session_id, "resume")
        await world.until(lambda: world.condition("Paused")["status"] == "False")
        assert {write["conditions"][0]["reason"] for write in world.cluster.status_writes} == {"Observed"}
        world.control.act(session_id, "vanish")
        await world.ready("SessionNotFound")
        assert changes(world) == 0


async def test_observe_with_an_image_creates_nothing_until_it_is_managed() -> None:
    async with World() as world:
        world.apply(imageId="agb-code-space-1", managementPolicy="Observe")
        await world.ready("SessionNotFound")
        assert "Set it to Manage to create one" in world.condition("Ready")["message"]
        assert changes(world) == 0
        world.patch(managementPolicy="Manage")
        await world.ready("Running")
        assert len(world.live()) == 1


@pytest.mark.parametrize("moving", [True, False], ids=["while it pauses", "while it is settled"])
async def test_observe_and_manage_may_be_switched_at_any_time(moving: bool) -> None:
    async with World(transition=10.0) as world:
        world.apply(imageId="agb-code-space-1")
        await world.ready("Running")
        world.patch(paused=True)
        if moving:
            await world.until(lambda: world.status()["phase"] == "Pausing")
        else:
            await world.ready("Paused")
        world.patch(managementPolicy="Observe", paused=False)
        await world.ready("Observed")
        await asyncio.sleep(120.0)
        assert (world.status()["phase"], world.calls("resumeSessionAsync")) == ("Paused", 0)
        world.patch(managementPolicy="Manage")
        await world.ready("Running")
        assert (world.calls("pauseSessionAsync"), world.calls("resumeSessionAsync")) == (1, 1)
        world.assert_clean()


async def test_a_created_session_that_is_only_observed_outlives_its_resource() -> None:
    async with World() as world:
        world.apply(imageId="agb-code-space-1")
        await world.ready("Running")
        world.patch(managementPolicy="Observe")
        await world.ready("Observed")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        assert len(world.live()) == 1
        assert world.calls("releaseSessionAsync") == 0


async def test_nothing_of_an_adopted_session_is_relabelled_or_released() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY, labels={"owner": "somebody"})
        world.apply(sessionId=session_id, paused=True)
        await world.ready("Paused")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        left = world.control.session(session_id)
        assert (left["status"], left["labels"]) == ("PAUSED", {"owner": "somebody"})
        assert world.calls("SetLabel") == 0


async def test_an_adopted_session_is_released_if_the_policy_says_so() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY, status="PAUSED")
        world.apply(sessionId=session_id, paused=True, deletionPolicy="Delete")
        await world.ready("Paused")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        assert world.live() == []
        world.assert_clean()
