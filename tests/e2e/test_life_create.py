"""Sessions come into being once, and `kubectl` alone tells how far that is or why it is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agb_simulator.effects import Delay, LostAnswer
from chart_rbac import InstalledOperator
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant

IMAGE = "agb-code-space-1"


def live(tenant: Tenant, name: str) -> list[str]:
    """Give the ids of the sessions that AGB has for a resource."""
    uid = tenant.get(name)["metadata"]["uid"]
    sessions = tenant.control.sessions()
    return [s["sessionId"] for s in sessions if s["live"] and s["labels"].get("agb-operator-uid") == uid]


@pytest.fixture
def strict(simulator: Simulator) -> Iterator[Simulator]:
    """The module's simulator, whose settings the test may change."""
    yield simulator
    simulator.control.configure(session_limit=None, refused_images=[], label_lag=0.0)


def test_a_session_is_created_with_both_kinds_of_labels_and_relabelled(tenant: Tenant) -> None:
    tenant.apply("a", imageId=IMAGE, labels={"project": "batch"})
    tenant.wait("a", "Ready")
    (session_id,) = live(tenant, "a")
    assert tenant.status("a")["sessionId"] == session_id
    ours = {
        "agb-operator-uid": tenant.get("a")["metadata"]["uid"],
        "agb-operator-namespace": tenant.namespace,
        "agb-operator-name": "a",
    }
    labels = tenant.control.session(session_id)["labels"]
    assert {**labels, **ours, "project": "batch"} == labels
    assert set(labels) - set(ours) == {"project", "agb-operator-cluster"}
    tenant.patch("a", labels={"project": None, "stage": "test"})
    tenant.until("a", lambda status: status.get("labels") == {"stage": "test"})
    relabelled = tenant.control.session(session_id)["labels"]
    assert {**relabelled, **ours, "stage": "test"} == relabelled
    assert "project" not in relabelled
    assert tenant.calls(session_id) == ["createSession", "SetLabel"]


def test_kubectl_shows_the_session_from_the_first_second_on(tenant: Tenant) -> None:
    tenant.apply("a", imageId=IMAGE)
    tenant.wait("a", "Ready")
    header, line = tenant.must("get", "agbs", "--output=wide").splitlines()
    assert header.split() == [
        *("NAME", "STATE", "DESIRED", "WHY", "READY", "SESSION", "NEXT", "AGE", "IMAGE", "REASON", "MESSAGE")
    ]
    assert line.split()[:5] == ["a", "Running", "Running", "Default", "True"]
    assert "The session is running, as asked." in line
    assert [reason for _, reason, _ in tenant.events("a")] == ["Created", "Running"]


def test_a_create_whose_answer_is_lost_makes_one_session(tenant: Tenant, strict: Simulator) -> None:
    strict.control.configure(label_lag=3.0)
    tenant.control.add_fault(LostAnswer(), endpoint="createSession", count=1)
    tenant.apply("a", imageId=IMAGE, paused=True)
    tenant.wait("a", "Paused", seconds=30)
    assert live(tenant, "a") == [tenant.status("a")["sessionId"]]
    assert tenant.calls().count("createSession") == 1
    assert "Took over session" in str(tenant.events("a"))


def test_a_full_account_is_described_and_filled_as_soon_as_there_is_room(tenant: Tenant, strict: Simulator) -> None:
    strict.control.configure(session_limit=sum(s["live"] for s in tenant.control.sessions()))
    tenant.apply("a", imageId=IMAGE)
    tenant.until("a", lambda status: "QuotaExceeded" in str(status))
    described = tenant.must("describe", "agbsession", "a")
    assert "limit on sessions is reached; paused sessions count towards it" in described
    assert "Delete sessions (paused ones count) or raise the limit; the operator tries again every minute." in described
    strict.control.configure(session_limit=None)
    tenant.must("annotate", "agbsession", "a", "agb.cloud/reconcile-requested-at=now")
    tenant.wait("a", "Ready", seconds=10)


def test_an_unknown_image_is_described_and_costs_one_call(tenant: Tenant, strict: Simulator) -> None:
    strict.control.configure(refused_images=["agb-no-such-image"])
    tenant.apply("a", imageId="agb-no-such-image")
    tenant.wait("a", "Stalled")
    described = tenant.must("describe", "agbsession", "a")
    assert "CreateFailed" in described
    assert "delete the resource and apply it with the right image" in described
    assert tenant.calls() == ["createSession"]
    tenant.must("delete", "agbsession", "a", "--timeout=10s")


def test_two_operators_without_a_lease_create_one_session_each(
    rights: InstalledOperator, simulator: Simulator, tenant: Tenant, tmp_path: Path
) -> None:
    """The lease forbids it; should it fail, the resourceVersion of the intent decides who may create."""
    second = Operator(
        "--resync=1s",
        "--no-leader-election",
        kubeconfig=rights.kubeconfig,
        endpoint=simulator.endpoint,
        log=tmp_path / "second.log",
    )
    with second:
        second.ready()
        tenant.control.add_fault(Delay(seconds=0.3), endpoint="createSession", key=tenant.key)
        names = [f"s{number}" for number in range(5)]
        for name in names:
            tenant.apply(name, imageId=IMAGE)
        for name in names:
            tenant.wait(name, "Ready")
        assert all(live(tenant, name) == [tenant.status(name)["sessionId"]] for name in names)
        eventually(lambda: tenant.calls().count("createSession") == len(names))
