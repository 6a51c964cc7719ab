"""The programs of the demo: a cluster, the AGB API simulator and the operator; all gone when the `with` block ends."""

import json
import os
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from control_plane import ControlPlane, StartFailed
from control_plane.processes import Component, free_port

ROOT: Final = Path(__file__).resolve().parents[2]
KEY: Final = "simulator-key-demo"
READY_SECONDS: Final = 60.0


class Stage:
    """Owns the processes and where they are reached.

    Args:
        kubeconfig: the cluster to play on; None for one of our own.
        kubectl: a program that fits the cluster.
        full_cluster: let a cluster of our own collect garbage and delete namespaces as well.
        namespace: where the demo plays; on a user's cluster the operator works nowhere else.
        transition: how long a pause or resume takes at the simulator, such as `3s`.
    """

    def __init__(
        self, *, kubeconfig: str | None, kubectl: Path, namespace: str, transition: str, full_cluster: bool
    ) -> None:
        self._namespace = namespace
        self._transition = transition
        self._stack = ExitStack()
        self._components: list[Component] = []
        self.own_cluster = kubeconfig is None
        self.kubectl = kubectl
        self._full_cluster = full_cluster
        self.kubeconfig = kubeconfig or ""
        self.simulator = ""

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl and the operator are run with."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    @property
    def log(self) -> Path:
        """What the operator writes."""
        return self._folder / "operator.log"

    def __enter__(self) -> Self:
        with ExitStack() as building:
            self._folder = Path(building.enter_context(tempfile.TemporaryDirectory(prefix="agb-demo-")))
            if self.own_cluster:
                cluster = ControlPlane(controller_manager=self._full_cluster)
                self.kubeconfig = str(building.enter_context(cluster).kubeconfig)
            self._start_simulator(building)
            self._stack = building.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_operator(self) -> float:
        """Run the operator against cluster and simulator; returns the seconds until it was ready.

        Raises:
            StartFailed: it does not come up; the text holds the end of its log.
        """
        http = f"127.0.0.1:{free_port()}"
        environment = {**self.environment, "AGB_ENDPOINT": self.simulator}
        environment.pop("AGB_API_KEY", None)  # the demo's Secret is enough, and a real key has no business here
        limits = [f"--lease-namespace={self._namespace}", f"--http-address={http}"]
        if not self.own_cluster:  # a user's other namespaces are none of its business
            limits.append(f"--namespace={self._namespace}")
        operator = Component(
            "agb-operator",
            [sys.executable, "-m", "agb_operator", "run", *limits],
            log=self.log,
            environment=environment,
        )
        began = time.monotonic()
        operator.start()
        self._stack.callback(operator.stop)
        self._components.append(operator)
        operator.wait_ready(lambda: _answers(f"http://{http}/readyz"), timeout=READY_SECONDS)
        return time.monotonic() - began

    def wait(self) -> None:
        """Wait for ever.

        Raises:
            StartFailed: a program ended by itself; the text holds the end of its log.
        """
        while all(component.running for component in self._components):
            time.sleep(0.2)
        ended = next(component for component in self._components if not component.running)
        raise StartFailed(ended.failure("ended"))

    def end_of_log(self) -> str:
        """Return the last lines of the operator's log, for a reader who wonders what went wrong."""
        if not self.log.exists():
            return ""
        lines = self.log.read_text(errors="replace").splitlines()[-25:]
        return "\n".join(["the end of the operator's log:", *(f"  | {line}" for line in lines)])

    def sessions_at_agb(self) -> str:
        """Say in one line what AGB (the simulator) has."""
        with urllib.request.urlopen(f"{self.simulator}/_sim/stats", timeout=5) as answer:
            stats = json.load(answer)
        calls = sum(stats["endpoints"].get(name, {}).get("requests", 0) for name in _CALLS)
        left, wrong = stats["live"], stats["illegal"]
        return (
            f"AGB has {left} sessions left. It was called {calls} times to change one, {wrong} times at a wrong moment."
        )

    def _start_simulator(self, building: ExitStack) -> None:
        port = free_port()
        command = [sys.executable, "-m", "agb_simulator", f"--port={port}", f"--transition={self._transition}"]
        simulator = Component("agb-simulator", [*command, f"--api-key={KEY}"], log=self._folder / "simulator.log")
        simulator.start()
        building.callback(simulator.stop)
        self._components.append(simulator)
        self.simulator = f"http://127.0.0.1:{port}"
        simulator.wait_ready(lambda: _answers(f"{self.simulator}/_sim/health"), timeout=READY_SECONDS)


_CALLS: Final = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync")


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
