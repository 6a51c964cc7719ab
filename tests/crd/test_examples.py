"""The examples of sleep by the clock: schedules mean what their comments say, and the lease client does its work."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from agb_operator.model.override import read_override
from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.policy.schedule import Schedule
from control_plane import ControlPlane
from crd.api import Api, agb_session
from e2e.stack import eventually
from kubectl import Kubectl

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CLIENT = EXAMPLES / "keep_awake.py"


def example(schedules: Api, name: str) -> Schedule:
    """Read an example as the API server takes it."""
    manifest = yaml.safe_load((EXAMPLES / name).read_text())
    manifest["metadata"]["namespace"] = "default"
    verdict = schedules.create(manifest, dry_run=True)
    assert verdict.taken, verdict.message
    return Schedule(AgbPauseSchedule.from_body(verdict.taken))


def asleep(schedule: Schedule, moment: str) -> bool:
    return schedule.span(datetime.fromisoformat(moment).replace(tzinfo=UTC)).asks


def test_office_hours(schedules: Api) -> None:
    schedule = example(schedules, "office-hours.yaml")

    assert schedule.selects({"team": "ml"})
    assert not schedule.selects({"team": "ml", "sleep": "never"})
    assert not asleep(schedule, "2026-11-26 12:00")
    assert asleep(schedule, "2026-11-26 19:00")
    assert not asleep(schedule, "2026-11-27 06:00")
    assert asleep(schedule, "2026-11-29 12:00"), "a Sunday"
    assert asleep(schedule, "2026-12-25 12:00"), "a day off"


def test_maintenance(schedules: Api) -> None:
    schedule = example(schedules, "maintenance.yaml")

    assert schedule.selects({})
    moments = ("2026-12-05 20:59", "2026-12-05 21:00", "2026-12-06 04:59", "2026-12-06 05:00")
    assert [asleep(schedule, moment) for moment in moments] == [False, True, True, False]


@contextmanager
def keeping_awake(kubeconfig: Path, *args: str) -> Iterator[None]:
    """Run the lease client as a user does."""
    env = {**os.environ, "KUBECONFIG": str(kubeconfig)}
    client = subprocess.Popen([sys.executable, str(CLIENT), *args], env=env)
    try:
        yield
    finally:
        client.terminate()
        client.wait(timeout=10)


def test_the_lease_client_fits_on_a_screen() -> None:
    lines = [line for line in CLIENT.read_text().splitlines() if line]

    assert len(lines) <= 24


def test_a_client_with_the_role_of_the_example_keeps_its_session_awake_and_no_other(
    control_plane: ControlPlane, kubectl: Kubectl, kubectl_program: Path, tmp_path: Path
) -> None:
    namespace = "leases"
    manifest: dict[str, Any] = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
    assert kubectl.apply(manifest).succeeded
    assert kubectl("apply", f"-n{namespace}", f"--filename={EXAMPLES / 'keep-awake-role.yaml'}").succeeded
    for name in ("batch-7", "other"):
        session = agb_session({"imageId": "agb-code-space-1", "paused": True}, name=name)
        session["metadata"]["namespace"] = namespace
        assert kubectl.apply(session).succeeded
    token = kubectl("create", "token", "keep-awake", f"-n{namespace}").out.strip()
    kubeconfig = control_plane.kubeconfig_for_token(token, tmp_path / "keep-awake", namespace=namespace)

    def spec() -> dict[str, Any]:
        found: dict[str, Any] = json.loads(kubectl("get", "agbs", "batch-7", f"-n{namespace}", "-ojson").out)["spec"]
        return found

    with keeping_awake(kubeconfig, namespace, "batch-7", "3"):
        eventually(lambda: "override" in spec())
        first = spec()["override"]
        eventually(lambda: spec()["override"]["until"] > first["until"])

    override = read_override(spec(), [])
    assert override is not None
    assert (str(override.state), override.reason) == ("Running", "in use")
    assert spec()["paused"] is True, "it sleeps when the lease ends"
    eventually(lambda: not override.holds(datetime.now(UTC)))
    refused = Kubectl(program=kubectl_program, kubeconfig=kubeconfig, home=tmp_path)(
        "patch", "agbs", "other", "--type=merge", "-p", '{"spec":{"paused":false}}'
    )
    assert "forbidden" in refused.err
    kubectl("delete", "namespace", namespace, "--wait=false")


@pytest.mark.parametrize("name", ["office-hours.yaml", "maintenance.yaml", "keep-awake-role.yaml"])
def test_every_example_is_taken_as_it_is(kubectl: Kubectl, name: str) -> None:
    answer = kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={EXAMPLES / name}")

    assert answer.succeeded, answer.err
    assert answer.err == ""
