"""The simulator over HTTP: carries requests to `Api.handle` and replies back, on aiohttp's bare server.

Owns sockets, delays and dropped connections, nothing of what is answered. The bare server (no router, no
access log) keeps the cost of a request small, because benchmarks share the machine with it.
"""

from __future__ import annotations

import asyncio

from aiohttp import web

from agb_simulator.api import Api
from agb_simulator.wire import Request

SHUTDOWN = 1.0
"""Seconds that answers under way may still take when the server stops; delayed ones are cut off."""


class Server:
    """Serves `api` on `host`:`port`; port 0 takes a free one. Use as an async context manager.

    Raises OSError on entry when the address cannot be had.
    """

    def __init__(self, api: Api, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self._api = api
        self._host = host
        self.port = port

    async def __aenter__(self) -> Server:
        self._runner = web.ServerRunner(web.Server(self._answer, access_log=None), shutdown_timeout=SHUTDOWN)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self.port, backlog=1024).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """The base URL, such as `http://127.0.0.1:8090`."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.port}"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read() if request.can_read_body else b""
        reply = self._api.handle(Request.to(request.method, request.raw_path, headers=request.headers, body=body))
        if reply.delay:
            await asyncio.sleep(reply.delay)
        if reply.drop:
            # The answer returned below goes nowhere: aiohttp finds the connection closed and lets it be.
            request.protocol.force_close()
            if request.transport is not None:
                request.transport.abort()
        return web.Response(status=reply.status or 500, body=reply.body, headers=reply.headers)
