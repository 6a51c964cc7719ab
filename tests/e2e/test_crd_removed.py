"""Somebody removes the CRD under a running operator: it says so once, waits for as long as it takes, and goes on."""

from pathlib import Path

import pytest

from conftest import CRDS
from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually, manifest, until_established
from kubectl import Kubectl

pytestmark = pytest.mark.timeout(240)


def test_a_removed_crd_is_waited_for(simulator: Simulator, kubectl_program: Path, tmp_path: Path) -> None:
    with ControlPlane() as control_plane:
        kubectl = Kubectl(program=kubectl_program, kubeconfig=control_plane.kubeconfig, home=tmp_path)
        assert kubectl("apply", "-f", str(CRDS)).succeeded
        until_established(kubectl, f"--filename={CRDS}")
        with Operator(
            "--no-leader-election",
            "--default-key-namespace=*",
            kubeconfig=control_plane.kubeconfig,
            endpoint=simulator.endpoint,
            log=tmp_path / "operator.log",
            env={"AGB_API_KEY": "simulator-key-a"},
        ) as operator:
            operator.ready()
            assert kubectl("delete", "-f", str(CRDS)).succeeded
            eventually(lambda: operator.get("/readyz")[0] == 503, within=90.0)
            assert "AgbSessions are not served" in operator.get("/readyz")[1]
            assert operator.get("/healthz")[0] == 200, "a restart would not bring the CRD back"

            assert kubectl("apply", "-f", str(CRDS)).succeeded
            until_established(kubectl, f"--filename={CRDS}")
            operator.ready()
            assert kubectl.apply(manifest("s", "default", imageId="agb-code-space-1")).succeeded
            eventually(lambda: kubectl("get", "agbs", "s", "-o", "jsonpath={.status.phase}").out == "Running")
            said = operator.text()

    assert "Traceback" not in said
    assert len([line for line in said.splitlines() if "the CRD was removed" in line]) == 1
    assert len([line for line in said.splitlines() if " ERROR " in line]) == 1, said
