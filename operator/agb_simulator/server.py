"""The simulator over HTTP: carries requests to `Api.handle` and replies back, on aiohttp's bare server.

Owns sockets, delays and dropped connections, nothing of what is answered. The bare server (no router, no
access log) keeps the cost of a request small, because benchmarks share the machine with it.
"""

from __future__ import annotations

import asyncio
import socket

from aiohttp import web

from agb_simulator.api import Api
from agb_simulator.wire import Request

SHUTDOWN = 1.0
"""Seconds that answers under way may still take when the server stops; delayed ones are cut off."""


class Server:
    """Serves `api` on `host`:`port`; port 0 takes a free one, no host is every interface, IPv4 and IPv6.

    Use as an async context manager.

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
            await self._site().start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    def _site(self) -> web.BaseSite:
        if self._host:
            return web.TCPSite(self._runner, self._host, self.port, backlog=1024)
        # One socket for both families, so that port 0 means one port; IPv4 alone where there is no IPv6.
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        listening = socket.create_server(("", self.port), family=family, dualstack_ipv6=both, backlog=1024)
        return web.SockSite(self._runner, listening, backlog=1024)

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    @property
    def address(self) -> str:
        """The base URL, such as `http://127.0.0.1:8090`."""
        host = f"[{self._host}]" if ":" in self._host else self._host or "127.0.0.1"
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
