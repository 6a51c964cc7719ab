"""Takes out of the watch what is known already: above all our own status writes, which come back as events.

Two of three events of a flip are such echoes. kopf spends more on an event than the operator on a whole pass, since it
makes a task, a view and three loggers for each; so echoes go before kopf sees them. Owns the lines of the watch's
answer; whether one of them is news is the informer's to say.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, cast

import aiohttp


def without_echoes(is_news: Callable[[bytes], bool]) -> aiohttp.ClientMiddlewareType:
    """Make a middleware for the watch's session; `is_news` is asked about each line of each watch."""

    async def middleware(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        answer = await send(request)
        if answer.status == 200 and request.url.query.get("watch"):
            answer.content = cast(aiohttp.StreamReader, News(answer.content, is_news))
        return answer

    return middleware


class News:
    """The lines of a stream that are news, in the one way of reading that kopf uses; all else is the stream's own.

    Args:
        content: the stream; each line of it is one event.
        is_news: says whether to let a line pass.
    """

    def __init__(self, content: aiohttp.StreamReader, is_news: Callable[[bytes], bool]) -> None:
        self._content = content
        self._is_news = is_news

    def __getattr__(self, name: str) -> Any:
        # aiohttp asks for the stream's exception, and sets one, when an answer is closed in its middle.
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Give whole lines as they come in, at least one at a time; `size` bounds what is read at once."""
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            *lines, rest = (rest + chunk).split(b"\n")
            news = [line + b"\n" for line in lines if self._is_news(line)]
            if news:
                yield b"".join(news)
        if rest:
            yield rest
