"""A policy of a real API server refuses every status: what is tried, how often, and what is left alone meanwhile."""

import itertools
import json
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

MINUTE = 60.0
WORDS = "no statuses today, ask team platform"


def policy(namespace: str) -> Sequence[dict[str, Any]]:
    """Refuse each write of a status in a namespace; the binding comes last, and goes first."""
    name = f"no-status-{namespace}"
    rule = {
        "apiGroups": ["agb.cloud"],
        "apiVersions": ["*"],
        "operations": ["UPDATE"],
        "resources": ["agbsessions/status"],
    }
    spec = {
        "failurePolicy": "Fail",
        "matchConstraints": {"resourceRules": [rule]},
        "validations": [{"expression": "false", "message": WORDS}],
    }
    here = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}
    binding = {"policyName": name, "validationActions": ["Deny"], "matchResources": here}
    kinds = {"ValidatingAdmissionPolicy": spec, "ValidatingAdmissionPolicyBinding": binding}
    version = "admissionregistration.k8s.io/v1"
    return [{"apiVersion": version, "kind": k, "metadata": {"name": name}, "spec": s} for k, s in kinds.items()]


@contextmanager
def refused(kubectl: Kubectl, tenant: Tenant, name: str) -> Iterator[None]:
    """Have all statuses refused until the `with` block ends."""

    def is_refused() -> bool:
        status = json.dumps({"status": {"phase": tenant.status(name)["phase"]}})
        tried = tenant("patch", "agbsession", name, "--subresource=status", "--type=merge", f"--patch={status}")
        return not tried.succeeded and WORDS in tried.err

    objects = policy(tenant.namespace)
    try:
        for body in objects:
            assert kubectl.apply(body).succeeded
        eventually(is_refused, within=MINUTE)
        yield
    finally:
        for body in reversed(objects):
            kubectl("delete", f"{body['kind'].lower()}/{body['metadata']['name']}", "--ignore-not-found")
        eventually(lambda: not is_refused(), within=MINUTE)


def test_statuses_that_a_policy_refuses(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    simulator: Simulator,
    new_tenant: Callable[[], Tenant],
    folder: Path,
) -> None:
    tenant = new_tenant()
    session_id = tenant.adopt("s")
    operator = Operator(
        f"--namespace={tenant.namespace}",
        f"--lease-namespace={tenant.namespace}",
        kubeconfig=control_plane.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "refused-statuses.log",
    )
    with operator:
        tenant.wait("s", "Ready", seconds=60)
        with refused(kubectl, tenant, "s"):
            audit = control_plane.audit_events()
            tenant.fresh_start()
            tenant.patch("s", paused=True)
            tenant.apply("new", imageId="agb-code-space-1")
            time.sleep(75.0)
            tried = [
                event
                for event in audit.read_new()
                if (event.subresource, event.namespace) == ("status", tenant.namespace)
                and event.user_agent.startswith("agb-operator")
            ]
            requests, calls = tenant.requests(), tenant.calls()
            counted = operator.get("/metrics")[1]

        writes = Counter(event.name for event in tried)
        assert set(writes) == {"s", "new"}
        assert max(writes.values()) <= 20
        assert {event.code for event in tried} == {422}
        moments = [event.finished_at.timestamp() for event in tried if event.name == "s"]
        gaps = [after - before for before, after in itertools.pairwise(moments)]
        assert max(gaps) > 5.0, "they grow"
        assert calls in ([], ["pauseSessionAsync"])
        assert sum(entry.session_id == session_id for entry in requests) <= 40
        assert 'agb_reconcile_errors_total{reason="ClusterRefused"}' in counted
        assert 'agb_reconcile_errors_total{reason="ClusterUnavailable"}' not in counted
        assert WORDS in operator.text()

        tenant.until_phase("s", "Paused", within=90.0)
        tenant.until_phase("new", "Running", within=90.0)
        assert tenant.calls().count("createSession") == 1
        assert tenant.illegal_calls() == 0
