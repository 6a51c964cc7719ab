"""Kubeconfigs of real life, with a whole operator: it sees a new AgbSession, so its watch honours them, too."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from control_plane import ControlPlane
from control_plane_support import wait_until, write_program
from e2e.stack import Operator, Simulator, eventually, manifest
from kubectl import Kubectl

Change = Callable[[dict[str, Any]], None]


def changed(control_plane: ControlPlane, path: Path, change: Change) -> Path:
    """Write the administrator's kubeconfig with something changed."""
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    change(config)
    path.write_text(yaml.safe_dump(config))
    return path


def other_name(config: dict[str, Any]) -> None:
    cluster = config["clusters"][0]["cluster"]
    cluster["server"] = cluster["server"].replace("127.0.0.1", "localhost")
    cluster["tls-server-name"] = "kubernetes.default.svc"


@contextmanager
def behind_a_path(program: Path, kubeconfig: Path) -> Iterator[Change]:
    """Put a path before the API server, as management platforms do."""
    command = [str(program), "proxy", "--port=0", "--api-prefix=/k8s/clusters/c-1"]
    with subprocess.Popen(command, env={"KUBECONFIG": str(kubeconfig)}, stdout=subprocess.PIPE, text=True) as proxy:
        assert proxy.stdout is not None
        address = proxy.stdout.readline().rpartition(" ")[2].strip()

        def change(config: dict[str, Any]) -> None:
            config["clusters"][0]["cluster"] = {"server": f"http://{address}/k8s/clusters/c-1"}
            config["users"][0]["user"] = {}

        yield change
        proxy.terminate()


@pytest.mark.parametrize("kind", ["another name for TLS", "a path before the API server"])
def test_a_session_is_seen_and_created(
    kind: str,
    control_plane: ControlPlane,
    kubectl: Kubectl,
    kubectl_program: Path,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    namespace = f"edge-{len(kind)}"
    assert kubectl("create", "namespace", namespace).succeeded
    with behind_a_path(kubectl_program, control_plane.kubeconfig) as path_before:
        change = other_name if kind == "another name for TLS" else path_before
        with Operator(
            f"--namespace={namespace}",
            f"--default-key-namespace={namespace}",
            "--no-leader-election",
            kubeconfig=changed(control_plane, tmp_path / "kubeconfig", change),
            endpoint=simulator.endpoint,
            log=tmp_path / "operator.log",
            env={"AGB_API_KEY": "simulator-key-a"},
        ) as operator:
            operator.ready()
            assert kubectl.apply(manifest("s", namespace, imageId="agb-code-space-1")).succeeded
            phase = ("get", "agbs", "s", "-n", namespace, "-o", "jsonpath={.status.phase}")
            eventually(lambda: kubectl(*phase).out == "Running")
            assert kubectl("delete", "agbs", "s", "-n", namespace).succeeded
            assert operator.get("/healthz")[0] == 200
            assert operator.stop() == 0


def test_a_plugin_that_never_answers_does_not_hold_up_the_end(
    control_plane: ControlPlane, simulator: Simulator, tmp_path: Path
) -> None:
    begun = tmp_path / "begun"
    plugin = write_program(tmp_path / "login", f"touch {begun}; sleep 3600")

    def hanging(config: dict[str, Any]) -> None:
        config["users"][0]["user"] = {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": str(plugin)}}

    with Operator(
        kubeconfig=changed(control_plane, tmp_path / "kubeconfig", hanging),
        endpoint=simulator.endpoint,
        log=tmp_path / "operator.log",
    ) as operator:
        wait_until(begun.exists)
        assert operator.stop() == 0
        assert operator.text() == ""
