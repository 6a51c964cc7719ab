"""The cluster as the plugin sees it: the operator's own connection, with the caller's kubeconfig and rights.

Owns the requests and their words when they fail; the time comes from the API server, so that a wrong clock of the
computer does no harm.
"""

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

from agb_operator import __version__
from agb_operator.kube.config import find_cluster
from agb_operator.kube.connection import Connection
from agb_operator.kube.messages import Request, pages
from agb_operator.kube.schedule_requests import SESSIONS, checked
from agb_operator.model.errors import ClusterError, ClusterForbidden, ObjectNotFound, StartupError
from agb_operator.model.resource import GROUP

from .errors import Failed, WrongUsage

MANAGER: Final = "agb"
"""The field manager of all that the plugin writes."""
_PAGE: Final = 500
_TIMEOUT: Final = 30.0
"""Seconds for one request."""

T = TypeVar("T")


class NoSuchKind(Failed):
    """The cluster does not serve a kind of ours."""


class Cluster:
    """One API server.

    Attributes:
        namespace: the one that is meant where none is named.
    """

    def __init__(self, connection: Connection, namespace: str) -> None:
        self._connection = connection
        self.namespace = namespace
        self._date: datetime | None = None
        self._dated_at = 0.0

    def now(self) -> datetime:
        """Give the API server's time of day; this computer's before the first answer."""
        if self._date is None:
            return datetime.now(UTC)
        return self._date + timedelta(seconds=time.monotonic() - self._dated_at)

    async def session(self, namespace: str, name: str) -> dict[str, Any]:
        """Read an AgbSession."""
        return await self._ask(_request("agbsessions", namespace, name))

    async def sessions(self, namespace: str | None, selector: str = "") -> list[dict[str, Any]]:
        """List the AgbSessions of a namespace, or of all; `selector` as kubectl's `-l`."""
        return await self._list("agbsessions", namespace, selector)

    async def schedules(self, namespace: str | None) -> list[dict[str, Any]]:
        """List the AgbPauseSchedules of a namespace, or of all; a cluster that does not know the kind has none."""
        try:
            return await self._list("agbpauseschedules", namespace, "")
        except NoSuchKind:
            return []

    async def patch(self, namespace: str, name: str, patch: Mapping[str, Any], *, dry_run: bool) -> dict[str, Any]:
        """Merge `patch` into an AgbSession; returns the AgbSession.

        Raises:
            ClusterError: it was refused.
        """
        query = [("fieldManager", MANAGER), ("fieldValidation", "Strict"), *([("dryRun", "All")] if dry_run else [])]
        request = _request("agbsessions", namespace, name, query, method="PATCH", body=patch)
        return await self._send(request)

    async def _list(self, plural: str, namespace: str | None, selector: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        query: list[tuple[str, str | int]] = [("limit", _PAGE), *([("labelSelector", selector)] if selector else [])]

        def ask(token: str) -> Awaitable[dict[str, Any]]:
            more = [("continue", token)] if token else []
            return self._ask(_request(plural, namespace, None, [*query, *more]))

        try:
            async for page in pages(ask):
                found += page.get("items") or ()
        except ClusterError as error:
            raise explained(error) from error
        return found

    async def _ask(self, request: Request) -> dict[str, Any]:
        """Send a request; what fails is told in words for people."""
        try:
            return await self._send(request)
        except ObjectNotFound as error:
            raise explained(error) from error
        except ClusterError as error:
            if error.http_status == 404 and not await self._serves(request):
                raise NoSuchKind(
                    "this cluster does not know AgbSessions and AgbPauseSchedules: install the chart of agb-operator, "
                    "or apply its folder crds/"
                ) from error
            raise explained(error) from error

    async def _serves(self, request: Request) -> bool:
        """Ask the API server whether it knows a kind: a page that says 404 may be a proxy's."""
        try:
            groups = (await self._send(Request(path="/apis"))).get("groups") or ()
            if GROUP not in {group["name"] for group in groups}:
                return False
            kinds = (await self._send(Request(path=SESSIONS))).get("resources") or ()
            return any(f"/{kind['name']}" in request.path for kind in kinds)
        except ClusterError:
            return True

    async def _send(self, request: Request) -> dict[str, Any]:
        try:
            return await self._connection.request(request)
        finally:
            if self._connection.date:
                self._date, self._dated_at = parsedate_to_datetime(self._connection.date), time.monotonic()


def explained(error: ClusterError) -> Failed:
    """Say what a failure means to the person who asked."""
    said = error.message.partition(f"HTTP {error.http_status}: ")[2] or error.message
    if isinstance(error, ClusterForbidden):
        if error.http_status == 401:
            return Failed("the API server refuses your credentials: log in again, or choose another --context")
        return Failed(f"you lack a right: {said}; ask an administrator of the cluster for it")
    return Failed(said)


def _request(
    plural: str,
    namespace: str | None,
    name: str | None,
    query: Any = (),
    **more: Any,
) -> Request:
    path, names = f"{SESSIONS}/{plural}", {}
    try:
        if namespace is not None:
            path, names = f"{SESSIONS}/namespaces/{{namespace}}/{plural}", {"namespace": checked(namespace)}
        if name is not None:
            path, names = path + "/{name}", {**names, "name": checked(name)}
    except ObjectNotFound as error:
        raise WrongUsage(error.message) from error
    if more.get("method") == "PATCH":
        more["content"] = "application/merge-patch+json"
    return Request(path=path, names=names, query=tuple(query), **more)


@asynccontextmanager
async def connected(namespace: str = "", context: str = "") -> AsyncIterator[Cluster]:
    """Connect as kubectl would.

    Raises:
        Failed: no cluster can be found.
    """
    # What the connection logs is told by the error that follows.
    logging.getLogger("agb_operator").addHandler(logging.NullHandler())
    try:
        load = find_cluster(os.environ, context=context)
        access = await load()
    except StartupError as error:
        raise Failed(str(error)) from error
    user_agent = f"kubectl-agb/{__version__}"
    connection = Connection(access, reload=load, timeout=_TIMEOUT, user_agent=user_agent)
    try:
        yield Cluster(connection, namespace or access.namespace)
    finally:
        await connection.close()


def in_cluster(namespace: str, context: str, work: Callable[[Cluster], Awaitable[T]]) -> T:
    """Connect, do the work, and disconnect."""

    async def main() -> T:
        async with connected(namespace, context) as cluster:
            return await work(cluster)

    return asyncio.run(main())
