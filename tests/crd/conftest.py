"""One API server for all tests of the CRD, with the CRD installed."""

from collections.abc import Iterator

import pytest

from control_plane import ControlPlane, find_kubectl
from crd.api import Api
from kubectl import Kubectl
from crd_reference import CRD_FILE


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    with ControlPlane() as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """A kubectl for an API server that serves AgbSessions."""
    kubectl = Kubectl(
        program=find_kubectl(),
        kubeconfig=control_plane.kubeconfig,
        home=tmp_path_factory.mktemp("home"),
    )
    installed = kubectl("apply", "-f", str(CRD_FILE))
    assert installed.succeeded, installed.err
    assert installed.err == "", "the API server warns about the CRD"
    established = kubectl("wait", "--for=condition=Established", f"--filename={CRD_FILE}", "--timeout=30s")
    assert established.succeeded, established.err
    return kubectl


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane, kubectl: Kubectl) -> Iterator[Api]:
    """A client of the same API server; `kubectl` has installed the CRD."""
    api = Api(kubeconfig=control_plane.kubeconfig)
    yield api
    api.close()
