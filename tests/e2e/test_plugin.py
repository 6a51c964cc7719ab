"""`kubectl agb` beside a running operator: an edge comes as planned, and --wait sees what it has asked for."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from control_plane import ControlPlane
from e2e.stack import ALL_DAY, Simulator
from e2e.tenant import Tenant
from e2e.test_schedules import minute

Agb = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def agb(control_plane: ControlPlane, kubectl_program: Path, tenant: Tenant, tmp_path: Path) -> Agb:
    """Run a verb in the tenant's namespace."""
    path = os.pathsep.join([str(Path(sys.executable).parent), "/usr/bin", "/bin"])
    env = {"KUBECONFIG": str(control_plane.kubeconfig), "HOME": str(tmp_path), "PATH": path, "TZ": "UTC"}

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [str(kubectl_program), "agb", *words, "-n", tenant.namespace]
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)

    return run


@pytest.mark.timeout(240)
def test_an_edge_comes_when_the_plan_says_so(tenant: Tenant, agb: Agb, simulator: Simulator) -> None:
    names = {tenant.adopt(name): name for name in ("a", "b")}
    for name in names.values():
        tenant.must("label", "agbsession", name, "team=ml")
        tenant.wait(name, "Ready")
    edge = datetime.now(UTC) + timedelta(seconds=80)  # its minute begins in 20 s at least, so the plan comes before it
    tenant.schedule(windows=[{"from": f"{edge:%Y-%m-%dT%H:%M}", "to": minute(30)}], spread="3s")
    planned: list[Mapping[str, Any]] = json.loads(agb("plan", "-o", "json").stdout)
    due = {each["name"]: datetime.fromisoformat(each["at"]) for each in planned if each["state"] == "Paused"}
    assert set(due) == {"a", "b"}
    assert min(due.values()) > datetime.now(UTC)
    began = datetime.now(UTC).timestamp() - simulator.control.hook("GET", "clock")["now"]

    for name in due:
        tenant.until_phase(name, "Paused", within=150)

    asked = {
        names[entry.session_id]: began + entry.time
        for entry in tenant.requests()
        if entry.endpoint == "pauseSessionAsync" and entry.session_id in names
    }
    for name, at in due.items():
        assert -1 < asked[name] - at.timestamp() < 60, (name, asked, due)


def test_words_become_so_and_it_says_when(tenant: Tenant, agb: Agb) -> None:
    tenant.adopt("a")
    tenant.must("label", "agbsession", "a", "team=ml")
    tenant.wait("a", "Ready")
    tenant.schedule(**ALL_DAY)
    tenant.until_phase("a", "Paused")

    refused = agb("resume", "a", "--wait")
    woken = agb("resume", "a", "--for", "1h", "--reason", "demo", "--wait")

    assert refused.returncode == 3, refused
    assert woken.returncode == 0, woken
    assert woken.stdout.splitlines()[-1].startswith("a: Running after ")
    message = tenant.ready("a")["message"]
    assert message.startswith("The session is running because of spec.override until ")
    assert message.endswith(" (demo).")
    put_back = agb("auto", "a", "--wait")
    assert put_back.returncode == 0, put_back
    assert "kubectl agb resume a --for 2h" in tenant.ready("a")["message"]
    assert "  <- decides" in agb("why", "a").stdout
