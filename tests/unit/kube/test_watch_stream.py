"""Our own writes come back as events of the watch; they go before kopf spends anything on them."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any, cast

import aiohttp
import pytest
from aiohttp import web

from agb_operator.control.claims import Claims
from agb_operator.control.informer import Informer
from agb_operator.control.memory import Memory
from agb_operator.control.metrics import Metrics
from agb_operator.control.queue import WorkQueue
from agb_operator.control.store import Store
from agb_operator.kube.watch_stream import FilteredStream, without_echoes
from unit.builders import a_session, no_schedules

KNOWN = a_session(version="100")


class Chunks:
    """A stream that comes in these pieces."""

    def __init__(self, *chunks: bytes) -> None:
        self._chunks = chunks

    async def iter_chunked(self, _size: int) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk


async def read(*chunks: bytes) -> list[bytes]:
    content = cast(aiohttp.StreamReader, Chunks(*chunks))
    return [chunk async for chunk in FilteredStream(content, lambda line: b"echo" not in line).iter_chunked(1024)]


@pytest.mark.parametrize(
    ("chunks", "left"),
    [
        ([b"one\ntwo\n"], [b"one\ntwo\n"]),
        ([b"one\necho\ntwo\n"], [b"one\ntwo\n"]),
        ([b"echo\n", b"one\n"], [b"one\n"]),
        ([b"on", b"e\nec", b"ho\ntwo\n"], [b"one\n", b"two\n"]),
        ([b"one\ntw", b"o"], [b"one\n", b"two"]),
        ([b"", b"echo\n"], []),
    ],
)
async def test_all_lines_but_the_echoes_pass_in_their_order(chunks: list[bytes], left: list[bytes]) -> None:
    assert await read(*chunks) == left


async def test_a_watch_may_be_given_up_in_its_middle() -> None:
    async def endless(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        await answer.write(b"one\n")
        await asyncio.Event().wait()
        return answer

    application = web.Application()
    application.router.add_get("/watched", endless)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}/watched?watch=true"
    try:
        async with aiohttp.ClientSession(middlewares=[without_echoes(lambda _: True)]) as session:
            async with session.get(address) as answer:
                first = await anext(aiter(answer.content.iter_chunked(1024)))
            assert (first, answer.closed) == (b"one\n", True)
    finally:
        await runner.cleanup()


async def test_an_error_other_than_gone_ends_the_watch_and_not_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    busy = b'{"type":"ERROR","object":{"kind":"Status","code":504,"message":"the server is busy"}}\n'
    gone = b'{"type":"ERROR","object":{"kind":"Status","code":410,"message":"too old"}}\n'

    assert await read(b"one\n", b"two\n" + busy, b"never read\n") == [b"one\n", b"two\n"]
    assert "HTTP 504: the server is busy" in caplog.text
    assert await read(b"one\n", gone) == [b"one\n", gone], "kopf lists anew after this one"


async def test_each_list_that_is_answered_is_told_of_and_nothing_else() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=int(request.query.get("answers", "200")))

    application = web.Application()
    application.router.add_get("/", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    address, lists = f"http://127.0.0.1:{runner.addresses[0][1]}/", list[str]()
    try:
        tell = without_echoes(lambda _: True, lambda: lists.append("told"))
        async with aiohttp.ClientSession(middlewares=[tell]) as session:
            for query in ("?answers=500", "?answers=410", "?watch=true", "?limit=500&continue=further"):
                async with session.get(address + query):
                    assert not lists, query
            async with session.get(address + "?limit=500"):
                assert lists == ["told"]
    finally:
        await runner.cleanup()


def an_event(kind: str = "MODIFIED", **metadata: Any) -> bytes:
    about = {"namespace": KNOWN.key.namespace, "name": KNOWN.key.name, "uid": KNOWN.uid, "resourceVersion": "100"}
    return json.dumps({"type": kind, "object": {"metadata": {**about, **metadata}}}).encode()


@pytest.mark.parametrize(
    ("line", "news"),
    [
        pytest.param(an_event(), False, id="the version that our own write has brought"),
        pytest.param(an_event(resourceVersion="99"), False, id="an older version"),
        pytest.param(an_event(resourceVersion="101"), True, id="a newer version"),
        pytest.param(an_event(resourceVersion="abc"), True, id="a version that is no number"),
        pytest.param(an_event(name="other"), True, id="another resource"),
        pytest.param(an_event(uid="another"), True, id="a successor of the same name"),
        pytest.param(an_event("DELETED"), True, id="a deletion"),
        pytest.param(an_event("ADDED", uid="another"), True, id="a creation"),
        pytest.param(an_event("ADDED"), True, id="a creation that a list has told of already"),
        pytest.param(
            b'{"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "100"}}}', True, id="a bookmark"
        ),
        pytest.param(b'{"type": "ERROR", "object": {"code": 410}}', True, id="an error"),
        pytest.param(b"<html>", True, id="something that is no event"),
    ],
)
def test_what_the_store_knows_is_no_news(line: bytes, news: bool) -> None:
    store = Store()
    store.put(KNOWN)
    heard: list[bool] = []
    informer = Informer(
        store=store,
        queue=WorkQueue(workers=1, tenant_of=lambda key: (key.namespace, ""), by_clock=lambda _: False),
        claims=Claims(store=store),
        memory=Memory(clock=lambda: 0.0),
        intents=no_schedules(),
        metrics=Metrics(),
        on_activity=lambda: heard.append(True),
    )

    assert informer.tells_more(line) == news
    assert bool(heard) != news, "an echo proves that the watch lives; the handler counts the others"
