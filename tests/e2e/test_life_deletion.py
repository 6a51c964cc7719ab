"""Deletions end, with kubectl, the namespace controller and the commands that a blocked one names."""

import re

import pytest

from agb_simulator.effects import HttpError, NeverEnds
from e2e.stack import eventually
from e2e.tenant import SECRET, Tenant

IMAGE = "agb-code-space-1"


def created(tenant: Tenant, name: str = "a", **spec: object) -> str:
    """Create a session, wait for it, and return its id."""
    tenant.apply(name, imageId=IMAGE, **spec)
    tenant.wait(name, "Ready")
    return str(tenant.status(name)["sessionId"])


def blocked(tenant: Tenant, name: str = "a") -> str:
    """Wait until the deletion says that it is blocked; returns what `kubectl describe` shows."""
    tenant.until(name, lambda status: "DeletionBlocked" in str(status))
    return tenant.must("describe", "agbsession", name)


@pytest.mark.parametrize("while_moving", ["Pausing", "Resuming"])
def test_a_deletion_waits_for_the_move_to_end(tenant: Tenant, while_moving: str) -> None:
    session_id = created(tenant, paused=while_moving == "Resuming")
    tenant.patch("a", paused=while_moving == "Pausing")
    tenant.until_phase("a", while_moving)
    tenant.must("delete", "agbsession", "a", "--timeout=20s")
    assert tenant.control.session(session_id)["live"] is False
    assert tenant.illegal_calls() == 0


@pytest.mark.parametrize("way", ["Retain", "abandon"])
def test_a_blocked_deletion_names_two_ways_out_and_both_work(tenant: Tenant, way: str) -> None:
    session_id = created(tenant, timeout="1s")
    tenant.control.add_fault(NeverEnds(), endpoint="releaseSessionAsync", session_id=session_id)
    tenant.must("delete", "agbsession", "a", "--wait=false")
    described = blocked(tenant)
    assert "AGB has reported DELETING for longer than spec.timeout." in described
    assert "set spec.deletionPolicy to Retain or annotate the resource with agb.cloud/abandon" in described
    if way == "Retain":
        tenant.patch("a", deletionPolicy="Retain")
    else:
        (annotation,) = re.findall(r'annotate the resource with (\S+?=)"true"', described)[:1]
        tenant.must("annotate", "agbsession", "a", f"{annotation}true")
    tenant.must("wait", "--for=delete", "agbsession/a", "--timeout=10s")


def test_a_deletion_without_a_key_says_what_is_missing_and_goes_on_when_it_is_there(tenant: Tenant) -> None:
    session_id = created(tenant)
    tenant.control.add_fault(HttpError(status=401, code="InvalidApiKey"), key=tenant.key)
    tenant.must("delete", "agbsession", "a", "--wait=false")
    assert "AGB refuses the API key" in blocked(tenant)
    assert "Put a valid key into Secret agb-credentials" in blocked(tenant)
    tenant.control.clear_faults()
    tenant.control.add_key("simulator-key-repaired", shares_with=tenant.key)
    tenant.must("delete", "secret", SECRET)
    tenant.secret(SECRET, apiKey="simulator-key-repaired")
    tenant.must("wait", "--for=delete", "agbsession/a", "--timeout=60s")
    assert tenant.control.session(session_id)["live"] is False


def test_a_namespace_takes_its_sessions_with_it_although_its_secret_goes_first(tenant: Tenant) -> None:
    released = [created(tenant, "running"), created(tenant, "paused", paused=True)]
    kept = created(tenant, "kept", deletionPolicy="Retain")
    tenant.must("delete", "secret", SECRET)
    tenant.must("delete", "namespace", tenant.namespace, "--timeout=60s")
    assert [tenant.control.session(session_id)["live"] for session_id in [*released, kept]] == [False, False, True]
    assert tenant.illegal_calls() == 0


def test_the_same_name_again_within_a_second_is_another_session(tenant: Tenant) -> None:
    old = created(tenant)
    uid = tenant.get("a")["metadata"]["uid"]
    tenant.must("delete", "agbsession", "a", "--timeout=20s")
    tenant.apply("a", imageId=IMAGE)
    tenant.wait("a", "Ready")
    new = tenant.status("a")["sessionId"]
    assert (new != old, tenant.get("a")["metadata"]["uid"] != uid) == (True, True)
    assert [tenant.control.session(session_id)["live"] for session_id in (old, new)] == [False, True]


def test_the_same_name_again_without_a_finalizer_is_another_session_too(tenant: Tenant) -> None:
    old = created(tenant, deletionPolicy="Retain")
    tenant.must("delete", "agbsession", "a", "--wait=false")
    tenant.apply("a", imageId=IMAGE, deletionPolicy="Retain", paused=True)
    tenant.wait("a", "Paused")
    assert tenant.status("a")["sessionId"] != old
    assert tenant.control.session(old)["status"] == "RUNNING"


def test_a_change_of_the_policy_moves_the_finalizer(tenant: Tenant) -> None:
    created(tenant)
    assert tenant.get("a")["metadata"]["finalizers"] == ["agb.cloud/session"]
    tenant.patch("a", deletionPolicy="Retain")
    eventually(lambda: "finalizers" not in tenant.get("a")["metadata"])
    tenant.patch("a", deletionPolicy=None)
    eventually(lambda: tenant.get("a")["metadata"].get("finalizers") == ["agb.cloud/session"])
