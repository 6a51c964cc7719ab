"""Where the parts of one replica's work are put together, for the process and for the tests alike.

Owns the wiring and nothing else: what a part does stands with the part, who starts and ends them in `run`.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from typing import Any, Final, Protocol

from ..agb.api_key import ApiKey
from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..agb.guard import Guard, Guards
from ..agb.rate import SLOWEST
from ..agb.secret_entry import SecretReader
from ..control.claims import Claims
from ..control.clock import EdgeClock
from ..control.creation import Creation
from ..control.event_recorder import EventRecorder, EventWriter
from ..control.evidence import Gatherer
from ..control.informer import Informer
from ..control.inspection import Inspection
from ..control.intents import Intents
from ..control.jumps import Jumps
from ..control.memory import Memory
from ..control.metrics import Metrics
from ..control.orphans import Orphans
from ..control.queue import WorkQueue
from ..control.reconciler import Reconciler
from ..control.relist import ObjectReader, Relist
from ..control.resync import Resync
from ..control.schedule_informer import ScheduleInformer
from ..control.schedule_reconciler import ScheduleReconciler, ScheduleWriter
from ..control.schedule_store import ScheduleStore
from ..control.session_seconds import SessionSeconds
from ..control.status_writer import SessionWriter, StatusWriter
from ..control.store import Store
from ..control.workers import Workers, hung_after, pass_deadline
from ..model.clock import Clock
from ..model.resource import ObjectKey, own_labels
from ..model.schedule import KIND as SCHEDULE
from ..shares import Tenant
from .health import Check, Progress
from .logs import hide
from .settings import DEFAULT_CLUSTER_NAME, Settings

logger = logging.getLogger(__name__)

RELIST_SECONDS: Final = 300.0
"""Seconds between two comparisons of the API server's names with the store."""

Part = Callable[[], Coroutine[Any, Any, None]]
"""Runs until it is cancelled."""


class ClusterApi(SessionWriter, SecretReader, EventWriter, ObjectReader, ScheduleWriter, Protocol):
    """All that the parts ask of the Kubernetes API."""


def system_clock() -> Clock:
    """Give the clock of the running loop and of this machine."""
    return Clock(now=asyncio.get_running_loop().time, wall=lambda: datetime.now(UTC), jitter=random.random)


@dataclass(frozen=True, kw_only=True, slots=True)
class Parts:
    """One replica's work; `run` once."""

    metrics: Metrics
    store: Store
    queue: WorkQueue
    memory: Memory
    credentials: Credentials
    observer: BatchedObserver
    event_recorder: EventRecorder
    status_writer: StatusWriter
    reconciler: Reconciler
    workers: Workers
    resync: Resync
    relist: Relist
    orphans: Orphans
    informer: Informer
    schedules: ScheduleInformer
    edges: EdgeClock
    inspection: Inspection
    passes: Progress

    @property
    def checks(self) -> Mapping[str, Check]:
        """What /healthz looks at."""
        return {"workers": lambda: self.passes.problem() or self.workers.problem()}

    async def run(self, **more: Part) -> None:
        """Work until cancelled, together with `more` parts.

        Raises:
            ExceptionGroup: a part has failed, or ended although nobody asked it to.
        """
        parts: dict[str, Part] = {
            "workers": self.workers.run,
            "events": self.event_recorder.run,
            "resync": self.resync.run,
            "relist": self.relist.run,
            "orphans": self.orphans.run,
            "clock": self.edges.run,
            **more,
        }
        try:
            async with asyncio.TaskGroup() as group:
                for name, part in parts.items():
                    group.create_task(_endless(name, part), name=name)
        finally:
            self.queue.clear()
            await self.event_recorder.flush()


def assemble(
    settings: Settings,
    *,
    cluster: ClusterApi,
    open_client: Callable[[ApiKey, Guard], SessionClient],
    clock: Clock,
    leads: Callable[[], bool],
    metrics: Metrics,
) -> Parts:
    """Put the parts together.

    Args:
        settings: what the administrator decided.
        cluster: the Kubernetes API.
        open_client: gives the calls of a key to AGB, within the limits of its guard.
        clock: time and chance.
        leads: says whether this replica may act at this very moment.
        metrics: where to count.
    """
    schedules, jumps = ScheduleStore(namespaces=settings.namespaces), Jumps(clock)
    seconds, memory = SessionSeconds(clock=clock), Memory(clock=clock.now, ahead=jumps.ahead)
    store = Store(on_change=(seconds.changed, memory.note_usage))
    intents = Intents(schedules=schedules, clock=clock)
    claims = Claims(store=store)

    def tenant_of(key: ObjectKey) -> Tenant:
        """Whose a pass is: the namespace's, and within it the Secret's."""
        session = store.get(key)
        return key.namespace, session.secret.name if session is not None and session.secret is not None else ""

    def by_clock(key: ObjectKey) -> bool:
        session = store.get(key)
        return session is not None and intents.by_clock(session)

    queue = WorkQueue(workers=settings.workers, tenant_of=tenant_of, by_clock=by_clock)
    guards = Guards(most=settings.api_qps or inf, clock=clock, on_throttled=metrics.throttled)
    credentials = Credentials(
        secrets=cluster,
        open_client=open_client,
        guards=guards,
        own_key=settings.api_key,
        own_key_namespaces=settings.default_key_namespaces,
        clock=clock,
        on_key=hide,
    )
    observer = BatchedObserver(own_labels=own_labels(settings.cluster_name), clock=clock)
    event_recorder = EventRecorder(cluster=cluster, leads=leads, clock=clock)
    status_writer = StatusWriter(
        cluster=cluster, store=store, metrics=metrics, record=event_recorder.record, leads=leads, clock=clock
    )
    reconciler = Reconciler(
        store=store,
        claims=claims,
        memory=memory,
        credentials=credentials,
        gatherer=Gatherer(store=store, memory=memory, credentials=credentials, observer=observer, clock=clock),
        status_writer=status_writer,
        creation=Creation(cluster_name=settings.cluster_name, clock=clock),
        intents=intents,
        metrics=metrics,
        cluster_name=settings.cluster_name,
        clock=clock,
    )
    edges = EdgeClock(intents=intents, store=store, schedules=schedules, queue=queue, ahead=jumps.ahead)
    schedule_reconciler = ScheduleReconciler(
        schedules=schedules,
        store=store,
        intents=intents,
        cluster=cluster,
        ask_anew=edges.ask_anew,
        record=event_recorder.record,
        leads=leads,
        clock=clock,
    )

    async def reconcile(key: ObjectKey) -> float | None:
        if key.kind == SCHEDULE:
            return await schedule_reconciler.reconcile(key)
        session = store.get(key)
        if session is not None and not session.deleting and not intents.known(session):
            return None  # nobody is paused or resumed before schedules are known, and whoever needs a pass gets it then
        return await reconciler.reconcile(key)

    deadline = pass_deadline(workers=settings.workers, slowest=min(settings.api_qps or SLOWEST, SLOWEST))
    passes = Progress(
        "no pass was finished although some wait", limit=hung_after(deadline), clock=clock, busy=lambda: queue.depth > 0
    )
    workers = Workers(
        queue=queue,
        reconcile=reconcile,
        count=settings.workers,
        deadline=deadline,
        metrics=metrics,
        on_pass=passes.touch,
    )
    resync = Resync(
        store=store,
        claims=claims,
        queue=queue,
        credentials=credentials,
        observer=observer,
        memory=memory,
        intents=intents,
        interval=settings.resync,
        clock=clock,
    )
    informer = Informer(
        store=store,
        queue=queue,
        claims=claims,
        memory=memory,
        intents=intents,
        metrics=metrics,
        on_activity=metrics.watch_activity,
    )
    schedule_informer = ScheduleInformer(
        schedules=schedules, intents=intents, queue=queue, ask_anew=edges.ask_anew, clock=clock
    )
    relist = Relist(
        cluster=cluster, store=store, informer=informer, namespaces=settings.namespaces, interval=RELIST_SECONDS
    )
    label_is_unshared = settings.cluster_name != DEFAULT_CLUSTER_NAME  # several may share an account under that name
    orphans = Orphans(
        store=store,
        memory=memory,
        queue=queue,
        credentials=credentials,
        own_labels=own_labels(settings.cluster_name),
        namespaces=settings.namespaces,
        label_is_unshared=label_is_unshared,
        clock=clock,
    )
    if label_is_unshared:
        metrics.show_orphans(orphans.nobodys)
    metrics.show(
        phases=store.phases,
        stalled=store.stalled,
        depth=lambda: queue.depth,
        open_breakers=credentials.open_breakers,
        rate_limit=credentials.rate_limit,
    )
    metrics.show_seconds(seconds.sums)
    metrics.show_schedules(
        asks=schedules.asks, invalid=schedules.invalid, unsettled=schedules.unsettled, wanted=intents.wanted
    )
    return Parts(
        metrics=metrics,
        store=store,
        queue=queue,
        memory=memory,
        credentials=credentials,
        observer=observer,
        event_recorder=event_recorder,
        status_writer=status_writer,
        reconciler=reconciler,
        workers=workers,
        resync=resync,
        relist=relist,
        orphans=orphans,
        informer=informer,
        schedules=schedule_informer,
        edges=edges,
        inspection=Inspection(
            store=store,
            memory=memory,
            claims=claims,
            queue=queue,
            credentials=credentials,
            intents=intents,
            clock=clock,
        ),
        passes=passes,
    )


async def _endless(name: str, part: Part) -> None:
    await part()
    raise RuntimeError(f"the {name} ended although nobody asked it to")
