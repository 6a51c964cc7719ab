"""`python -m dashboard_picture`: run everything for some minutes, then draw what the dashboard shows.

What happens on the way: sixty sessions are created; forty are flipped at random, twenty sleep by a schedule; one
AgbSession names a session that is not there, and for a while every third answer of AGB is an error.
"""

import argparse
import json
import math
import random
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import yaml

import prometheus
from agb_simulator.control import SimulatorControl
from agb_simulator.effects import HttpError
from control_plane import ControlPlaneError, StartFailed, find_kubectl
from control_plane.processes import Component, free_port
from demo.stage import KEY, ROOT, Stage

from .draw import Series, dashboard

NAMESPACE: Final = "ml"
SESSIONS: Final = 60
BY_CLOCK: Final = 20
"""How many of them follow a schedule."""
STEP: Final = 2
"""Seconds between two points."""
PICTURE: Final = ROOT / "docs" / "images" / "dashboard.svg"
READY_SECONDS: Final = 60.0
_DASHBOARD: Final = ROOT / "charts" / "agb-operator" / "files" / "dashboard.json"
_VARIABLES: Final = {
    "$namespace": ".*",
    "$job": ".*",
    "$__rate_interval": "20s",
    "$rate_running": "1",
    "$rate_paused": "0",
}


class Cluster:
    """kubectl, on the stage's cluster."""

    def __init__(self, stage: Stage) -> None:
        """Play on `stage`."""
        self._stage = stage

    def __call__(self, *args: str, stdin: str = "") -> None:
        """Run one command; its failure ends everything."""
        command = [str(self._stage.kubectl), f"--namespace={NAMESPACE}", *args]
        subprocess.run(command, env=self._stage.environment, input=stdin, text=True, check=True, capture_output=True)

    def create(self) -> None:
        """Create all AgbSessions, one of them for a session that AGB does not know."""
        specs: list[dict[str, Any]] = [{"imageId": "agb-code-space-1"} for _ in range(SESSIONS)]
        specs.append({"sessionId": "session-of-last-year"})
        items: list[dict[str, Any]] = [
            {
                "apiVersion": "agb.cloud/v1alpha1",
                "kind": "AgbSession",
                "metadata": {
                    "name": f"batch-{number}",
                    "namespace": NAMESPACE,
                    "labels": {"sleep": "by-clock" if number < BY_CLOCK else "by-hand"},
                },
                "spec": {**spec, "credentials": {"secretRef": {"name": "agb-credentials"}}},
            }
            for number, spec in enumerate(specs)
        ]
        items.append(_schedule())
        self("apply", "-f", "-", stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))

    def flip(self, number: int, *, paused: bool) -> None:
        """Pause or resume a session."""
        patch = json.dumps({"spec": {"paused": paused}})
        self("patch", "agbsession", f"batch-{number}", "--type=merge", f"--patch={patch}")


def _schedule() -> dict[str, Any]:
    """Return a schedule that asks for a pause in the second minute from now."""
    begin, end = (f"{datetime.now(UTC) + timedelta(minutes=number):%Y-%m-%dT%H:%M}" for number in (1, 2))
    return {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbPauseSchedule",
        "metadata": {"name": "break", "namespace": NAMESPACE},
        "spec": {
            "selector": {"matchLabels": {"sleep": "by-clock"}},
            "timeZone": "UTC",
            "windows": [{"from": begin, "to": end}],
            "spread": "20s",
        },
    }


def play(stage: Stage, *, seconds: int) -> None:
    """Let sessions come and go; AGB is unwell in the third quarter of the time."""
    cluster, control, draw = Cluster(stage), SimulatorControl.over_http(stage.simulator), random.Random(7)
    cluster.create()
    began = time.monotonic()
    unwell = False
    while (elapsed := time.monotonic() - began) < seconds:
        if unwell != (0.5 <= elapsed / seconds < 0.75):
            unwell = not unwell
            control.add_fault(HttpError(status=503), probability=0.33) if unwell else control.clear_faults()
        # More and more of them sleep, then they wake up again.
        asleep = 0.5 - 0.45 * math.cos(2 * math.pi * elapsed / seconds)
        cluster.flip(draw.randrange(BY_CLOCK, SESSIONS), paused=draw.random() < asleep)
        time.sleep(0.5)


def series(url: str, panel: dict[str, Any], *, start: float, end: float) -> list[Series]:
    """Ask Prometheus for the data of a panel."""
    found: list[Series] = []
    for target in panel.get("targets", ()):
        query = target["expr"]
        for name, value in _VARIABLES.items():
            query = query.replace(name, value)
        parameters = urllib.parse.urlencode({"query": query, "start": start, "end": end, "step": STEP})
        with urllib.request.urlopen(f"{url}/api/v1/query_range?{parameters}", timeout=30) as answer:
            results = json.load(answer)["data"]["result"]
        for result in results:
            points = {round((moment - start) / STEP): float(value) for moment, value in result["values"]}
            values = [points.get(index) for index in range(int((end - start) / STEP) + 1)]
            name = target["legendFormat"]
            for label, value in result["metric"].items():
                name = name.replace("{{" + label + "}}", value)
            known = [value if value is not None and math.isfinite(value) else None for value in values]
            found.append(Series(name=name, values=known))
    return found


def picture(url: str, *, start: float, end: float) -> str:
    """Return the dashboard with the data between two Unix times, as SVG."""
    panels = json.loads(_DASHBOARD.read_text())["panels"]
    data = {panel["id"]: series(url, panel, start=start, end=end) for panel in panels}
    title = f"agb-operator: {SESSIONS + 1} AgbSessions, {(end - start) / 60:.0f} minutes"
    return dashboard(panels, data, title=title, seconds=end - start)


def scraper(target: str, folder: Path) -> tuple[Component, str]:
    """Return a Prometheus that scrapes the operator at `target`, and its address."""
    job = {"job_name": "agb-operator", "honor_labels": True, "static_configs": [{"targets": [target]}]}
    config = {"global": {"scrape_interval": f"{STEP}s"}, "scrape_configs": [job]}
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={folder}/prometheus.yaml", f"--storage.tsdb.path={folder}/data"]
    command: list[str | Path] = [prometheus.find("prometheus"), *flags, f"--web.listen-address={address}"]
    return Component("prometheus", command, log=folder / "prometheus.log"), f"http://{address}"


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def main() -> int:
    """Draw the picture; return the exit code."""
    parser = argparse.ArgumentParser(prog="dashboard_picture", description=__doc__)
    parser.add_argument("--seconds", type=int, default=240, help="how long to watch (default: 240)")
    options = parser.parse_args()
    try:
        staged = Stage(
            kubeconfig=None, kubectl=find_kubectl(), namespace=NAMESPACE, transition="4s", full_cluster=False
        )
        with TemporaryDirectory() as folder, staged as stage:
            cluster = Cluster(stage)
            cluster("apply", "--server-side", "-f", str(ROOT / "crds"))
            cluster("create", "namespace", NAMESPACE)
            cluster("create", "secret", "generic", "agb-credentials", f"--from-literal=apiKey={KEY}")
            stage.start_operator()
            (port,) = re.findall(r"/metrics are on port (\d+)", stage.log.read_text())
            operator = f"http://127.0.0.1:{port}/healthz"
            server, url = scraper(f"127.0.0.1:{port}", Path(folder))
            server.start()
            try:
                server.wait_ready(lambda: _answers(f"{url}/-/ready"), timeout=READY_SECONDS)
                start = time.time()
                play(stage, seconds=options.seconds)
                if not _answers(operator):
                    raise StartFailed(f"the operator has ended before its time\n{stage.end_of_log()}")
                PICTURE.parent.mkdir(exist_ok=True)
                PICTURE.write_text(picture(url, start=start, end=time.time()))
            finally:
                server.stop()
    except ControlPlaneError as exc:
        print(f"dashboard_picture: {exc}", file=sys.stderr)
        return 1
    print(f"wrote {PICTURE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
