"""The work of the leading replica: all parts built from the settings, running together.

Owns the wiring and nothing else. kopf is the informer and the one part with a shutdown of its own; the others are
plain tasks. Whichever ends takes the rest with it.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime
from typing import Any, Final, cast

import kopf

from ..agb.api_key import ApiKey
from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..agb.guard import Guards
from ..agb.http import AgbApi
from ..control.creation import Creation
from ..control.event_recorder import EventRecorder
from ..control.informer import Informer
from ..control.memory import Memory
from ..control.queue import WorkQueue
from ..control.reconciler import Reconciler
from ..control.relist import Relist
from ..control.resync import Resync
from ..control.status_writer import StatusWriter
from ..control.store import Store
from ..control.workers import Workers, pass_deadline
from ..kube.cluster import Cluster
from ..kube.kopf_watch import WATCH_SECONDS, configure, register
from ..kube.watch_stream import without_echoes
from ..metrics import Metrics
from ..model.errors import ClusterError, ObjectNotFound
from ..model.resource import GROUP, PLURAL, VERSION, ObjectKey, own_labels
from .health import Check, Progress
from .logs import hide
from .settings import Settings

logger = logging.getLogger(__name__)

SWEEP_SECONDS: Final = 300.0
"""Seconds between two comparisons of the API server's names with the store."""
CONCURRENT_FETCHES: Final = 8
"""AgbSessions that are read one by one at the same time."""
KOPF_STOP_SECONDS: Final = 0.5
"""Seconds that kopf gets to end its watches: it only reads, and a standby waits for the Lease meanwhile."""


class Engine:
    """One replica's work; `run` once.

    Args:
        settings: what the administrator decided.
        cluster: the Kubernetes API.
        metrics: where to count.
        leads: says whether this replica may act at this very moment.
        on_kopf_start: called when kopf has spawned its tasks and taken the process's signals.
    """

    def __init__(
        self,
        *,
        settings: Settings,
        cluster: Cluster,
        metrics: Metrics,
        leads: Callable[[], bool],
        on_kopf_start: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._cluster = cluster
        clock = asyncio.get_running_loop().time
        draw = random.random
        self._store = Store()
        self._queue = WorkQueue()
        self._memory = Memory(clock=clock)
        self._api = AgbApi(
            endpoint=settings.endpoint, timeout=settings.api_timeout, on_call=metrics.api_call, leads=leads
        )
        guards = Guards(
            qps=settings.api_qps,
            burst=settings.api_burst,
            random=draw,
            on_throttled=metrics.throttled,
            on_breaker=metrics.breaker,
        )

        def open_client(key: ApiKey) -> SessionClient:
            return guards.guard(self._api.client_of(key), name=key.fingerprint)

        credentials = Credentials(
            secrets=cluster,
            open_client=open_client,
            own_key=settings.api_key,
            own_key_namespaces=settings.default_key_namespaces,
            clock=clock,
            on_key=hide,
        )
        observer = BatchedObserver(own_labels=own_labels(settings.cluster_name))
        self._event_recorder = EventRecorder(cluster=cluster, leads=leads, wall=_wall)
        status_writer = StatusWriter(
            cluster=cluster,
            store=self._store,
            metrics=metrics,
            record=self._event_recorder.record,
            leads=leads,
            wall=_wall,
        )
        creation = Creation(
            memory=self._memory,
            status_writer=status_writer,
            cluster_name=settings.cluster_name,
            clock=clock,
            wall=_wall,
        )
        reconciler = Reconciler(
            store=self._store,
            memory=self._memory,
            credentials=credentials,
            observer=observer,
            status_writer=status_writer,
            creation=creation,
            metrics=metrics,
            cluster_name=settings.cluster_name,
            clock=clock,
            wall=_wall,
            draw=draw,
        )
        self._workers = Workers(
            queue=self._queue,
            reconcile=reconciler.reconcile,
            count=settings.workers,
            deadline=pass_deadline(workers=settings.workers, qps=settings.api_qps),
            metrics=metrics,
            on_pass=lambda: self._passes.touch(),
        )
        self._passes = Progress(
            "no pass was finished although some wait",
            limit=self._workers.hung_after,
            busy=lambda: self._queue.depth > 0,
        )
        self._resync = Resync(
            store=self._store,
            queue=self._queue,
            credentials=credentials,
            observer=observer,
            memory=self._memory,
            interval=settings.resync,
            draw=draw,
        )
        self._informer = Informer(
            store=self._store, queue=self._queue, memory=self._memory, on_activity=metrics.watch_activity
        )
        self._relist = Relist(
            cluster=cluster,
            store=self._store,
            namespaces=settings.namespaces,
            interval=SWEEP_SECONDS,
            on_missing=self._informer.gone,
            on_unknown=self._fetch,
        )
        base = f"/apis/{GROUP}/{VERSION}"
        self._namespace_of = {f"{base}/namespaces/{name}/{PLURAL}": name for name in settings.namespaces}
        self._watches = {
            path: Progress("no watch request was accepted", limit=3 * WATCH_SECONDS)
            for path in self._namespace_of or [f"{base}/{PLURAL}"]
        }
        self._metrics = metrics
        self._on_kopf_start = on_kopf_start
        self._forbidden: set[str] = set()
        self._fetching: dict[ObjectKey, asyncio.Task[None]] = {}
        self._fetches = asyncio.Semaphore(CONCURRENT_FETCHES)
        metrics.show(phases=self._store.phases, stalled=self._store.stalled, depth=lambda: self._queue.depth)

    @property
    def checks(self) -> Mapping[str, Check]:
        """What /healthz looks at."""
        return {"watch": self._watch_problem, "workers": self._worker_problem}

    def beat(self) -> None:
        """Let the workers' time run only while they have something to do; called every second."""
        self._passes.beat()

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            ExceptionGroup: a part has failed.
        """
        for progress in self._watches.values():
            progress.touch()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(_endless("workers", self._workers.run()))
                group.create_task(_endless("events", self._event_recorder.run()))
                group.create_task(_endless("resync", self._resync.run()))
                group.create_task(_endless("sweep", self._relist.run()))
                group.create_task(_endless("watch", self._watch()))
        finally:
            self._queue.clear()
            await self._event_recorder.flush()
            await self._api.aclose()

    async def _watch(self) -> None:
        """Run kopf; it ends only when it is told to, or when it has failed."""
        registry = kopf.OperatorRegistry()
        settings = kopf.OperatorSettings()
        configure(settings)
        register(registry, self._informer.event, log_in=self._log_in)
        stop = asyncio.Event()
        namespaces = self._settings.namespaces
        existing = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=registry,
            settings=settings,
            # Without one, kopf asks for the name of the process's user, whom a random UID in a pod does not have.
            identity=cast("Any", "agb-operator"),
            standalone=True,
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
        )
        self._on_kopf_start()
        running = asyncio.create_task(kopf.run_tasks(tasks, ignored=existing), name="kopf")
        try:
            await asyncio.shield(running)
        finally:
            stop.set()
            with contextlib.suppress(TimeoutError, asyncio.CancelledError):
                await asyncio.wait_for(running, KOPF_STOP_SECONDS)

    async def _log_in(self) -> kopf.AiohttpSession:
        echoes = without_echoes(self._informer.is_news)
        session = await self._cluster.open_session(self._watched, self._watch_forbidden, echoes)
        return kopf.AiohttpSession(server=self._cluster.server, aiohttp_session=session)

    def _watched(self, path: str) -> None:
        progress = self._watches.get(path)
        if progress is not None:
            progress.touch()
            self._metrics.watch_activity()
        if path in self._forbidden:
            self._forbidden.discard(path)
            logger.info("AgbSessions may be watched again: %s", path)

    def _watch_forbidden(self, path: str) -> None:
        """Go on without a namespace's watch: when a namespace is deleted, its RoleBinding goes before its AgbSessions.

        What is known of the namespace is read one by one, so that its deletion ends (see the chart's ClusterRole for
        the finalizer); the other namespaces are served all the while, which a restart would not do better. In
        cluster-wide mode nothing is left to serve: /healthz fails, and the next start says what is missing.
        """
        if path not in self._forbidden:
            self._forbidden.add(path)
            logger.error("AgbSessions may not be watched (HTTP 403): %s: grant the operator its RBAC rules there", path)
        namespace = self._namespace_of.get(path)
        if namespace is None:
            return
        self._watches[path].touch()
        for session in self._store:
            if session.key.namespace == namespace:
                self._fetch(session.key)

    def _worker_problem(self) -> str:
        return self._passes.problem() or self._workers.problem()

    def _watch_problem(self) -> str:
        return next((problem for progress in self._watches.values() if (problem := progress.problem())), "")

    def _fetch(self, key: ObjectKey) -> None:
        """Take in a resource that the watch has missed or may not tell of."""

        async def fetch() -> None:
            try:
                async with self._fetches:
                    body = await self._cluster.read(key.namespace, key.name)
            except ObjectNotFound:
                if (known := self._store.get(key)) is not None:
                    self._informer.gone(known)
            except ClusterError as error:
                logger.warning("%s: could not be read: %s", key, error)
            else:
                self._informer.event(None, body)

        if key not in self._fetching:
            task = self._fetching[key] = asyncio.create_task(fetch())
            task.add_done_callback(lambda _: self._fetching.pop(key))


async def _endless(name: str, part: Coroutine[Any, Any, None]) -> None:
    await part
    raise RuntimeError(f"the {name} ended although nobody asked it to")


def _wall() -> datetime:
    return datetime.now(UTC)
