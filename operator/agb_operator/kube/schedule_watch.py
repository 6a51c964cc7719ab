"""List and watch of AgbPauseSchedules: they are few, and their absence must touch nothing else.

kopf watches the sessions and is left alone with them. It looks for kinds once, at its start, so a CRD that comes later
would need a restart of all its watches; it does not say when its first list is complete, which no session may be woken
or put to sleep before; and it takes a kind that goes away for the end of everything.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import aiohttp

from ..model.errors import ClusterError, ClusterForbidden
from .cluster import Cluster

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = 60
"""Seconds that one watch request lasts before it is renewed where it ended."""
LOOK_FOR: Final = 60.0
"""Seconds between two looks for a resource that is not installed."""
REFUSED_PAUSE: Final = 10.0
"""Seconds between two lists that the API server does not allow."""
TOO_MANY: Final = 429
RETRY: Final = 2.0
"""Seconds until all is listed again after a list or a watch that failed; a watch that ended well is renewed, see
`rounds`."""


class ScheduleSink(Protocol):
    """Takes in what is found; a scope is a namespace, or None for the whole cluster."""

    def listed(self, scope: str | None, bodies: Iterable[dict[str, Any]]) -> None:
        """All schedules of the scope."""

    def event(self, kind: str, body: dict[str, Any]) -> None:
        """One event of the watch: ADDED, MODIFIED or DELETED."""

    def absent(self, scope: str | None) -> None:
        """The resource is not installed."""

    def refused(self, scope: str | None, why: str) -> None:
        """They may not be read."""

    def unavailable(self, scope: str | None, why: str) -> None:
        """The API server gave no list."""


@dataclass(kw_only=True, slots=True, eq=False)
class ScheduleWatch:
    """Keeps a sink up to date; `run` once."""

    cluster: Cluster
    sink: ScheduleSink
    namespaces: Collection[str]
    """The ones watched; none is the whole cluster."""

    async def run(self) -> None:
        """Go on until cancelled: no answer of the API server ends it."""
        async with asyncio.TaskGroup() as group:
            for scope in self.namespaces or (None,):
                group.create_task(self._follow(scope), name=f"schedules of {scope or 'all namespaces'}")

    async def _follow(self, scope: str | None) -> None:
        while True:
            try:
                bodies, version = await self.cluster.list_schedules(scope)
            except ClusterError as error:
                await asyncio.sleep(await self._pause(scope, error))
                continue
            self.sink.listed(scope, bodies)
            await self._watch(scope, version)

    async def _pause(self, scope: str | None, error: ClusterError) -> float:
        """Tell the sink why there is no list; returns the seconds until the next try."""
        if error.http_status == 404 and await self._is_absent():
            self.sink.absent(scope)
            return LOOK_FOR
        if isinstance(error, ClusterForbidden):
            self.sink.refused(scope, str(error))
            return REFUSED_PAUSE
        self.sink.unavailable(scope, str(error))
        return RETRY

    async def _is_absent(self) -> bool:
        """Ask what the API server serves: a 404 may be a proxy's."""
        try:
            return not await self.cluster.serves_schedules()
        except ClusterError:
            return False

    async def _watch(self, scope: str | None, version: str) -> None:
        """Hand on the events since a version; ends when the next thing to do is to list again."""
        refused = False
        while version and not refused:

            def note_refused(path: str, status: int) -> None:
                nonlocal refused
                if status != TOO_MANY:
                    refused = True
                    self.sink.refused(scope, f"watch of {path}: HTTP {status}")

            try:
                async with await self.cluster.open_session(lambda _: None, note_refused) as session:
                    version = await self._one_watch(session, scope, version)
            except (aiohttp.ClientError, OSError, TimeoutError, ValueError, KeyError, TypeError) as error:
                # The last three are lines that are no JSON, or no event.
                logger.info("the watch of AgbPauseSchedules broke off: %r", error)
                version = ""
        await asyncio.sleep(RETRY)

    async def _one_watch(self, session: aiohttp.ClientSession, scope: str | None, version: str) -> str:
        """Read one watch to its end; returns the version to go on from, "" if all is to be listed again."""
        query = {
            "watch": "1",
            "allowWatchBookmarks": "true",
            "resourceVersion": version,
            "timeoutSeconds": str(WATCH_SECONDS),
        }
        patience = aiohttp.ClientTimeout(total=None, sock_connect=10.0, sock_read=WATCH_SECONDS + 10.0)
        async with session.get(self.cluster.schedules_url(scope), params=query, timeout=patience) as answer:
            if answer.status != 200:
                return ""
            async for line in _lines(answer.content):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    return ""
                version = event["object"]["metadata"]["resourceVersion"]
                if event["type"] != "BOOKMARK":
                    self.sink.event(event["type"], event["object"])
        return version


async def _lines(content: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Give whole lines, however long they are."""
    rest = b""
    async for chunk in content.iter_any():
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
