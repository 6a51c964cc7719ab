"""A gate in front of every request of an operator, AGB's and the cluster's: it writes them down, and can stop one.

A request that is held never goes on: there a test kills the operator. One that is broken fails as if its connection
had. `Moment.BEFORE` is before it is sent; `Moment.AFTER` is after it took effect and before its answer arrives.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import httpx

from agb_operator.agb.client import SessionClient
from agb_operator.model.errors import ClusterUnavailable
from agb_operator.model.event import RecordedEvent
from agb_operator.model.states import Observation, state_of
from fakes import FakeCluster
from integration.world import World
from simulated import EPOCH, SimulatedTransport, loop_time


class Moment(StrEnum):
    """When, in the life of a request."""

    BEFORE = "before it is sent"
    AFTER = "after it took effect"


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One moment of the request with this number; `request` is what it was in a recorded run, "" if there was none."""

    number: int
    request: str
    moment: Moment

    def __str__(self) -> str:
        return f"{self.moment}: request {self.number}, {self.request}"


class Broken(Exception):
    """The connection of a request breaks at this moment."""

    def __init__(self, moment: Moment) -> None:
        super().__init__(moment)
        self.moment = moment


class Gate:
    """Writes down each request that passes, and stops one of them, once."""

    def __init__(self) -> None:
        self.passed: list[str] = []
        self._stop: Point | None = None
        self._breaks = False
        self._reached = asyncio.Event()

    def points(self) -> list[Point]:
        """Both moments of every request so far."""
        return [
            Point(number=number, request=request, moment=moment)
            for number, request in enumerate(self.passed)
            for moment in Moment
        ]

    def hold(self, point: Point) -> None:
        """Hold a request when it comes; numbers count from now on."""
        self._watch_for(point, breaks=False)

    def break_off(self, point: Point) -> None:
        """Break a request's connection when it comes; numbers count from now on."""
        self._watch_for(point, breaks=True)

    def let_go(self) -> None:
        """Stop no request after all."""
        self._stop = None

    async def reached(self) -> None:
        """Wait until the request that is to be stopped has come to its moment."""
        async with asyncio.timeout(600):
            await self._reached.wait()

    def _watch_for(self, point: Point, *, breaks: bool) -> None:
        self.passed = []
        self._stop, self._breaks = point, breaks
        self._reached.clear()

    @asynccontextmanager
    async def passing(self, request: str) -> AsyncIterator[None]:
        """Let a request through; raises `Broken`."""
        passed, number = self.passed, len(self.passed)
        passed.append(request)
        await self._at(passed, number, Moment.BEFORE)
        yield
        await self._at(passed, number, Moment.AFTER)

    async def _at(self, passed: list[str], number: int, moment: Moment) -> None:
        stop = self._stop
        if passed is not self.passed or stop is None or (stop.number, stop.moment) != (number, moment):
            return
        assert stop.request in ("", passed[number]), "this run differs from the recorded one"
        self._stop = None
        self._reached.set()
        if self._breaks:
            raise Broken(moment)
        await asyncio.Event().wait()


class GatedTransport(httpx.AsyncBaseTransport):
    """The simulator behind a gate."""

    def __init__(self, inner: httpx.AsyncBaseTransport, gate: Gate) -> None:
        self._inner = inner
        self._gate = gate

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            async with self._gate.passing(f"AGB {request.url.path.rpartition('/')[2]}"):
                return await self._inner.handle_async_request(request)
        except Broken as exc:
            kind = httpx.ConnectError if exc.moment == Moment.BEFORE else httpx.ReadError
            raise kind(str(exc), request=request) from exc


class GatedCluster(FakeCluster):
    """The cluster behind a gate."""

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        async with self._passing("read"):
            return await super().read(namespace, name)

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        async with self._passing("write status"):
            return await super().patch_status(namespace, name, resource_version=resource_version, patch=patch)

    async def patch_schedule_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        async with self._passing("write status of schedule"):
            return await super().patch_schedule_status(namespace, name, resource_version=resource_version, patch=patch)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        async with self._passing("write finalizers"):
            return await super().set_finalizers(
                namespace, name, resource_version=resource_version, finalizers=finalizers
            )

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        async with self._passing("read Secret"):
            return await super().read_secret(namespace, name)

    async def record_event(self, recorded: RecordedEvent) -> None:
        async with self._passing(f"send event {recorded.event.reason}"):
            await super().record_event(recorded)

    @asynccontextmanager
    async def _passing(self, request: str) -> AsyncIterator[None]:
        try:
            async with self._gate.passing(f"cluster: {request}"):
                yield
        except Broken as exc:
            raise ClusterUnavailable("the connection broke") from exc


class Trusting:
    """A planted bug: a client that believes a settled status in the cluster, and looks only at what is moving."""

    def __init__(self, client: SessionClient, cluster: FakeCluster) -> None:
        self._client = client
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def observe(self, session_id: str) -> Observation:
        seen = await self._client.observe(session_id)
        for body in self._cluster.objects.values():
            status = body["status"]
            if status.get("sessionId") == session_id and status.get("sessionStatus") in ("RUNNING", "PAUSED"):
                word = status["sessionStatus"]
                return replace(seen, status=word, state=state_of(word))
        return seen


class GatedWorld(World):
    """A world in which every request of the operator passes the gate; `trusting` plants a bug.

    Its time of day begins with it, so that several of one test live through the same edges of the clock.
    """

    def __init__(self, *, trusting: bool = False) -> None:
        self.gate = Gate()
        cluster = GatedCluster(self.gate)
        self.begun = loop_time()
        options: dict[str, Any] = {"wrap": lambda client: Trusting(client, cluster)} if trusting else {}
        super().__init__(transition=3.0, cluster=cluster, wall=self.wall, **options)

    def wall(self) -> datetime:
        """The time of day."""
        return EPOCH + timedelta(seconds=loop_time() - self.begun)

    def transport(self) -> httpx.AsyncBaseTransport:
        return GatedTransport(SimulatedTransport(self.api), self.gate)
