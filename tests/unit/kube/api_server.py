"""A stand-in for the API server, and a way to connect to it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from agb_operator.kube.cluster import Cluster

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Connect = Callable[..., Awaitable[Cluster]]


class ApiServer:
    """A stand-in that answers every request as told, and keeps the requests."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.answer: Handler = self.nothing
        self.url = ""
        self._more = asyncio.Condition()

    async def seen(self, count: int) -> None:
        """Wait until so many requests have come."""
        async with self._more:
            await self._more.wait_for(lambda: len(self.requests) >= count)

    async def nothing(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({})

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        async with self._more:
            self._more.notify_all()
        return await self.answer(request)

    def says(self, status: int, body: object = None, text: str | None = None, **headers: str) -> None:
        async def answer(_: web.Request) -> web.StreamResponse:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            return web.Response(
                status=status,
                text=json.dumps(body) if text is None else text,
                headers=sent,
                content_type="application/json",
            )

        self.answer = answer


def kubeconfig(path: Path, server: str, **user: object) -> Path:
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "test",
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": user}],
    }
    path.write_text(json.dumps(content))
    return path
