"""The page on backups, run as it is written: what is restored looks at first, then goes on with its session."""

import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from chart_rbac import InstalledOperator
from control_plane import ControlPlane
from e2e.stack import Operator, Simulator
from e2e.tenant import Tenant

PAGE = (Path(__file__).resolve().parents[2] / "docs/how-to/backup.md").read_text()
IMAGE = "agb-code-space-1"


def steps(title: str) -> list[str]:
    """Give the commands of a section, but for those that stop and start the operator."""
    section = PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]
    blocks: list[str] = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line and "scale deployment" not in line]


def test_what_is_restored_by_the_page_goes_on_with_its_session(
    new_tenant: Callable[..., Tenant],
    control_plane: ControlPlane,
    kubectl_program: Path,
    rights: InstalledOperator,
    simulator: Simulator,
    tmp_path: Path,
) -> None:
    tenant = new_tenant()

    def run(line: str) -> str:
        line = line.replace("--namespace ml", f"--namespace {tenant.namespace}")
        env = {"KUBECONFIG": str(control_plane.kubeconfig), "HOME": str(tmp_path)}
        env["PATH"] = f"{kubectl_program.parent}:/usr/bin:/bin"
        done = subprocess.run(["/bin/sh", "-ec", line], env=env, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, (line, done.stderr)
        return done.stdout

    def operator() -> Operator:
        return Operator(
            "--resync=1s",
            "--no-leader-election",
            "--cluster-name=prod",
            f"--namespace={tenant.namespace}",
            kubeconfig=rights.kubeconfig,
            endpoint=simulator.endpoint,
            log=tmp_path / "operator.log",
        )

    with operator() as running:
        running.ready()
        tenant.apply("a", imageId=IMAGE, paused=True)
        adopted = tenant.adopt("b")
        for name, condition in (("a", "Paused"), ("a", "Ready"), ("b", "Ready")):
            tenant.wait(name, condition)
        running.stop()
    before = {name: tenant.status(name)["sessionId"] for name in "ab"}
    uid = tenant.get("a")["metadata"]["uid"]
    for line in steps("Back up"):
        run(line)
    for line in steps("Move to another cluster"):
        run(line)
    assert tenant.must("get", "agbsessions", "--output=name") == ""

    *restore, wait, show = steps("Restore")
    for line in (*restore, *steps("A copy for tests")):
        run(line)
    assert tenant.get("a")["metadata"]["uid"] != uid
    with operator() as running:
        running.ready()
        run(wait)
        assert [tenant.ready(name)["reason"] for name in "ab"] == ["Observed", "Observed"]
        for name in "ab":
            tenant.patch(name, managementPolicy="Manage")
            tenant.until(name, lambda status: status["phase"] in ("Paused", "Running"))
        assert all(session_id in run(show) for session_id in before.values())
        tenant.patch("a", paused=False)
        tenant.wait("a", "Paused=False")
        tenant.wait("a", "Ready")
        assert {name: tenant.status(name)["sessionId"] for name in "ab"} == before
        assert tenant.calls().count("createSession") == 1
        tenant.must("delete", "agbsession", "a", "b", "--timeout=30s")
        running.stop()
    assert not tenant.control.session(before["a"])["live"]
    assert tenant.control.session(adopted)["live"]
    assert tenant.illegal_calls() == 0
