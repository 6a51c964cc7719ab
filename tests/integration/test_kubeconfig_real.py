"""A kubeconfig that kubectl takes is taken by operator and plugin; what it refuses is refused: kubectl is the judge."""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

from agb_operator.kube.cluster import connect_cluster
from agb_operator.kube.config import find_cluster
from agb_operator.model.errors import StartupError
from control_plane import ControlPlane
from control_plane_support import write_program
from kubectl import Kubectl
from kubectl_agb.cluster import connected
from kubectl_agb.errors import Failed

EXEC = {"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never"}


@dataclass(frozen=True, kw_only=True)
class Place:
    """What the cases are made of: a cluster and a user that work, and a folder."""

    folder: Path
    cluster: dict[str, Any]
    user: dict[str, Any]
    prefixed: str
    """The API server's address behind a path."""

    def write(self, name: str, cluster: dict[str, Any] | None, user: dict[str, Any] | None, **more: Any) -> Path:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "c", **({"user": "u"} if user is not None else {})}}],
            "clusters": [] if cluster is None else [{"name": "c", "cluster": cluster}],
            "users": [] if user is None else [{"name": "u", "user": user}],
            **more,
        }
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(content))
        return path

    def plugin(self, name: str, **status: str) -> Path:
        credential = {"apiVersion": EXEC["apiVersion"], "kind": "ExecCredential", "status": status}
        return write_program(self.folder / name, f"echo '{json.dumps(credential)}'")

    @property
    def token(self) -> str:
        return str(self.user["token"])


@pytest.fixture(scope="module")
def place(
    control_plane: ControlPlane, kubectl: Kubectl, kubectl_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A path before the API server is what `kubectl proxy --api-prefix` makes."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    folder = tmp_path_factory.mktemp("kubeconfigs")
    command = [str(kubectl_program), "proxy", "--port=0", "--api-prefix=/k8s/clusters/c-1"]
    env = {"KUBECONFIG": str(control_plane.kubeconfig), "HOME": str(folder)}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().rpartition(" ")[2].strip()
        yield Place(
            folder=folder,
            cluster=config["clusters"][0]["cluster"],
            user=config["users"][0]["user"],
            prefixed=f"http://{address}/k8s/clusters/c-1",
        )
        proxy.terminate()


def on_localhost(place: Place) -> dict[str, Any]:
    return {**place.cluster, "server": place.cluster["server"].replace("127.0.0.1", "localhost")}


def ca(place: Place) -> str:
    return base64.b64decode(place.cluster["certificate-authority-data"]).decode()


def with_ca(place: Place, text: str) -> dict[str, Any]:
    return {**place.cluster, "certificate-authority-data": base64.b64encode(text.encode()).decode()}


def without_ca(place: Place, **more: Any) -> dict[str, Any]:
    return {"server": place.cluster["server"], **more}


def beside(place: Place) -> str:
    """A token file and an authority named by the second file, relative to it."""
    (place.folder / "second").mkdir(exist_ok=True)
    (place.folder / "second" / "ca.pem").write_text(ca(place))
    (place.folder / "second" / "token").write_text(place.token)
    first = place.write("first/config", None, None, contexts=[])
    second = place.write(
        "second/config", without_ca(place, **{"certificate-authority": "ca.pem"}), {"tokenFile": "token"}
    )
    return f"{first}:{second}"


def relative_plugin(place: Place) -> Path:
    place.plugin("plugins/bin/login", token=place.token)
    return place.write("plugins/config", place.cluster, {"exec": {**EXEC, "command": "bin/login"}})


def exec_user(place: Place, plugin: Path | str, **more: Any) -> dict[str, Any]:
    return {"exec": {**EXEC, "command": str(plugin), **more}}


def failing(place: Place, script: str) -> dict[str, Any]:
    return exec_user(place, write_program(place.folder / "failing", script))


Make = Callable[[Place], Path | str]

ACCEPTED: dict[str, Make] = {
    "a token": lambda p: p.write("c", p.cluster, p.user),
    "a name for TLS that is not the host's": lambda p: p.write(
        "c", {**on_localhost(p), "tls-server-name": "kubernetes.default.svc"}, p.user
    ),
    "an address with a path": lambda p: p.write("c", {"server": p.prefixed}, {}),
    "an address with a path and a slash": lambda p: p.write("c", {"server": p.prefixed + "/"}, {}),
    "a context without a user": lambda p: p.write("c", {"server": p.prefixed}, None),
    "an empty user": lambda p: p.write("c", {"server": p.prefixed}, {}),
    "paths beside the second file": beside,
    "a second file that is empty": lambda p: f"{p.write('c', p.cluster, p.user)}:{os.devnull}",
    "a file that does not exist beside one that does": lambda p: f"{p.folder}/none:{p.write('c', p.cluster, p.user)}",
    "a token file that wins over the token": lambda p: p.write(
        "c", p.cluster, {"token": "old", "tokenFile": str(_file(p, "newer-token", p.token))}
    ),
    "an exec plugin with a relative command": relative_plugin,
    "an exec plugin by its path": lambda p: p.write("c", p.cluster, exec_user(p, p.plugin("login", token=p.token))),
    "an exec plugin that looks at its environment": lambda p: p.write(
        "c",
        p.cluster,
        exec_user(
            p,
            write_program(
                p.folder / "env-login",
                'case "$KUBERNETES_EXEC_INFO" in *certificate-authority-data*) ;; *) exit 3;; esac\n'
                'printf \'{"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", '
                '"status": {"token": "%s"}}\' "$1$LOGIN_TOKEN"',
            ),
            args=[""],
            env=[{"name": "LOGIN_TOKEN", "value": p.token}],
            provideClusterInfo=True,
        ),
    ),
    "a token beside an exec plugin that fails": lambda p: p.write("c", p.cluster, {**failing(p, "exit 1"), **p.user}),
    "impersonation of a group that may": lambda p: p.write(
        "c", p.cluster, {**p.user, "as": "somebody", "as-groups": ["one", "system:masters"], "as-uid": "7",
                         "as-user-extra": {"reason": ["one", "two"]}}
    ),
    "no verification of the certificate": lambda p: p.write(
        "c", without_ca(p, **{"insecure-skip-tls-verify": True}), p.user
    ),
    "a bundle with a block that is broken": lambda p: p.write(
        "c", with_ca(p, "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n" + ca(p)), p.user
    ),
    "a bundle with comments": lambda p: p.write("c", with_ca(p, "# für uns\n" + ca(p)), p.user),
    "a byte order mark": lambda p: _marked(p.write("c", p.cluster, p.user)),
}  # fmt: skip

REFUSED: dict[str, tuple[Make, str]] = {
    "an unknown context": (
        lambda p: p.write("c", p.cluster, p.user, **{"current-context": "there"}),
        "the current context 'there' does not exist",
    ),
    "an address without a scheme, which means http": (
        lambda p: p.write("c", {**p.cluster, "server": p.cluster["server"].removeprefix("https://")}, p.user),
        "HTTP 400",
    ),
    "an unknown cluster": (lambda p: p.write("c", None, p.user), "the cluster 'c' of the context 'here'"),
    "an unknown user": (
        lambda p: p.write("c", p.cluster, p.user, users=[]),
        "the user 'u' of the context 'here' does not exist",
    ),
    "two users of one name": (
        lambda p: p.write("c", p.cluster, None, users=[{"name": "u", "user": p.user}] * 2),
        "there are two users of the name 'u'",
    ),
    "an authority and no verification": (
        lambda p: p.write("c", {**p.cluster, "insecure-skip-tls-verify": True}, p.user),
        "insecure-skip-tls-verify",
    ),
    "another host's certificate": (
        lambda p: p.write("c", {**p.cluster, "tls-server-name": "other"}, p.user),
        "CERTIFICATE_VERIFY_FAILED",
    ),
    "no authority for a private certificate": (
        lambda p: p.write("c", without_ca(p), p.user),
        "CERTIFICATE_VERIFY_FAILED",
    ),
    "an authority that is none": (lambda p: p.write("c", with_ca(p, "none"), p.user), "there is no certificate in it"),
    "an authority that is not there": (
        lambda p: p.write("c", without_ca(p, **{"certificate-authority": "none.pem"}), p.user),
        "none.pem",
    ),
    "a client certificate without a key": (
        lambda p: p.write("c", p.cluster, {"client-certificate-data": "x"}),
        "a client certificate and no client key",
    ),
    "an exec plugin that is not there": (
        lambda p: p.write("c", p.cluster, exec_user(p, "no-such-login", installHint="get it\nfrom the shelf")),
        "the exec plugin no-such-login cannot be run: No such file or directory: get it from the shelf",
    ),
    "an exec plugin that fails": (
        lambda p: p.write("c", p.cluster, failing(p, "echo 'session\n expired' >&2; exit 254")),
        "failing failed (exit code 254): session expired",
    ),
    "an exec plugin that talks rubbish": (
        lambda p: p.write("c", p.cluster, failing(p, "echo hello")),
        "answered something that is not an ExecCredential",
    ),
    "an exec plugin without credentials": (
        lambda p: p.write("c", p.cluster, exec_user(p, p.plugin("empty"))),
        "answered with neither a token nor a client certificate",
    ),
    "an exec plugin of another version": (
        lambda p: p.write("c", p.cluster, {"exec": {**EXEC, "apiVersion": "client.authentication.k8s.io/v1beta1",
                                                    "command": str(p.plugin("new", token=p.token))}}),
        "answered in client.authentication.k8s.io/v1",
    ),
    "an exec plugin that wants a terminal": (
        lambda p: p.write("c", p.cluster, exec_user(p, p.plugin("ask", token=p.token), interactiveMode="Always")),
        "needs a terminal",
    ),
    "an auth-provider that is no more": (
        lambda p: p.write("c", p.cluster, {"auth-provider": {"name": "azure", "config": {}}}),
        "names credentials (auth-provider) that are not available here",
    ),
    "a token that is refused": (lambda p: p.write("c", p.cluster, {"token": "wrong"}), "refuses the credentials"),
    "no credentials": (lambda p: p.write("c", p.cluster, {}), "grant the operator its RBAC rules"),
    "impersonation of somebody without rights": (
        lambda p: p.write("c", p.cluster, {**p.user, "as": "somebody"}),
        'User "somebody" cannot list resource "agbsessions"',
    ),
    "impersonation of nobody's groups": (
        lambda p: p.write("c", p.cluster, {**p.user, "as-groups": ["system:masters"]}),
        "impersonates groups or a UID without a name",
    ),
    "a proxy that is not there": (
        lambda p: p.write("c", {**p.cluster, "proxy-url": "http://127.0.0.1:9"}, p.user),
        "the proxy 127.0.0.1:9: Connection refused",
    ),
}  # fmt: skip


def _file(place: Place, name: str, text: str) -> Path:
    (place.folder / name).write_text(text)
    return place.folder / name


def _marked(path: Path) -> Path:
    path.write_text("\ufeff" + path.read_text())
    return path


def judge(program: Path, kubeconfig: str, home: Path) -> subprocess.CompletedProcess[str]:
    """Ask kubectl to do what the operator's start does."""
    return subprocess.run(
        [program, "get", "agbsessions", "--all-namespaces", "--request-timeout=20s"],
        env={"KUBECONFIG": kubeconfig, "HOME": str(home), "PATH": os.environ["PATH"]},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def started(kubeconfig: str) -> None:
    """Do what a start does: list on one connection, watch on the other."""
    cluster = await connect_cluster(find_cluster({"KUBECONFIG": kubeconfig}))
    try:
        await cluster.check(patience=0)
    finally:
        await cluster.close()


async def asked(kubeconfig: str) -> None:
    """Ask as the plugin does, on its own connection."""
    with patch.dict(os.environ, {"KUBECONFIG": kubeconfig}):
        async with connected() as cluster:
            await cluster.sessions(None)


@pytest.mark.parametrize("name", ACCEPTED)
async def test_what_kubectl_takes_is_taken(name: str, place: Place, kubectl_program: Path, tmp_path: Path) -> None:
    kubeconfig = str(ACCEPTED[name](place))
    judged = judge(kubectl_program, kubeconfig, tmp_path)
    assert judged.returncode == 0, judged.stderr
    await started(kubeconfig)
    await asked(kubeconfig)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_kubectl_refuses_is_refused_with_the_reason(
    name: str, place: Place, kubectl_program: Path, tmp_path: Path
) -> None:
    make, says = REFUSED[name]
    kubeconfig = str(make(place))
    judged = judge(kubectl_program, kubeconfig, tmp_path)
    assert judged.returncode != 0, judged.stdout
    with pytest.raises(StartupError) as error:
        await started(kubeconfig)
    assert says in str(error.value)
    assert "\n" not in str(error.value)
    assert place.token not in str(error.value)
    with pytest.raises(Failed) as told:
        await asked(kubeconfig)
    assert "\n" not in told.value.message
    assert place.token not in told.value.message


async def test_a_kubeconfig_from_a_pipe_is_read_once_and_serves_both_connections(place: Place) -> None:
    pipe = place.folder / "pipe"
    os.mkfifo(pipe)
    text = place.write("c", place.cluster, place.user).read_text()
    writing = threading.Thread(target=pipe.write_text, args=[text])
    writing.start()
    load = find_cluster({"KUBECONFIG": str(pipe)})
    for _ in range(2):
        cluster = await connect_cluster(load)
        await cluster.check(patience=0)
        await cluster.close()
    writing.join()
