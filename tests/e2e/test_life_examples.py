"""Each manifest of examples/ does what it says when it is applied as it is."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.stack import KEY, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
ADOPTED = "session-9f2c1e"
TEAMS = ("team-blue", "team-green")


def apply(tenant: Tenant, name: str) -> None:
    """Apply an example in the tenant's namespace, where the Secret of the examples' README is."""
    answer = tenant("apply", f"--filename={EXAMPLES / name}")
    assert answer.succeeded, answer.err
    assert answer.err == ""


@pytest.fixture
def existing(tenant: Tenant) -> Iterator[str]:
    """The session that adopt.yaml and observe.yaml name."""
    tenant.control.add_session(KEY, session_id=ADOPTED)
    yield ADOPTED
    tenant.control.act(ADOPTED, "vanish")


def test_every_example_is_listed_and_tested() -> None:
    readme = (EXAMPLES / "README.md").read_text()
    here = Path(__file__)
    tests = "".join(
        path.read_text()
        for path in (here, here.with_name("test_life_rights.py"), here.parents[1] / "crd/test_examples.py")
    )
    for example in EXAMPLES.glob("*.yaml"):
        assert f"({example.name})" in readme
        assert example.name in tests


def test_create(tenant: Tenant) -> None:
    apply(tenant, "create.yaml")
    tenant.wait("batch-7", "Ready")
    session = tenant.control.session(tenant.status("batch-7")["sessionId"])
    assert (session["status"], session["labels"]["project"]) == ("RUNNING", "batch-job")


def test_adopt(tenant: Tenant, existing: str) -> None:
    apply(tenant, "adopt.yaml")
    tenant.patch("adopted", paused=True)
    tenant.wait("adopted", "Paused")
    assert tenant.control.session(existing)["status"] == "PAUSED"
    tenant.must("delete", "agbsession", "adopted", "--timeout=20s")
    assert tenant.control.session(existing)["live"] is True


def test_born_paused(tenant: Tenant) -> None:
    apply(tenant, "born-paused.yaml")
    tenant.wait("spare", "Paused")
    tenant.wait("spare", "Ready")
    tenant.patch("spare", paused=False)
    tenant.wait("spare", "Paused=False")


def test_observe(tenant: Tenant, existing: str) -> None:
    apply(tenant, "observe.yaml")
    tenant.wait("observed", "Ready")
    tenant.control.act(existing, "pause")
    tenant.wait("observed", "Paused")
    assert tenant.calls(existing) == []


def test_retain(tenant: Tenant) -> None:
    apply(tenant, "retain.yaml")
    tenant.wait("kept", "Ready")
    assert "finalizers" not in tenant.get("kept")["metadata"]
    session_id = tenant.status("kept")["sessionId"]
    tenant.must("delete", "agbsession", "kept", "--timeout=20s")
    assert tenant.control.session(session_id)["live"] is True


def test_own_key_per_namespace(tenant: Tenant, kubectl: Kubectl) -> None:
    for team in TEAMS:
        tenant.control.add_key(f"key-of-{team}")
    applied = kubectl("apply", f"--filename={EXAMPLES / 'own-key-per-namespace.yaml'}")
    assert applied.succeeded, applied.err
    for team in TEAMS:
        assert kubectl("wait", "--for=condition=Ready", "agbsession/workbench", f"-n{team}", "--timeout=20s").succeeded
    accounts = {
        session["labels"]["agb-operator-namespace"]: session["account"]
        for session in tenant.control.sessions()
        if session["labels"].get("agb-operator-name") == "workbench"
    }
    assert set(accounts) == set(TEAMS)
    assert len(set(accounts.values())) == len(TEAMS)
    assert kubectl("delete", f"--filename={EXAMPLES / 'own-key-per-namespace.yaml'}", "--wait=false").succeeded
    left = ("get", "namespaces", "--output=json")
    eventually(lambda: not set(TEAMS) & {n["metadata"]["name"] for n in json.loads(kubectl(*left).out)["items"]})
    assert not [
        s for s in tenant.control.sessions() if s["live"] and s["labels"].get("agb-operator-name") == "workbench"
    ]
