"""The user of the benchmark: creates and patches thousands of AgbSessions over many connections, and watches them.

It is no part of what is measured, so it is made to cost little: raw JSON, and a watch that parses only what it needs.
"""

import asyncio
import base64
import json
import re
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import aiohttp

NAMESPACE = "default"
_GROUP = "/apis/agb.cloud/v1alpha1/namespaces"
_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
IMAGE = "agb-code-space-1"
_CONNECTIONS = 48
_PAGE = 500
_NAME = re.compile(rb'"name":"([^"]+)"')


@dataclass(frozen=True, kw_only=True, slots=True)
class Seen:
    """One version of an AgbSession; `settled` is its phase once its status speaks of its present spec, else empty."""

    name: str
    settled: str


def credentials(secret: str) -> dict[str, Any]:
    """Give what a spec says of the Secret that holds its key."""
    return {"credentials": {"secretRef": {"name": secret}}}


class User:
    """A client of the API server with the administrator's rights, in one namespace; use it as an async context."""

    def __init__(self, kubeconfig: Path, namespace: str = NAMESPACE) -> None:
        self.namespace = namespace
        self._sessions = f"{_GROUP}/{namespace}/agbsessions"
        self._schedules = f"{_GROUP}/{namespace}/agbpauseschedules"
        config = json.loads(kubeconfig.read_text())
        cluster = config["clusters"][0]["cluster"]
        self._server = cluster["server"]
        self._token = config["users"][0]["user"]["token"]
        self._ssl = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            self._server,
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS + 2, ssl=self._ssl),
            headers={"Authorization": f"Bearer {self._token}", "User-Agent": "bench"},
            read_bufsize=2**22,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=300),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.close()

    async def create(self, session_ids: dict[str, str], *, secret: str | None = None) -> None:
        """Create an AgbSession for each name, adopting the session that goes with it, or creating one for none.

        Their key is that of the Secret, or the operator's own.
        """
        named = credentials(secret) if secret else {}
        await self.create_all(
            {
                name: {**({"sessionId": id_} if id_ else {"imageId": IMAGE}), "paused": False, **named}
                for name, id_ in session_ids.items()
            }
        )

    async def create_all(self, specs: dict[str, dict[str, Any]]) -> None:
        """Create AgbSessions, by name."""

        async def create(name: str) -> None:
            body = {
                "apiVersion": "agb.cloud/v1alpha1",
                "kind": "AgbSession",
                "metadata": {"name": name},
                "spec": specs[name],
            }
            await self._request("POST", self._sessions, body, "application/json")

        await _for_all(specs, create)

    async def create_namespace(self) -> None:
        """Create the namespace."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        await self._request("POST", "/api/v1/namespaces", body, "application/json")

    async def create_secrets(self, keys: dict[str, str]) -> None:
        """Create a Secret with an API key for each name."""

        async def create(name: str) -> None:
            body = {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": name},
                "stringData": {"apiKey": keys[name]},
            }
            await self._request("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body, "application/json")

        await _for_all(keys, create)

    async def patch(self, name: str, spec: dict[str, Any]) -> None:
        """Merge into the spec of an AgbSession."""
        await self._request("PATCH", f"{self._sessions}/{name}", {"spec": spec}, "application/merge-patch+json")

    async def install(self, crd: dict[str, Any]) -> None:
        """Install a CRD and wait until it is served."""
        await self._request("POST", _CRDS, crd, "application/json")
        deadline = time.monotonic() + 30
        path = self._sessions if crd["spec"]["names"]["kind"] == "AgbSession" else self._schedules
        while True:
            async with self._http.get(path) as answer:
                if answer.status == 200:
                    return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the API server does not serve {path}")
            await asyncio.sleep(0.2)

    async def create_schedule(self, name: str, spec: dict[str, Any]) -> None:
        """Create an AgbPauseSchedule."""
        body = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbPauseSchedule",
            "metadata": {"name": name},
            "spec": spec,
        }
        await self._request("POST", self._schedules, body, "application/json")

    async def replace_schedule(self, name: str, spec: dict[str, Any]) -> None:
        """Make an AgbPauseSchedule say something else."""
        await self._request("PATCH", f"{self._schedules}/{name}", {"spec": spec}, "application/merge-patch+json")

    async def write_status(self, name: str, status: dict[str, Any]) -> None:
        """Write a status as an operator does."""
        body = {"status": status}
        await self._request("PATCH", f"{self._sessions}/{name}/status", body, "application/merge-patch+json")

    async def read(self, name: str) -> bytes:
        """Read an AgbSession as the API server sends it."""
        async with self._http.get(f"{self._sessions}/{name}") as answer:
            answer.raise_for_status()
            return await answer.read()

    async def pause(self, name: str, paused: bool) -> None:
        """Do what `kubectl patch` does."""
        await self.patch(name, {"paused": paused})

    async def pause_all(self, names: Iterable[str], paused: bool, sent_at: dict[str, float] | None = None) -> None:
        """Patch all as fast as the API server takes it; notes when each was sent."""

        async def pause(name: str) -> None:
            if sent_at is not None:
                sent_at[name] = time.time()
            await self.pause(name, paused)

        await _for_all(names, pause)

    async def phases(self) -> tuple[dict[str, str], str]:
        """List what all are settled at, by name, and the version from which a watch goes on."""
        found: dict[str, str] = {}
        token = ""
        while True:
            query = f"?limit={_PAGE}" + (f"&continue={token}" if token else "")
            async with self._http.get(self._sessions + query) as answer:
                if answer.status == 410:  # etcd was compacted between two pages
                    found, token = {}, ""
                    continue
                answer.raise_for_status()
                page = json.loads(await answer.read())
            for item in page["items"]:
                seen = _seen(item)
                found[seen.name] = seen.settled
            token = page["metadata"].get("continue", "")
            if not token:
                return found, page["metadata"]["resourceVersion"]

    async def watch(self, since: str) -> AsyncIterator[Seen]:
        """Give the versions that come after `since`; those that are on their way count as not settled, unparsed."""
        query = f"?watch=1&resourceVersion={since}&timeoutSeconds=7200"
        async with self._http.get(self._sessions + query) as answer:
            answer.raise_for_status()
            async for line in answer.content:
                if b'"Reconciling"' in line:
                    name = _NAME.search(line)
                    yield Seen(name=name[1].decode() if name else "", settled="")
                else:
                    yield _seen(json.loads(line)["object"])

    async def _request(self, method: str, path: str, body: dict[str, Any], content: str) -> None:
        async with self._http.request(method, path, data=json.dumps(body), headers={"Content-Type": content}) as answer:
            text = await answer.text()
            if answer.status >= 300:
                raise RuntimeError(f"{method} {path}: HTTP {answer.status}: {text[:300]}")


def _seen(item: dict[str, Any]) -> Seen:
    status, meta = item.get("status", {}), item["metadata"]
    current = status.get("observedGeneration") == meta["generation"]
    wanted = "Paused" if item["spec"].get("paused") else "Running"
    phase = status.get("phase", "")
    return Seen(name=meta["name"], settled=phase if current and phase == wanted else "")


async def _for_all(names: Iterable[str], work: Callable[[str], Awaitable[None]]) -> None:
    left = iter(names)

    async def one_by_one() -> None:
        for name in left:
            await work(name)

    async with asyncio.TaskGroup() as group:
        for _ in range(_CONNECTIONS):
            group.create_task(one_by_one())
