"""A process that cannot work ends by itself: within a minute, with one line that says what to do, and no traceback."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from control_plane import ControlPlane
from control_plane.credentials import write_kubeconfig
from control_plane.processes import free_port
from e2e.stack import Operator, Simulator
from kubectl import Kubectl

WITHIN = 60.0
"""Seconds, from the product's contract."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A start that must fail.

    Attributes:
        says: what stderr holds; `{server}` stands for the API server's address, `{file}` for the kubeconfig.
        code: 2 for a setting that is wrong, 1 for a start that failed.
        flags: of the operator.
        env: of the operator.
        cluster: which kubeconfig it gets; "good" for one that works.
    """

    says: str
    code: int
    flags: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    cluster: str = "good"


CASES = {
    "a flag that does not exist": Case(
        flags=("--resink=60s",), code=2, says="No such option '--resink'. Did you mean '--resync'?"
    ),
    "a duration of nothing": Case(
        flags=("--resync=0s",),
        code=2,
        says="agb-operator: --resync '0s': must be a duration of at least 1s, such as 60s, 10m or 1h30m",
    ),
    "a duration without a unit": Case(
        flags=("--resync=60",),
        code=2,
        says="agb-operator: --resync '60': must be a duration of at least 1s, such as 60s, 10m or 1h30m",
    ),
    "no workers": Case(
        flags=("--workers=0",), code=2, says="agb-operator: --workers '0': must be a whole number from 1 to 10000"
    ),
    "a namespace that cannot exist": Case(
        flags=("--namespace=My Team",),
        code=2,
        says="must be a namespace: up to 63 lower-case letters, digits and dashes",
    ),
    "a wrong variable": Case(
        env=(("AGB_OPERATOR_LOG_FORMAT", "xml"),),
        code=2,
        says="agb-operator: AGB_OPERATOR_LOG_FORMAT 'xml': must be one of text, json",
    ),
    "an endpoint with a path": Case(
        env=(("AGB_ENDPOINT", "https://agb.example/v2"),),
        code=2,
        says="agb-operator: AGB_ENDPOINT 'https://agb.example/v2': must be a host or an https:// address, "
        "without a user and without a path",
    ),
    "a timeout in seconds": Case(
        env=(("AGB_TIMEOUT_MS", "60"),),
        code=2,
        says="agb-operator: AGB_TIMEOUT_MS '60': must be a whole number from 1000 to 3600000",
    ),
    "an own key for namespaces, and no own key": Case(
        flags=("--default-key-namespace=ml",),
        code=2,
        says="agb-operator: --default-key-namespace allows the use of the operator's own key, and there is none: "
        "set AGB_API_KEY",
    ),
    "an endpoint that is no name": Case(
        env=(("AGB_ENDPOINT", "https://a..b"),),
        code=2,
        says="agb-operator: AGB_ENDPOINT 'https://a..b': the AGB endpoint is not a host name",
    ),
    "certificates that are not there": Case(
        env=(("SSL_CERT_FILE", "/none.pem"),),
        code=1,
        says="agb-operator: SSL_CERT_FILE=/none.pem cannot be read: No such file or directory",
    ),
    "a proxy that is not supported": Case(
        env=(("HTTP_PROXY", "socks5://me:a-token@127.0.0.1:1080"), ("AGB_ENDPOINT", "http://agb.example")),
        code=1,
        says="agb-operator: HTTP_PROXY: a proxy of the kind socks5:// is not supported",
    ),
    "a plugin for credentials that is not there": Case(
        cluster="pluggable",
        code=1,
        says="agb-operator: cannot use {file}: the exec plugin no-such-login cannot be run: No such file or directory: "
        "install it, or take another user",
    ),
    "a kubeconfig that does not exist": Case(
        cluster="absent",
        code=1,
        says="agb-operator: KUBECONFIG={file} names no file that exists: correct it, or unset it",
    ),
    "a kubeconfig that is no YAML": Case(cluster="garbled", code=1, says="agb-operator: cannot use {file}: "),
    "a kubeconfig without a current context": Case(
        cluster="aimless",
        code=1,
        says="agb-operator: cannot use {file}: no current context is set: run `kubectl config use-context NAME`",
    ),
    "a cluster without the CRD": Case(
        cluster="bare",
        code=1,
        says="agb-operator: the AgbSession resource is not installed in the cluster at {server}: "
        "apply crds/agbsessions.yaml, or install the Helm chart with crds.enabled=true",
    ),
    "a cluster that cannot be reached": Case(
        cluster="down", code=1, says="check that the cluster runs and can be reached from here"
    ),
    "a certificate that is not trusted": Case(cluster="impostor", code=1, says="CERTIFICATE_VERIFY_FAILED"),
    "credentials that are refused": Case(
        cluster="stranger",
        code=1,
        says="agb-operator: the API server at {server} refuses the credentials: check the user of the current context, "
        "or the pod's service account",
    ),
    "credentials without rights": Case(
        cluster="powerless",
        code=1,
        says="grant the operator its RBAC rules (the Helm chart includes them)",
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cluster:
    """Where a kubeconfig points."""

    kubeconfig: Path
    server: str = ""


@pytest.fixture(scope="module")
def clusters(control_plane: ControlPlane, kubectl: Kubectl, folder: Path) -> Iterator[dict[str, Cluster]]:
    """Kubeconfigs by what is wrong with them; "good" is the tests' own cluster."""
    server, ca = control_plane.server_url, control_plane.certificate_authority.read_bytes()
    nowhere = f"https://127.0.0.1:{free_port()}"
    granted = kubectl("create", "token", "default")
    assert granted.succeeded, granted.err

    def given(name: str, content: str) -> Path:
        path = folder / f"{name}.kubeconfig"
        path.write_text(content)
        return path

    def made(name: str, *, server: str, ca: bytes, token: str) -> Cluster:
        path = write_kubeconfig(folder / f"{name}.kubeconfig", server=server, ca=ca, user=name, token=token)
        return Cluster(kubeconfig=path, server=server)

    with ControlPlane() as bare:
        yield {
            "good": Cluster(kubeconfig=control_plane.kubeconfig, server=server),
            "absent": Cluster(kubeconfig=folder / "absent.kubeconfig"),
            "garbled": Cluster(kubeconfig=given("garbled", "clusters: [")),
            "aimless": Cluster(kubeconfig=given("aimless", "apiVersion: v1\nkind: Config\n")),
            "bare": Cluster(kubeconfig=bare.kubeconfig, server=bare.server_url),
            "down": made("down", server=nowhere, ca=ca, token="a-token"),
            "impostor": made("impostor", server=server, ca=bare.certificate_authority.read_bytes(), token="a-token"),
            "stranger": made("stranger", server=server, ca=ca, token="nobody-s-token"),
            "pluggable": Cluster(kubeconfig=pluggable(control_plane.kubeconfig, folder)),
            "powerless": made("powerless", server=server, ca=ca, token=granted.out.strip()),
        }


def pluggable(kubeconfig: Path, folder: Path) -> Path:
    config = yaml.safe_load(kubeconfig.read_text())
    plugin = {"apiVersion": "client.authentication.k8s.io/v1", "command": "no-such-login", "interactiveMode": "Never"}
    config["users"][0]["user"] = {"exec": plugin}
    path = folder / "pluggable.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


@pytest.fixture(scope="module")
def endings(clusters: dict[str, Cluster], simulator: Simulator, folder: Path) -> Iterator[dict[str, Operator]]:
    """All cases at once, since some wait for half a minute for their cluster to turn up."""
    with ExitStack() as stack:
        yield {
            name: stack.enter_context(
                Operator(
                    *case.flags,
                    kubeconfig=clusters[case.cluster].kubeconfig,
                    endpoint=simulator.endpoint,
                    log=folder / f"{name}.log",
                    env=dict(case.env),
                )
            )
            for name, case in CASES.items()
        }


@pytest.mark.parametrize("name", CASES)
def test_a_start_that_cannot_work_ends_with_its_reason(
    name: str, endings: dict[str, Operator], clusters: dict[str, Cluster]
) -> None:
    case, process = CASES[name], endings[name]
    cluster = clusters[case.cluster]

    code = process.wait(WITHIN)

    said = process.text()
    assert case.says.format(server=cluster.server, file=cluster.kubeconfig) in said
    assert code == case.code, said
    assert "Traceback" not in said
    assert "token" not in said


def test_a_key_that_cannot_be_one_is_refused_without_being_shown(
    control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, folder: Path
) -> None:
    with Operator(
        kubeconfig=control_plane.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "key.log",
        env={"AGB_API_KEY": "simulator-key\nwith-a-line-break"},
    ) as process:
        assert process.wait(WITHIN) == 2
        said = process.text()

    assert said.startswith("agb-operator: AGB_API_KEY: ")
    assert "simulator-key" not in said
    assert len(said.splitlines()) == 1


def test_a_port_that_is_taken_is_named(
    operator: Operator, control_plane: ControlPlane, simulator: Simulator, folder: Path
) -> None:
    with Operator(
        f"--http-address={operator.address}",
        "--no-leader-election",
        kubeconfig=control_plane.kubeconfig,
        endpoint=simulator.endpoint,
        log=folder / "port.log",
    ) as process:
        code = process.wait(WITHIN)
        said = process.text()

    assert code == 1, said
    assert operator.address.rpartition(":")[2] in said
    assert "Traceback" not in said
