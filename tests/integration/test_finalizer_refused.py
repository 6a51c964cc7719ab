"""A policy that refuses our finalizer: nothing is created for the resource, and the resource says why."""

import asyncio
from typing import Any

import pytest

from agb_operator.model.errors import ClusterError, ClusterForbidden, ClusterRefused
from fakes import FakeCluster
from integration.world import World

pytestmark = pytest.mark.looptime

WORDS = "PATCH /apis/...: HTTP 422: finalizers are not allowed here, ask team platform"
SAID_AT = "2025-12-31T23:00:00Z"


class Guarded(FakeCluster):
    """An API server with a policy about finalizers."""

    refusal: ClusterError | None = None
    tried = 0

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        self.tried += 1
        if self.refusal is not None:
            raise self.refusal
        return await super().set_finalizers(namespace, name, resource_version=resource_version, finalizers=finalizers)


@pytest.mark.parametrize("kind", [ClusterRefused, ClusterForbidden])
async def test_the_resource_says_so_and_goes_on_when_it_is_allowed(kind: type[ClusterError]) -> None:
    cluster = Guarded()
    cluster.refusal = kind(WORDS, http_status=422)
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await asyncio.sleep(600.0)
        ready, stalled = world.condition("Ready"), world.condition("Stalled")
        assert (ready["status"], ready["reason"]) == ("False", "FinalizerRefused")
        assert "finalizers are not allowed here, ask team platform" in ready["message"]
        assert stalled["status"] == "True"
        assert [event.reason for event in cluster.events] == ["FinalizerRefused"]
        assert [event.severity for event in cluster.events] == ["Warning"]
        assert world.calls("createSession") == 0
        assert len(cluster.status_writes) == 1
        assert cluster.tried <= 30, "with back-off"
        counted = {each.labels["reason"]: each.value for each in world.samples("agb_reconcile_errors_total")}
        assert {reason: value for reason, value in counted.items() if value} == {kind.reason: cluster.tried}

        cluster.refusal = None
        await world.ready("Running", within=120.0)
        assert not [each for each in world.status()["conditions"] if each["type"] == "Stalled"]


class Overtaken(Guarded):
    """The same, where another operator says so first."""

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        if not self.tried:
            ready = {"type": "Ready", "status": "False", "reason": "FinalizerRefused", "message": "refused"}
            theirs = {"conditions": [ready | {"observedGeneration": 1, "lastTransitionTime": SAID_AT}]}
            written = await self.patch_status(namespace, name, resource_version=resource_version, patch=theirs)
            await asyncio.sleep(1.0)  # the watch tells it
            resource_version = written["metadata"]["resourceVersion"]
        return await super().set_finalizers(namespace, name, resource_version=resource_version, finalizers=finalizers)


async def test_it_is_said_on_top_of_what_another_operator_has_written_meanwhile() -> None:
    cluster = Overtaken()
    cluster.refusal = ClusterForbidden(WORDS, http_status=403)
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await world.until(lambda: len(cluster.status_writes) == 2)
        assert world.condition("Ready")["lastTransitionTime"] == SAID_AT
