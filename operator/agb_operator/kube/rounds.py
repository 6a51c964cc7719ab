"""Sees that nothing goes round as fast as the API server answers.

A watch is renewed where it ended, and a list is read on for as long as each page names a next one. So an API server, or
a proxy before it, that ends each watch as soon as it has begun, or whose list comes back to itself, would be asked
without end. Owns what is remembered of both, by path; what becomes of a refusal is the connection's to say.
"""

import asyncio
import logging
import math
from typing import Final

import aiohttp

logger = logging.getLogger(__name__)

RENEWAL: Final = 2.0
"""Seconds from the beginning of a watch or a login to that of the next one; what lasted longer is renewed at once."""


async def renewal(began: float) -> None:
    """Return when what began then, in the event loop's time, may begin again."""
    left = began + RENEWAL - asyncio.get_running_loop().time()
    if left > 0:
        await asyncio.sleep(left)


class Rounds:
    """Keeps the watches of one API server from going round. One for all sessions: each new token begins another one."""

    def __init__(self) -> None:
        self._began: dict[str, float] = {}
        """By the path of a watch: when the last one that the server accepted was sent."""
        self._pages: dict[str, set[str]] = {}
        """By the path of a list: the tokens that this walk has got a page for."""

    async def middleware(
        self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request of a watch's session, when its time has come."""
        if request.url.query.get("watch"):
            return await self._watch(request, send)
        return await self._page(request, send)

    async def _watch(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        path = request.url.path
        await renewal(self._began.get(path, -math.inf))
        began = asyncio.get_running_loop().time()
        answer = await send(request)
        # One that is refused has pauses of its own.
        if answer.status == 200:
            self._began[path] = began
        return answer

    async def _page(self, request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        path, token = request.url.path, request.url.query.get("continue", "")
        if not token:
            self._pages.pop(path, None)
        elif token in self._pages.get(path, ()):
            logger.warning("the API server's list of %s comes back to itself", path)
            await asyncio.sleep(RENEWAL)
            # As if the page had broken off: kopf reads the list anew.
            raise aiohttp.ClientPayloadError(f"the list of {path} comes back to itself")
        answer = await send(request)
        if token and answer.status == 200:
            self._pages.setdefault(path, set()).add(token)
        return answer
