"""What README and tutorial tell people to type works, in the order of the page."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, environment
from e2e.test_demo import running
from kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
TUTORIAL = (ROOT / "docs" / "tutorial.md").read_text()
EXPORT = re.compile(r"^export KUBECONFIG=\S+$", re.MULTILINE)
RECIPES = {"demo": "-m demo", "test": "pytest tests", "demo-up": "-m demo --stay"}


def blocks(page: str, language: str) -> list[str]:
    """Give the code blocks of a page in one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


@pytest.fixture
def shell(kubectl_program: Path, helm_program: Path, tmp_path: Path) -> dict[str, str]:
    """The environment of a user's terminal, with kubectl, the plugin and helm on the PATH."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "kubectl").symlink_to(kubectl_program)
    (tools / "helm").symlink_to(helm_program)
    (tools / "kubectl-agb").symlink_to(Path(sys.executable).parent / "kubectl-agb")
    env = environment(HOME=str(tmp_path))
    return {**env, "PATH": f"{tools}:{env['PATH']}"}


def typed(script: str, env: Mapping[str, str]) -> str:
    """Run what a user types in one terminal, see that it works, and return what it shows."""
    done = subprocess.run(["sh", "-ec", script], env=env, cwd=ROOT, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture
def own_cluster() -> Iterator[ControlPlane]:
    """A user's cluster, before anything was installed."""
    with ControlPlane() as blank:
        yield blank


def test_every_line_of_the_readme_is_tried() -> None:
    groups = [block.splitlines() for block in blocks(README, "sh")]

    assert [[shlex.split(line)[0] for line in group] for group in groups] == [
        ["kubectl", "kubectl"],
        ["make", "make"],
        ["helm", *["kubectl"] * 4],
    ]
    assert groups[0][0] == groups[2][3], "the first line is tried as a part of the quick start"


@pytest.mark.parametrize("target", RECIPES)
def test_the_targets_of_the_readme_do_what_is_tried(target: str) -> None:
    """`python -m demo` is run by test_demo, and `make test` runs this."""
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert f"make {target}" in README
    assert RECIPES[target] in planned


@pytest.mark.parametrize("target", ["demo", "demo-up"])
def test_the_demo_waits_for_no_program_that_it_does_not_use(target: str) -> None:
    """Every other target gets all programs first, and would look for kubectl before the demo does so again."""
    planned = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert "--ensure" not in planned


def test_the_quick_start_pauses_a_session(own_cluster: ControlPlane, shell: dict[str, str], tmp_path: Path) -> None:
    env = {**shell, "KUBECONFIG": str(own_cluster.kubeconfig)}
    install, *steps = blocks(README, "sh")[2].splitlines()
    with Simulator("--transition=1s", log=tmp_path / "simulator.log") as simulator:
        simulator.control.add_key("YOUR-AGB-KEY")

        typed(install, env)
        # A cluster without nodes runs no Pods, so this stands for the one of the release.
        with Operator(
            kubeconfig=own_cluster.kubeconfig, endpoint=simulator.endpoint, log=tmp_path / "operator.log"
        ) as operator:
            operator.ready()
            typed("\n".join(steps), env)
            typed("kubectl wait agbsession/batch-7 --for=condition=Ready", env)

            shown = typed("kubectl get agbs -o wide", env)
            reasons = typed(blocks(README, "sh")[0].splitlines()[1], env)
            (session,) = simulator.control.sessions()

    assert session["status"] == "PAUSED"
    assert "is Paused, as wanted" in reasons
    assert "spec.paused  true: Paused  <- decides" in reasons
    (header, row) = shown.splitlines()
    _, example_header, example_row = blocks(README, "console")[0].splitlines()
    assert header.split() == example_header.split(), "the README shows other columns"
    assert row.split()[:5] == example_row.split()[:5]
    assert row.endswith(example_row[example_row.index("The session") :])


@pytest.mark.parametrize("kind", ["AgbSession", "AgbPauseSchedule"])
def test_the_resources_of_the_readme_are_valid(kubectl: Kubectl, kind: str) -> None:
    (manifest,) = [block for block in blocks(README, "yaml") if f"kind: {kind}\n" in block]

    accepted = kubectl("create", "--dry-run=server", "--validate=strict", "-f", "-", stdin=manifest)

    assert accepted.succeeded, accepted.err
    assert accepted.err == ""


def test_the_tutorial_can_be_walked_from_start_to_end(shell: dict[str, str], tmp_path: Path) -> None:
    first, *rest = blocks(TUTORIAL, "sh")
    assert first == "make demo-up\n"
    with running("--stay", log=tmp_path / "demo.txt") as demo:
        printed = demo.until_up()
        walk = EXPORT.sub(printed, "\n".join(rest))
        assert printed in walk

        shown = typed(walk, shell)

        code = demo.interrupt()

    assert code == 0
    assert "Secret their-key does not exist in namespace agb-demo." in shown
    assert "refused" in shown.splitlines()
    assert shown.count("deleted from agb-demo namespace") == 4


def test_the_targets_of_the_contributors_page_exist() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text()
    named = {word for line in re.findall(r"(?:^|`)make ((?:[a-z-]+ ?)+)", page, re.MULTILINE) for word in line.split()}
    known = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout

    assert {"docs", "lint", "typecheck", "verify", "test", "generate", "lock", "help"} <= named
    assert [word for word in named if not re.search(rf"^ +{word} ", known, re.MULTILINE)] == []
