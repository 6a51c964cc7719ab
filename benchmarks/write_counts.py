"""What one pause costs the API server: agb-operator beside the usual kopf operator, counted in the audit log.

    make write-counts

It runs one pause at a time on a control plane of its own, with the simulator as AGB, and prints a table. The numbers in
docs/adr/0001 come from it.
"""

import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from agb_simulator import SimulatorControl
from control_plane import ControlPlane, find_kubectl
from control_plane.processes import Component, free_port
from e2e.stack import eventually, manifest
from kubectl import Answer, Kubectl

ROOT = Path(__file__).resolve().parents[1]
KEY = "simulator-key-a"
TRANSITIONS = (3, 10)
"""Seconds that AGB takes for the pause."""
QUIET = 5.0
"""Seconds without a write after which an operator is taken to have done all of its writing."""
COMMANDS = {
    "agb-operator": (
        *(sys.executable, "-m", "agb_operator", "run", "--no-leader-election", "--default-key-namespace=*"),
        f"--http-address=127.0.0.1:{free_port()}",
    ),
    "usual kopf operator": (
        *(sys.executable, "-m", "kopf", "run", "--all-namespaces", "--standalone"),
        str(ROOT / "benchmarks" / "baselines" / "kopf_usual" / "operator.py"),
    ),
}


def writes_of(cluster: ControlPlane) -> Callable[[], Counter[str]]:
    """Give a function that counts, by kind, what was written since now; kubectl's own writes are left out."""
    log = cluster.audit_events()
    counts: Counter[str] = Counter()

    def read() -> Counter[str]:
        for event in log.read_new():
            if event.is_write and event.resource in ("agbsessions", "events") and "kubectl" not in event.user_agent:
                counts[event.resource + (f"/{event.subresource}" if event.subresource else "")] += 1
        return counts

    return read


def one_pause(command: Sequence[str], *, transition: int, cluster: ControlPlane, kubectl: Kubectl, folder: Path) -> str:
    """Pause one session with the operator that `command` starts; returns a row of the table."""
    name = f"s-{free_port()}"
    port = free_port()
    endpoint = f"http://127.0.0.1:{port}"
    simulator = Component(
        "simulator",
        [sys.executable, "-m", "agb_simulator", f"--port={port}", f"--transition={transition}s", f"--api-key={KEY}"],
        log=folder / f"{name}-simulator.log",
    )
    environment = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig), "AGB_ENDPOINT": endpoint, "AGB_API_KEY": KEY}
    operator = Component("operator", command, log=folder / f"{name}.log", environment=environment)
    try:
        simulator.start()
        control = SimulatorControl.over_http(endpoint)
        session_id: str = eventually(lambda: _added(control))
        operator.start()
        _must(kubectl.apply(manifest(name, "default", sessionId=session_id)))
        _must(kubectl("wait", "--for=condition=Ready", f"agbsession/{name}", "--timeout=60s"), operator)
        time.sleep(QUIET)
        written = writes_of(cluster)
        _must(kubectl("patch", "agbsession", name, "--type=merge", "--patch", '{"spec":{"paused":true}}'))
        _must(kubectl("wait", "--for=condition=Paused", f"agbsession/{name}", "--timeout=60s"), operator)
        _until_quiet(written)
        kinds = ("agbsessions/status", "agbsessions", "events")
        counts = written()
        calls = control.count("pauseSessionAsync")
        return " | ".join(str(count) for count in (*(counts[kind] for kind in kinds), counts.total(), calls))
    finally:
        operator.stop()
        kubectl("delete", "agbsessions", "--all", "--wait=false")
        simulator.stop()


def _added(control: SimulatorControl) -> str:
    try:
        return control.add_session(KEY)
    except OSError:
        return ""


def _until_quiet(written: Callable[[], Counter[str]]) -> None:
    last, since = written().total(), time.monotonic()
    while time.monotonic() - since < QUIET:
        time.sleep(0.2)
        if written().total() != last:
            last, since = written().total(), time.monotonic()


def _must(answer: Answer, operator: Component | None = None) -> None:
    if not answer.succeeded:
        raise SystemExit(answer.err + (operator.failure("did not get there") if operator else ""))


def main() -> None:
    """Measure, and print a Markdown table."""
    print("| operator | AGB takes | status writes | metadata writes | events | all writes | pause calls |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, ControlPlane() as cluster:
        kubectl = Kubectl(program=find_kubectl(), kubeconfig=cluster.kubeconfig, home=Path(folder))
        crd = ROOT / "crds" / "agbsessions.yaml"
        _must(kubectl("apply", "-f", str(crd)))
        # The first waits until there is a status: without one, kubectl's condition is an error.
        _must(
            kubectl("wait", "--for=jsonpath={.status.acceptedNames.kind}=AgbSession", "-f", str(crd), "--timeout=30s")
        )
        _must(kubectl("wait", "--for=condition=Established", "-f", str(crd), "--timeout=30s"))
        for title, command in COMMANDS.items():
            for transition in TRANSITIONS:
                row = one_pause(command, transition=transition, cluster=cluster, kubectl=kubectl, folder=Path(folder))
                print(f"| {title} | {transition} s | {row} |", flush=True)


if __name__ == "__main__":
    main()
