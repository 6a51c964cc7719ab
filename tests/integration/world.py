"""A whole operator in one event loop with virtual time: real parts, a simulator in process, a fake cluster.

Everything but kopf, HTTP sockets and the API server is what production runs. Under `looptime` an hour takes
milliseconds, so tests wait for conditions and never for luck.
"""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from types import TracebackType
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.control.metrics import Metrics
from agb_operator.model.clock import Clock
from agb_operator.model.resource import AgbSession
from agb_operator.process.assembly import assemble
from agb_operator.process.settings import read_settings
from agb_simulator import Api, SimulatorControl
from agb_simulator import Settings as SimulatorSettings
from fakes import FakeCluster
from simulated import SimulatedTransport, loop_time, wall

KEY = "simulator-key-a"
NAMESPACE = "ml"
SECRET = "agb-credentials"
WORKERS = 8


class SchedulesCome(StrEnum):
    """How a list of schedules ends."""

    LISTED = "Listed"
    REFUSED = "Refused"
    UNAVAILABLE = "Unavailable"
    ABSENT = "Absent"
    NOT_YET = "NotYet"


class RunningOperator:
    """The parts of one operator process, put together as the process does, and the tasks they run in."""

    def __init__(
        self,
        *,
        cluster: FakeCluster,
        api: AgbApi,
        seed: int = 1,
        resync: float = 60.0,
        qps: float | None = None,
        workers: int = WORKERS,
        own_key: str = "",
        own_key_namespaces: tuple[str, ...] = (),
        wrap: Callable[[SessionClient], SessionClient] = lambda client: client,
        leads: Callable[[], bool] = lambda: True,
        wall: Callable[[], datetime] = wall,
        schedules: SchedulesCome = SchedulesCome.LISTED,
        cluster_name: str = "test",
    ) -> None:
        self.cluster = cluster
        self._schedules_come = schedules
        self.parts = assemble(
            replace(
                read_settings(),
                resync=resync,
                workers=workers,
                api_qps=qps,
                cluster_name=cluster_name,
                api_key=ApiKey(own_key) if own_key else None,
                default_key_namespaces=own_key_namespaces,
            ),
            cluster=cluster,
            open_client=lambda key, guard: wrap(api.client_of(key, within=guard.around, allows=guard.allows)),
            clock=Clock(now=loop_time, wall=wall, jitter=random.Random(seed).random),
            leads=leads,
            metrics=Metrics(),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """List, watch and work."""
        for body in list(self.cluster.objects.values()):
            self.parts.informer.event(None, dict(body))
        self.cluster.listeners.append(self.parts.informer.event)
        self.list_schedules()
        parts = (
            self.parts.workers,
            self.parts.resync,
            self.parts.orphans,
            self.parts.event_recorder,
            self.parts.edges,
        )  # no relist: this watch misses nothing
        self._tasks = [asyncio.create_task(part.run()) for part in parts]

    def list_schedules(self) -> None:
        """Bring the outcome of a list of schedules, and what is watched since."""
        if self._schedules_come == SchedulesCome.LISTED:
            self.parts.schedules.listed(None, [dict(body) for body in self.cluster.schedules.values()])
            self.cluster.schedule_listeners.append(self._schedule_event)
        elif self._schedules_come == SchedulesCome.REFUSED:
            self.parts.schedules.refused(None, "HTTP 403")
        elif self._schedules_come == SchedulesCome.UNAVAILABLE:
            self.parts.schedules.unavailable(None, "HTTP 503")
        elif self._schedules_come == SchedulesCome.ABSENT:
            self.parts.schedules.absent(None)

    def schedules_come(self, how: SchedulesCome) -> None:
        """Have the next list of schedules end otherwise."""
        self._schedules_come = how
        self.list_schedules()

    def _schedule_event(self, kind: str | None, body: dict[str, Any]) -> None:
        assert kind is not None
        self.parts.schedules.event(kind, body)

    async def kill(self) -> None:
        """Stop at once, wherever it is; nothing is finished."""
        self.cluster.listeners.remove(self.parts.informer.event)
        self.cluster.schedule_listeners.clear()
        self.parts.queue.clear()
        for task in self._tasks:
            task.cancel()
        for result in await asyncio.gather(*self._tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


class World:
    """One simulator, one cluster, and operators that come and go."""

    def __init__(self, *, transition: float = 1.0, cluster: FakeCluster | None = None, **options: Any) -> None:
        self.api = Api(clock=loop_time, settings=SimulatorSettings(transition=transition), keys=(KEY,), seed=1)
        self.control = SimulatorControl.in_process(self.api)
        self.cluster = FakeCluster() if cluster is None else cluster
        self.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        self.leads = True
        """Whether the operator's replica may act."""
        self._options = options
        self.operator = self._make()

    def transport(self) -> httpx.AsyncBaseTransport:
        """Connect one more operator with the simulator."""
        return SimulatedTransport(self.api)

    def _make(self) -> RunningOperator:
        transport = self.transport()
        api = AgbApi(
            endpoint="http://simulator",
            timeout=60.0,
            on_call=lambda *_: None,
            leads=lambda: self.leads,
            transport=transport,
        )
        return RunningOperator(cluster=self.cluster, api=api, leads=lambda: self.leads, **self._options)

    async def __aenter__(self) -> Self:
        self.operator.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.operator.kill()

    async def restart(self, *, after: float = 0.0, **options: Any) -> None:
        """Kill the operator and start another one, so many seconds later, which remembers nothing."""
        await self.operator.kill()
        await asyncio.sleep(after)
        self._options.update(options)
        self.operator = self._make()
        self.operator.start()

    # What people do and see

    def apply(self, name: str = "s", **spec: Any) -> None:
        """Apply a manifest that uses the namespace's Secret."""
        self.cluster.apply(NAMESPACE, name, {"credentials": {"secretRef": {"name": SECRET}}, **spec})

    def patch(self, name: str = "s", **spec: Any) -> None:
        """Patch the spec."""
        self.cluster.patch(NAMESPACE, name, **spec)

    def schedule(self, name: str = "nights", **spec: Any) -> None:
        """Apply a schedule that selects team=ml, in UTC."""
        self.cluster.apply_schedule(
            NAMESPACE, name, {"selector": {"matchLabels": {"team": "ml"}}, "timeZone": "UTC", **spec}
        )

    def schedule_status(self, name: str = "nights") -> dict[str, Any]:
        """Give a schedule's status."""
        return dict(self.cluster.schedules[NAMESPACE, name]["status"])

    def status(self, name: str = "s") -> dict[str, Any]:
        """Give the status."""
        return self.cluster.status(NAMESPACE, name)

    def condition(self, kind: str, name: str = "s") -> dict[str, Any]:
        """Give a condition, {} if it is absent."""
        found = [c for c in self.status(name).get("conditions", ()) if c["type"] == kind]
        return found[0] if found else {}

    def reason(self, name: str = "s") -> str:
        """Give the reason of Ready."""
        return str(self.condition("Ready", name).get("reason", ""))

    def exists(self, name: str = "s") -> bool:
        """Tell whether the resource is still there."""
        return (NAMESPACE, name) in self.cluster.objects

    def session(self, name: str = "s") -> AgbSession:
        """Give the resource as the operator reads it."""
        return AgbSession.from_body(self.cluster.objects[NAMESPACE, name])

    def live(self) -> list[Mapping[str, Any]]:
        """Give the sessions that AGB has."""
        return [s for s in self.control.sessions() if s["live"]]

    def samples(self, name: str, **labels: str) -> list[Sample]:
        """Give what a scrape of the operator finds now under a name, with these labels."""
        families = text_string_to_metric_families(self.operator.parts.metrics.page()[0].decode())
        found = [sample for family in families for sample in family.samples if sample.name == name]
        return [sample for sample in found if labels.items() <= sample.labels.items()]

    async def until(self, probe: Callable[[], Any], *, within: float = 120.0, every: float = 0.05) -> None:
        """Wait until something is true, in virtual seconds."""
        deadline = loop_time() + within
        while not probe():
            assert loop_time() < deadline, f"not within {within:g} s: {self.cluster.objects}"
            await asyncio.sleep(every)

    async def ready(self, reason: str, name: str = "s", *, within: float = 120.0) -> None:
        """Wait until Ready gives a reason for the present generation."""

        def probe() -> bool:
            ready = self.condition("Ready", name)
            generation = self.cluster.objects[NAMESPACE, name]["metadata"]["generation"]
            return ready.get("reason") == reason and ready["observedGeneration"] == generation

        await self.until(probe, within=within)

    def calls(self, endpoint: str) -> int:
        """Count the requests to an endpoint."""
        return self.control.count(endpoint)

    def assert_clean(self) -> None:
        """No call was ever illegal."""
        illegal = [entry for entry in self.control.requests() if entry.illegal]
        assert not illegal, illegal
