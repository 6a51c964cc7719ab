"""What the chart offers for the clusters people have: names, registries, Pods, scrapes and objects of their own."""

from typing import Any

import pytest

from chart.helm import Helm, Manifest, only, operator_container


def pod(objects: list[Manifest]) -> dict[str, Any]:
    return dict(only(objects, "Deployment")["spec"]["template"]["spec"])


def test_pods_resolve_names_as_asked_and_by_default_as_kubernetes_does(helm: Helm) -> None:
    asked = {
        "dnsPolicy": "None",
        "dnsConfig": {"nameservers": ["10.0.0.53"]},
        "hostAliases": [{"ip": "10.0.0.7", "hostnames": ["agb.example.com"]}],
    }
    given = pod(helm.template(values=asked))
    assert {name: given[name] for name in asked} == asked
    assert not asked.keys() & pod(helm.template()).keys()


def test_a_deployment_replaces_its_pods_as_asked_and_by_default_without_a_gap(helm: Helm) -> None:
    default = only(helm.template(), "Deployment")["spec"]
    assert default["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    asked = only(helm.template(values={"strategy": {"type": "Recreate"}, "revisionHistoryLimit": 2}), "Deployment")
    assert asked["spec"]["strategy"] == {"type": "Recreate"}
    assert asked["spec"]["revisionHistoryLimit"] == 2


def test_in_another_namespace_everything_speaks_of_that_one(helm: Helm) -> None:
    values = {"namespaceOverride": "elsewhere", "simulator": {"enabled": True}, "networkPolicy": {"enabled": True}}
    objects = helm.template(values=values)
    assert {item["metadata"].get("namespace") for item in objects} == {"elsewhere", None}
    assert {subject["namespace"] for item in objects for subject in item.get("subjects", ())} == {"elsewhere"}
    container = operator_container(objects)
    assert "--lease-namespace=elsewhere" in container["args"]
    assert {"name": "AGB_ENDPOINT", "value": "http://agb-operator-simulator.elsewhere.svc:8090"} in container["env"]
    assert "operators" not in str(objects), "the release's namespace"


@pytest.mark.parametrize(
    ("repository", "expected"),
    [
        ("localhost/agb-operator", "mirror.example.com/x/agb-operator"),
        ("ghcr.io/team/agb-operator", "mirror.example.com/x/team/agb-operator"),
        ("registry:5000/agb-operator", "mirror.example.com/x/agb-operator"),
        ("team/agb-operator", "mirror.example.com/x/team/agb-operator"),
    ],
)
def test_a_global_registry_replaces_that_of_the_image(helm: Helm, repository: str, expected: str) -> None:
    values = {"global": {"imageRegistry": "mirror.example.com/x"}, "image": {"repository": repository, "tag": "1"}}
    objects = helm.template(values={**values, "simulator": {"enabled": True}})
    specs = [item["spec"]["template"]["spec"] for item in objects if item["kind"] == "Deployment"]
    specs += [item["spec"] for item in objects if item["kind"] == "Pod"]
    images = {container["image"] for spec in specs for container in spec["containers"]}
    assert len(specs) == 3, "operator, simulator and test"
    assert images == {f"{expected}:1"}


def test_a_release_brings_objects_of_its_own_with_templates_filled_in(helm: Helm) -> None:
    extra = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-x"}, "data": {"a": "1"}}
    objects = helm.template(values={"extraObjects": [extra, {**extra, "kind": "Secret", "data": {}}]})
    assert only(objects, "ConfigMap")["metadata"]["name"] == "agb-operator-x"
    assert only(objects, "Secret")["metadata"]["name"] == "agb-operator-x"


@pytest.mark.parametrize(("kind", "field"), [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")])
def test_both_monitors_scrape_the_port_of_the_pods_and_change_labels_as_asked(
    helm: Helm, kind: str, field: str
) -> None:
    value = kind[0].lower() + kind[1:]
    rules = {
        "relabelings": [{"sourceLabels": ["__meta_kubernetes_pod_node_name"], "targetLabel": "node"}],
        "metricRelabelings": [{"sourceLabels": ["__name__"], "regex": "python_.*", "action": "drop"}],
    }
    objects = helm.template(values={"metrics": {value: {"enabled": True, **rules}}})
    (endpoint,) = only(objects, kind)["spec"][field]
    ports = {port["name"] for port in operator_container(objects)["ports"]}
    assert endpoint["port"] in ports
    assert endpoint["honorLabels"]
    assert {name: endpoint[name] for name in rules} == rules
    labels = only(objects, "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert only(objects, kind)["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_pod_monitor_needs_no_service(helm: Helm) -> None:
    objects = helm.template(values={"metrics": {"service": {"enabled": False}, "podMonitor": {"enabled": True}}})
    assert only(objects, "PodMonitor")
    assert not [item for item in objects if item["kind"] == "Service"]
