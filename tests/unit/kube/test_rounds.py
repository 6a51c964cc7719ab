"""What goes round at the API server, seen from the middleware: what is held back, and above all what is not."""

import asyncio
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from yarl import URL

from agb_operator.kube.rounds import RENEWAL, Rounds
from simulated import loop_time


class Asking:
    """Asks as a session of the watches does; the server answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self._rounds = Rounds()

    async def __call__(self, address: str) -> float:
        """Ask for it; returns the seconds until it was sent."""
        began, sent = loop_time(), list[float]()

        async def send(_: object) -> Any:
            sent.append(loop_time())
            return SimpleNamespace(status=self.status)

        request: Any = SimpleNamespace(url=URL(f"http://k8s{address}"))
        await self._rounds.middleware(request, send)
        return sent[0] - began


@pytest.fixture
def ask() -> Asking:
    return Asking()


@pytest.mark.looptime
@pytest.mark.parametrize(
    ("lived", "held"), [(0.0, RENEWAL), (0.5, RENEWAL - 0.5), (RENEWAL, 0.0), (60.0, 0.0), (86400.0, 0.0)]
)
async def test_a_watch_begins_no_sooner_than_two_seconds_after_the_one_before_it(
    lived: float, held: float, ask: Asking
) -> None:
    assert await ask("/a?watch=true") == 0.0
    await asyncio.sleep(lived)
    assert await ask("/a?watch=true") == pytest.approx(held)
    assert await ask("/a?watch=true") == pytest.approx(RENEWAL), "each one anew"


@pytest.mark.looptime
async def test_neither_another_watch_nor_a_list_is_held_back_by_a_watch(ask: Asking) -> None:
    for address in ("/a?watch=true", "/b?watch=true", "/a", "/a", "/b?limit=500"):
        assert await ask(address) == 0.0


@pytest.mark.looptime
@pytest.mark.parametrize("status", [401, 403, 500])
async def test_a_watch_that_was_not_accepted_holds_nothing_back(status: int, ask: Asking) -> None:
    ask.status = status
    assert await ask("/a?watch=true") == 0.0
    ask.status = 200
    assert await ask("/a?watch=true") == 0.0, "new credentials, or a server that is back, wait for nothing"


@pytest.mark.looptime
async def test_a_page_that_was_read_already_is_not_read_again_by_the_same_walk(ask: Asking) -> None:
    for address in ("/a", "/a?continue=1", "/a?continue=2"):
        assert await ask(address) == 0.0
    with pytest.raises(aiohttp.ClientPayloadError, match="the list of /a comes back to itself"):
        await ask("/a?continue=1")
    for address in ("/a", "/a?continue=1", "/b?continue=1"):
        assert await ask(address) == 0.0, "the next walk, and another list"


@pytest.mark.looptime
async def test_a_page_that_could_not_be_had_is_asked_for_again(ask: Asking) -> None:
    await ask("/a")
    ask.status = 500
    await ask("/a?continue=1")
    ask.status = 200
    assert await ask("/a?continue=1") == 0.0
