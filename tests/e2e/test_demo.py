"""`make demo` and `make demo-up` as a new user runs them: what they show, and that they leave nothing behind."""

import os
import re
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from control_plane import ControlPlane
from e2e.stack import environment, eventually
from kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
DEMO = (sys.executable, "-m", "demo")
WITHIN = 120.0
REFUSING_POLICY = """\
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-sessions}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [agb.cloud], apiVersions: ["*"], operations: [CREATE], resources: [agbsessions]}
  validations: [{expression: "false", message: sessions are not allowed here}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-sessions}
spec: {policyName: no-sessions, validationActions: [Deny]}
"""


class Demo:
    """A demo that runs; its children can be told by a mark in their environment."""

    def __init__(self, *flags: str, log: Path, kubeconfig: Path | None = None, answer: str = "") -> None:
        self.log = log
        self._mark = f"AGB_DEMO_MARK={uuid.uuid4()}"
        name, _, value = self._mark.partition("=")
        env = environment(PYTHONPATH=str(ROOT / "hack"), **{name: value})
        if kubeconfig is not None:
            env["KUBECONFIG"] = str(kubeconfig)
        with log.open("wb") as out:
            self.popen = subprocess.Popen(
                [*DEMO, *flags], env=env, cwd=ROOT, stdin=subprocess.PIPE, stdout=out, stderr=out
            )
        assert self.popen.stdin is not None
        self.popen.stdin.write(answer.encode())
        self.popen.stdin.close()

    def text(self) -> str:
        """All it has shown so far."""
        return self.log.read_text(errors="replace")

    def end(self) -> tuple[int, str]:
        """Wait for its end; returns exit code and text."""
        return self.popen.wait(WITHIN), self.text()

    def until_up(self) -> str:
        """Wait until it says that everything runs; returns the line that names the cluster."""
        eventually(lambda: "Ctrl-C ends it all." in self.text(), within=WITHIN)
        (line,) = re.findall(r"^ +(export KUBECONFIG=\S+)$", self.text(), re.MULTILINE)
        return str(line)

    def interrupt(self, number: signal.Signals = signal.SIGINT) -> int:
        """End it as a person does; returns its exit code."""
        self.popen.send_signal(number)
        return self.popen.wait(WITHIN)

    def left_behind(self) -> list[str]:
        """Give the command lines of the processes that it has started and that still run."""
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            try:
                if self._mark.encode() in (process / "environ").read_bytes():
                    found.append((process / "cmdline").read_text().replace("\0", " "))
            except OSError:  # it has ended meanwhile, or is somebody else's
                continue
        return found


@contextmanager
def running(*flags: str, log: Path, kubeconfig: Path | None = None, answer: str = "") -> Iterator[Demo]:
    """Run a demo, and end it if the test does not."""
    demo = Demo(*flags, log=log, kubeconfig=kubeconfig, answer=answer)
    try:
        yield demo
    finally:
        if demo.popen.poll() is None:
            demo.popen.terminate()
            demo.popen.wait(WITHIN)


@pytest.fixture(scope="module")
def users_cluster() -> Iterator[ControlPlane]:
    """A cluster that is not the demo's."""
    with ControlPlane(controller_manager=True) as cluster:
        yield cluster


@pytest.fixture
def user(users_cluster: ControlPlane, kubectl_program: Path, tmp_path: Path) -> Kubectl:
    """The user's kubectl."""
    return Kubectl(program=kubectl_program, kubeconfig=users_cluster.kubeconfig, home=tmp_path)


def content(user: Kubectl) -> str:
    """What the demo could leave in a cluster."""
    listed = user("get", "namespaces,customresourcedefinitions,clusterroles,clusterrolebindings", "--output=name")
    assert listed.succeeded, listed.err
    return listed.out


def test_the_demo_shows_commands_states_and_times_and_leaves_nothing(tmp_path: Path) -> None:
    with running(log=tmp_path / "demo.txt") as demo:
        code, shown = demo.end()

    assert code == 0, shown
    assert re.findall(r"\$ (kubectl(?: -n agb-demo)? \w+)", shown) == [
        "kubectl apply",
        "kubectl create",
        *("kubectl -n agb-demo " + verb for verb in ("create", "apply", "wait", "patch", "wait", "get")),
        *("kubectl -n agb-demo " + verb for verb in ("patch", "wait", "patch", "wait", "get")),
        *("kubectl -n agb-demo " + verb for verb in ("wait", "wait", "describe", "delete")),
    ]
    states = [line.split("|")[1].split()[1] for line in shown.splitlines() if re.match(r" +[\d.]+ s \|", line)]
    seen = [state for state, after in zip(states, [*states[1:], ""], strict=True) if state != after]
    # The table begins whenever kubectl's watch is up, which may be a moment after the resource.
    assert [state for state in seen if state not in ("-", "Creating")] == [
        *("STATE", "Running", "Pausing", "Paused", "Resuming", "Running"),
        *("Pausing", "Paused", "Resuming", "Running", "Deleting"),
    ]
    assert len(re.findall(r"It took [\d.]+ s\.", shown)) == 7
    assert "AGB has 0 sessions left. It was called 6 times to change one, 0 times at a wrong moment." in shown
    assert demo.left_behind() == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_what_demo_up_prints_can_be_pasted_until_it_is_ended(
    number: signal.Signals, kubectl_program: Path, tmp_path: Path
) -> None:
    with running("--stay", log=tmp_path / "demo.txt") as demo:
        kubeconfig = Path(demo.until_up().partition("=")[2])
        tools = tmp_path / "bin"
        tools.mkdir()
        (tools / "kubectl").symlink_to(kubectl_program)
        env = {**environment(), "PATH": f"{tools}:{os.environ['PATH']}", "HOME": str(tmp_path)}
        offered = re.findall(r"^    (export .+|kubectl -n .+ (?:apply|patch) .+)$", demo.text(), re.MULTILINE)
        assert len(offered) == 3
        paste = "\n".join(
            [*offered, "kubectl -n agb-demo wait --for=condition=Paused agbsession/batch-7 --timeout=60s"]
        )
        pasted = subprocess.run(["sh", "-ec", paste], env=env, cwd=ROOT, capture_output=True, text=True, timeout=WITHIN)
        assert pasted.returncode == 0, pasted.stderr
        assert demo.left_behind() != []

        code = demo.interrupt(number)
        shown = demo.text()

    assert code == 0, shown
    assert shown.endswith("Everything is stopped.\n")
    assert "Traceback" not in shown
    assert demo.left_behind() == []
    assert not kubeconfig.exists()


@pytest.mark.parametrize("answer", ["n\n", "\n", ""], ids=["no", "nothing said", "no terminal"])
def test_a_user_s_cluster_is_not_touched_without_a_yes(
    answer: str, users_cluster: ControlPlane, user: Kubectl, tmp_path: Path
) -> None:
    before = content(user)
    audit = users_cluster.audit_events()

    with running(log=tmp_path / "demo.txt", kubeconfig=users_cluster.kubeconfig, answer=answer) as demo:
        code, shown = demo.end()

    assert code == 1
    assert users_cluster.server_url in shown
    assert "Use this cluster? [y/N]" in shown
    assert "Nothing was changed." in shown
    assert content(user) == before
    assert [event.uri for event in audit.read_new() if event.is_write and "kubectl" in event.user_agent] == []


def test_a_user_s_cluster_gets_back_what_it_had(users_cluster: ControlPlane, user: Kubectl, tmp_path: Path) -> None:
    before = content(user)

    with running(log=tmp_path / "demo.txt", kubeconfig=users_cluster.kubeconfig, answer="y\n") as demo:
        code, shown = demo.end()

    assert code == 0, shown
    assert "condition met" in shown
    assert content(user) == before
    assert demo.left_behind() == []


def test_a_demo_that_fails_shows_the_end_of_the_operator_s_log_and_still_cleans_up(
    users_cluster: ControlPlane, user: Kubectl, tmp_path: Path
) -> None:
    before = content(user)
    refused = user("apply", "-f", "-", stdin=REFUSING_POLICY)
    assert refused.succeeded, refused.err

    with running(log=tmp_path / "demo.txt", kubeconfig=users_cluster.kubeconfig, answer="y\n") as demo:
        code, shown = demo.end()
    user("delete", "validatingadmissionpolicies,validatingadmissionpolicybindings", "no-sessions")

    assert code == 1, shown
    assert "sessions are not allowed here" in shown
    assert "the end of the operator's log:\n  | " in shown
    assert "Traceback" not in shown
    assert content(user) == before
    assert demo.left_behind() == []


def test_a_namespace_of_that_name_is_left_alone(users_cluster: ControlPlane, user: Kubectl, tmp_path: Path) -> None:
    assert user("create", "namespace", "agb-demo").succeeded
    try:
        with running(log=tmp_path / "demo.txt", kubeconfig=users_cluster.kubeconfig, answer="y\n") as demo:
            code, shown = demo.end()

        assert code == 1
        assert "the cluster has a namespace agb-demo already" in shown
        assert user("get", "namespace", "agb-demo").succeeded
    finally:
        user("delete", "namespace", "agb-demo", "--timeout=60s")


def test_a_cluster_that_cannot_be_reached_is_named(tmp_path: Path) -> None:
    with running(log=tmp_path / "demo.txt", kubeconfig=tmp_path / "none") as demo:
        code, shown = demo.end()

    assert code == 1
    hint = "names no cluster that can be used. Unset it to have the demo on a cluster of its own."
    assert f"demo: KUBECONFIG={tmp_path / 'none'} {hint}" in shown
    assert "Traceback" not in shown
