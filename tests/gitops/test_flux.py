"""Flux's health expressions, evaluated by Kubernetes' own CEL on real objects."""

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from generate_gitops import CUSTOMIZATIONS, KINDS, ROOT
from kubectl import Kubectl

KUSTOMIZATION = ROOT / "docs" / "gitops" / "flux" / "kustomization.yaml"
NAMESPACE = "flux-health"
WORDS = ("inProgress", "failed", "current")
_HEALTH = {"Progressing": "inProgress", "Degraded": "failed", "Healthy": "current"}


def expressions(kind: str) -> dict[str, str]:
    checks = yaml.safe_load(KUSTOMIZATION.read_text())["spec"]["healthCheckExprs"]
    assert [(check["apiVersion"], check["kind"]) for check in checks] == [("agb.cloud/v1alpha1", k) for k in KINDS]
    (check,) = [check for check in checks if check["kind"] == kind]
    return {word: str(check[word]) for word in WORDS}


def on_object(expression: str) -> str:
    """Rewrite what Flux evaluates on the fields of an object into what admission evaluates on `object`."""
    return re.sub(r"(?<![.\w])(status|metadata)\b", r"object.\1", expression)


@pytest.fixture(scope="module")
def judge(kubectl: Kubectl) -> Iterator[Kubectl]:
    """An API server that refuses each status with what the expressions say of it."""
    policies = [item for kind in KINDS for item in policy(kind)]
    for manifest in (namespace(), *policies):
        answer = kubectl.apply(manifest)
        assert answer.succeeded, answer.err
    yield kubectl
    for item in reversed(policies):
        kubectl("delete", item["kind"], item["metadata"]["name"])
    kubectl("delete", "namespace", NAMESPACE, "--wait=false")


def policy(kind: str) -> list[dict[str, Any]]:
    """A policy that refuses every status of a kind with what the expressions say of it, and its binding."""
    values = [f"string({on_object(expressions(kind)[word])})" for word in WORDS]
    name, version = f"flux-health-{kind.lower()}", "admissionregistration.k8s.io/v1"
    rule = {
        "apiGroups": ["agb.cloud"],
        "apiVersions": ["v1alpha1"],
        "resources": [f"{kind.lower()}s/status"],
        "operations": ["UPDATE"],
    }
    return [
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicy",
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Fail",
                "matchConstraints": {"resourceRules": [rule]},
                "validations": [
                    {"expression": "false", "messageExpression": "'verdict ' + " + " + ' ' + ".join(values)}
                ],
            },
        },
        {
            "apiVersion": version,
            "kind": "ValidatingAdmissionPolicyBinding",
            "metadata": {"name": name},
            "spec": {
                "policyName": name,
                "validationActions": ["Deny"],
                "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}},
            },
        },
    ]


def namespace() -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}


def verdict(kubectl: Kubectl, kind: str, name: str) -> dict[str, bool]:
    """Ask for a verdict on the test case's status; the policy takes a moment to be in force."""
    manifest = yaml.safe_load((CUSTOMIZATIONS / kind / "testdata" / f"{name}.yaml").read_text())
    current = manifest["status"]["observedGeneration"] == manifest["metadata"]["generation"]
    created = {**manifest, "metadata": {"name": name, "namespace": NAMESPACE}}
    created.pop("status")
    assert kubectl.apply(created).succeeded
    live = json.loads(kubectl("get", kind.lower(), name, f"-n{NAMESPACE}", "--output=json").out)
    generation = live["metadata"]["generation"]
    status = {**manifest["status"], "observedGeneration": generation if current else generation - 1}
    deadline = time.monotonic() + 30
    while True:
        answer = kubectl(
            "patch", kind.lower(), name, f"-n{NAMESPACE}", "--subresource=status", "--type=merge",
            "--patch", json.dumps({"status": status}), "--dry-run=server",
        )  # fmt: skip
        said = re.search(r"verdict (\w+) (\w+) (\w+)", answer.err)
        if said:
            return dict(zip(WORDS, (word == "true" for word in said.groups()), strict=True))
        assert time.monotonic() < deadline, answer.out + answer.err
        time.sleep(0.2)


def cases() -> list[tuple[str, str, str]]:
    """Return Argo CD's test cases: both tools are to agree. Deletion is judged by kstatus before any expression."""
    found = []
    for kind in KINDS:
        for case in yaml.safe_load((CUSTOMIZATIONS / kind / "health_test.yaml").read_text())["tests"]:
            name = Path(case["inputPath"]).stem
            if not name.startswith("delet"):
                found.append((kind, name, str(case["healthStatus"]["status"])))
    return found


@pytest.mark.parametrize(("kind", "name", "health"), cases())
def test_flux_sees_what_argo_cd_sees(judge: Kubectl, kind: str, name: str, health: str) -> None:
    said = verdict(judge, kind, name)
    first = next((word for word in WORDS if said[word]), "inProgress")
    assert first == _HEALTH[health], said
    assert sum(said.values()) <= 1, "the expressions exclude each other"
