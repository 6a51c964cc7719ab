"""What all tests on the real API server share: one control plane for each test process, with the CRDs installed."""

import asyncio
import signal
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from control_plane import ControlPlane, find_helm, find_kubectl
from e2e.stack import eventually, until_established
from kubectl import Kubectl

TESTS = Path(__file__).resolve().parent
CRDS = TESTS.parent / "crds"
SLOW_FIRST = ("reliability", "chaos", "e2e", "chart", "control_plane", "benchmarks", "monitoring", "properties")
"""Folders of the tests that mostly wait: were they last, all processes but one would be idle at the end."""


def pytest_sessionstart() -> None:
    """Make every run alike.

    looptime makes an event loop, which nobody closes, when it looks at the first test without one. And a shell lets its
    background jobs ignore Ctrl-C, which all their children inherit: here they heed it, as they do on a terminal.
    """
    asyncio.set_event_loop(None)
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the slow folders first, the rest as it is; and let virtual time go on as soon as nothing is left to run.

    looptime would turn the loop 42 times before each step of the clock, for files and sockets that no such test has.
    """

    def rank(item: pytest.Item) -> int:
        folder = item.path.relative_to(TESTS).parts[0]
        return SLOW_FIRST.index(folder) if folder in SLOW_FIRST else len(SLOW_FIRST)

    items.sort(key=rank)
    for item in items:
        if item.get_closest_marker("looptime"):
            item.add_marker(pytest.mark.looptime(noop_cycles=0))


@pytest.fixture(scope="session")
def kubectl_program() -> Path:
    return find_kubectl()


@pytest.fixture(scope="session")
def helm_program() -> Path:
    return find_helm()


@pytest.fixture(scope="session")
def control_plane() -> Iterator[ControlPlane]:
    """A control plane with garbage collection and namespace deletion."""
    with ControlPlane(controller_manager=True) as running:
        yield running


@pytest.fixture(scope="session")
def kubectl(control_plane: ControlPlane, kubectl_program: Path, tmp_path_factory: pytest.TempPathFactory) -> Kubectl:
    """The administrator's kubectl for an API server that serves our kinds."""
    kubectl = Kubectl(
        program=kubectl_program, kubeconfig=control_plane.kubeconfig, home=tmp_path_factory.mktemp("home")
    )
    installed = kubectl("apply", "-f", str(CRDS))
    assert installed.succeeded, installed.err
    assert installed.err == "", "the API server warns about a CRD"
    until_established(kubectl, f"--filename={CRDS}")
    # The schema is published a second or more later, and some tests read it.
    for plural in ("agbsessions", "agbpauseschedules"):
        eventually(partial(_explained, kubectl, plural))
    return kubectl


def _explained(kubectl: Kubectl, plural: str) -> bool:
    return kubectl("explain", plural).succeeded
