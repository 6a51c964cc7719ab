"""kopf as our informer's engine: a watch refused for long costs no word of kopf's, and a wrong answer no storm."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agb_operator.kube import kopf_watch, rounds
from agb_operator.kube.cluster import Cluster
from agb_operator.kube.connection import _PAUSES
from unit.kube.api_server import ApiServer, Connect

RESOURCE = {
    "name": "agbsessions",
    "singularName": "agbsession",
    "kind": "AgbSession",
    "namespaced": True,
    "verbs": ["get", "list", "watch", "patch"],
}
V1 = {"groupVersion": "agb.cloud/v1alpha1", "version": "v1alpha1"}
ANSWERS: dict[str, dict[str, Any]] = {
    "/version": {"gitVersion": "v1.37.0"},
    "/api": {"versions": ["v1"]},
    "/api/v1": {"resources": [{**RESOURCE, "name": "namespaces", "kind": "Namespace", "namespaced": False}]},
    "/apis": {"groups": [{"name": "agb.cloud", "preferredVersion": V1, "versions": [V1]}]},
    "/apis/agb.cloud/v1alpha1": {"resources": [RESOURCE]},
    "/apis/agb.cloud/v1alpha1/agbsessions": {"metadata": {"resourceVersion": "1"}, "items": []},
}
SESSIONS = "/apis/agb.cloud/v1alpha1/agbsessions"
ADDED = b'{"type":"ADDED","object":{"metadata":{"name":"s","namespace":"ml","uid":"u","resourceVersion":"2"}}}\n'
OURS = 900.0
"""Seconds that nobody but us waits for in these tests."""


async def discovery(request: web.Request) -> web.StreamResponse:
    """Answer everything but a watch."""
    return web.json_response(ANSWERS.get(request.path, {}))


async def a_watch(request: web.Request) -> web.StreamResponse:
    """Send one event, and no more."""
    stream = web.StreamResponse()
    await stream.prepare(request)
    await stream.write(ADDED)
    await asyncio.Event().wait()
    return stream


class Watching:
    """kopf at work."""

    def __init__(self, cluster: Cluster) -> None:
        self.seen: list[str] = []
        self._cluster = cluster
        self.task = asyncio.create_task(
            kopf_watch.run_kopf(
                lambda _, body: self.seen.append(body["metadata"]["name"]),
                open_session=self._open_session,
                namespaces=(),
                on_start=lambda: None,
            )
        )

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for something; kopf must not end meanwhile."""
        async with asyncio.timeout(60):
            while not condition():
                assert not self.task.done()
                await asyncio.sleep(0.01)

    async def _open_session(self) -> tuple[str, Any]:
        return self._cluster.server, await self._cluster.open_session(lambda _: None, lambda *_: None)


@asynccontextmanager
async def watching(cluster: Cluster) -> AsyncIterator[Watching]:
    kopf = Watching(cluster)
    try:
        yield kopf
    finally:
        kopf.task.cancel()
        await asyncio.gather(kopf.task, return_exceptions=True)


async def test_a_watch_that_is_refused_for_long_is_held_back_in_silence(
    server: ApiServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kopf_watch, "_SILENCE", 0.3)
    monkeypatch.setitem(_PAUSES, 404, 0.05)
    caplog.set_level(logging.INFO, logger="kopf")
    refused = 0
    enough = False

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal refused
        if not request.query.get("watch"):
            return await discovery(request)
        if enough:
            return await a_watch(request)
        refused += 1
        return web.Response(status=404, text="404 page not found")

    server.answer = answer
    async with watching(await connect()) as kopf:
        await kopf.until(lambda: refused >= 20)  # several times as long as kopf bears a silence
        enough = True
        await kopf.until(lambda: "s" in kopf.seen)
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.fixture
def held(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that something was held back by us; they are over at once."""
    sleep, held = asyncio.sleep, list[float]()

    async def at_once(delay: float, *more: Any) -> Any:
        if delay > OURS:
            held.append(delay)
            delay = 0
        return await sleep(delay, *more)

    monkeypatch.setattr(rounds, "RENEWAL", OURS + 100.0)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    return held


@pytest.mark.parametrize("broken", [False, True], ids=["ends at once", "breaks off"])
async def test_a_watch_that_ends_as_soon_as_it_has_begun_is_not_renewed_without_a_pause(
    broken: bool, server: ApiServer, connect: Connect, held: list[float]
) -> None:
    watches = 0

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal watches
        if not request.query.get("watch"):
            return await discovery(request)
        watches += 1
        stream = web.StreamResponse()
        await stream.prepare(request)
        if broken:
            await stream.write(b'{"type":"ADD')
            assert request.transport is not None
            request.transport.close()
        return stream

    server.answer = answer
    async with watching(await connect()) as kopf:
        await kopf.until(lambda: watches >= 10)
        assert len(held) >= 9


async def test_a_list_that_comes_back_to_itself_ends_and_is_read_anew_after_a_pause(
    server: ApiServer, connect: Connect, held: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []
    mended = False

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await a_watch(request)
        if request.path != SESSIONS or mended:
            return await discovery(request)
        asked.append(request.query.get("continue", ""))
        return web.json_response({"metadata": {"resourceVersion": "1", "continue": "again"}, "items": []})

    server.answer = answer
    async with watching(await connect()) as kopf:
        await kopf.until(lambda: len(asked) >= 6)
        assert asked[:6] == ["", "again"] * 3
        assert len(held) >= 2
        mended = True
        await kopf.until(lambda: "s" in kopf.seen)
    assert f"the API server's list of {SESSIONS} comes back to itself" in caplog.text


@pytest.mark.parametrize("watch", [True, False], ids=["watch", "list"])
async def test_credentials_that_are_refused_on_one_path_alone_are_not_replaced_without_a_pause(
    watch: bool, server: ApiServer, connect: Connect, held: list[float]
) -> None:
    refused = 0
    mended = False

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal refused
        watched = bool(request.query.get("watch"))
        if request.path == SESSIONS and watched == watch and not mended:
            refused += 1
            return web.Response(status=401)
        return await (a_watch(request) if watched else discovery(request))

    server.answer = answer
    async with watching(await connect()) as kopf:
        await kopf.until(lambda: refused >= 5)
        held_back = len(held)
        mended = True
        await kopf.until(lambda: "s" in kopf.seen)
    assert held_back >= 4
