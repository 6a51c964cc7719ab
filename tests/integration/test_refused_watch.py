"""A watch that the API server refuses for ten minutes: what the probes say meanwhile, and how often it is told."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from agb_operator.control.metrics import Metrics
from agb_operator.process import watch as process_watch
from agb_operator.process.watch import Watch
from integration.world import NAMESPACE, World
from simulated import loop_clock

pytestmark = pytest.mark.looptime

ALL = "/apis/agb.cloud/v1alpha1/agbsessions"
ONE = f"/apis/agb.cloud/v1alpha1/namespaces/{NAMESPACE}/agbsessions"


class Refusing:
    """A cluster whose watch is accepted or refused by the test."""

    server = "https://k8s.example"

    async def open_session(
        self, on_answer: Callable[[str], None], on_refused: Callable[[str, int], None], *_: Any
    ) -> None:
        self.accept, self.refuse = on_answer, on_refused


async def only_log_in(_: Any, *, open_session: Callable[[], Awaitable[Any]], **__: Any) -> None:
    """Stand in for kopf."""
    await open_session()
    await asyncio.Event().wait()


@dataclass(frozen=True, kw_only=True)
class Case:
    """A refusal, and whether /healthz and /readyz stand it."""

    status: int
    namespaces: tuple[str, ...] = ()
    alive: bool = True
    ready: bool = True


CASES = {
    "the CRD was removed": Case(status=404, ready=False),
    "the CRD was removed, and one namespace is watched": Case(status=404, namespaces=(NAMESPACE,), ready=False),
    "too many requests": Case(status=429),
    "no rights in a namespace": Case(status=403, namespaces=(NAMESPACE,)),
    "no rights at all, which the next start explains": Case(status=403, alive=False),
}


@pytest.mark.parametrize("name", CASES)
async def test_a_watch_that_is_refused_for_long(
    name: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case, cluster = CASES[name], Refusing()
    path = ONE if case.namespaces else ALL
    monkeypatch.setattr(process_watch, "run_kopf", only_log_in)
    caplog.set_level(logging.INFO, logger=process_watch.__name__)
    async with World() as world:
        parts = world.operator.parts
        watch = Watch(
            cluster=cluster,  # type: ignore[arg-type]
            informer=parts.informer,
            relist=parts.relist,
            store=parts.store,
            metrics=Metrics(),
            clock=loop_clock(),
            namespaces=case.namespaces,
            on_start=lambda: None,
        )
        running = asyncio.create_task(watch.run())
        await asyncio.sleep(1.0)
        cluster.accept(path)
        for _ in range(120):
            await asyncio.sleep(5.0)
            cluster.refuse(path, case.status)
        assert (watch.problem() == "", watch.missing() == "") == (case.alive, case.ready), watch.problem()
        told = [record.getMessage() for record in caplog.records]
        assert [line.split(":")[0] for line in told] == [f"AgbSessions cannot be watched (HTTP {case.status})"]

        cluster.accept(path)
        assert (watch.problem(), watch.missing()) == ("", "")
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
