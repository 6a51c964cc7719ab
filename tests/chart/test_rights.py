"""The operator needs the chart's rights and no others: it runs here with a token of the chart's ServiceAccount."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

import chart_rbac
from chart.helm import Helm, only
from chart_rbac import InstalledOperator
from control_plane import AuditEvent, AuditLog, ControlPlane
from e2e.stack import Operator, Simulator, eventually, manifest
from e2e.tenant import Tenant
from kubectl import Kubectl

ELSEWHERE = "elsewhere"


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator("--transition=1s", log=tmp_path_factory.mktemp("rights") / "simulator.log") as running:
        yield running


class Run:
    """An operator with the chart's rights, a tenant, and the requests the operator makes."""

    def __init__(self, *, installed: InstalledOperator, operator: Operator, tenant: Tenant, audit: AuditLog) -> None:
        self.installed = installed
        self.operator = operator
        self.tenant = tenant
        self._audit = audit
        self._seen: list[AuditEvent] = []

    def requests(self) -> list[AuditEvent]:
        """Return all requests of the ServiceAccount so far."""
        account = f"system:serviceaccount:{self.installed.namespace}:{self.installed.account}"
        self._seen += [event for event in self._audit.read_new() if event.user == account]
        return self._seen

    def refused(self) -> list[str]:
        """Return the requests that the API server did not allow.

        Those in namespaces of other tests do not count: one that is being deleted takes no new Events from anybody.
        """
        ours = ("", self.tenant.namespace, self.installed.namespace)
        return [f"{e.verb} {e.uri}" for e in self.requests() if e.code == 403 and e.namespace in ours]


Start = Callable[..., Run]


@pytest.fixture
def own_cleanup() -> Iterator[ExitStack]:
    """Take back what a test makes beside the operator and its tenant."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    kubectl_program: Path,
    helm_program: Path,
    simulator: Simulator,
    tmp_path: Path,
) -> Iterator[Start]:
    """Install the chart's rights and run the operator with them, for the whole cluster or for one tenant."""
    runs: list[Run] = []

    def begin(release: str, *, cluster_wide: bool, rbac: Mapping[str, bool] | None = None) -> Run:
        audit = control_plane.audit_events()
        tenant = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events())
        installed = chart_rbac.install(
            control_plane,
            helm=helm_program,
            kubectl=kubectl_program,
            folder=tmp_path,
            watch_namespaces=() if cluster_wide else (tenant.namespace,),
            namespace=release,
            release=release,
            rbac=rbac,
        )
        operator = Operator(
            *[flag for flag in installed.args[1:] if not flag.startswith("--http-address")],
            "--resync=1s",
            kubeconfig=installed.kubeconfig,
            endpoint=simulator.endpoint,
            log=tmp_path / "operator.log",
        )
        runs.append(Run(installed=installed, operator=operator, tenant=tenant, audit=audit))
        operator.ready()
        eventually(lambda: "\nagb_leader 1.0\n" in operator.get("/metrics")[1])
        return runs[-1]

    yield begin
    for run in runs:
        run.operator.close()
        if kubectl("get", "namespace", run.tenant.namespace).succeeded:
            run.tenant.remove()
        kubectl("delete", "clusterrole,clusterrolebinding", f"-lapp.kubernetes.io/instance={run.installed.namespace}")
        kubectl("delete", "namespace", run.installed.namespace, "--wait=false")


def whole_story(tenant: Tenant) -> None:
    """Create, pause, resume and delete a session: everything the operator writes."""
    tenant.apply("story", imageId="agb-code-space-1")
    tenant.wait("story", "Ready")
    tenant.patch("story", paused=True)
    tenant.wait("story", "Paused")
    tenant.patch("story", paused=False)
    tenant.wait("story", "Paused=False")
    tenant.must("delete", "agbsession", "story", "--timeout=30s")


@pytest.mark.parametrize("cluster_wide", [True, False], ids=["cluster-wide", "namespaced"])
def test_a_session_lives_its_whole_life_with_the_rights_of_the_chart(start: Start, cluster_wide: bool) -> None:
    run = start("rights-whole" if cluster_wide else "rights-named", cluster_wide=cluster_wide)
    whole_story(run.tenant)
    assert run.operator.stop() == 0
    assert run.refused() == []
    used = {(event.verb, event.resource, event.subresource) for event in run.requests() if event.resource}
    assert used >= {
        ("list", "agbsessions", ""),
        ("watch", "agbsessions", ""),
        ("patch", "agbsessions", ""),
        ("patch", "agbsessions", "status"),
        ("list", "agbpauseschedules", ""),
        ("watch", "agbpauseschedules", ""),
        ("get", "secrets", ""),
        ("create", "events", ""),
        ("get", "leases", ""),
        ("create", "leases", ""),
        ("update", "leases", ""),
    }, "a right that is not used should not be granted"


def test_in_namespaced_mode_nothing_is_read_elsewhere(start: Start, kubectl: Kubectl) -> None:
    kubectl("create", "namespace", ELSEWHERE)
    assert kubectl.apply(manifest("stranger", ELSEWHERE, imageId="agb-code-space-1")).succeeded
    run = start("rights-elsewhere", cluster_wide=False)
    whole_story(run.tenant)
    own = {run.tenant.namespace, run.installed.namespace}
    assert {event.namespace for event in run.requests() if event.resource} == own
    seen = kubectl("get", "agbsession", "stranger", f"-n{ELSEWHERE}", "--output=jsonpath={.status}").out
    assert seen == '{"observedGeneration":-1}'
    kubectl("delete", "namespace", ELSEWHERE, "--wait=false")


def test_the_helm_test_passes_on_a_running_operator_and_fails_on_a_dead_one(start: Start, helm: Helm) -> None:
    pod = only(helm.template(), "Pod")
    (container,) = pod["spec"]["containers"]
    run = start("rights-helm-test", cluster_wide=False)
    (port,) = re.findall(r"/metrics are on port (\d+)", run.operator.text())

    def helm_test() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *container["command"][1:], *container["args"]]
        env = {"OPERATOR_URL": f"http://127.0.0.1:{port}"}
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)

    passed = helm_test()
    assert passed.returncode == 0, passed.stderr
    assert passed.stdout.split() == ["/readyz", "200", "/healthz", "200", "/metrics", "200"]
    run.operator.kill()
    assert helm_test().returncode != 0


def test_a_namespace_that_is_deleted_in_namespaced_mode_goes_away(start: Start) -> None:
    """Kubernetes removes the RoleBinding first; the ClusterRole for the finalizer is what is left then."""
    run = start("rights-dying", cluster_wide=False)
    session = created(run.tenant)
    run.tenant.must("delete", "namespace", run.tenant.namespace, "--timeout=60s")
    assert run.tenant.calls(session)[-1] == "releaseSessionAsync"


def test_without_the_clusterrole_such_a_namespace_hangs_until_the_clusterrole_is_there(
    start: Start, kubectl: Kubectl, own_cleanup: ExitStack
) -> None:
    """The commands are those of docs/how-to/uninstall.md."""
    run = start("rights-hanging", cluster_wide=False, rbac={"finalizerClusterRole": False})
    created(run.tenant)
    run.tenant.must("delete", "namespace", run.tenant.namespace, "--wait=false")
    eventually(lambda: any("/agbsessions/created" in request for request in run.refused()))
    assert "Terminating" in kubectl("get", "namespace", run.tenant.namespace).out

    release, name = run.installed.namespace, "agb-operator-letting-go"
    page = (chart_rbac.CHART.parent.parent / "docs" / "how-to" / "uninstall.md").read_text()
    for kind in ("clusterrole", "clusterrolebinding"):
        (command,) = re.findall(rf"^kubectl (create {kind} (?:.*\\\n)*.*)$", page, re.MULTILINE)
        account = f"{release}:{run.installed.account}"
        words = command.replace("\\\n", " ").replace("agb-operator:agb-operator", account).split()
        assert kubectl(*words).succeeded
        own_cleanup.callback(kubectl, "delete", kind, name)
    run.tenant.must("wait", "namespace", run.tenant.namespace, "--for=delete", "--timeout=60s")


def created(tenant: Tenant) -> str:
    """Create a session, and return its id."""
    tenant.apply("created", imageId="agb-code-space-1")
    tenant.wait("created", "Ready")
    return str(tenant.status("created")["sessionId"])
