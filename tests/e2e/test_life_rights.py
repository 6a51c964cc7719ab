"""A namespace that goes, or whose rights go, while the operator serves several: the others do not notice, nobody wakes.

That the chart's rights are enough and none too many, and that such a namespace's own deletion ends, is tested with the
chart.
"""

import itertools
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import chart_rbac
from chart_rbac import InstalledOperator
from control_plane import ControlPlane
from e2e.stack import ALL_DAY, Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

RELEASE = "life-rights"
BINDING = f"agb-operator-{RELEASE}"
"""The RoleBinding that the chart makes in each namespace."""

NARROW = Path(__file__).resolve().parents[2] / "examples" / "narrow-finalizer-role.yaml"

Start = Callable[[InstalledOperator], Operator]
Install = Callable[..., InstalledOperator]


@pytest.fixture
def install(
    control_plane: ControlPlane, kubectl: Kubectl, kubectl_program: Path, helm_program: Path, tmp_path: Path
) -> Iterator[Install]:
    """Install the chart's rights under a name, for the namespaces of some tenants; they go after the test."""
    installed: list[str] = []

    def put(release: str, *tenants: Tenant) -> InstalledOperator:
        installed.append(release)
        return chart_rbac.install(
            control_plane,
            helm=helm_program,
            kubectl=kubectl_program,
            folder=tmp_path,
            watch_namespaces=[tenant.namespace for tenant in tenants],
            namespace=release,
            release=release,
        )

    yield put
    for release in installed:
        assert kubectl("delete", "namespace", release, "--wait=false").succeeded
        label = f"-lapp.kubernetes.io/instance={release}"
        assert kubectl("delete", "clusterrole,clusterrolebinding", label).succeeded


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


@pytest.fixture
def narrow(kubectl: Kubectl) -> Iterator[Callable[[InstalledOperator], None]]:
    """Apply the example's policy for an operator."""
    applied: list[str] = []

    def apply(installed: InstalledOperator) -> None:
        text = NARROW.read_text()
        account = f"system:serviceaccount:{installed.namespace}:{installed.account}"
        assert "system:serviceaccount:agb-operator:agb-operator" in text
        applied.append(text.replace("system:serviceaccount:agb-operator:agb-operator", account))
        answer = kubectl("apply", "--filename=-", stdin=applied[-1])
        assert answer.succeeded, answer.err

    yield apply
    for text in applied:
        kubectl("delete", "--filename=-", stdin=text)


def test_the_one_right_everywhere_can_be_narrowed_to_letting_go(
    kubectl_program: Path,
    new_tenant: Callable[..., Tenant],
    install: Install,
    narrow: Callable[[InstalledOperator], None],
    tmp_path: Path,
) -> None:
    """Outside its namespaces the operator may patch only what is being deleted, and never a spec."""
    served, foreign = new_tenant(), new_tenant()
    installed = install("life-narrow", served)
    for tenant in (served, foreign):
        tenant.apply("s", imageId="agb-code-space-1")
    as_operator = Kubectl(program=kubectl_program, kubeconfig=installed.kubeconfig, home=tmp_path)

    def patch(tenant: Tenant, change: str) -> str:
        return as_operator("patch", "agbsession", "s", f"-n{tenant.namespace}", "--type=merge", f"-p={change}").err

    hold, let_go = '{"metadata":{"finalizers":["agb.cloud/session"]}}', '{"metadata":{"finalizers":null}}'
    assert patch(foreign, hold) == "", "this is what RBAC alone allows"
    narrow(installed)
    marks = itertools.count()

    def refused() -> bool:
        mark = json.dumps({"metadata": {"annotations": {"mark": str(next(marks))}}})
        return "only AgbSessions that are being deleted" in patch(foreign, mark)

    eventually(refused)  # the API server takes a moment to learn of a policy
    assert patch(served, hold) == ""
    foreign.must("delete", "agbsession", "s", "--wait=false")
    assert "may not change a spec" in patch(foreign, '{"spec":{"paused":true}}')
    assert patch(foreign, let_go) == ""
    foreign.must("wait", "--for=delete", "agbsession/s", "--timeout=10s")


def test_a_namespace_whose_rights_go_holds_up_neither_the_others_nor_its_own_deletion(
    control_plane: ControlPlane,
    new_tenant: Callable[..., Tenant],
    install: Install,
    start: Start,
    narrow: Callable[[InstalledOperator], None],
) -> None:
    going, staying = new_tenant(), new_tenant()
    installed = install(RELEASE, going, staying)
    narrow(installed)
    operator = start(installed)
    for tenant in (going, staying):
        tenant.apply("s", imageId="agb-code-space-1", paused=True)
        tenant.wait("s", "Paused")
    session_id = going.status("s")["sessionId"]

    going.must("delete", "rolebinding", BINDING)
    control_plane.restart_apiserver()  # every watch is asked for anew, as it is once a minute
    eventually(lambda: "cannot be watched (HTTP 403)" in operator.text())
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


def test_schedules_that_may_no_longer_be_read_at_a_restart_wake_nobody(
    kubectl: Kubectl, new_tenant: Callable[..., Tenant], install: Install, start: Start
) -> None:
    tenant = new_tenant()
    installed = install("life-blind", tenant)
    operator = start(installed)
    session_id = tenant.adopt("s")
    tenant.schedule(selector={"matchLabels": {}}, **ALL_DAY)
    tenant.wait("s", "Paused")

    operator.kill()
    role = json.loads(tenant.must("get", "role", "agb-operator-life-blind", "--output=json"))
    role["rules"] = [rule for rule in role["rules"] if "agbpauseschedules" not in rule["resources"]]
    assert kubectl("replace", "--filename=-", stdin=json.dumps(role)).succeeded
    operator = start(installed)
    eventually(lambda: "AgbPauseSchedules cannot be read, so nobody wakes by them" in operator.text())
    tenant.must("annotate", "agbsession", "s", "agb.cloud/reconcile-requested-at=now")
    looks = tenant.looks(session_id)
    eventually(lambda: tenant.looks(session_id) > looks + 2)
    assert tenant.calls(session_id) == ["pauseSessionAsync"]
    assert tenant.status("s")["why"] == "Schedule/nights"

    tenant.patch("s", override={"state": "Running", "until": "2999-01-01T00:00:00Z"})
    tenant.wait("s", "Paused=False")
