"""An API server that answers as told, and the operator's connection to it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from agb_operator.kube.cluster import Cluster, connect_cluster
from agb_operator.kube.config import find_cluster
from unit.kube.api_server import ApiServer, Connect, kubeconfig


@pytest.fixture
async def server() -> AsyncIterator[ApiServer]:
    server = ApiServer()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def connect(server: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Connect]:
    """Connect to the server as a kubeconfig's user says."""
    clusters: list[Cluster] = []

    async def connect(timeout: float = 10.0, **user: object) -> Cluster:
        file = kubeconfig(tmp_path / "kubeconfig", server.url, **(user or {"token": "simulated-token"}))
        monkeypatch.setenv("KUBECONFIG", str(file))
        clusters.append(await connect_cluster(find_cluster(os.environ), timeout=timeout))
        return clusters[-1]

    yield connect
    for cluster in clusters:
        await cluster.close()
