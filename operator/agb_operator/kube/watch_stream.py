"""Takes out of the watch what kopf is not to see.

Above all our own status writes, which come back as events: two of the three events of a flip are such echoes. kopf
makes a task, a view and three loggers for each event, which costs more than a pass. And errors: kopf takes any but 410
for the end of everything, while an overloaded API server sends 429, 500 and 504; here they only end the watch, which
kopf then renews where it ended. Owns the lines of the watch's answer; what each tells is the informer's to say.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, cast

import aiohttp

logger = logging.getLogger(__name__)

_ERROR: Final = b'{"type":"ERROR"'
_GONE: Final = 410
_PAUSE: Final = 1.0
"""Seconds before a watch that the API server has ended with an error is renewed."""


def without_echoes(
    tells_more: Callable[[bytes], bool], on_list: Callable[[], None] = lambda: None
) -> aiohttp.ClientMiddlewareType:
    """Make a middleware for the watch's session.

    Args:
        tells_more: asked about each line of each watch.
        on_list: told of each list that the API server answers, once for all its pages: at the start, and when a watch
            cannot go on where it ended, because its history was compacted or another etcd answers.
    """

    async def middleware(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        answer = await send(request)
        if answer.status != 200:
            return answer
        if request.url.query.get("watch"):
            answer.content = cast(aiohttp.StreamReader, FilteredStream(answer.content, tells_more))
        elif not request.url.query.get("continue"):
            on_list()
        return answer

    return middleware


class FilteredStream:
    """The lines of a stream that tell more than is known, in the way of reading that kopf uses; the rest is its own.

    Args:
        content: the stream; each line of it is one event.
        tells_more: says whether to let a line pass.
    """

    def __init__(self, content: aiohttp.StreamReader, tells_more: Callable[[bytes], bool]) -> None:
        self._content = content
        self._tells_more = tells_more

    def __getattr__(self, name: str) -> Any:
        # aiohttp asks for the stream's exception, and sets one, when an answer is closed in its middle.
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Give whole lines as they come in, at least one at a time; `size` bounds what is read at once."""
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, rest = (rest + chunk).split(b"\n")
            passed = [line + b"\n" for line in lines if self._tells_more(line) and not _problem(line)]
            if passed:
                yield b"".join(passed)
            if lines and (problem := _problem(lines[-1])):
                logger.warning("the API server ended the watch: %s", problem)
                await asyncio.sleep(_PAUSE)
                return
        if rest:
            yield rest


def _problem(line: bytes) -> str:
    """Say what the API server complains of, if this is an error that the same watch may outlive."""
    if not line.startswith(_ERROR):
        return ""
    status: dict[str, Any] = json.loads(line)["object"]
    return "" if status.get("code") == _GONE else f"HTTP {status.get('code')}: {status.get('message')}"
