"""A client for the API server that all tests of the CRD share."""

from collections.abc import Iterator

import pytest

from control_plane import ControlPlane
from crd.api import SCHEDULES, Api
from kubectl import Kubectl


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane, kubectl: Kubectl) -> Iterator[Api]:
    """A client for AgbSessions, of the API server on which `kubectl` has installed the CRDs."""
    api = Api(kubeconfig=control_plane.kubeconfig)
    yield api
    api.close()


@pytest.fixture(scope="session")
def schedules(control_plane: ControlPlane, kubectl: Kubectl) -> Iterator[Api]:
    """A client for AgbPauseSchedules."""
    api = Api(kubeconfig=control_plane.kubeconfig, plural=SCHEDULES)
    yield api
    api.close()
