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

from control_plane import ControlPlane, find_kubectl
from control_plane.processes import Component, free_port

ROOT: Final = Path(__file__).resolve().parents[2]
CRD: Final = ROOT / "crds" / "agbsessions.yaml"
KEY: Final = "simulator-key-demo"
NAMESPACE: Final = "agb-demo"
READY_SECONDS: Final = 60.0


class Stage:
    """Owns the processes and where they are reached.

    Args:
        kubeconfig: the cluster to play on; None for one of our own.
        transition: how long a pause or resume takes at the simulator, such as `3s`.
    """

    def __init__(self, *, kubeconfig: str | None, transition: str) -> None:
        self._given = kubeconfig
        self._transition = transition
        self._stack = ExitStack()
        self.kubectl = find_kubectl()
        self.kubeconfig = kubeconfig or ""
        self.simulator = ""

    @property
    def environment(self) -> dict[str, str]:
        """What kubectl and the operator are run with."""
        return {**os.environ, "KUBECONFIG": self.kubeconfig}

    def __enter__(self) -> Self:
        with ExitStack() as building:
            self._folder = Path(building.enter_context(tempfile.TemporaryDirectory(prefix="agb-demo-")))
            if self._given is None:
                self.kubeconfig = str(building.enter_context(ControlPlane(controller_manager=True)).kubeconfig)
            self._start_simulator(building)
            self._stack = building.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def start_operator(self) -> Path:
        """Run the operator against cluster and simulator; returns its log once it is ready."""
        http = f"127.0.0.1:{free_port()}"
        log = self._folder / "operator.log"
        environment = {**self.environment, "AGB_ENDPOINT": self.simulator}
        environment.pop("AGB_API_KEY", None)  # the demo's Secret is enough, and a real key has no business here
        command = [sys.executable, "-m", "agb_operator", "run", f"--namespace={NAMESPACE}", f"--http-address={http}"]
        operator = Component(
            "agb-operator",
            [*command, f"--lease-namespace={NAMESPACE}"],
            log=log,
            environment=environment,
        )
        operator.start()
        self._stack.callback(operator.stop)
        operator.wait_ready(lambda: _answers(f"http://{http}/readyz"), timeout=READY_SECONDS)
        return log

    def _start_simulator(self, building: ExitStack) -> None:
        log = self._folder / "simulator.log"
        port = free_port()
        command = [sys.executable, "-m", "agb_simulator", f"--port={port}", f"--transition={self._transition}"]
        simulator = Component("agb-simulator", [*command, f"--api-key={KEY}"], log=log)
        simulator.start()
        building.callback(simulator.stop)
        self.simulator = f"http://127.0.0.1:{port}"
        simulator.wait_ready(lambda: _answers(f"{self.simulator}/_sim/stats"), timeout=READY_SECONDS)

    def sessions_at_agb(self) -> str:
        """Say in one line what AGB (the simulator) has."""
        with urllib.request.urlopen(f"{self.simulator}/_sim/stats", timeout=5) as answer:
            stats = json.load(answer)
        return f"AGB has {stats['live']} session(s); illegal calls so far: {stats['illegal']}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def seconds_since(began: float) -> str:
    """Write a duration."""
    return f"{time.monotonic() - began:.1f} s"
