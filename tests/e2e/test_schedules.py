"""Sleep by the clock on a real API server, with the chart's rights: edges, overrides, an edit, a broken schedule."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from e2e.stack import eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

ALL_DAY = {"windows": [{"from": "2020-01-01T00:00", "to": "2999-01-01T00:00"}]}


def minute(number: int) -> str:
    """Give the local time of UTC that begins the minute so many after this one."""
    return (datetime.now(UTC) + timedelta(minutes=number)).strftime("%Y-%m-%dT%H:%M")


def schedule(tenant: Tenant, kubectl: Kubectl, **spec: Any) -> None:
    body = {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbPauseSchedule",
        "metadata": {"name": "nights", "namespace": tenant.namespace},
        "spec": {"selector": {"matchLabels": {"team": "ml"}}, "timeZone": "UTC", **spec},
    }
    answer = kubectl.apply(body)
    assert answer.succeeded, answer.err


def seen(tenant: Tenant) -> Mapping[str, Any]:
    found: dict[str, Any] = json.loads(tenant.must("get", "agbpauseschedule", "nights", "-o", "json"))
    status: dict[str, Any] = found["status"]
    return status


@pytest.fixture
def session_id(tenant: Tenant) -> str:
    session_id = tenant.adopt("a")
    tenant.must("label", "agbsession", "a", "team=ml")
    tenant.wait("a", "Ready")
    return session_id


@pytest.mark.timeout(240)
def test_an_edge_puts_a_session_to_sleep_and_the_next_one_wakes_it_by_writes_to_status_and_finalizers_alone(
    tenant: Tenant, kubectl: Kubectl, session_id: str
) -> None:
    before = tenant.get("a")
    tenant.fresh_start()
    schedule(tenant, kubectl, windows=[{"from": minute(1), "to": minute(2)}])
    tenant.until("a", lambda status: "nextChange" in status)

    tenant.until_phase("a", "Paused", within=75)
    tenant.wait("a", "Ready")
    row = tenant.must("get", "agbs", "a").splitlines()[1].split()
    assert row[1:5] == ["Paused", "Paused", "Schedule/nights", "True"]
    tenant.until_phase("a", "Running", within=75)
    tenant.wait("a", "Ready")
    awake = tenant.get("a")

    assert tenant.calls(session_id) == ["pauseSessionAsync", "resumeSessionAsync"]
    assert awake["status"]["why"] == "Default"
    assert awake["spec"] == before["spec"]
    assert awake["metadata"]["labels"] == before["metadata"]["labels"]
    assert awake["metadata"]["generation"] == before["metadata"]["generation"]
    written = set(tenant.writes())
    assert written <= {"patch agbsessions/status", "patch agbpauseschedules/status", "create events"}
    assert "patch agbsessions/status" in written
    eventually(lambda: "PauseEnded" in tenant.must("get", "events"))


def test_an_edit_an_override_and_a_typo_are_followed_at_once(tenant: Tenant, kubectl: Kubectl, session_id: str) -> None:
    schedule(tenant, kubectl, **ALL_DAY)
    tenant.until_phase("a", "Paused", within=10)
    eventually(lambda: seen(tenant).get("settled") == 1, within=30)
    assert seen(tenant)["asks"] == "Paused"

    until = (datetime.now(UTC) + timedelta(seconds=8)).strftime("%Y-%m-%dT%H:%M:%SZ")
    tenant.patch("a", override={"state": "Running", "until": until})
    tenant.until_phase("a", "Running", within=6)
    tenant.until_phase("a", "Paused", within=20)

    schedule(tenant, kubectl, pauseAt="0 8 * * 5-1", resumeAt="0 7 * * *")
    eventually(lambda: seen(tenant)["conditions"][0]["reason"] == "InvalidSchedule")
    assert "5-1" in seen(tenant)["conditions"][0]["message"]
    assert tenant.status("a")["phase"] == "Paused"

    schedule(tenant, kubectl, **ALL_DAY, enabled=False)
    tenant.until_phase("a", "Running", within=10)
    assert tenant.calls(session_id) == [
        *("pauseSessionAsync", "resumeSessionAsync", "pauseSessionAsync", "resumeSessionAsync")
    ]
