"""A release from install to uninstall on a real API server: what changes, and what must never go."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import MONITORING, Helm
from chart.test_render import RELEASE_NAMES
from chart_rbac import CHART
from e2e.stack import until_established, until_gone
from kubectl import Kubectl

CRD = "agbsessions.agb.cloud"
SESSION = {
    "apiVersion": "agb.cloud/v1alpha1",
    "kind": "AgbSession",
    "metadata": {"name": "kept", "namespace": "default"},
    "spec": {"imageId": "agb-code-space-1", "paused": True},
}

pytestmark = pytest.mark.usefixtures("clean_cluster")


@pytest.fixture(scope="module")
def kubectl(blank_kubectl: Kubectl) -> Kubectl:
    return blank_kubectl


def install(helm: Helm, release: str, *flags: str, namespace: str = "operators", chart: Path = CHART) -> str:
    """Install or upgrade a release, and return what Helm says."""
    answer = helm("upgrade", "--install", release, str(chart), f"--namespace={namespace}", "--create-namespace", *flags)
    assert answer.succeeded, answer.err
    return answer.out


def create_session(kubectl: Kubectl) -> str:
    """Create an AgbSession and return its uid."""
    until_established(kubectl, f"crd/{CRD}")
    answer = kubectl.apply(SESSION)
    assert answer.succeeded, answer.err
    return uid(kubectl)


def uid(kubectl: Kubectl) -> str:
    answer = kubectl("get", "agbsession", "kept", "--output=jsonpath={.metadata.uid} {.spec.paused}")
    assert answer.succeeded, answer.err
    name, paused = answer.out.split()
    assert paused == "true"
    return name


def columns(kubectl: Kubectl) -> list[str]:
    """Return the names of the CRD's printer columns: a part that an upgrade has to bring."""
    crd = json.loads(kubectl("get", "crd", CRD, "--output=json").out)
    return [column["name"] for column in crd["spec"]["versions"][0]["additionalPrinterColumns"]]


def replicas(kubectl: Kubectl) -> str:
    return kubectl("get", "deployment", "agb-operator", "-noperators", "--output=jsonpath={.spec.replicas}").out


def test_install_upgrade_rollback_and_uninstall_keep_the_crd_and_the_sessions(
    cluster_helm: Helm, kubectl: Kubectl
) -> None:
    install(cluster_helm, "agb-operator")
    before = create_session(kubectl)
    assert replicas(kubectl) == "1"

    install(cluster_helm, "agb-operator", "--set=replicaCount=2")
    assert replicas(kubectl) == "2"
    assert kubectl("get", "poddisruptionbudget", "agb-operator", "-noperators").succeeded

    rollback = cluster_helm("rollback", "agb-operator", "1", "--namespace=operators")
    assert rollback.succeeded, rollback.err
    assert replicas(kubectl) == "1"
    assert not kubectl("get", "poddisruptionbudget", "agb-operator", "-noperators").succeeded

    uninstall = cluster_helm("uninstall", "agb-operator", "--namespace=operators")
    assert uninstall.succeeded, uninstall.err
    assert CRD in uninstall.out, "Helm names what it keeps"
    assert not kubectl("get", "deployment", "agb-operator", "-noperators").succeeded
    assert not kubectl("get", "clusterrole", "agb-operator").succeeded
    assert uid(kubectl) == before

    install(cluster_helm, "agb-operator")
    assert uid(kubectl) == before, "the same release takes its CRD back without a word"


def test_an_upgrade_brings_the_crd_up_to_date(cluster_helm: Helm, kubectl: Kubectl, tmp_path: Path) -> None:
    older = tmp_path / "agb-operator"
    subprocess.run(["cp", "-r", str(CHART), str(older)], check=True)
    template = older / "templates" / "crd.yaml"
    text = template.read_text()
    start, end = text.index("        - name: Desired\n"), text.index("        - name: Ready\n")
    template.write_text(text[:start] + text[end:])

    install(cluster_helm, "agb-operator", chart=older)
    before = create_session(kubectl)
    assert "Desired" not in columns(kubectl)

    install(cluster_helm, "agb-operator")
    assert "Desired" in columns(kubectl)
    assert uid(kubectl) == before


def test_the_first_chart_there_ever_was_upgrades_to_this_one(
    cluster_helm: Helm, kubectl: Kubectl, tmp_path: Path
) -> None:
    """In a shallow clone the first one is the oldest that the clone holds."""
    root, path = CHART.parent.parent, "charts/agb-operator"
    log = ["git", "-C", str(root), "log", "--format=%H", "--reverse", "--", f"{path}/Chart.yaml"]
    first = subprocess.run(log, check=True, capture_output=True, text=True).stdout.split()[0]
    archive = subprocess.run(["git", "-C", str(root), "archive", first, path], check=True, capture_output=True).stdout
    subprocess.run(["tar", "-x", "-C", str(tmp_path)], input=archive, check=True)

    install(cluster_helm, "agb-operator", chart=tmp_path / path)
    before = create_session(kubectl)
    install(cluster_helm, "agb-operator")
    assert uid(kubectl) == before
    assert cluster_helm("uninstall", "agb-operator", "--namespace=operators").succeeded
    assert uid(kubectl) == before


def test_another_release_does_not_get_the_kept_crd_until_it_is_told_to(cluster_helm: Helm, kubectl: Kubectl) -> None:
    """The two ways that docs/how-to/upgrade.md names."""
    install(cluster_helm, "first")
    before = create_session(kubectl)
    assert cluster_helm("uninstall", "first", "--namespace=operators").succeeded

    refused = cluster_helm("install", "second", str(CHART), "--namespace=operators")
    assert not refused.succeeded
    assert f'CustomResourceDefinition "{CRD}"' in refused.err
    assert 'must equal "second": current value is "first"' in refused.err

    install(cluster_helm, "second", "--take-ownership")
    assert uid(kubectl) == before
    assert cluster_helm("uninstall", "second", "--namespace=operators").succeeded

    install(cluster_helm, "third", "--set=crds.enabled=false")
    assert uid(kubectl) == before


def test_without_keep_an_uninstall_takes_the_crd_along(cluster_helm: Helm, kubectl: Kubectl) -> None:
    notes = install(cluster_helm, "agb-operator", "--set=crds.keep=false")
    assert "`helm uninstall` deletes all AgbSessions" in notes
    assert cluster_helm("uninstall", "agb-operator", "--namespace=operators").succeeded
    left = kubectl("get", "crd", CRD, "--output=jsonpath={.metadata.deletionTimestamp}")
    assert left.out or not left.succeeded, "it is gone or going"
    until_gone(kubectl, f"crd/{CRD}")


@pytest.mark.parametrize("release", RELEASE_NAMES)
def test_every_release_name_installs_and_upgrades(cluster_helm: Helm, kubectl: Kubectl, release: str) -> None:
    flags = ("--set=simulator.enabled=true", "--set=metrics.dashboard.enabled=true", "--set=crds.enabled=false")
    install(cluster_helm, release, *flags)
    install(cluster_helm, release, *flags, "--set=replicaCount=2")
    labels = f"app.kubernetes.io/instance={release}"
    found = json.loads(kubectl("get", "deployments,services", "-noperators", f"-l{labels}", "--output=json").out)
    assert len(found["items"]) == 4


def test_monitoring_objects_are_made_where_the_prometheus_operator_is(cluster_helm: Helm, kubectl: Kubectl) -> None:
    runbooks = "https://docs.example.com/runbooks/"
    switched_on = (
        "metrics.serviceMonitor.enabled=true,metrics.podMonitor.enabled=true,metrics.prometheusRule.enabled=true"
    )
    flags = (f"--set={switched_on},metrics.prometheusRule.runbookUrl={runbooks}",)
    refused = cluster_helm("install", "x", str(CHART), "--namespace=operators", "--create-namespace", *flags)
    assert not refused.succeeded
    assert "install the Prometheus Operator first" in refused.err

    for kind in MONITORING:
        assert kubectl.apply(any_crd(kind)).succeeded
        until_established(kubectl, f"crd/{kind.lower()}s.monitoring.coreos.com")
    install(cluster_helm, "x", *flags)
    rule = json.loads(kubectl("get", "prometheusrule", "agb-operator-x", "-noperators", "--output=json").out)
    alerts = (
        (CHART / "files" / "alerts.yaml").read_text().replace("runbook_url: docs/runbooks/", f"runbook_url: {runbooks}")
    )
    assert rule["spec"] == yaml.safe_load(alerts)
    assert kubectl("get", "podmonitor", "agb-operator-x", "-noperators").succeeded
    monitor = json.loads(kubectl("get", "servicemonitor", "agb-operator-x", "-noperators", "--output=json").out)
    assert monitor["spec"]["endpoints"][0]["honorLabels"] is True


def test_people_who_may_edit_a_namespace_may_pause_and_viewers_may_look(cluster_helm: Helm, kubectl: Kubectl) -> None:
    install(cluster_helm, "agb-operator")
    for role, may_patch in (("edit", True), ("view", False)):
        name = f"agb-operator-{role}"
        labels = json.loads(kubectl("get", "clusterrole", name, "--output=json").out)["metadata"]["labels"]
        assert labels["rbac.authorization.k8s.io/aggregate-to-edit"] == "true"
        assert kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}", f"--user={role}er").succeeded
        for verb, allowed in (("get", not may_patch), ("patch", may_patch)):
            answer = kubectl("auth", "can-i", verb, CRD, f"--as={role}er")
            assert answer.out.strip() == ("yes" if allowed else "no"), (role, verb)
        status = kubectl("auth", "can-i", "patch", CRD, "--subresource=status", f"--as={role}er")
        assert status.out.strip() == "no", "the status is the operator's"


def any_crd(kind: str) -> dict[str, Any]:
    """Return a definition of a kind of the Prometheus Operator that takes any spec."""
    plural = f"{kind.lower()}s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.monitoring.coreos.com"},
        "spec": {
            "group": "monitoring.coreos.com",
            "scope": "Namespaced",
            "names": {"kind": kind, "listKind": f"{kind}List", "plural": plural, "singular": kind.lower()},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }


def test_a_missing_namespace_is_named_before_anything_is_made(cluster_helm: Helm, kubectl: Kubectl) -> None:
    command = ("upgrade", "--install", "agb-operator", str(CHART), "--namespace=operators", "--create-namespace")
    for place, missing in (("{gone-a,gone-b}", "gone-a, gone-b"), ("{default,gone-b}", "gone-b")):
        refused = cluster_helm(*command, f"--set=watchNamespaces={place}")
        assert not refused.succeeded
        assert f"watchNamespaces names what is not there: {missing}. Create each with" in refused.err
        status = cluster_helm("status", "agb-operator", "--namespace=operators")
        assert "not found" in status.err, "a release that failed halfway would stay"
    for name in ("gone-a", "gone-b"):
        kubectl("create", "namespace", name)
    install(cluster_helm, "agb-operator", "--set=watchNamespaces={gone-a,gone-b}")


def test_the_namespace_of_the_release_may_be_the_watched_one_and_made_by_helm(
    cluster_helm: Helm, kubectl: Kubectl
) -> None:
    install(cluster_helm, "agb-operator", "--set=watchNamespaces={team-new}", namespace="team-new")
    assert kubectl("get", "role", "agb-operator", "-nteam-new").succeeded


def test_without_a_cluster_no_namespace_is_missing(cluster_helm: Helm, helm: Helm) -> None:
    watched = "--set=watchNamespaces={never-there}"
    assert helm("template", "x", str(CHART), watched).succeeded
    dry = cluster_helm("install", "x", str(CHART), "--namespace=operators", "--dry-run=client", watched)
    assert dry.succeeded, dry.err
