"""The simulator as an httpx transport: no sockets, the event loop's own (maybe virtual) time.

`SimulatedTransport` feeds an `agb_simulator.Api` and shows delays, dropped connections and read timeouts
to the client the way a real connection would.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import httpx

from agb_operator.model.clock import Clock
from agb_simulator import Api, Request, SimulatorControl

EPOCH: Final = datetime(2026, 1, 1, tzinfo=UTC)


def loop_time() -> float:
    """The running loop's time in seconds: a clock for an `Api` that lives in one test."""
    return asyncio.get_running_loop().time()


def wall() -> datetime:
    """The time of day in one test, moving with the loop."""
    return EPOCH + timedelta(seconds=loop_time())


def loop_clock(*, jitter: float = 0.5) -> Clock:
    """Give the operator's clock in one test: the running loop's time, and the time of day that moves with it."""
    return Clock(now=loop_time, wall=wall, jitter=lambda: jitter)


class SimulatedTransport(httpx.AsyncBaseTransport):
    """Serves requests from `api`. Its `control` moves the simulator from the test's side.

    Raises httpx.ReadTimeout when a reply is later than the request's read timeout, and
    httpx.RemoteProtocolError when the simulator drops the connection; either way the call may have
    taken effect.
    """

    def __init__(self, api: Api) -> None:
        self.api = api
        self.control = SimulatorControl.in_process(api)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer one request."""
        body = await request.aread()
        target = request.url.raw_path.decode("ascii")
        # Headers of httpx are looked up in any case, as the simulator's Request wants them.
        reply = self.api.handle(Request.to(request.method, target, headers=request.headers, body=body))
        timeouts: dict[str, Any] = request.extensions.get("timeout", {})
        patience = timeouts.get("read")
        if patience is not None and reply.delay > patience:
            await asyncio.sleep(patience)
            raise httpx.ReadTimeout("The simulator answers too late.", request=request)
        await asyncio.sleep(reply.delay)
        if reply.drop:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.", request=request)
        return httpx.Response(reply.status, headers=dict(reply.headers), content=reply.body, request=request)
