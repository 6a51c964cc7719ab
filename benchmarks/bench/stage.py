"""A fresh control plane and simulator with a fleet of AgbSessions, for one contender at one size.

Every contender meets the same programs with the same settings and an empty etcd, so that none pays for what another
has left behind.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import yaml

from agb_simulator.control import SimulatorControl
from control_plane import ControlPlane
from control_plane.credentials import User as ClusterUser
from control_plane.processes import Component, free_port

from .contenders import Contender
from .kube import User
from .usage import Usage, usage_of

CRDS: Final = Path(__file__).resolve().parents[2] / "crds"
KEY: Final = "simulator-key-bench"
OTHER_KEY: Final = "simulator-key-other"
LATENCY: Final = "20ms"
TRANSITION: Final = "3s"
_READY_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Counts:
    """What a contender did between two moments: API server writes by kind, AGB calls by endpoint, seconds of CPU.

    `last_write` is the time of day of the last of the writes, 0 when there was none.
    """

    writes: Mapping[str, int]
    last_write: float
    calls: Mapping[str, int]
    refused_calls: int
    cpu: float
    server_cpu: float
    simulator_cpu: float


class Stage:
    """Owns the programs of one trial; use it as an async context.

    Args:
        contender: the program to be measured.
        size: how many AgbSessions there are.
        created: whether the contender creates their sessions, so that these carry its labels; else it adopts them.
    """

    def __init__(self, contender: Contender, size: int, *, created: bool = False) -> None:
        self.contender = contender
        self.size = size
        self._created = created
        self._contender_user = ClusterUser(name="contender", groups=("system:masters",))
        self._stack = AsyncExitStack()
        self._program: Component | None = None
        self._starts = 0

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as building:
            self.folder = Path(building.enter_context(tempfile.TemporaryDirectory(prefix="agb-bench-")))
            self._cluster = building.enter_context(ControlPlane(users=[self._contender_user]))
            self._kubeconfig = self._cluster.kubeconfig_for_user(self._contender_user, self.folder / "kubeconfig")
            self._simulator = self._start_simulator(building)
            self.user = await building.enter_async_context(User(self._cluster.kubeconfig))
            for crd in sorted(CRDS.glob("*.yaml")):
                await self.user.install(yaml.safe_load(crd.read_text()))
            building.callback(self.stop)
            self.sessions = await self._populate()
            self._stack = building.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    def start(self, *arguments: str) -> float:
        """Start the contender; returns the time of day at which it was started."""
        self._starts += 1
        environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self.folder),
            "KUBECONFIG": str(self._kubeconfig),
            "AGB_ENDPOINT": self._endpoint,
            "AGB_API_KEY": KEY,
            **self.contender.environment,
        }
        self._program = Component(
            self.contender.name,
            [*self.contender.command, *arguments],
            log=self.folder / f"{self.contender.name}-{self._starts}.log",
            folder=self.folder,
            environment=environment,
        )
        now = time.time()
        self._program.start()
        return now

    def stop(self) -> None:
        """Stop the contender, if it runs."""
        if self._program is not None:
            self._program.stop()
            self._program = None

    @property
    def running(self) -> bool:
        """Whether the contender runs."""
        return self._program is not None and self._program.running

    def complaint(self) -> str:
        """Give the end of the contender's log."""
        return self._program.failure("ended") if self._program is not None else "it does not run"

    def usage(self) -> Usage:
        """Give what the contender has cost since it was started."""
        assert self._program is not None
        return usage_of(self._program.pid)

    def counting(self) -> Callable[[], Counts]:
        """Begin to count; call the result for what has happened since."""
        audit = self._cluster.audit_events()
        before, cpu, server, simulator = self.control.stats(), self.cpu(), *self._others()
        writes: dict[str, int] = {}
        last_write = 0.0

        def since() -> Counts:
            used, (server_now, simulator_now) = self.cpu(), self._others()
            after = self.control.stats()
            nonlocal last_write
            for event in audit.read_new():
                if event.user == self._contender_user.name and event.is_write:
                    kind = event.resource + (f"/{event.subresource}" if event.subresource else "")
                    kind += "" if event.code < 300 else f" (HTTP {event.code})"
                    writes[kind] = writes.get(kind, 0) + 1
                    last_write = event.finished_at.timestamp()
            calls, refused = _difference(before, after)
            return Counts(
                writes=dict(writes),
                last_write=last_write,
                calls=calls,
                refused_calls=refused,
                cpu=used - cpu,
                server_cpu=server_now - server,
                simulator_cpu=simulator_now - simulator,
            )

        return since

    def limit_rate(self, requests_per_second: float | None) -> None:
        """Let the simulator answer 429 above this rate."""
        self.control.configure(rate_limit=requests_per_second)

    def cpu(self) -> float:
        """Give the contender's seconds of CPU since it was started, 0 when it does not run."""
        try:
            return self.usage().cpu if self.running else 0.0
        except ProcessLookupError:
            return 0.0

    def requests_so_far(self) -> int:
        """Give the number of AGB's last request."""
        return int(self.control.stats()["requests"])

    def _others(self) -> tuple[float, float]:
        server = usage_of(self._cluster.apiserver.pid).cpu + usage_of(self._cluster.etcd.pid).cpu
        return server, usage_of(self._simulator.pid).cpu

    def _start_simulator(self, building: AsyncExitStack) -> Component:
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "agb_simulator",
            f"--port={port}",
            f"--api-key={KEY}",
            f"--api-key={OTHER_KEY}",
        ]
        simulator = Component(
            "agb-simulator",
            [*command, f"--latency={LATENCY}", f"--transition={TRANSITION}"],
            log=self.folder / "simulator.log",
        )
        simulator.start()
        building.callback(simulator.stop)
        self._endpoint = f"http://127.0.0.1:{port}"
        self.control = SimulatorControl.over_http(self._endpoint)
        simulator.wait_ready(self._simulator_answers, timeout=_READY_SECONDS)
        return simulator

    def _simulator_answers(self) -> bool:
        try:
            self.control.stats()
        except OSError:
            return False
        return True

    async def _populate(self) -> dict[str, str]:
        """Make `size` AgbSessions, and a running session for each to adopt; returns the sessions by their names."""
        ids = [""] * self.size if self._created else self.control.add_sessions(KEY, count=self.size)
        sessions = {f"session-{number:06}": session_id for number, session_id in enumerate(ids)}
        if self.contender.watches:
            await self.user.create(sessions)
        return sessions


def _difference(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, int], int]:
    calls: dict[str, int] = {}
    refused = 0
    for endpoint, counts in after["endpoints"].items():
        old = before["endpoints"].get(endpoint, {"requests": 0, "byStatus": {}})
        if counts["requests"] > old["requests"]:
            calls[endpoint] = counts["requests"] - old["requests"]
        refused += counts["byStatus"].get("429", 0) - old["byStatus"].get("429", 0)
    return calls, refused
