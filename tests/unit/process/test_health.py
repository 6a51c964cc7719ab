"""The probes tell the truth about progress, and say what is wrong on a line of its own."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping

import aiohttp
import pytest

from agb_operator.model.errors import StartupError
from agb_operator.process import health
from agb_operator.process.health import Check, HealthServer, LoopLag, Progress
from simulated import loop_clock


def well() -> str:
    return ""


def page(accept: str) -> tuple[bytes, str]:
    return b"agb_leader 1.0\n", f"text/plain; asked={accept.replace('/', '-')}"


def nothing_known(namespace: str, name: str) -> None:
    return None


def serve(
    alive: Mapping[str, Check] | None = None, ready: Mapping[str, Check] | None = None, port: int = 0
) -> HealthServer:
    return HealthServer(
        host="127.0.0.1", port=port, alive=alive or {}, ready=ready or {}, page=page, inspect=nothing_known
    )


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def get(http: aiohttp.ClientSession, server: HealthServer, path: str) -> tuple[int, str]:
    async with http.get(f"http://127.0.0.1:{server.port}{path}", headers={"Accept": "text/plain"}) as answer:
        return answer.status, await answer.text()


async def test_a_probe_answers_200_and_names_what_it_looked_at(http: aiohttp.ClientSession) -> None:
    async with serve(alive={"watch": well, "workers": well}) as server:
        assert await get(http, server, "/healthz") == (200, "watch: ok\nworkers: ok\n")
        assert await get(http, server, "/readyz") == (200, "ok\n")


@pytest.mark.parametrize("address", ["127.0.0.1", "[::1]"])
async def test_without_a_host_it_serves_ipv4_and_ipv6_on_one_port(address: str, http: aiohttp.ClientSession) -> None:
    async with (
        HealthServer(host="", port=0, alive={}, ready={}, page=page, inspect=nothing_known) as server,
        http.get(f"http://{address}:{server.port}/healthz") as answer,
    ):
        assert answer.status == 200


async def test_one_failing_check_makes_the_probe_fail_and_says_why(http: aiohttp.ClientSession) -> None:
    async with serve(alive={"watch": well, "workers": lambda: "stuck"}, ready={"lease": well}) as server:
        assert await get(http, server, "/healthz") == (503, "watch: ok\nworkers: stuck\n")
        assert await get(http, server, "/readyz") == (200, "lease: ok\n")


async def test_a_check_that_breaks_fails_and_leaves_the_others_answered(http: aiohttp.ClientSession) -> None:
    def broken() -> str:
        raise KeyError("oops")

    async with serve(ready={"broken": broken, "lease": well}) as server:
        assert await get(http, server, "/readyz") == (503, "broken: the check broke: KeyError\nlease: ok\n")


async def test_metrics_come_in_the_format_that_was_asked_for(http: aiohttp.ClientSession) -> None:
    async with (
        serve() as server,
        http.get(f"http://127.0.0.1:{server.port}/metrics", headers={"Accept": "x/y"}) as answer,
    ):
        assert (answer.status, await answer.text()) == (200, "agb_leader 1.0\n")
        assert answer.headers["Content-Type"] == "text/plain; asked=x-y"


async def test_a_taken_port_is_told_with_the_way_out() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(StartupError, match=rf"127\.0\.0\.1:{port}: .*--http-address"):
            async with serve(port=port):
                pass


async def test_the_port_is_free_again_afterwards() -> None:
    async with serve() as first:
        port = first.port
    async with serve(port=port) as second:
        assert second.port == port


@pytest.mark.looptime
async def test_progress_fails_when_nothing_happened_for_longer_than_the_limit() -> None:
    progress = Progress("no pass was finished", limit=60, clock=loop_clock())
    await asyncio.sleep(60)
    assert progress.problem() == ""
    await asyncio.sleep(1)
    assert progress.problem() == "no pass was finished for 61 s, and 60 s are allowed"
    progress.touch()
    assert progress.problem() == ""


@pytest.mark.looptime
async def test_a_part_with_nothing_to_do_is_not_stuck_however_long_it_rests() -> None:
    waiting = False
    progress = Progress("no pass was finished", limit=60, clock=loop_clock(), busy=lambda: waiting)
    lag = LoopLag(limit=1, clock=loop_clock(), on_lag=lambda _: None, beats=(progress.beat,))
    measuring = asyncio.create_task(lag.run())
    await asyncio.sleep(1000)
    waiting = True
    assert progress.problem() == "", "work that has just come up is not late yet"
    await asyncio.sleep(62)
    assert progress.problem() != ""
    measuring.cancel()


@pytest.mark.looptime
async def test_an_idle_loop_shows_no_lag() -> None:
    lags: list[float] = []
    lag = LoopLag(limit=0.5, clock=loop_clock(), on_lag=lags.append)
    measuring = asyncio.create_task(lag.run())
    await asyncio.sleep(20.5)
    measuring.cancel()
    assert len(lags) == 20
    assert max(lags) < 0.1
    assert lag.problem() == ""


@pytest.mark.looptime
async def test_a_loop_that_nobody_measures_any_more_fails() -> None:
    def broken(_: float) -> None:
        raise RuntimeError("a bug")

    lag = LoopLag(limit=0.5, clock=loop_clock(), on_lag=broken)
    measuring = asyncio.create_task(lag.run())
    await asyncio.sleep(10)
    assert lag.problem() == ""
    await asyncio.sleep(60)
    assert lag.problem() == "the event loop was not measured for 69 s"
    with pytest.raises(RuntimeError, match="a bug"):
        await measuring


class SlowLoop:
    """Makes `asyncio.sleep` of the code under test last longer than asked, as a busy loop does."""

    def __init__(self, late: float) -> None:
        self.late = late
        self._sleep = asyncio.sleep

    async def sleep(self, seconds: float) -> None:
        await self._sleep(seconds + self.late)


@pytest.mark.looptime
async def test_a_loop_that_is_late_all_the_time_fails_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    slow = SlowLoop(late=3.0)
    sleep = asyncio.sleep
    monkeypatch.setattr("agb_operator.process.health.asyncio.sleep", slow.sleep)
    lag = LoopLag(limit=2.0, clock=loop_clock(), on_lag=lambda _: None)
    measuring = asyncio.create_task(lag.run())
    await sleep(4 * 9.5)
    assert lag.problem() == "", "nine bad measurements are not ten"
    await sleep(4)
    assert lag.problem().startswith("the event loop is 3.0 s late")
    slow.late = 0
    await sleep(5)
    assert lag.problem() == ""
    measuring.cancel()


async def test_what_is_known_of_a_resource_is_told_as_json(http: aiohttp.ClientSession) -> None:
    def inspect(namespace: str, name: str) -> dict[str, str] | None:
        return {"resource": f"{namespace}/{name}"} if name == "batch" else None

    async with HealthServer(host="127.0.0.1", port=0, alive={}, ready={}, page=page, inspect=inspect) as server:
        status, text = await get(http, server, "/debug/agbsessions/ml/batch")
        assert (status, json.loads(text)) == (200, {"resource": "ml/batch"})
        status, text = await get(http, server, "/debug/agbsessions/ml/other")
        assert (status, "ml/other is not known here" in text) == (404, True)


@pytest.mark.parametrize(
    ("address", "local"),
    [("127.0.0.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.7", False), ("::ffff:10.0.0.7", False)],
)
def test_only_who_is_inside_the_pod_is_told_of_resources(address: str, local: bool) -> None:
    assert health._is_local(address) is local
    assert not health._is_local("")


async def test_from_outside_the_pod_nothing_is_told_of_resources(
    http: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_is_local", lambda _: False)
    async with serve() as server:
        status, text = await get(http, server, "/debug/agbsessions/ml/batch")
        assert (status, "kubectl port-forward" in text) == (403, True)
