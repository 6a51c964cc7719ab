"""What the Kubernetes API does not take is tried again ever more slowly, and costs AGB nothing meanwhile."""

import asyncio
import copy
import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from agb_operator.model.errors import ClusterError, ClusterForbidden, ClusterRefused, ClusterUnavailable, Conflict
from agb_operator.model.resource import FINALIZER
from agb_simulator.effects import HttpError, LostAnswer
from fakes import FakeCluster
from integration.world import KEY, NAMESPACE, World
from simulated import loop_time

pytestmark = pytest.mark.looptime

MINUTE = 60.0


@dataclass(kw_only=True)
class Refusing(FakeCluster):
    """An API server that takes no status while `refusal` is set; all else works."""

    refusal: ClusterError | None = None
    tried: list[float] = field(default_factory=list)

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        if self.refusal is not None:
            await self._travel()
            self.tried.append(loop_time())
            raise type(self.refusal)(self.refusal.message, http_status=self.refusal.http_status)
        return await super().patch_status(namespace, name, resource_version=resource_version, patch=patch)


REFUSALS = [
    pytest.param(ClusterUnavailable("it fails", http_status=500), id="HTTP 500"),
    pytest.param(ClusterForbidden("no rights", http_status=403), id="no rights"),
    pytest.param(ClusterRefused("a policy says no", http_status=422), id="an admission policy"),
    pytest.param(Conflict("a webhook answers 409 to everything", http_status=409), id="a conflict for ever"),
]


def most_in_a_minute(moments: list[float]) -> int:
    """Give the highest count within any minute."""
    return max((sum(begin <= other < begin + MINUTE for other in moments) for begin in moments), default=0)


def errors(world: World) -> set[str]:
    """Name the reasons that the metric counts."""
    return {sample.labels["reason"] for sample in world.samples("agb_reconcile_errors_total") if sample.value}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_refused_status_is_tried_again_with_growing_gaps_and_without_a_call_to_agb(
    refusal: ClusterError, caplog: pytest.LogCaptureFixture
) -> None:
    cluster = Refusing()
    async with World(cluster=cluster) as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        world.control.clear_requests()
        cluster.refusal = refusal
        world.patch(paused=True)
        await asyncio.sleep(10 * MINUTE)

        gaps = [after - before for before, after in itertools.pairwise(cluster.tried)]
        assert most_in_a_minute(cluster.tried) <= 20
        assert len(cluster.tried) <= 30
        assert MINUTE / 10 < max(gaps) <= MINUTE + 1
        assert most_in_a_minute([entry.time for entry in world.control.requests()]) <= 40
        assert world.calls("pauseSessionAsync") <= 1
        if not isinstance(refusal, Conflict):  # after a conflict it has to be decided anew
            looks = [entry.time for entry in world.control.requests() if entry.endpoint == "getSession"]
            assert not [time for time in looks if time > cluster.tried[0]]
        assert errors(world) == {refusal.reason}
        told = [record.message for record in caplog.records if "did not take a write" in record.message]
        assert told
        assert all(message.endswith(f"{refusal.message} {refusal.advice}") for message in told)

        cluster.refusal = None
        await world.ready("Paused", within=90.0)
        world.assert_clean()
        assert world.calls("pauseSessionAsync") == 1


async def test_a_refused_status_is_not_written_over_one_that_another_operator_has_written_meanwhile() -> None:
    cluster = Refusing()
    async with World(cluster=cluster) as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        cluster.refusal = ClusterUnavailable("it fails", http_status=500)
        world.patch(paused=True)
        await world.until(lambda: cluster.tried)

        known = copy.deepcopy(cluster.objects[NAMESPACE, "s"])
        conditions = [each | {"message": "written by another operator"} for each in known["status"]["conditions"]]
        version = known["metadata"]["resourceVersion"]
        theirs = {"conditions": conditions}
        await FakeCluster.patch_status(cluster, NAMESPACE, "s", resource_version=version, patch=theirs)
        looks, taken = world.calls("getSession"), list[int]()
        cluster.listeners.append(lambda _, body: taken.append(world.calls("getSession")))
        cluster.refusal = None
        await world.until(lambda: taken)
        assert taken[0] > looks  # what was decided before is out of date
        await world.ready("Paused")
        world.assert_clean()


async def test_while_a_status_is_refused_nothing_is_created() -> None:
    cluster = Refusing(refusal=ClusterForbidden("no rights", http_status=403))
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await asyncio.sleep(10 * MINUTE)
        assert world.calls("createSession") == 0

        cluster.refusal = None
        await world.ready("Running", within=90.0)
        assert world.calls("createSession") == 1


async def test_while_a_status_is_refused_no_duplicate_is_ended() -> None:
    cluster = Refusing()
    async with World(cluster=cluster) as world:
        world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
        world.apply(imageId="agb-code-space-1")
        await world.ready("Running")
        cluster.refusal = ClusterRefused("a policy says no", http_status=422)
        world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at="1")
        await world.until(lambda: cluster.tried)
        await asyncio.sleep(2 * MINUTE)
        assert len(world.live()) == 2
        labels = world.calls("GetLabel")
        world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at="2")
        await world.until(lambda: world.calls("GetLabel") > labels)  # it has been found
        await asyncio.sleep(10 * MINUTE)
        assert world.calls("releaseSessionAsync") == 0

        cluster.refusal = None
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        world.assert_clean()


async def test_while_a_status_is_refused_nothing_is_released() -> None:
    cluster = Refusing()
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await world.ready("Running")
        cluster.refusal = ClusterRefused("a policy says no", http_status=422)
        world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at="1")
        await world.until(lambda: cluster.tried)
        world.cluster.delete(NAMESPACE, "s")
        await asyncio.sleep(10 * MINUTE)
        assert world.calls("releaseSessionAsync") == 0
        assert most_in_a_minute(cluster.tried) <= 20

        cluster.refusal = None
        await world.until(lambda: not world.exists(), within=120.0)
        assert world.calls("releaseSessionAsync") == 1


async def test_an_outage_of_agb_does_not_spend_the_patience_with_the_cluster() -> None:
    cluster = Refusing()
    async with World(cluster=cluster) as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        outage = world.control.add_fault(HttpError(status=503))
        world.patch(paused=True)
        await asyncio.sleep(20 * MINUTE)
        cluster.refusal = ClusterUnavailable("it fails", http_status=500)
        world.control.remove_fault(outage)
        await world.until(lambda: len(cluster.tried) >= 4, within=400.0)

        assert cluster.tried[3] - cluster.tried[0] < 15.0, "these are the first failures of a write"


@dataclass(kw_only=True)
class Stripping(FakeCluster):
    """An admission webhook takes every finalizer off again."""

    tries: list[float] = field(default_factory=list)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        self.tries.append(loop_time())
        return await super().set_finalizers(namespace, name, resource_version=resource_version, finalizers=[])


async def test_a_webhook_that_strips_the_finalizer_is_not_fought_with() -> None:
    cluster = Stripping()
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await asyncio.sleep(10 * MINUTE)

        assert most_in_a_minute(cluster.tries) <= 20
        assert len(cluster.tries) <= 30
        assert world.calls("createSession") == 0
        assert errors(world) == {"ClusterRefused"}


@dataclass(kw_only=True)
class Pruning(FakeCluster):
    """Somebody takes a field out of each status: a webhook, or a CRD that does not know it."""

    pruned: str
    tries: list[float] = field(default_factory=list)

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.tries.append(loop_time())
        kept = {key: value for key, value in patch.items() if key != self.pruned}
        return await super().patch_status(namespace, name, resource_version=resource_version, patch=kept)


@pytest.mark.parametrize("pruned", ["sessionId", "lastOperation", "labels"])
async def test_a_status_that_does_not_stay_as_it_was_written_is_a_refused_one(pruned: str) -> None:
    cluster = Pruning(pruned=pruned)
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1", labels={"team": "a"})
        await asyncio.sleep(10 * MINUTE)

        assert most_in_a_minute(cluster.tries) <= 20
        assert most_in_a_minute([entry.time for entry in world.control.requests()]) <= 40
        assert world.calls("createSession") <= 1
        assert errors(world) == {"ClusterRefused"}

        cluster.pruned = ""
        await world.ready("Running", within=90.0)
        assert world.calls("createSession") == 1
        assert len(world.live()) == 1


@dataclass(kw_only=True)
class Keeping(FakeCluster):
    """An admission webhook puts our finalizer back whenever it is taken off."""

    keeps: bool = True
    tries: list[float] = field(default_factory=list)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        self.tries.append(loop_time())
        kept = [FINALIZER] if self.keeps else finalizers
        return await super().set_finalizers(namespace, name, resource_version=resource_version, finalizers=kept)


async def test_a_webhook_that_puts_the_finalizer_back_is_told_on_the_resource() -> None:
    cluster = Keeping()
    async with World(cluster=cluster) as world:
        world.apply(imageId="agb-code-space-1")
        await world.ready("Running")
        cluster.tries.clear()
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: world.condition("Stalled"), within=60.0)
        await asyncio.sleep(10 * MINUTE)

        assert world.reason() == "FinalizerRefused"
        assert most_in_a_minute(cluster.tries) <= 20
        assert world.calls("releaseSessionAsync") == 1

        cluster.keeps = False
        await world.until(lambda: not world.exists(), within=90.0)
