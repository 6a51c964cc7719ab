"""Helm, and a blank API server for the tests that install the chart: they bring and take the CRD."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from chart.helm import Helm
from control_plane import ControlPlane
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
