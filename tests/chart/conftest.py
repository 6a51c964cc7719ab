"""Helm, and a blank API server for the tests that install the chart: they bring and take the CRD."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.helm import Helm
from control_plane import ControlPlane
from e2e.stack import until_gone
from kubectl import Kubectl


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def helm(helm_program: Path, home: Path) -> Helm:
    """Helm without a cluster."""
    return Helm(program=helm_program, home=home)


@pytest.fixture(scope="session")
def blank_cluster() -> Iterator[ControlPlane]:
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="session")
def cluster_helm(blank_cluster: ControlPlane, helm_program: Path, home: Path) -> Helm:
    """Helm with the blank API server, as its administrator."""
    return Helm(program=helm_program, home=home, kubeconfig=blank_cluster.kubeconfig)


@pytest.fixture(scope="session")
def blank_kubectl(blank_cluster: ControlPlane, kubectl_program: Path, home: Path) -> Kubectl:
    """kubectl with the blank API server, as its administrator."""
    return Kubectl(program=kubectl_program, kubeconfig=blank_cluster.kubeconfig, home=home)


@pytest.fixture
def clean_cluster(blank_kubectl: Kubectl, cluster_helm: Helm) -> Iterator[None]:
    """Leave no release and no CRD to the next test."""
    yield
    releases = json.loads(cluster_helm("list", "--all-namespaces", "--output=json").out)
    for release in releases:
        assert cluster_helm("uninstall", release["name"], f"--namespace={release['namespace']}").succeeded
    for crd in blank_kubectl("get", "crd", "--output=name").out.split():
        blank_kubectl("delete", crd, "--wait=false")
        until_gone(blank_kubectl, crd)
