"""Sleep by the clock on a real API server, with the chart's rights: edges, overrides, an edit, a broken schedule."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from chart_rbac import InstalledOperator
from e2e.stack import ALL_DAY, Operator, Simulator, eventually, manifest, nights
from e2e.tenant import SECRET, Tenant
from kubectl import Kubectl

TWENTY = [f"s-{number}" for number in range(20)]
OURS = ("resourceVersion", "managedFields")
"""What a write to the status changes in an object's metadata."""


def minute(number: int) -> str:
    """Give the local time of UTC that begins the minute so many after this one."""
    return (datetime.now(UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M")


def seen(tenant: Tenant) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(tenant.must("get", "agbpauseschedule", "nights", "-o", "json"))
    status: dict[str, Any] = found.get("status", {})
    return status


@pytest.fixture
def session_id(tenant: Tenant) -> str:
    session_id = tenant.adopt("a")
    tenant.must("label", "agbsession", "a", "team=ml")
    tenant.wait("a", "Ready")
    return session_id


def everybody(tenant: Tenant) -> dict[str, dict[str, Any]]:
    """Give all sessions by name, as the API server has them."""
    found: dict[str, Any] = json.loads(tenant.must("get", "agbsessions", "-o", "json"))
    return {body["metadata"]["name"]: body for body in found["items"]}


def until_all(tenant: Tenant, phase: str, *, within: float = 30.0) -> None:
    """Wait until all sessions are in a phase, and Ready."""

    def probe() -> bool:
        statuses = [body["status"] for body in everybody(tenant).values()]
        ready = [c["status"] for status in statuses for c in status.get("conditions", ()) if c["type"] == "Ready"]
        return {status.get("phase") for status in statuses} == {phase} and ready == ["True"] * len(TWENTY)

    eventually(probe, within=within, every=0.5)


def theirs(body: Mapping[str, Any]) -> tuple[Any, Any]:
    """What of a session is the users': its spec, and its metadata with generation, labels and annotations."""
    return body["spec"], {field: value for field, value in body["metadata"].items() if field not in OURS}


@pytest.mark.timeout(240)
def test_an_edge_puts_twenty_sessions_to_sleep_and_the_next_one_wakes_them_by_writes_to_statuses_alone(
    tenant: Tenant, kubectl: Kubectl
) -> None:
    items = [manifest(name, tenant.namespace, sessionId=tenant.control.add_session(tenant.key)) for name in TWENTY]
    for item in items:
        item["spec"]["credentials"] = {"secretRef": {"name": SECRET}}
        item["metadata"] |= {"labels": {"team": "ml"}, "annotations": {"example.com/owner": "ml"}}
    answer = kubectl.apply({"apiVersion": "v1", "kind": "List", "items": items})
    assert answer.succeeded, answer.err
    until_all(tenant, "Running")
    before = everybody(tenant)
    tenant.fresh_start()
    tenant.schedule(windows=[{"from": minute(1), "to": minute(2)}])
    tenant.until("s-0", lambda status: "nextChange" in status)

    until_all(tenant, "Paused", within=80)
    row = tenant.must("get", "agbs", "s-0").splitlines()[1].split()
    assert row[1:5] == ["Paused", "Paused", "Schedule/nights", "True"]
    until_all(tenant, "Running", within=80)
    awake = everybody(tenant)

    for body in awake.values():
        assert tenant.calls(body["status"]["sessionId"]) == ["pauseSessionAsync", "resumeSessionAsync"]
        assert body["status"]["why"] == "Default"
    assert {name: theirs(body) for name, body in awake.items()} == {name: theirs(body) for name, body in before.items()}
    written = set(tenant.writes())
    assert written <= {"patch agbsessions/status", "patch agbpauseschedules/status", "create events"}
    assert "patch agbsessions/status" in written
    eventually(lambda: "PauseEnded" in tenant.must("get", "events"))


def test_an_edit_an_override_and_a_typo_are_followed_at_once(tenant: Tenant, session_id: str) -> None:
    tenant.schedule(**ALL_DAY)
    tenant.until_phase("a", "Paused", within=10)
    eventually(lambda: seen(tenant).get("settled") == 1, within=30)
    assert seen(tenant)["asks"] == "Paused"

    until = (datetime.now(UTC) + timedelta(seconds=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    tenant.patch("a", override={"state": "Running", "until": until})
    tenant.until_phase("a", "Running", within=6)
    tenant.until_phase("a", "Paused", within=20)

    tenant.schedule(pauseAt="0 8 * * 5-1", resumeAt="0 7 * * *")
    eventually(lambda: seen(tenant)["conditions"][0]["reason"] == "InvalidSchedule")
    assert "5-1" in seen(tenant)["conditions"][0]["message"]
    assert tenant.status("a")["phase"] == "Paused"

    tenant.schedule(**ALL_DAY, enabled=False)
    tenant.until_phase("a", "Running", within=10)
    assert tenant.calls(session_id) == [
        *("pauseSessionAsync", "resumeSessionAsync", "pauseSessionAsync", "resumeSessionAsync")
    ]


def test_one_replaced_by_force_and_a_namespace_that_is_deleted_wake_nobody(
    tenant: Tenant, kubectl: Kubectl, session_id: str
) -> None:
    tenant.schedule(**ALL_DAY)
    tenant.until_phase("a", "Paused", within=10)
    eventually(lambda: seen(tenant).get("settled") == 1, within=30)

    answer = kubectl("replace", "--force", "-f", "-", stdin=json.dumps(nights(tenant.namespace, **ALL_DAY)))
    assert answer.succeeded, answer.err
    eventually(lambda: seen(tenant).get("settled") == 1, within=30)
    tenant.must("delete", "namespace", tenant.namespace, "--timeout=60s")

    assert tenant.calls(session_id) == ["pauseSessionAsync"]


def test_rules_of_time_zones_that_are_old_are_told_at_the_start(
    rights: InstalledOperator, simulator: Simulator, folder: Path
) -> None:
    """The process finds the package of rules in a version of long ago."""
    package = folder / "old" / "tzdata-2020.1.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: tzdata\nVersion: 2020.1\n")
    with Operator(
        "--no-leader-election",
        "--namespace=default",
        kubeconfig=rights.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "old-zones.log",
        env={"PYTHONPATH": str(package.parent)},
    ) as operator:
        operator.ready()
        assert "the time zone rules are from 2020" in operator.text()
