"""The how-to pages say what works: their manifests are valid, their values exist."""

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import MONITORING, Helm
from chart_rbac import CHART
from control_plane import ControlPlane
from kubectl import Kubectl

ROOT = CHART.parent.parent
FOLDERS = ("how-to", "runbooks", "gitops")
PAGES = [CHART / "README.md", *sorted(page for folder in FOLDERS for page in (ROOT / "docs" / folder).glob("*.md"))]
NAMESPACE = "ml"
_NOT_FOR_TEMPLATE = {
    "--create-namespace", "--take-ownership", "--reuse-values", "--reset-then-reuse-values", "--install",
}  # fmt: skip


def name_of(page: Path) -> str:
    return f"{page.parent.name}/{page.stem}"


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def manifests(page: Path) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a page; other YAML has no apiVersion."""
    found = [item for block in blocks(page, "yaml") for item in yaml.safe_load_all(block)]
    return [item for item in found if isinstance(item, dict) and "apiVersion" in item]


def commands(page: Path) -> list[list[str]]:
    """Return the commands of a page, one list of words each; continued lines are joined."""
    text = "".join(blocks(page, "sh")).replace("\\\n", " ")
    return [shlex.split(line) for line in text.splitlines() if line.startswith(("helm ", "kubectl "))]


@pytest.fixture(scope="module")
def namespace(kubectl: Kubectl) -> Iterator[str]:
    """The namespaces that the pages assume."""
    for name in (NAMESPACE, "agb-operator"):
        assert kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}).succeeded
    yield NAMESPACE
    kubectl("delete", "namespace", NAMESPACE, "agb-operator", "--wait=false")


@pytest.mark.parametrize("page", [page for page in PAGES if manifests(page)], ids=name_of)
def test_every_manifest_is_taken_by_the_api_server(kubectl: Kubectl, namespace: str, page: Path) -> None:
    for manifest in manifests(page):
        answer = kubectl.apply(manifest, "--dry-run=server", "--validate=strict")
        assert answer.succeeded, answer.err
        assert answer.err == ""


def test_every_helm_command_sets_values_that_exist(helm: Helm) -> None:
    tried = 0
    for page in PAGES:
        for command in commands(page):
            if command[:2] in (["helm", "install"], ["helm", "upgrade"]):
                kept = (word for word in command[2:] if word not in _NOT_FOR_TEMPLATE)
                words = [word for word in kept if not word.startswith("--values=")]  # rendered below
                words[words.index("charts/agb-operator")] = str(CHART)
                versions = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITORING]
                answer = helm("template", *words, *versions)
                assert answer.succeeded, f"{page.name}: {command}\n{answer.err}"
                tried += 1
    assert tried >= 5


def test_the_chart_takes_every_values_file_that_a_page_shows(helm: Helm) -> None:
    shown: set[str] = set()
    for page in PAGES:
        for block in blocks(page, "yaml"):
            if name := re.match(r"# values: (\S+)\n", block):
                answer = helm("template", "x", str(CHART), values=yaml.safe_load(block))
                assert answer.succeeded, f"{page.name}: {answer.err}"
                shown.add(name[1])
    assert shown
    named = {name for page in PAGES for name in re.findall(r"--values=([^\s`]+)", page.read_text())}
    assert named <= shown


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"watchNamespaces": ["1e3", "y"]},
        {"simulator": {"enabled": True}},
        {"agb": {"apiKey": {"existingSecret": "operator-key", "namespaces": ["*"]}}},
    ],
    ids=["as it is", "namespaced", "simulator", "own key"],
)
def test_the_notes_lead_to_a_session_that_the_api_server_takes(
    helm: Helm, kubectl: Kubectl, namespace: str, values: dict[str, Any]
) -> None:
    install = ("install", "x", str(CHART), "--dry-run=client", "--namespace=operators")
    answer = helm(*install, values={**values, "crds": {"enabled": False}})
    assert answer.succeeded, answer.err
    notes = answer.out[answer.out.index("NOTES:") :]
    (text,) = re.findall(r"<<EOF\n(.*?)\n *EOF", notes, re.DOTALL)
    session = yaml.safe_load(text)
    (place,) = {session["metadata"]["namespace"], *re.findall(r"kubectl -n (\S+) (?:patch|wait|get)", notes)}
    assert place == values.get("watchNamespaces", ["default"])[0]
    needs_key = not values.get("simulator") and not values.get("agb")
    assert ("credentials" in session["spec"]) is needs_key is ("create secret" in notes)
    session["metadata"]["namespace"] = namespace
    taken = kubectl.apply(session, "--dry-run=server", "--validate=strict")
    assert taken.succeeded, taken.err


def test_values_that_the_pages_name_exist() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for page in PAGES:
        for path in re.findall(
            r"`((?:agb(?!\.cloud)|rbac|crds|metrics|operator|image|networkPolicy|simulator)\.[A-Za-z.]+)",
            page.read_text(),
        ):
            found: Any = values
            for part in path.split("."):
                assert part in found, f"{page.name}: {path}"
                found = found[part]


def test_the_cron_jobs_may_pause_their_session_and_nothing_else(
    control_plane: ControlPlane, kubectl: Kubectl, kubectl_program: Path, namespace: str, tmp_path: Path
) -> None:
    for manifest in manifests(ROOT / "docs" / "how-to" / "pause-overnight.md"):
        assert kubectl.apply(manifest).succeeded
    for name in ("batch-7", "other"):
        session = {
            "apiVersion": "agb.cloud/v1alpha1",
            "kind": "AgbSession",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"imageId": "agb-code-space-1"},
        }
        assert kubectl.apply(session).succeeded
    token = kubectl("create", "token", "overnight", f"--namespace={namespace}").out.strip()
    kubeconfig = control_plane.kubeconfig_for_token(token, tmp_path / "overnight", namespace=namespace)
    overnight = Kubectl(program=kubectl_program, kubeconfig=kubeconfig, home=tmp_path)

    jobs = json.loads(kubectl("get", "cronjobs", f"--namespace={namespace}", "--output=json").out)["items"]
    args = {
        job["metadata"]["name"]: job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
        for job in jobs
    }
    for job, paused in (("pause-batch-7", "true"), ("resume-batch-7", "false")):
        answer = overnight(*args[job])
        assert answer.succeeded, answer.err
        assert overnight("get", "agbsession", "batch-7", "--output=jsonpath={.spec.paused}").out == paused
    refused = overnight(*[word.replace("batch-7", "other") for word in args["pause-batch-7"]])
    assert not refused.succeeded
    assert "forbidden" in refused.err
