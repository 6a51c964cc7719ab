"""What the API server says of the rendered objects: strict validation and Pod Security, without storing anything."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chart.helm import CI_VALUES, MONITORING, Helm, Manifest
from kubectl import Kubectl

NAMESPACES = ("operators", "y", "123", "1e3", "team-a", "team-b")
SESSIONS = "agbsessions.agb.cloud"


@pytest.fixture(scope="module")
def kubectl(blank_kubectl: Kubectl) -> Kubectl:
    return blank_kubectl


@pytest.fixture(scope="module")
def namespaces(kubectl: Kubectl) -> Iterator[Kubectl]:
    """The namespaces the values speak of, all of which enforce the Pod Security standard `restricted`."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
    for name in NAMESPACES:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
        assert kubectl.apply(namespace).succeeded
    # A Pod is admitted only if its ServiceAccount is there.
    for name in ("default", "agb-operator", "agb"):
        kubectl("create", "serviceaccount", name, "--namespace=operators")
    yield kubectl
    for name in ("agb-operator", "agb"):
        kubectl("delete", "serviceaccount", name, "--namespace=operators")


def dry_run(kubectl: Kubectl, objects: list[Manifest]) -> str:
    """Send the objects for strict validation; return the warnings."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects})
    flags = ("--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict")
    answer = kubectl("apply", *flags, "-f", "-", stdin=text)
    assert answer.succeeded, answer.err
    return answer.err


def built_in(objects: list[Manifest]) -> list[Manifest]:
    """Leave out what this API server has no kind for."""
    return [item for item in objects if item["kind"] not in MONITORING]


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_the_api_server_takes_every_object_as_it_is_and_warns_of_nothing(
    helm: Helm, namespaces: Kubectl, values: Path
) -> None:
    assert dry_run(namespaces, built_in(helm.template(f"--values={values}"))) == ""


def test_strict_validation_notices_an_unknown_field(helm: Helm, namespaces: Kubectl) -> None:
    """So the test above can fail."""
    (service, *_) = [item for item in helm.template() if item["kind"] == "Service"]
    service["spec"]["prots"] = []
    answer = namespaces.apply(service, "--dry-run=server", "--validate=strict")
    assert not answer.succeeded
    assert 'unknown field "spec.prots"' in answer.err


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_pod_security_restricted_admits_every_pod(helm: Helm, namespaces: Kubectl, values: Path) -> None:
    pods = pods_of(helm.template(f"--values={values}"))
    assert len(pods) >= 2, "operator and test"
    for pod in pods:
        assert dry_run(namespaces, [pod]) == ""


def test_pod_security_restricted_refuses_a_pod_that_may_be_root(helm: Helm, namespaces: Kubectl) -> None:
    """So the test above can fail."""
    pod = pods_of(helm.template(values={"podSecurityContext": {"runAsNonRoot": None}}))[0]
    answer = namespaces.apply(pod, "--dry-run=server")
    assert not answer.succeeded
    assert "runAsNonRoot != true" in answer.err


def pods_of(objects: list[Manifest]) -> list[Manifest]:
    """Return the Pods of the objects, and one Pod for each Pod template."""
    pods: list[dict[str, Any]] = [item for item in objects if item["kind"] == "Pod"]
    for item in objects:
        if item["kind"] == "Deployment":
            meta = {
                **item["spec"]["template"]["metadata"],
                **{key: item["metadata"][key] for key in ("name", "namespace")},
            }
            pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": item["spec"]["template"]["spec"]})
    return pods
