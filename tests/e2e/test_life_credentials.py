"""Keys on a real API server: whose may be used where, how they are replaced, and that none is ever shown."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agb_simulator.effects import BusinessError, Effect, HttpError, LostAnswer, RawAnswer
from chart_rbac import InstalledOperator
from control_plane import ControlPlane
from e2e.stack import KEY, Operator, Simulator, eventually
from e2e.tenant import SECRET, Tenant
from kubectl import Kubectl

IMAGE = "agb-code-space-1"
OWN_KEY = "simulator-key-of-the-operator"
NEW_KEY = "simulator-key-rotated"
BAD_KEY = "simulator-key-that-agb-refuses"


@pytest.fixture(scope="module")
def listed(control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator) -> Tenant:
    """The tenant whose namespace the administrator lists; no Secret of its own is needed."""
    simulator.control.add_key(OWN_KEY)
    return Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events())


@pytest.fixture(scope="module")
def operator(rights: InstalledOperator, simulator: Simulator, listed: Tenant, folder: Path) -> Iterator[Operator]:
    """An operator with a key of its own for one namespace, which logs all it can."""
    with Operator(
        "--resync=1s",
        "--no-leader-election",
        f"--default-key-namespace={listed.namespace}",
        "--log-format=json",
        "--log-level=debug",
        kubeconfig=rights.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "operator.log",
        env={"AGB_API_KEY": OWN_KEY, "AGB_TIMEOUT_MS": "1000"},
    ) as running:
        yield running.ready()


def replace_secret(tenant: Tenant, key: str) -> None:
    """Change the Secret in place, as `kubectl apply` or an external store does."""
    tenant.must("patch", "secret", SECRET, "--patch", json.dumps({"stringData": {"apiKey": key}}))


def test_the_operator_s_own_key_serves_the_listed_namespace_and_no_other(
    operator: Operator, listed: Tenant, tenant: Tenant
) -> None:
    listed.apply("a", imageId=IMAGE, credentials=None)
    listed.wait("a", "Ready")
    tenant.apply("a", imageId=IMAGE, credentials=None)
    tenant.wait("a", "Stalled")
    described = tenant.must("describe", "agbsession", "a")
    assert f"spec.credentials is not set, and namespace {tenant.namespace} may not use the operator's own" in described
    assert "Name a Secret in spec.credentials.secretRef" in described
    assert tenant.calls() == ["createSession"], "the listed namespace's"
    tenant.patch("a", credentials={"secretRef": {"name": SECRET}})
    tenant.wait("a", "Ready")


def test_a_secret_that_is_missing_is_described_and_noticed_when_it_comes(tenant: Tenant) -> None:
    tenant.must("delete", "secret", SECRET)
    tenant.apply("a", imageId=IMAGE)
    tenant.wait("a", "Stalled")
    described = tenant.must("describe", "agbsession", "a")
    assert f"Secret {SECRET} does not exist in namespace {tenant.namespace}. Create it with the API key" in described
    assert "CredentialsMissing" in tenant.reasons("a")
    tenant.secret(SECRET, apiKey=KEY)
    tenant.wait("a", "Ready", seconds=60)


def test_a_key_is_rotated_without_a_restart_and_without_a_word(tenant: Tenant) -> None:
    tenant.apply("a", imageId=IMAGE)
    tenant.wait("a", "Ready")
    session_id = tenant.status("a")["sessionId"]
    tenant.control.add_key(NEW_KEY, shares_with=KEY)
    replace_secret(tenant, NEW_KEY)
    tenant.control.add_fault(HttpError(status=401, code="InvalidApiKey"), key=KEY)
    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused", seconds=10)
    assert tenant.control.session(session_id)["status"] == "PAUSED"
    assert tenant.reasons("a") == ["Created", "Running", "Paused"]


def test_a_refused_key_costs_few_calls_however_many_name_it(
    new_tenant: Callable[..., Tenant], operator: Operator
) -> None:
    tenant = new_tenant(BAD_KEY)
    names = [f"s{number}" for number in range(20)]
    for name in names:
        tenant.apply(name, imageId=IMAGE)
    for name in names:
        tenant.wait(name, "Stalled")
    described = tenant.must("describe", "agbsession", names[0])
    assert "AGB refuses the API key" in described
    assert "Put a valid key into Secret agb-credentials; the operator reads it again within a minute." in described
    refused = [entry for entry in tenant.control.requests() if entry.status == 401]
    assert len(refused) < 5
    replace_secret(tenant, KEY)
    for name in names:
        tenant.wait(name, "Ready", seconds=60)


TELLING: list[Effect] = [
    HttpError(status=500, message=f"internal error while {KEY} was checked at https://viewer.example/?authcode=x"),
    HttpError(status=403, code="Forbidden.NotWhitelisted", message=f"not for {KEY}"),
    BusinessError(code="SomethingNew", message=f"Bearer {KEY} at https://viewer.example/?authcode=x"),
    RawAnswer(body=f"<html>authorization: Bearer {KEY}</html>", status=502),
    RawAnswer(body='{"success": true, "data": [{"resourceUrl": "https://viewer.example/?authcode=x"}]}'),
    LostAnswer(),
]
"""Answers that repeat what must not be shown."""


def test_no_key_and_no_address_of_a_session_is_ever_shown(
    operator: Operator, tenant: Tenant, kubectl: Kubectl, control_plane: ControlPlane, simulator: Simulator
) -> None:
    """Everything that the tests above have left is searched, too."""
    tenant.apply("created", imageId=IMAGE, labels={"project": "batch"})
    tenant.adopt("adopted", paused=True)
    tenant.apply("recreated", imageId=IMAGE, onSessionLost="Recreate")
    for name in ("created", "adopted", "recreated"):
        tenant.wait(name, "Ready")
    for effect in TELLING:
        tenant.control.add_fault(effect, key=KEY, count=3)
        tenant.patch("created", paused=not tenant.get("created")["spec"].get("paused", False))
        tenant.must(
            "annotate", "agbsession", "adopted", "--overwrite", f"agb.cloud/reconcile-requested-at={effect.kind}"
        )
        eventually(lambda: not tenant.control.faults(), within=60)
    tenant.control.act(tenant.status("recreated")["sessionId"], "vanish")
    tenant.until("recreated", lambda status: bool(status.get("recreations")))
    tenant.must("annotate", "agbsession", "created", "agb.cloud/reconcile-requested-at=again")
    tenant.wait("created", "Ready", seconds=60)
    tenant.must("delete", "agbsession", "recreated", "--timeout=30s")

    shown = {
        "metrics": operator.get("/metrics")[1],
        "health": operator.get("/healthz")[1] + operator.get("/readyz")[1],
        "AgbSessions": kubectl("get", "agbsessions", "--all-namespaces", "--output=json").out,
        "events": kubectl("get", "events", "--all-namespaces", "--output=json").out,
        "audit log": control_plane.audit_log.read_text(),
    }
    assert operator.stop() == 0
    shown["log"] = operator.text()
    assert '"level": "debug"' in shown["log"]
    assert "createSession" in shown["log"]
    secrets = (KEY, OWN_KEY, NEW_KEY, BAD_KEY, "authcode", "viewer.example", "resourceUrl")
    assert [(place, secret) for place, text in shown.items() for secret in secrets if secret in text] == []
