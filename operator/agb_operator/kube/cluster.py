"""What the operator asks of the Kubernetes API, and what the answers mean.

It owns the requests for AgbSessions, Secrets, Events and Leases, as plain JSON. It never retries: that is up to
its callers, which know what has become pointless meanwhile. How the server is reached and how failures are
told apart is `connection`'s, the watch is kopf's.
"""

import asyncio
import base64
import logging
import socket
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import aiohttp

from ..model.errors import ClusterError, ClusterForbidden, StartupError
from ..model.event import RecordedEvent
from ..model.proxy import Proxy
from ..model.status import timestamp
from .config import Load
from .connection import Connection
from .messages import Request, pages
from .schedule_requests import GROUP_VERSION, SESSIONS, ScheduleRequests, checked

logger = logging.getLogger(__name__)

CONTROLLER: Final = "agb.cloud/agb-operator"

_ALL_SESSIONS: Final = f"{SESSIONS}/agbsessions"
_SESSIONS: Final = f"{SESSIONS}/namespaces/{{namespace}}/agbsessions"
_SESSION: Final = _SESSIONS + "/{name}"
_SECRET: Final = "/api/v1/namespaces/{namespace}/secrets/{name}"  # noqa: S105
_EVENTS: Final = "/api/v1/namespaces/{namespace}/events"
_LEASES: Final = "/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"
_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_PAGE = 500
_NOTE_LIMIT = 1024
"""Bytes in an Event's message; the API server refuses longer ones."""


async def connect_cluster(load: Load, *, timeout: float = 10.0) -> "Cluster":
    """Connect to the cluster that `find_cluster` has found; `timeout` bounds each request, in seconds.

    Raises:
        StartupError: its configuration cannot be used.
    """
    return Cluster(Connection(await load(), reload=load, timeout=timeout))


class Cluster(ScheduleRequests):
    """The Kubernetes API as the operator uses it.

    Every method may raise any `ClusterError`. Names come from users' specs, so they are checked before they
    become part of a URL: what cannot be a name is not found.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__(connection)
        self._instance = socket.gethostname()

    @property
    def server(self) -> str:
        """The API server's address."""
        return self._connection.server

    @property
    def proxy(self) -> Proxy | None:
        """What stands before the API server."""
        return self._connection.proxy

    def busy(self, namespace: str) -> bool:
        """Tell whether the next request about the namespace would have to wait for its turn."""
        return self._connection.busy(namespace)

    async def open_session(
        self,
        on_answer: Callable[[str], None],
        on_refused: Callable[[str, int], None],
        *middlewares: aiohttp.ClientMiddlewareType,
    ) -> aiohttp.ClientSession:
        """Open an authenticated session for the watch; see `Connection.open_session`."""
        return await self._connection.open_session(on_answer, on_refused, *middlewares)

    async def close(self) -> None:
        """Close all connections."""
        await self._connection.close()

    # AgbSessions

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read one AgbSession from etcd."""
        return await self._ask(_SESSION, namespace, name)

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge `patch` into the status of exactly this version of the object; returns the object.

        Resource versions are never used twice, so no uid is needed to keep off a successor of the same name (and
        the status endpoint of a custom resource ignores a uid in the patch).

        Raises:
            Conflict: the object has changed since `resource_version`, or is another one of the same name.
        """
        body = {"metadata": {"resourceVersion": resource_version}, "status": patch}
        return await self._patch(_SESSION + "/status", namespace, name, body)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        """Replace the finalizers of exactly this version of the object; returns the object.

        Raises:
            Conflict: the object has changed since `resource_version`, or is another one of the same name.
        """
        metadata = {"resourceVersion": resource_version, "finalizers": finalizers or None}
        return await self._patch(_SESSION, namespace, name, {"metadata": metadata})

    async def list_names(self, namespace: str | None = None) -> dict[tuple[str, str], str]:
        """List (namespace, name) -> uid of all AgbSessions, of one namespace or of all, without their content."""
        found: dict[tuple[str, str], str] = {}
        async for page in pages(lambda token: self._names_page(namespace, token)):
            for item in page.get("items") or ():
                metadata = item["metadata"]
                found[metadata["namespace"], metadata["name"]] = metadata["uid"]
        return found

    async def _names_page(self, namespace: str | None, token: str) -> dict[str, Any]:
        page = await self._list_page(namespace, limit=_PAGE, token=token)
        self._check_list(page, "PartialObjectMetadataList")
        return page

    # Secrets and Events

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """Read the entries of one Secret."""
        answer = await self._ask(_SECRET, namespace, name)
        return {key: base64.b64decode(value) for key, value in (answer.get("data") or {}).items()}

    async def record_event(self, recorded: RecordedEvent) -> None:
        """Create one Event; its message is cut to what an Event can hold.

        A core/v1 Event with the fields of events.k8s.io/v1 beside the older ones: the newer API refuses
        timestamps that `kubectl get events --sort-by=.lastTimestamp`, as people type it, sorts by.

        Raises:
            Conflict: there is an Event with this id.
        """
        event, (namespace, name, kind) = recorded.event, recorded.key
        seconds = timestamp(recorded.at)
        body = {
            "metadata": {"namespace": namespace, "name": f"{name[:230]}.{recorded.event_id}"},
            "involvedObject": {
                "apiVersion": GROUP_VERSION,
                "kind": kind,
                "namespace": namespace,
                "name": name,
                "uid": recorded.uid,
            },
            "type": "Warning" if event.warning else "Normal",
            "reason": event.reason,
            "action": "Reconcile",
            "message": _cut(event.message),
            "count": 1,
            "firstTimestamp": seconds,
            "lastTimestamp": seconds,
            "eventTime": micro_time(recorded.at),
            "source": {"component": "agb-operator"},
            "reportingComponent": CONTROLLER,
            "reportingInstance": self._instance,
        }
        await self._ask(_EVENTS, namespace, method="POST", body=body)

    # Leases

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        """Read one Lease."""
        return await self._ask(_LEASES + "/{name}", namespace, name)

    async def create_lease(self, namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease; a `Conflict` says that somebody was faster."""
        body = {"metadata": {"namespace": namespace, "name": name}, "spec": spec}
        return await self._ask(_LEASES, namespace, method="POST", body=body)

    async def update_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Write a Lease over the version it was read at; a `Conflict` says that somebody was faster."""
        return await self._ask(_LEASES + "/{name}", namespace, name, method="PUT", body=lease)

    # Start

    async def check(self, namespaces: Collection[str] = (), *, patience: float = 20.0) -> None:
        """See that the operator can work here; an absent CRD or server may turn up within `patience` seconds.

        Args:
            namespaces: the ones to be watched; none is the whole cluster.
            patience: seconds. A chart's CRD takes a moment to be served, and a restarting API server to return.

        Raises:
            StartupError: with what to do about it.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        told = ""
        while True:
            try:
                return await self._check_once(namespaces)
            except _NotYet as exc:
                if loop.time() >= deadline:
                    raise StartupError(str(exc)) from exc
                if str(exc) != told:
                    told = str(exc)
                    logger.warning("waiting: %s", told)
            await asyncio.sleep(1.0)

    async def _check_once(self, namespaces: Collection[str]) -> None:
        try:
            served = await self._connection.request(Request(path=SESSIONS))
            if not {"agbsessions", "agbsessions/status"} <= {item["name"] for item in served["resources"]}:
                raise _NotYet(_no_crd(self.server))
            await self._check_rights(namespaces)
        except ClusterForbidden as exc:
            if exc.http_status == 401:
                raise StartupError(
                    f"the API server at {self.server} refuses the credentials: check the user of the current context, "
                    "or the pod's service account"
                ) from exc
            raise StartupError(
                f"{exc.message}: grant the operator its RBAC rules (the Helm chart includes them)"
            ) from exc
        except ClusterError as exc:
            if exc.http_status == 404:
                raise _NotYet(_no_crd(self.server)) from exc
            raise _NotYet(f"{exc.message}: check that the cluster runs and can be reached from here") from exc

    async def _check_rights(self, namespaces: Collection[str]) -> None:
        """See that the sessions can be watched in one of the namespaces: the others wait for rights of their own.

        The watch has a session of its own, so what it will ask for is asked for on such a one.
        """
        refusals: list[ClusterForbidden] = []
        for namespace in namespaces or (None,):
            try:
                page = await self._list_page(namespace, limit=1)
                version = page.get("metadata", {}).get("resourceVersion", "")
                await self._connection.try_watch(_sessions(namespace, resourceVersion=version, timeoutSeconds=1))
            except ClusterForbidden as exc:
                refusals.append(exc)
        if len(refusals) >= len(namespaces or (None,)):
            raise refusals[0]

    async def _list_page(self, namespace: str | None, *, limit: int, token: str = "") -> dict[str, Any]:
        more = {"continue": token} if token else {}
        return await self._connection.request(_sessions(namespace, limit=limit, **more))


class _NotYet(Exception):
    """A reason not to start that may pass within seconds."""


def _sessions(namespace: str | None, **query: str | int) -> Request:
    """Ask for all AgbSessions of a namespace, or of all, without their content."""
    names = {} if namespace is None else {"namespace": checked(namespace)}
    path = _ALL_SESSIONS if namespace is None else _SESSIONS
    return Request(path=path, names=names, query=tuple(query.items()), accept=_METADATA_ONLY)


def micro_time(moment: datetime) -> str:
    """Write a moment as Kubernetes' MicroTime: UTC, always six digits."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _cut(note: str) -> str:
    raw = note.encode()
    return note if len(raw) <= _NOTE_LIMIT else raw[: _NOTE_LIMIT - 3].decode(errors="ignore") + "..."


def _no_crd(server: str) -> str:
    return (
        f"the AgbSession resource is not installed in the cluster at {server}: "
        "apply crds/agbsessions.yaml, or install the Helm chart with crds.enabled=true"
    )
