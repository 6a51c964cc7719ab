"""An API server that asks for a break gets it, and no more than that: a proxy may ask for a day."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from agb_operator.model.errors import ClusterUnavailable
from fakes import FakeCluster
from integration.world import KEY, World
from simulated import loop_time

pytestmark = pytest.mark.looptime


class Throttling(FakeCluster):
    """Refuses the next status write with a Retry-After, and knows when each write was tried."""

    def __init__(self) -> None:
        super().__init__()
        self.asks_for: float | None = None
        self.tried: list[float] = []

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        self.tried.append(loop_time())
        if self.asks_for is not None:
            asked, self.asks_for = self.asks_for, None
            raise ClusterUnavailable("PATCH: HTTP 429", http_status=429, retry_after=asked)
        return await super().patch_status(namespace, name, resource_version=resource_version, patch=patch)


@pytest.mark.parametrize(("asked", "least", "most"), [(0.0, 0.0, 30.0), (45.0, 45.0, 60.0), (86400.0, 60.0, 310.0)])
async def test_a_status_write_is_tried_again_when_the_api_server_has_asked_for(
    asked: float, least: float, most: float
) -> None:
    cluster = Throttling()
    async with World(cluster=cluster) as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running", within=30.0)
        cluster.tried.clear()
        cluster.asks_for = asked
        world.patch(paused=True)
        await asyncio.sleep(400.0)
        first, second, *_ = cluster.tried
        assert least <= second - first <= most
        assert world.status()["phase"] == "Paused"
