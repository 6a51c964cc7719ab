"""kopf as our informer's engine: a watch that is refused for long costs no word of kopf's, and goes on when it may."""

import asyncio
import logging
from typing import Any

import pytest
from aiohttp import web

from agb_operator.kube import kopf_watch
from agb_operator.kube.cluster import connect_cluster
from agb_operator.kube.config import find_cluster
from agb_operator.kube.connection import _PAUSES
from unit.kube.api_server import kubeconfig

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


async def test_a_watch_that_is_refused_for_long_is_held_back_in_silence(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(kopf_watch, "_SILENCE", 0.3)
    monkeypatch.setitem(_PAUSES, 404, 0.05)
    caplog.set_level(logging.INFO, logger="kopf")
    refused = 0
    enough = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        nonlocal refused
        if not request.query.get("watch"):
            return web.json_response(ANSWERS.get(request.path, {}))
        if not enough.is_set():
            refused += 1
            return web.Response(status=404, text="404 page not found")
        stream = web.StreamResponse()
        await stream.prepare(request)
        line = b'{"type":"ADDED","object":{"metadata":{"name":"s","namespace":"ml","uid":"u","resourceVersion":"2"}}}\n'
        await stream.write(line)
        await asyncio.sleep(3600)
        return stream

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server = f"http://127.0.0.1:{runner.addresses[0][1]}"
    config = kubeconfig(tmp_path / "kubeconfig", server, token="simulated-token")
    cluster = await connect_cluster(find_cluster({"KUBECONFIG": str(config)}))
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def open_session() -> tuple[str, Any]:
        return cluster.server, await cluster.open_session(lambda _: None, lambda *_: None)

    watching = asyncio.create_task(
        kopf_watch.run_kopf(
            lambda _, body: seen.put_nowait(body["metadata"]["name"]),
            open_session=open_session,
            namespaces=(),
            on_start=lambda: None,
        )
    )
    try:
        async with asyncio.timeout(60):
            while refused < 20:  # several times as long as kopf bears a silence
                assert not watching.done()
                await asyncio.sleep(0.05)
            enough.set()
            assert await seen.get() == "s"
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
        await cluster.close()
        await runner.cleanup()
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == []
