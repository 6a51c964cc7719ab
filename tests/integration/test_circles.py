"""A ListSession that never ends: whoever walks its pages stops all the same, and knows whether it has seen them all."""

from typing import Literal

import httpx
import pytest

from agb_simulator.effects import EndlessPages, LostAnswer
from integration.world import NAMESPACE, World
from simulated import SimulatedTransport

How = Literal["circle", "same_token", "new_tokens"]

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"
TOLD = "AGB's list of sessions has no last page"


@pytest.mark.parametrize("how", ["circle", "same_token"])
async def test_the_look_up_before_a_create_ends(how: How) -> None:
    async with World() as world:
        world.control.add_fault(EndlessPages(how=how))
        world.apply(imageId=IMAGE)
        await world.ready("Running", within=60.0)
        assert len(world.live()) == 1
        assert world.calls("ListSession") < 20


@pytest.mark.parametrize("how", ["circle", "same_token"])
async def test_a_deletion_ends(how: How) -> None:
    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        world.control.add_fault(EndlessPages(how=how))
        before = world.calls("ListSession")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists(), within=60.0)
        assert world.live() == []
        assert world.calls("ListSession") - before < 20


async def test_a_list_with_always_one_more_page_does_not_show_that_nothing_is_there() -> None:
    async with World() as world:
        lie = world.control.add_fault(EndlessPages(how="new_tokens"))
        world.apply(imageId=IMAGE)
        await world.ready("ApiUnavailable", within=60.0)
        assert TOLD in world.condition("Ready")["message"]
        assert world.live() == []
        assert world.calls("ListSession") < 60
        world.control.remove_fault(lie)
        await world.ready("Running", within=330.0)

        lie = world.control.add_fault(EndlessPages(how="new_tokens"))
        world.cluster.delete(NAMESPACE, "s")
        await world.ready("ApiUnavailable", within=60.0)
        assert TOLD in world.condition("Ready")["message"]
        assert world.live() == []
        world.control.remove_fault(lie)
        await world.until(lambda: not world.exists(), within=330.0)


class EmptyFirst(httpx.AsyncBaseTransport):
    """A ListSession whose first page is empty, and names another one."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/ListSession"):
            if "nextToken" not in request.url.params:
                page = {"requestId": "1", "success": True, "code": "ok", "message": "", "httpStatusCode": 200}
                return httpx.Response(200, json={**page, "maxResults": 100, "count": 1, "nextToken": "on", "data": []})
            url = request.url.copy_remove_param("nextToken")
            request = httpx.Request("GET", url, headers=request.headers, extensions=request.extensions)
        return await self._inner.handle_async_request(request)


class EmptyFirstWorld(World):
    def transport(self) -> httpx.AsyncBaseTransport:
        return EmptyFirst(SimulatedTransport(self.api))


async def test_a_session_on_the_page_after_an_empty_one_is_not_created_again() -> None:
    async with EmptyFirstWorld() as world:
        world.control.add_fault(LostAnswer(), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        assert len(world.live()) == 1
        assert world.calls("createSession") == 1
