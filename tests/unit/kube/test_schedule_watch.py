"""The list and the watch of schedules: each answer of the API server is told as what it is, and none ends the watch."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agb_operator.kube import connection, rounds, schedule_watch
from agb_operator.kube.schedule_watch import ScheduleWatch
from agb_operator.model.errors import ClusterUnavailable
from simulated import loop_time
from unit.kube.api_server import ApiServer, Connect

SCHEDULES = "/apis/agb.cloud/v1alpha1/agbpauseschedules"
SERVED = "/apis/agb.cloud/v1alpha1"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
PAUSE = 1000.0


class Sink:
    """Writes down what is told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self._more = asyncio.Condition()

    async def hears(self, text: str, times: int = 1) -> None:
        """Wait until something has been told so often."""
        async with asyncio.timeout(20), self._more:
            await self._more.wait_for(lambda: self.told.count(text) >= times)

    def listed(self, scope: str | None, bodies: Iterable[dict[str, Any]]) -> None:
        names = ", ".join(body["metadata"]["name"] for body in bodies)
        self._tell(f"{scope or 'all'}: {names or 'none'}")

    def event(self, kind: str, body: dict[str, Any]) -> None:
        self._tell(f"{kind} {body['metadata']['name']}")

    def absent(self, scope: str | None) -> None:
        self._tell("absent")

    def refused(self, scope: str | None, why: str) -> None:
        self._tell("refused")

    def unavailable(self, scope: str | None, why: str) -> None:
        self._tell("unavailable")

    def _tell(self, text: str) -> None:
        self.told.append(text)
        asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        async with self._more:
            self._more.notify_all()


def a_schedule(name: str, version: str) -> dict[str, Any]:
    return {"metadata": {"name": name, "namespace": "ml", "resourceVersion": version}}


def event(kind: str, name: str = "nights", version: str = "2") -> dict[str, Any]:
    return {"type": kind, "object": a_schedule(name, version)}


class Script:
    """Answers requests by what they ask for; the last answer of a list stands for all that follow."""

    def __init__(self) -> None:
        self.lists: list[Answer] = [the_list("nights")]
        self.watches: list[Answer] = [a_watch()]
        self.serves = ["agbsessions", "agbpauseschedules"]
        self.watched_from: list[str] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        if request.path == SERVED:
            return web.json_response({"kind": "APIResourceList", "resources": [{"name": n} for n in self.serves]})
        if request.query.get("watch"):
            self.watched_from.append(request.query["resourceVersion"])
            return await _next(self.watches)(request)
        return await _next(self.lists)(request)


def _next(answers: list[Answer]) -> Answer:
    return answers.pop(0) if len(answers) > 1 else answers[0]


def the_list(*names: str, version: str = "1") -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        items = [a_schedule(name, version) for name in names]
        return web.json_response(
            {"kind": "AgbPauseScheduleList", "metadata": {"resourceVersion": version}, "items": items}
        )

    return answer


def refuses(status: int, reason: str | None) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        if reason is None:
            return web.Response(status=status, text="<html>no such page</html>", content_type="text/html")
        return web.json_response({"kind": "Status", "reason": reason, "message": "no"}, status=status)

    return answer


def a_watch(*events: dict[str, Any], then: str = "") -> Answer:
    """Send events, and then end the watch, or go on without a word."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"".join(json.dumps(sent).encode() + b"\n" for sent in events) + then.encode())
        if not events and not then:
            await asyncio.Event().wait()
        return response

    return answer


@pytest.fixture
def script(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Script:
    for name in ("LOOK_FOR", "REFUSED_PAUSE", "RETRY"):
        monkeypatch.setattr(schedule_watch, name, 0.01)
    monkeypatch.setattr(rounds, "RENEWAL", 0.01)
    monkeypatch.setattr(connection, "_PAUSES", dict.fromkeys(connection._PAUSES, 0.01))
    script = Script()
    server.answer = script
    return script


@asynccontextmanager
async def watching(connect: Connect, *namespaces: str) -> AsyncIterator[Sink]:
    sink = Sink()
    watch = ScheduleWatch(cluster=await connect(), sink=sink, namespaces=namespaces)
    task = asyncio.create_task(watch.run())
    try:
        yield sink
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_list_and_the_events_since_are_told(script: Script, connect: Connect) -> None:
    script.watches = [
        a_watch(event("MODIFIED", version="2"), event("BOOKMARK", version="7")),
        a_watch(event("DELETED", version="8")),
        a_watch(),
    ]
    async with watching(connect) as sink:
        await sink.hears("DELETED nights")

    assert sink.told == ["all: nights", "MODIFIED nights", "DELETED nights"]
    assert script.watched_from[:2] == ["1", "7"]


async def test_each_namespace_is_listed_by_itself(script: Script, connect: Connect, server: ApiServer) -> None:
    async with watching(connect, "ml", "web") as sink:
        await sink.hears("ml: nights")
        await sink.hears("web: nights")

    paths = {request.path for request in server.requests}
    assert {f"{SERVED}/namespaces/{name}/agbpauseschedules" for name in ("ml", "web")} <= paths


async def test_a_resource_that_is_installed_later_is_found(script: Script, connect: Connect) -> None:
    script.lists, script.serves = [refuses(404, "NotFound")], ["agbsessions"]
    async with watching(connect) as sink:
        await sink.hears("absent")
        script.lists, script.serves = [the_list("nights")], ["agbsessions", "agbpauseschedules"]
        await sink.hears("all: nights")


async def test_a_404_of_a_resource_that_is_served_does_not_mean_that_it_is_absent(
    script: Script, connect: Connect
) -> None:
    script.lists = [refuses(404, None), the_list("nights")]
    async with watching(connect) as sink:
        await sink.hears("all: nights")

    assert sink.told == ["unavailable", "all: nights"]


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (403, "Forbidden", "refused"),
        (500, "InternalError", "unavailable"),
        (503, "ServiceUnavailable", "unavailable"),
        (200, None, "unavailable"),
    ],
)
async def test_a_list_that_fails_is_told_and_asked_for_again(
    status: int, reason: str | None, told: str, script: Script, connect: Connect
) -> None:
    script.lists = [refuses(status, reason), the_list("nights")]
    async with watching(connect) as sink:
        await sink.hears("all: nights")

    assert sink.told == [told, "all: nights"]


async def test_half_a_line_at_the_end_of_a_watch_is_asked_for_again(script: Script, connect: Connect) -> None:
    script.watches = [a_watch(event("MODIFIED"), then='{"type": "DEL'), a_watch(event("DELETED")), a_watch()]
    async with watching(connect) as sink:
        await sink.hears("DELETED nights")

    assert script.watched_from[:2] == ["1", "2"]


@pytest.mark.parametrize(
    "broken",
    [
        a_watch({"type": "ERROR", "object": {"code": 410, "reason": "Expired"}}),
        a_watch(then="no JSON\n"),
        a_watch(then="[]\n"),
        a_watch(then='{"type": "ADDED"}\n'),
        refuses(410, "Expired"),
        refuses(500, "InternalError"),
    ],
    ids=["expired", "no JSON", "no event", "no object", "HTTP 410", "HTTP 500"],
)
async def test_after_a_watch_that_breaks_all_is_listed_again(broken: Answer, script: Script, connect: Connect) -> None:
    script.watches = [broken, a_watch()]
    script.lists = [the_list("nights"), the_list("weekends", version="9")]
    async with watching(connect) as sink:
        await sink.hears("all: weekends")

    assert sink.told == ["all: nights", "all: weekends"]


async def test_a_watch_that_is_refused_is_told_at_once_and_a_new_list_ends_that(
    script: Script, connect: Connect
) -> None:
    script.watches = [refuses(403, "Forbidden"), a_watch(event("MODIFIED")), a_watch()]
    async with watching(connect) as sink:
        await sink.hears("refused")
        await sink.hears("all: nights", times=2)

    assert sink.told[:4] == ["all: nights", "refused", "MODIFIED nights", "all: nights"]


@pytest.fixture
def pauses(script: Script, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of each pause that is as long as a real one; they are over at once."""
    sleep, pauses = asyncio.sleep, list[float]()

    async def at_once(delay: float, *more: Any) -> Any:
        if delay > PAUSE - 100.0:
            pauses.append(delay)
            delay = 0
        return await sleep(delay, *more)

    monkeypatch.setattr(schedule_watch, "RETRY", PAUSE)
    monkeypatch.setattr(rounds, "RENEWAL", PAUSE)
    monkeypatch.setattr(asyncio, "sleep", at_once)
    return pauses


async def test_a_watch_that_ends_as_soon_as_it_has_begun_is_not_renewed_without_a_pause(
    script: Script, connect: Connect, pauses: list[float]
) -> None:
    script.watches = [*[a_watch(event("MODIFIED"))] * 9, a_watch(event("DELETED")), a_watch()]
    async with watching(connect) as sink:
        await sink.hears("DELETED nights")

    assert sink.told.count("all: nights") == 1
    assert len(pauses) >= 9


@pytest.mark.parametrize("metadata", [{"resourceVersion": ""}, {}, None], ids=["empty", "without", "no metadata"])
async def test_a_list_without_a_version_to_watch_from_is_told_and_asked_for_again_after_a_pause(
    metadata: object, script: Script, connect: Connect, pauses: list[float]
) -> None:
    async def versionless(_: web.Request) -> web.StreamResponse:
        return web.json_response({"kind": "AgbPauseScheduleList", "metadata": metadata, "items": []})

    script.lists = [*[versionless] * 5, the_list("nights")]
    async with watching(connect) as sink:
        await sink.hears("all: nights")

    assert sink.told == ["all: none"] * 5 + ["all: nights"]
    assert len(pauses) >= 5


class InstalledLater:
    """An API server that does not serve the resource in its first hour; session and answer in one."""

    status = 200

    def __init__(self) -> None:
        self.content = self

    async def list_schedules(self, _: str | None) -> tuple[list[dict[str, Any]], str]:
        if not await self.serves_schedules():
            raise ClusterUnavailable("no such resource", http_status=404)
        return [], "1"

    async def serves_schedules(self) -> bool:
        return loop_time() >= 3600.0

    def schedules_url(self, _: str | None) -> str:
        return ""

    async def open_session(self, *_: object) -> "InstalledLater":
        return self

    def get(self, _: str, **__: object) -> "InstalledLater":
        return self

    async def __aenter__(self) -> "InstalledLater":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def iter_any(self) -> AsyncIterator[bytes]:
        await asyncio.Event().wait()
        yield b""


@pytest.mark.looptime
async def test_a_resource_that_is_installed_later_is_found_within_five_minutes() -> None:
    sink = Sink()
    watch = ScheduleWatch(cluster=InstalledLater(), sink=sink, namespaces=())  # type: ignore[arg-type]
    task = asyncio.create_task(watch.run())
    await asyncio.sleep(3599.0)
    assert set(sink.told) == {"absent"}
    await asyncio.sleep(301.0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)

    assert "all: none" in sink.told
