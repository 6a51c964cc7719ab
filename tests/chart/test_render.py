"""What the chart renders, value by value, without a cluster."""

import os
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import yaml

import generate_chart
from agb_operator.process.flags import Variable
from agb_operator.process.settings import OPTIONS, Settings, read_settings
from chart.helm import CI_VALUES, Helm, Manifest, only, operator_container
from chart_rbac import CHART, RBAC_KINDS

CLUSTER_SCOPED = {"CustomResourceDefinition", "ClusterRole", "ClusterRoleBinding"}
RELEASE_NAMES = ["y", "on", "123", "1e3", "0x10", "agb-operator", "a" * 53, "agb-operator-" + "a" * 40]


def settings_of(container: Manifest) -> Settings:
    """Read the container's arguments and environment as the operator does."""
    assert container["args"][0] == "run"
    environ = {entry["name"]: entry.get("value", "key-from-a-secret") for entry in container["env"]}
    with patch.dict(os.environ, environ, clear=True):
        return read_settings(container["args"][1:])


def test_the_values_show_the_defaults_of_the_operator(helm: Helm) -> None:
    default = read_settings()
    settings = settings_of(operator_container(helm.template(namespace=default.lease_namespace)))
    for setting in ("resync", "workers", "api_qps", "cluster_name", "endpoint", "api_timeout"):
        assert getattr(settings, setting) == getattr(default, setting), setting
    assert settings.http_address == default.http_address
    assert settings.namespaces == ()
    assert settings.default_key_namespaces == ()
    assert settings.api_key is None


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_the_operator_takes_every_argument_of_the_chart(helm: Helm, values: Path) -> None:
    settings_of(operator_container(helm.template(f"--values={values}")))


def test_every_setting_of_the_operator_can_be_reached_by_a_value(helm: Helm) -> None:
    values = CHART / "ci" / "everything-values.yaml"
    settings = settings_of(operator_container(helm.template(f"--values={values}", namespace="place")))
    assert settings.namespaces == ("y", "123", "1e3", "team-a")
    assert settings.default_key_namespaces == ("y", "team-a")
    assert settings.resync == 90
    assert settings.workers == 64
    assert settings.api_qps == 12.5
    assert settings.lease_namespace == "operators", "namespaceOverride wins over the release's namespace"
    assert settings.lease_name == "agb-main"
    assert settings.cluster_name == "production.eu-1"
    assert settings.log_format == "text"
    assert settings.log_level == "info", "extraArgs come last and win"
    assert settings.endpoint == "https://agb.example.com"
    assert settings.api_timeout == 30
    assert settings.leader_election


def test_every_setting_of_the_operator_is_given_by_the_deployment(helm: Helm) -> None:
    container = operator_container(
        helm.template(f"--values={CHART / 'ci' / 'everything-values.yaml'}", values={"extraArgs": [], "extraEnv": []})
    )
    given = {argument.partition("=")[0] for argument in container["args"]} | {
        entry["name"] for entry in container["env"]
    }

    needed = {option.variables[0] if isinstance(option, Variable) else option.opts[0] for option in OPTIONS}

    assert needed - given == set(), "without a line in templates/deployment.yaml the chart's value does nothing"


def test_the_key_is_read_from_the_named_secret_and_stands_in_no_manifest(helm: Helm) -> None:
    values = {"agb": {"apiKey": {"existingSecret": "operator-key", "key": "token", "namespaces": ["ml"]}}}
    container = operator_container(helm.template(values=values))
    (entry,) = [item for item in container["env"] if item["name"] == "AGB_API_KEY"]
    assert entry["valueFrom"] == {"secretKeyRef": {"name": "operator-key", "key": "token"}}


def test_the_simulator_replaces_agb_and_serves_all_namespaces(helm: Helm) -> None:
    objects = helm.template(values={"simulator": {"enabled": True}})
    settings = settings_of(operator_container(objects))
    service = only(objects, "Service", "agb-operator-simulator")
    assert settings.endpoint == "http://agb-operator-simulator.operators.svc:8090"
    assert service["spec"]["ports"][0]["port"] == 8090
    assert settings.default_key_namespaces == ("*",)
    selector = service["spec"]["selector"].items()
    simulator = only(objects, "Deployment", "agb-operator-simulator")["spec"]["template"]["metadata"]["labels"]
    operator = only(objects, "Deployment", "agb-operator")["spec"]["template"]["metadata"]["labels"]
    assert selector <= simulator.items()
    assert not selector <= operator.items(), "the Service must not send requests for AGB to the operator"


# Rights


def test_cluster_wide_the_operator_holds_these_rights_and_no_others(helm: Helm) -> None:
    objects = helm.template()
    assert only(objects, "ClusterRole", "agb-operator")["rules"] == [
        {"apiGroups": ["agb.cloud"], "resources": ["agbsessions"], "verbs": ["get", "list", "watch", "patch"]},
        {"apiGroups": ["agb.cloud"], "resources": ["agbsessions/status"], "verbs": ["patch"]},
        {"apiGroups": ["agb.cloud"], "resources": ["agbpauseschedules"], "verbs": ["get", "list", "watch"]},
        {"apiGroups": ["agb.cloud"], "resources": ["agbpauseschedules/status"], "verbs": ["patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["events"], "verbs": ["create"]},
    ]
    assert only(objects, "Role")["metadata"]["namespace"] == "operators"
    lease = {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"]}
    assert only(objects, "Role")["rules"] == [
        {**lease, "verbs": ["create"]},
        {**lease, "resourceNames": ["agb-operator"], "verbs": ["get", "update"]},
    ]
    assert bound(objects) == {("ClusterRole", "agb-operator"), ("Role", "agb-operator-lease")}


def test_with_a_list_of_namespaces_the_same_rights_are_roles_there(helm: Helm) -> None:
    everywhere = only(helm.template(), "ClusterRole", "agb-operator")["rules"]
    objects = helm.template(values={"watchNamespaces": ["ml", "y"]})
    roles = [item for item in objects if item["kind"] == "Role" and item["metadata"]["name"] == "agb-operator"]
    assert {role["metadata"]["namespace"]: role["rules"] for role in roles} == {"ml": everywhere, "y": everywhere}
    assert only(objects, "ClusterRole", "agb-operator-finalizer")["rules"] == [
        {"apiGroups": ["agb.cloud"], "resources": ["agbsessions"], "verbs": ["get", "patch"]},
        {"apiGroups": ["agb.cloud"], "resources": ["agbsessions/status"], "verbs": ["patch"]},
    ]
    assert bound(objects) == {
        ("Role", "agb-operator"),
        ("Role", "agb-operator-lease"),
        ("ClusterRole", "agb-operator-finalizer"),
    }


def test_a_namespace_administrator_can_install_it_without_any_cluster_wide_object(helm: Helm) -> None:
    objects = helm.template(f"--values={CHART / 'ci' / 'namespaced-values.yaml'}")
    assert not {item["kind"] for item in objects} & CLUSTER_SCOPED


def test_rbac_can_be_left_to_the_administrator(helm: Helm) -> None:
    objects = helm.template(values={"rbac": {"create": False, "aggregateRoles": False}})
    assert {item["kind"] for item in objects} & RBAC_KINDS == {"ServiceAccount"}


@pytest.mark.parametrize(
    ("account", "name"),
    [
        ({}, "agb-operator"),
        ({"name": "mine"}, "mine"),
        ({"create": False}, "default"),
        ({"create": False, "name": "given"}, "given"),
    ],
)
def test_the_pod_and_all_bindings_name_the_same_service_account(helm: Helm, account: dict[str, Any], name: str) -> None:
    objects = helm.template(values={"serviceAccount": account, "watchNamespaces": ["ml"]})
    pod = only(objects, "Deployment")["spec"]["template"]["spec"]
    subjects = [subject for item in objects for subject in item.get("subjects", ())]
    assert pod["serviceAccountName"] == name
    assert subjects
    assert all(subject == {"kind": "ServiceAccount", "name": name, "namespace": "operators"} for subject in subjects)


def bound(objects: list[Manifest]) -> set[tuple[str, str]]:
    """Return the kind and name of every role that somebody is bound to."""
    return {(item["roleRef"]["kind"], item["roleRef"]["name"]) for item in objects if "roleRef" in item}


# Names, labels, images


@pytest.mark.parametrize("release", RELEASE_NAMES)
def test_every_release_name_gives_names_and_labels_that_kubernetes_takes(helm: Helm, release: str) -> None:
    values = {"simulator": {"enabled": True}, "metrics": {"dashboard": {"enabled": True}}, "watchNamespaces": ["ml"]}
    for item in helm.template(release=release, values=values):
        name = item["metadata"]["name"]
        labels = item["metadata"]["labels"]
        assert isinstance(name, str)
        assert all(isinstance(value, str) for value in labels.values()), name
        assert labels["app.kubernetes.io/instance"] == release
        if item["kind"] == "Service":
            assert len(name) <= 63
            assert name[0].isalpha(), "a Service needs a name that begins with a letter"


def test_two_releases_share_no_object(helm: Helm) -> None:
    def names(release: str) -> set[tuple[str, str]]:
        objects = helm.template(release=release, values={"crds": {"enabled": False}, "watchNamespaces": ["ml"]})
        return {(item["kind"], item["metadata"]["name"]) for item in objects}

    assert not names("one") & names("two")


def test_every_selector_selects_the_pods_it_means(helm: Helm) -> None:
    objects = helm.template(f"--values={CHART / 'ci' / 'everything-values.yaml'}")
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"].items()
    for kind, path in {
        "Deployment": ["selector", "matchLabels"],
        "Service": ["selector"],
        "PodDisruptionBudget": ["selector", "matchLabels"],
        "NetworkPolicy": ["podSelector", "matchLabels"],
    }.items():
        selector: Any = only(objects, kind)["spec"]
        for key in path:
            selector = selector[key]
        assert selector
        assert selector.items() <= labels, kind
    monitor = only(objects, "ServiceMonitor")["spec"]["selector"]["matchLabels"].items()
    assert monitor <= only(objects, "Service")["metadata"]["labels"].items()


def test_common_labels_and_annotations_are_on_every_object_and_pod(helm: Helm) -> None:
    values = CHART / "ci" / "everything-values.yaml"
    objects = helm.template(f"--values={values}", "--no-hooks")
    pods = [item["spec"]["template"] for item in objects if item["kind"] == "Deployment"]
    ours = [item for item in objects if item["metadata"]["name"] != "agb-operator-extra"]
    for item in [*ours, *pods]:
        assert item["metadata"]["labels"]["team"] == "on"
        assert item["metadata"]["annotations"]["example.com/owner"] == "1e3"


def test_a_digest_wins_over_the_tag_and_the_app_version_is_the_default_tag(helm: Helm) -> None:
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    digest = "sha256:" + "0" * 64
    for image, expected in {
        (): f"localhost/agb-operator:{version}",
        (("tag", "edge"),): "localhost/agb-operator:edge",
        (("tag", "edge"), ("digest", digest)): f"localhost/agb-operator@{digest}",
    }.items():
        assert operator_container(helm.template(values={"image": dict(image)}))["image"] == expected


# Availability and the rest


@pytest.mark.parametrize(("replicas", "guarded"), [(0, False), (1, False), (2, True), (3, True)])
def test_more_than_one_replica_is_guarded_and_spread(helm: Helm, replicas: int, guarded: bool) -> None:
    objects = helm.template(values={"replicaCount": replicas})
    deployment = only(objects, "Deployment")
    assert deployment["spec"]["replicas"] == replicas
    assert ("topologySpreadConstraints" in deployment["spec"]["template"]["spec"]) is guarded
    assert any(item["kind"] == "PodDisruptionBudget" for item in objects) is guarded
    assert "--leader-election" in operator_container(objects)["args"], "a rolling update overlaps even with one"


@pytest.mark.parametrize("plural", generate_chart.PLURALS)
def test_the_crds_are_the_projects_own_and_can_be_left_out(helm: Helm, plural: str) -> None:
    source, name = crd_source(plural), f"{plural}.agb.cloud"
    crd = only(helm.template(), "CustomResourceDefinition", name)
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert {**crd, "metadata": {"name": name}} == source
    given_up = only(helm.template(values={"crds": {"keep": False}}), "CustomResourceDefinition", name)
    assert "annotations" not in given_up["metadata"]
    without = helm.template(values={"crds": {"enabled": False}})
    assert not [item for item in without if item["kind"] == "CustomResourceDefinition"]


def test_every_crd_is_in_the_chart() -> None:
    assert {path.stem for path in generate_chart.CRDS.glob("*.yaml")} == set(generate_chart.PLURALS)


def test_the_rule_that_asks_the_api_server_for_the_zone_can_be_left_out_and_nothing_else_with_it(helm: Helm) -> None:
    objects = helm.template(values={"crds": {"timeZoneRule": False}})
    crd = only(objects, "CustomResourceDefinition", "agbpauseschedules.agb.cloud")
    source = crd_source("agbpauseschedules")
    rules = spec_of(source)["timeZone"]["x-kubernetes-validations"]
    (asks,) = [rule for rule in rules if "getHours" in rule["rule"]]
    rules.remove(asks)
    assert crd["spec"] == source["spec"]


def crd_source(plural: str) -> Manifest:
    source: Manifest = yaml.safe_load((generate_chart.CRDS / f"{plural}.yaml").read_text())
    return source


def spec_of(crd: Manifest) -> Manifest:
    schema: Manifest = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    fields: Manifest = schema["properties"]["spec"]["properties"]
    return fields


@pytest.mark.parametrize(
    ("schedules", "changed"),
    [("edit", ["agbsessions", "agbpauseschedules"]), ("view", ["agbsessions"])],
)
def test_who_may_edit_a_namespace_may_change_its_schedules_unless_they_stay_with_the_administrator(
    helm: Helm, schedules: str, changed: list[str]
) -> None:
    objects = helm.template(values={"rbac": {"aggregateSchedules": schedules}})
    (viewing,) = only(objects, "ClusterRole", "agb-operator-view")["rules"]
    (editing,) = only(objects, "ClusterRole", "agb-operator-edit")["rules"]
    assert (viewing["resources"], viewing["verbs"]) == (["agbsessions", "agbpauseschedules"], ["get", "list", "watch"])
    assert editing["resources"] == changed


def test_the_network_policy_names_no_port_but_those_in_use(helm: Helm) -> None:
    policy = only(helm.template(values={"networkPolicy": {"enabled": True}}), "NetworkPolicy")["spec"]
    assert policy["policyTypes"] == ["Ingress", "Egress"]
    assert [port["port"] for rule in policy["ingress"] for port in rule["ports"]] == [8080]
    assert sorted({port["port"] for rule in policy["egress"] for port in rule["ports"]}) == [53, 443, 6443]


def test_a_random_user_id_is_prepared_for(helm: Helm) -> None:
    """kopf asks for the name of the user, which a random UID does not have, unless POD_ID is set."""
    container = operator_container(helm.template())
    assert {"name": "POD_ID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}} in container["env"]
    assert "runAsUser" not in only(helm.template(), "Deployment")["spec"]["template"]["spec"]["securityContext"]


def test_alerts_link_to_their_runbooks_or_to_nothing(helm: Helm) -> None:
    def links(**rule: Any) -> list[str | None]:
        objects = helm.template(values={"metrics": {"prometheusRule": {"enabled": True, **rule}}})
        groups = only(objects, "PrometheusRule")["spec"]["groups"]
        return [alert["annotations"].get("runbook_url") for group in groups for alert in group["rules"]]

    pages = sorted((CHART.parent.parent / "docs" / "runbooks").glob("Agb*.md"))
    base = "https://docs.example.com/runbooks/"
    assert sorted(map(str, links(runbookUrl=base))) == [f"{base}{page.name}" for page in pages]
    assert set(links()) == {None}
