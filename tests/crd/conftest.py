"""A client for the API server that all tests of the CRD share."""

from collections.abc import Iterator

import pytest

from control_plane import ControlPlane
from crd.api import Api
from kubectl import Kubectl


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane, kubectl: Kubectl) -> Iterator[Api]:
    """A client of the API server on which `kubectl` has installed the CRD."""
    api = Api(kubeconfig=control_plane.kubeconfig)
    yield api
    api.close()
