"""Tenants and operators for tests that break things: every operator has a namespace, a lease and proxies of its own."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from control_plane import ControlPlane
from e2e.stack import KEY, Simulator
from e2e.tenant import Tenant
from kubectl import Kubectl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's programs leave their logs."""
    return tmp_path_factory.mktemp("reliability")


@pytest.fixture(scope="module")
def simulator(folder: Path) -> Iterator[Simulator]:
    """AGB: a pause or a resume takes a second."""
    with Simulator("--transition=1s", log=folder / "simulator.log") as running:
        yield running


@pytest.fixture(scope="module")
def new_tenant(control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator) -> Iterator[Callable[[], Tenant]]:
    """Make tenants; their resources are removed at the end."""
    with ExitStack() as stack:

        def make() -> Tenant:
            made = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events(), key=KEY)
            stack.callback(made.remove)
            return made

        yield make
