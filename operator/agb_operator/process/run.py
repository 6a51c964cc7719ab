"""The process: finds the cluster, serves health and metrics, works while it leads, and ends in order.

Owns who is alive and for how long. A part that ends although nobody asked it to ends the process with exit code 1, so
that nothing lives on without doing its work; the next process continues from what API and resources say.
"""

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any, Final

from ..agb.http import AgbApi
from ..control.metrics import Metrics
from ..kube.cluster import Cluster, connect_cluster
from ..kube.config import find_cluster
from ..kube.schedule_watch import ScheduleWatch
from ..model.errors import StartupError
from ..model.proxy import proxy_for
from ..model.schedule import old_zones
from .assembly import Part, Parts, assemble, system_clock
from .health import HealthServer, LoopLag
from .leader import Elector, LeaseLost, new_identity
from .logs import hide
from .settings import Settings
from .watch import Watch

logger = logging.getLogger(__name__)

LOOP_LAG: Final = 5.0
"""Seconds that the event loop may be late all the time before a restart is the better choice."""


async def run(settings: Settings) -> int:
    """Run until SIGTERM or SIGINT (returns 0), or until a part fails or the lease is lost (returns 1).

    Raises:
        StartupError: the operator cannot work here; the message says what to do.
    """
    stop = asyncio.Event()
    _stop_on_signals(stop)
    clusters: list[Cluster] = []
    try:
        if not await _unless_stopped(_connect(settings, clusters), stop):
            return 0
        cluster, lease_cluster = clusters
        return await _serve(settings, cluster, lease_cluster, stop)
    finally:
        for connected in clusters:
            await connected.close()


async def _connect(settings: Settings, clusters: list[Cluster]) -> None:
    """Connect twice: renewals must not queue behind thousands of status writes, so the lease has its own connection."""
    load = find_cluster(os.environ)
    for _ in range(2):
        clusters.append(await connect_cluster(load))
    await clusters[0].check(settings.namespaces)


async def _serve(settings: Settings, cluster: Cluster, lease_cluster: Cluster, stop: asyncio.Event) -> int:
    if warning := old_zones(version("tzdata"), datetime.now(UTC)):
        logger.warning("%s", warning)
    metrics, clock = Metrics(), system_clock()
    elector = Elector(
        leases=lease_cluster,
        namespace=settings.lease_namespace,
        name=settings.lease_name,
        identity=new_identity(),
        on_change=metrics.leader,
        clock=clock,
    )
    elects = settings.leader_election

    def leads() -> bool:
        return elector.leads or not elects

    try:
        for proxy in (cluster.proxy, proxy_for(settings.endpoint, os.environ)):
            for secret in proxy.secrets if proxy else ():
                hide(secret)
        agb = AgbApi(endpoint=settings.endpoint, timeout=settings.api_timeout, on_call=metrics.api_call, leads=leads)
    except ValueError as exc:
        raise StartupError(str(exc)) from exc
    parts = assemble(
        settings,
        cluster=cluster,
        open_client=lambda key, guard: agb.client_of(key, within=guard.around, allows=guard.allows),
        clock=clock,
        leads=leads,
        metrics=metrics,
    )
    watch = Watch(
        cluster=cluster,
        informer=parts.informer,
        relist=parts.relist,
        store=parts.store,
        metrics=metrics,
        clock=clock,
        namespaces=settings.namespaces,
        # kopf takes the signals for itself when it starts; the order of the end is ours, so they are taken back.
        on_start=lambda: _stop_on_signals(stop),
    )
    schedules = ScheduleWatch(cluster=cluster, sink=parts.schedules, namespaces=settings.namespaces)
    work: dict[str, Part] = {"watch": watch.run, "schedules": schedules.run}
    lag = LoopLag(limit=LOOP_LAG, on_lag=metrics.loop_lag, clock=clock, beats=(parts.passes.beat,))
    ready = {"event loop": lag.problem, "watch": watch.missing, **({"lease": elector.problem} if elects else {})}
    server = HealthServer(
        host=settings.http_address.host,
        port=settings.http_address.port,
        alive={"event loop": lag.problem, "watch": watch.problem, **parts.checks},
        ready=ready,
        page=metrics.page,
        inspect=parts.inspection.of,
    )
    measuring = asyncio.create_task(lag.run(), name="loop lag")
    try:
        async with server:
            if not elects:
                metrics.leader(True)
                return await _work(parts.run(**work), stop)
            try:
                if not await _unless_stopped(elector.acquire(), stop):
                    return 0
                return await _work(_while_leading(parts, work, elector), stop)
            finally:
                await elector.step_down()
    finally:
        measuring.cancel()
        await agb.aclose()
        with contextlib.suppress(asyncio.CancelledError):
            await measuring  # what it has failed with is not lost


async def _while_leading(parts: Parts, work: Mapping[str, Part], elector: Elector) -> None:
    """Work for as long as the lease is ours; losing it stops all calls at once."""
    async with asyncio.TaskGroup() as group:
        group.create_task(elector.keep(), name="lease")
        group.create_task(parts.run(**work), name="work")


async def _work(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> int:
    """Run until told to stop (0) or until a part fails (1)."""
    try:
        await _unless_stopped(work, stop)
    except ExceptionGroup as group:
        for error in _leaves(group):
            expected = isinstance(error, LeaseLost | StartupError)
            logger.log(logging.ERROR, "the process ends: %s", error, exc_info=None if expected else error)
        return 1
    return 0


async def _unless_stopped(work: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Run `work` to its end (True), or cancel it when `stop` is set (False)."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({working, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            await working
            return True
        return False
    finally:
        for task in (working, stopping):
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await working


def _leaves(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    leaves: list[BaseException] = []
    for error in group.exceptions:
        leaves.extend(_leaves(error) if isinstance(error, BaseExceptionGroup) else [error])
    return leaves


def _stop_on_signals(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
