"""Flux's health expressions, evaluated by Kubernetes' own CEL on real objects."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generate_gitops import ROOT, SCRIPTS
from kubectl import Kubectl

KUSTOMIZATION = ROOT / "docs" / "gitops" / "flux" / "kustomization.yaml"
NAMESPACE = "flux-health"
WORDS = ("inProgress", "failed", "current")
_HEALTH = {"Progressing": "inProgress", "Degraded": "failed", "Healthy": "current"}


def expressions() -> dict[str, str]:
    (check,) = yaml.safe_load(KUSTOMIZATION.read_text())["spec"]["healthCheckExprs"]
    assert (check.pop("apiVersion"), check.pop("kind")) == ("agb.cloud/v1alpha1", "AgbSession")
    return {word: str(check[word]) for word in WORDS}


def on_object(expression: str) -> str:
    """Rewrite what Flux evaluates on the fields of an object into what admission evaluates on `object`."""
    return re.sub(r"(?<![.\w])(status|metadata)\b", r"object.\1", expression)


@pytest.fixture(scope="module")
def judge(kubectl: Kubectl) -> Iterator[Kubectl]:
    """An API server that refuses each status with what the expressions say of it."""
    values = [f"string({on_object(expressions()[word])})" for word in WORDS]
    policy = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "flux-health"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["agb.cloud"],
                        "apiVersions": ["v1alpha1"],
                        "resources": ["agbsessions/status"],
                        "operations": ["UPDATE"],
                    }
                ]
            },
            "validations": [{"expression": "false", "messageExpression": "'verdict ' + " + " + ' ' + ".join(values)}],
        },
    }
    binding = {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "flux-health"},
        "spec": {
            "policyName": "flux-health",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}},
        },
    }
    for manifest in (namespace(), policy, binding):
        answer = kubectl.apply(manifest)
        assert answer.succeeded, answer.err
    yield kubectl
    for kind in ("validatingadmissionpolicybinding", "validatingadmissionpolicy"):
        kubectl("delete", kind, "flux-health")
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def verdict(kubectl: Kubectl, name: str) -> dict[str, bool]:
    """Ask for a verdict on the test case's status; the policy takes a moment to be in force."""
    manifest = yaml.safe_load((SCRIPTS / "testdata" / f"{name}.yaml").read_text())
    current = manifest["status"]["observedGeneration"] == manifest["metadata"]["generation"]
    created = {**manifest, "metadata": {"name": name, "namespace": NAMESPACE}}
    created.pop("status")
    assert kubectl.apply(created).succeeded
    live = json.loads(kubectl("get", "agbsession", name, f"-n{NAMESPACE}", "--output=json").out)
    generation = live["metadata"]["generation"]
    status = {**manifest["status"], "observedGeneration": generation if current else generation - 1}
    deadline = time.monotonic() + 30
    while True:
        answer = kubectl(
            "patch", "agbsession", name, f"-n{NAMESPACE}", "--subresource=status", "--type=merge",
            "--patch", json.dumps({"status": status}), "--dry-run=server",
        )  # fmt: skip
        said = re.search(r"verdict (\w+) (\w+) (\w+)", answer.err)
        if said:
            return dict(zip(WORDS, (word == "true" for word in said.groups()), strict=True))
        assert time.monotonic() < deadline, answer.out + answer.err
        time.sleep(0.2)


def cases() -> list[tuple[str, str]]:
    """Return Argo CD's test cases: both tools are to agree. Deletion is judged by kstatus before any expression."""
    tests = yaml.safe_load((SCRIPTS / "health_test.yaml").read_text())["tests"]
    named = [(Path(case["inputPath"]).stem, str(case["healthStatus"]["status"])) for case in tests]
    return [(name, health) for name, health in named if not name.startswith("delet")]


@pytest.mark.parametrize(("name", "health"), cases())
def test_flux_sees_what_argo_cd_sees(judge: Kubectl, name: str, health: str) -> None:
    said = verdict(judge, name)
    first = next((word for word in WORDS if said[word]), "inProgress")
    assert first == _HEALTH[health], said
    assert sum(said.values()) <= 1, "the expressions exclude each other"
