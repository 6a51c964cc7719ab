"""A real etcd and a real kube-apiserver, driven with a real kubectl."""

import json
import os
import socket
import ssl
import subprocess
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane import ADMIN, AuditEvent, AuditLog, ControlPlane, StartFailed, User, find_kubectl
from control_plane.processes import free_port
from control_plane_support import is_alive, wait_until

VIEWER = User(name="someone", groups=("people",))


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, program: Path, kubeconfig: Path, home: Path) -> None:
        self._command = [str(program), f"--kubeconfig={kubeconfig}"]
        self._environment = {**os.environ, "HOME": str(home)}

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [*self._command, *arguments]
        return subprocess.run(command, env=self._environment, capture_output=True, text=True, timeout=60, check=False)

    def __call__(self, *arguments: str) -> str:
        done = self.run(*arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def cluster() -> Iterator[ControlPlane]:
    with ControlPlane(controller_manager=True, users=[VIEWER]) as running:
        yield running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def kubectl(cluster: ControlPlane, home: Path) -> Kubectl:
    return Kubectl(find_kubectl(), cluster.kubeconfig, home)


def wait_for_event(log: AuditLog, user: str, verb: str, name: str) -> AuditEvent:
    seen: list[AuditEvent] = []

    def found() -> bool:
        seen.extend(event for event in log.read_new() if (event.user, event.verb, event.name) == (user, verb, name))
        return bool(seen)

    wait_until(found)
    (event,) = seen
    return event


def test_the_server_answers_kubectl_and_says_its_version(kubectl: Kubectl) -> None:
    assert "default" in kubectl("get", "namespaces", "--output=name")
    assert "v1." in json.loads(kubectl("version", "--output=json"))["serverVersion"]["gitVersion"]


def test_kubeconfigs_are_for_their_owner_only_and_demand_verified_tls(cluster: ControlPlane) -> None:
    assert cluster.kubeconfig.stat().st_mode & 0o777 == 0o600
    (entry,) = json.loads(cluster.kubeconfig.read_text())["clusters"]
    assert set(entry["cluster"]) == {"server", "certificate-authority-data"}


def test_a_client_that_trusts_someone_else_refuses_the_server(cluster: ControlPlane) -> None:
    with pytest.raises(urllib.error.URLError) as caught:
        urllib.request.urlopen(f"{cluster.server_url}/readyz", context=ssl.create_default_context(), timeout=30)

    assert isinstance(caught.value.reason, ssl.SSLCertVerificationError)


def test_the_audit_log_tells_each_write_once_with_who_and_what(cluster: ControlPlane, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "audited")
    log = cluster.audit_events()

    kubectl("patch", "configmap", "audited", '--patch={"data": {"a": "b"}}')

    event = wait_for_event(log, ADMIN, "patch", "audited")
    assert event.is_write
    assert (event.resource, event.subresource, event.namespace) == ("configmaps", "", "default")
    assert (event.api_group, event.code) == ("", 200)
    assert event.user_agent.startswith("kubectl/")
    assert event.uri.startswith("/api/v1/namespaces/default/configmaps/audited?")


def test_the_audit_log_tells_subresources_refusals_and_reads(
    cluster: ControlPlane, kubectl: Kubectl, home: Path
) -> None:
    viewer = Kubectl(find_kubectl(), cluster.kubeconfig_for_user(VIEWER, home / "viewer"), home)
    log = cluster.audit_events()

    assert kubectl("create", "token", "default")
    assert "Forbidden" in viewer.run("get", "secret", "hidden").stderr

    token = wait_for_event(log, ADMIN, "create", "default")
    assert (token.resource, token.subresource) == ("serviceaccounts", "token")
    log = AuditLog(cluster.audit_log)
    refused = wait_for_event(log, VIEWER.name, "get", "hidden")
    assert refused.code == 403
    assert not refused.is_write


def test_rbac_decides_what_a_service_account_may(cluster: ControlPlane, kubectl: Kubectl, home: Path) -> None:
    kubectl("create", "serviceaccount", "reader")
    kubectl("create", "role", "reader", "--verb=get", "--resource=configmaps")
    kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:reader")
    token = kubectl("create", "token", "reader").strip()
    reader = Kubectl(find_kubectl(), cluster.kubeconfig_for_token(token, home / "reader"), home)

    assert "kube-root-ca.crt" in reader("get", "configmap", "kube-root-ca.crt")
    assert "Forbidden" in reader.run("get", "secrets").stderr


def test_a_namespace_is_deleted_with_its_content(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "brief")
    kubectl("create", "configmap", "content", "--namespace=brief")

    kubectl("delete", "namespace", "brief", "--timeout=50s")

    assert "brief" not in kubectl("get", "namespaces", "--output=name")


def test_an_object_goes_when_its_owner_goes(kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "owner")
    uid = kubectl("get", "configmap", "owner", "--output=jsonpath={.metadata.uid}")
    kubectl("create", "configmap", "owned")
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kubectl("patch", "configmap", "owned", f"--patch={json.dumps({'metadata': {'ownerReferences': [reference]}})}")

    kubectl("delete", "configmap", "owner")

    kubectl("wait", "--for=delete", "configmap/owned", "--timeout=50s")


def test_data_survives_restarts_and_crashes_of_the_api_server(cluster: ControlPlane, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "survivor-1")
    url, first = cluster.server_url, cluster.apiserver.pid

    cluster.restart_apiserver()
    second = cluster.apiserver.pid
    assert kubectl("get", "configmap", "survivor-1", "--output=name")
    cluster.kill_apiserver()
    assert "refused" in kubectl.run("get", "configmap", "survivor-1").stderr
    cluster.start_apiserver()

    assert kubectl("get", "configmap", "survivor-1", "--output=name")
    assert cluster.server_url == url
    assert len({first, second, cluster.apiserver.pid}) == 3


def test_data_survives_restarts_and_crashes_of_etcd(cluster: ControlPlane, kubectl: Kubectl) -> None:
    kubectl("create", "configmap", "survivor-2")

    cluster.restart_etcd()
    assert kubectl("get", "configmap", "survivor-2", "--output=name")
    cluster.kill_etcd()
    wait_until(lambda: not cluster.is_ready())
    cluster.start_etcd()

    assert kubectl("get", "configmap", "survivor-2", "--output=name")


def test_a_second_control_plane_stands_beside_the_first_and_shares_nothing(
    cluster: ControlPlane, kubectl: Kubectl, home: Path
) -> None:
    kubectl("create", "configmap", "only-here")
    with ControlPlane(kubeconfig=home / "second.kubeconfig") as second:
        other = Kubectl(find_kubectl(), home / "second.kubeconfig", home)
        pids = [second.etcd.pid, second.apiserver.pid]
        folder = second.folder

        assert second.server_url != cluster.server_url
        assert "NotFound" in other.run("get", "configmap", "only-here").stderr
        stranger = cluster.kubeconfig_for_token("wrong", home / "stranger")
        stranger.write_text(stranger.read_text().replace(cluster.server_url, second.server_url))
        assert "certificate" in Kubectl(find_kubectl(), stranger, home).run("get", "namespaces").stderr

    assert not any(is_alive(pid) for pid in pids)
    assert not folder.exists()
    assert not (home / "second.kubeconfig").exists()
    assert cluster.is_ready()


def test_a_start_that_fails_shows_the_log_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    with pytest.raises(StartFailed, match=r"kube-apiserver ended while it started(.|\n)*no-such-flag"):
        ControlPlane(apiserver_flags=["--no-such-flag"]).start()

    assert list(tmp_path.iterdir()) == []


def test_a_port_that_somebody_took_meanwhile_is_given_up_for_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = iter([taken.getsockname()[1], free_port(), taken.getsockname()[1]])
        monkeypatch.setattr("control_plane.cluster.free_port", lambda: next(ports, None) or free_port())

        with ControlPlane() as second:
            assert second.is_ready()

    assert next(ports, None) is None, "every taken port was tried"


def test_watching_ends_with_an_error_when_a_component_ends_by_itself(cluster: ControlPlane) -> None:
    cluster.kill_apiserver()
    try:
        with pytest.raises(StartFailed, match="kube-apiserver ended; the end of its log"):
            cluster.watch()
    finally:
        cluster.start_apiserver()
