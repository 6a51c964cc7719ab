"""What the end-to-end tests share: one simulator and one operator for each module, one tenant for each test."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from chart_rbac import InstalledOperator, install
from control_plane import ControlPlane
from e2e.stack import KEY, Operator, Simulator
from e2e.tenant import Tenant
from kubectl import Kubectl


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the module's programs leave their logs."""
    return tmp_path_factory.mktemp("e2e")


@pytest.fixture(scope="module")
def simulator(folder: Path) -> Iterator[Simulator]:
    """AGB: a pause or a resume takes a second."""
    with Simulator("--transition=1s", log=folder / "simulator.log") as running:
        yield running


@pytest.fixture(scope="session")
def rights(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    kubectl_program: Path,
    helm_program: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> InstalledOperator:
    """The chart's ServiceAccount and cluster-wide rights: what works here works with these and no others."""
    folder = tmp_path_factory.mktemp("rights")
    return install(control_plane, helm=helm_program, kubectl=kubectl_program, folder=folder)


@pytest.fixture(scope="module")
def operator(rights: InstalledOperator, simulator: Simulator, folder: Path) -> Iterator[Operator]:
    """The operator; it looks at settled sessions every second, and gives AGB a second for an answer."""
    with Operator(
        "--resync=1s",
        "--no-leader-election",
        kubeconfig=rights.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "operator.log",
        env={"AGB_TIMEOUT_MS": "1000"},
    ) as running:
        yield running.ready()


@pytest.fixture
def new_tenant(control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator) -> Iterator[Callable[..., Tenant]]:
    """Make tenants; their resources are removed after the test."""
    with ExitStack() as stack:

        def make(key: str = KEY) -> Tenant:
            made = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events(), key=key)
            stack.callback(made.remove)
            return made

        yield make
        simulator.control.clear_faults()


@pytest.fixture
def tenant(new_tenant: Callable[..., Tenant], operator: Operator) -> Tenant:
    """One tenant, while the module's operator runs."""
    return new_tenant()
