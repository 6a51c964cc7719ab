"""A namespace that goes, or whose rights go, while the operator serves several: the others do not notice.

That the chart's rights are enough and none too many, and that such a namespace's own deletion ends, is tested with the
chart.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import chart_rbac
from chart_rbac import InstalledOperator
from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

RELEASE = "life-rights"
BINDING = f"agb-operator-{RELEASE}"
"""The RoleBinding that the chart makes in each namespace."""

Start = Callable[[InstalledOperator], Operator]


@pytest.fixture
def start(simulator: Simulator, tmp_path: Path) -> Iterator[Start]:
    """Start operators with the chart's arguments and rights."""
    with ExitStack() as stack:

        def begin(installed: InstalledOperator) -> Operator:
            flags = [flag for flag in installed.args[1:] if not flag.startswith("--http-address")]
            operator = Operator(
                *flags,
                "--no-leader-election",
                "--resync=1s",
                kubeconfig=installed.kubeconfig,
                endpoint=simulator.endpoint,
                log=tmp_path / "operator.log",
            )
            return stack.enter_context(operator).ready()

        yield begin


def test_a_namespace_whose_rights_go_holds_up_neither_the_others_nor_its_own_deletion(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    kubectl_program: Path,
    helm_program: Path,
    new_tenant: Callable[..., Tenant],
    start: Start,
    tmp_path: Path,
) -> None:
    going, staying = new_tenant(), new_tenant()
    installed = chart_rbac.install(
        control_plane,
        helm=helm_program,
        kubectl=kubectl_program,
        folder=tmp_path,
        watch_namespaces=(going.namespace, staying.namespace),
        namespace=RELEASE,
        release=RELEASE,
    )
    operator = start(installed)
    for tenant in (going, staying):
        tenant.apply("s", imageId="agb-code-space-1", paused=True)
        tenant.wait("s", "Paused")
    session_id = going.status("s")["sessionId"]

    going.must("delete", "rolebinding", BINDING)
    control_plane.restart_apiserver()  # every watch is asked for anew, as it is once a minute
    eventually(lambda: "may not be watched (HTTP 403)" in operator.text())
    staying.patch("s", paused=False)
    staying.wait("s", "Paused=False")
    assert operator.get("/healthz") == (200, "event loop: ok\nwatch: ok\nworkers: ok\n")

    going.must("delete", "namespace", going.namespace, "--timeout=60s")
    assert going.control.session(session_id)["live"] is False
    assert going.illegal_calls() == 0

    operator.kill()
    start(installed)
    staying.patch("s", paused=True)
    staying.wait("s", "Paused")
    assert kubectl("delete", "namespace", RELEASE, "--wait=false").succeeded
    assert kubectl("delete", "clusterrole,clusterrolebinding", f"-lapp.kubernetes.io/instance={RELEASE}").succeeded
