"""The simulator as an httpx transport: what a client sees, in virtual time."""

from __future__ import annotations

import asyncio

import httpx
import pytest

from agb_simulator import Api, Settings
from agb_simulator.effects import Delay, LostAnswer
from simulated import SimulatedTransport, loop_time
from simulator.caller import KEY

pytestmark = [pytest.mark.looptime]


def client(transport: SimulatedTransport, timeout: float = 5.0) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.AsyncClient(transport=transport, base_url="http://simulator", headers=headers, timeout=timeout)


async def status(http: httpx.AsyncClient, session: str) -> str:
    answer = await http.post("/mcp/getSession", json={"sessionId": session})
    return str(answer.json()["data"]["status"])


async def test_a_pause_settles_in_the_loops_own_time() -> None:
    transport = SimulatedTransport(Api(clock=loop_time, settings=Settings(transition=600)))
    session = transport.control.add_session(KEY)
    async with client(transport) as http:
        await http.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        await asyncio.sleep(599)
        assert await status(http, session) == "PAUSING"
        await asyncio.sleep(1)
        assert await status(http, session) == "PAUSED"


async def test_a_delay_passes_in_the_loops_time() -> None:
    transport = SimulatedTransport(Api(clock=loop_time, settings=Settings(latency=2)))
    async with client(transport) as http:
        before = loop_time()
        answer = await http.get("/sdk/ListSession", params={"maxResults": "3"})
        assert (answer.status_code, answer.json()["maxResults"]) == (200, 3)
        assert loop_time() - before == 2


async def test_an_answer_past_the_read_timeout_raises_it_after_acting() -> None:
    transport = SimulatedTransport(Api(clock=loop_time, settings=Settings(transition=0)))
    session = transport.control.add_session(KEY)
    transport.control.add_fault(Delay(seconds=60), endpoint="pauseSessionAsync")
    async with client(transport) as http:
        before = loop_time()
        with pytest.raises(httpx.ReadTimeout):
            await http.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        assert loop_time() - before == 5
        assert await status(http, session) == "PAUSED"


async def test_a_dropped_answer_is_a_protocol_error_after_acting() -> None:
    transport = SimulatedTransport(Api(clock=loop_time, settings=Settings(transition=0)))
    session = transport.control.add_session(KEY)
    transport.control.add_fault(LostAnswer(), endpoint="pauseSessionAsync")
    async with client(transport) as http:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.post("/mcp/pauseSessionAsync", json={"sessionId": session})
        assert await status(http, session) == "PAUSED"
