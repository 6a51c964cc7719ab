"""The schema refuses what would be ignored or break later, with a text that names the value."""

import json
from typing import Any

import pytest
import yaml

import generate_chart
from chart.helm import CI_VALUES, MONITORING, Helm
from chart_rbac import CHART


@pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)
def test_helm_lint_has_nothing_to_say(helm: Helm, values: Any) -> None:
    answer = helm(
        "lint",
        "--strict",
        "--quiet",
        str(CHART),
        f"--values={values}",
        "--set=metrics.serviceMonitor.enabled=false,metrics.prometheusRule.enabled=false",
    )
    assert answer.succeeded, answer.out + answer.err
    assert "WARNING" not in answer.out


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        pytest.param({"replicaCounts": 2}, "'replicaCounts' not allowed", id="a typo at the top"),
        pytest.param({"operator": {"workes": 2}}, "at '/operator': additional properties 'workes'", id="a typo below"),
        pytest.param({"replicaCount": "two"}, "at '/replicaCount': got string, want integer", id="a wrong type"),
        pytest.param({"replicaCount": -1}, "at '/replicaCount'", id="a negative number"),
        pytest.param({"operator": {"resync": "60"}}, "at '/operator/resync'", id="a duration without a unit"),
        pytest.param({"operator": {"logLevel": "loud"}}, "at '/operator/logLevel'", id="an unknown log level"),
        pytest.param({"operator": {"workers": 0}}, "at '/operator/workers'", id="no worker at all"),
        pytest.param({"operator": {"apiQps": "fast"}}, "at '/operator/apiQps'", id="a rate that is no number"),
        pytest.param({"agb": {"timeoutMs": 500}}, "at '/agb/timeoutMs'", id="a timeout the SDK rounds down to none"),
        pytest.param({"agb": {"endpoint": "user@agb"}}, "at '/agb/endpoint'", id="an endpoint with a user"),
        pytest.param({"agb": {"apiKey": "akm-1"}}, "at '/agb/apiKey': got string", id="a key in the values"),
        pytest.param(
            {"rbac": {"aggregateSchedules": True}}, "at '/rbac/aggregateSchedules'", id="a right that is no word"
        ),
        pytest.param({"watchNamespaces": "ml"}, "at '/watchNamespaces': got string", id="a namespace for a list"),
        pytest.param({"watchNamespaces": ["ML"]}, "at '/watchNamespaces/0'", id="no name of a namespace"),
        pytest.param({"watchNamespaces": ["a", "a"]}, "at '/watchNamespaces'", id="a namespace twice"),
        pytest.param({"image": {"tag": 1.5}}, "at '/image/tag': got number, want string", id="a tag without quotes"),
        pytest.param({"image": {"digest": "2c26b4"}}, "at '/image/digest'", id="a digest without algorithm"),
        pytest.param({"image": {"repository": "agb-operator:1"}}, "at '/image/repository'", id="a tag in the name"),
        pytest.param({"clusterName": "a b"}, "at '/clusterName'", id="a cluster name that is no label value"),
        pytest.param({"commonLabels": {"a": True}}, "at '/commonLabels/a': got boolean", id="a label without quotes"),
        pytest.param({"extraArgs": "--help"}, "at '/extraArgs': got string", id="an argument for a list"),
        pytest.param({"extraEnv": [{"value": "x"}]}, "at '/extraEnv/0'", id="a variable without name"),
        pytest.param({"podDisruptionBudget": {"maxUnavailable": "half"}}, "at '/podDisruptionBudget", id="half"),
        pytest.param({"metrics": {"prometheusRule": {"runbookUrl": "https://x"}}}, "runbookUrl'", id="no slash"),
        pytest.param({"metrics": {"prometheusRule": {"runbookUrl": "docs/"}}}, "runbookUrl'", id="a relative address"),
        pytest.param(
            {"agb": {"apiKey": {"namespaces": ["ml"]}}},
            "there is none: set agb.apiKey.existingSecret",
            id="namespaces that may use a key which is not there",
        ),
        pytest.param(
            {"simulator": {"enabled": True}, "agb": {"endpoint": "agb.example.com"}},
            "set only one of the two",
            id="a simulator and an endpoint",
        ),
        pytest.param(
            {"metrics": {"serviceMonitor": {"enabled": True}, "service": {"enabled": False}}},
            "set metrics.service.enabled",
            id="a ServiceMonitor with nothing to scrape",
        ),
    ],
)
def test_wrong_values_are_refused(helm: Helm, values: dict[str, Any], complaint: str) -> None:
    answer = helm("template", "x", str(CHART), values=values)
    assert not answer.succeeded
    assert complaint in answer.err


@pytest.mark.parametrize(
    "setting",
    ["operator.apiQps=0.5", "operator.apiQps=20", "replicaCount=2", "image.tag=v1.2", "watchNamespaces={a,b}"],
)
def test_values_may_come_from_the_command_line(helm: Helm, setting: str) -> None:
    answer = helm("template", "x", str(CHART), f"--set={setting}")
    assert answer.succeeded, answer.err


@pytest.mark.parametrize("kind", MONITORING)
def test_a_cluster_without_the_prometheus_operator_is_told_what_to_install(helm: Helm, kind: str) -> None:
    value = kind[0].lower() + kind[1:]
    answer = helm("template", "x", str(CHART), values={"metrics": {value: {"enabled": True}}})
    assert not answer.succeeded
    assert f"metrics.{value}.enabled needs the kind {kind}" in answer.err
    assert "install the Prometheus Operator first" in answer.err
    assert "metrics.renderMode=alwaysRender" in answer.err


@pytest.mark.parametrize(("mode", "rendered"), [("skipIfMissing", False), ("alwaysRender", True)])
@pytest.mark.parametrize("kind", MONITORING)
def test_what_needs_the_prometheus_operator_can_be_left_out_or_rendered_all_the_same(
    helm: Helm, kind: str, mode: str, rendered: bool
) -> None:
    value = kind[0].lower() + kind[1:]
    answer = helm("template", "x", str(CHART), values={"metrics": {"renderMode": mode, value: {"enabled": True}}})
    assert answer.succeeded, answer.err
    assert (f"kind: {kind}\n" in answer.out) is rendered


def test_the_schema_knows_every_value_and_no_other() -> None:
    """But for the deprecated ones, which only an upgrade with --reuse-values brings along."""

    def known(schema: dict[str, Any]) -> dict[str, Any]:
        parts = schema.get("properties", {}).items()
        return {name: known(part) for name, part in parts if not part.get("deprecated")}

    def given(values: Any, schema: dict[str, Any]) -> dict[str, Any]:
        return {name: given(values[name], schema.get(name, {})) for name in values} if schema else {}

    schema = known(json.loads((CHART / "values.schema.json").read_text()))
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert given(values, schema) == schema


def test_a_deprecated_value_is_still_taken_and_changes_nothing(helm: Helm) -> None:
    reused = helm("template", "x", str(CHART), "--set=operator.apiBurst=100")
    assert reused.succeeded, reused.err
    assert reused.out == helm("template", "x", str(CHART)).out


def test_everything_values_change_every_value() -> None:
    """So the tests that use them leave no value out."""

    def unchanged(default: Any, changed: Any, path: str) -> list[str]:
        if isinstance(default, dict) and default:
            return [
                found for key in default for found in unchanged(default[key], (changed or {}).get(key), f"{path}.{key}")
            ]
        return [path] if changed is None else []

    default = yaml.safe_load((CHART / "values.yaml").read_text())
    changed = yaml.safe_load((CHART / "ci" / "everything-values.yaml").read_text())
    assert unchanged(default, changed, "") == [".metrics.dashboard.labels.grafana_dashboard"]


def test_generated_files_are_up_to_date() -> None:
    for path, text in generate_chart.generated().items():
        assert path.read_text() == text, f"{path} is out of date: run `make generate`"


def test_a_value_without_a_comment_cannot_be_documented() -> None:
    with pytest.raises(ValueError, match=r"a\.c has no `# -- ` comment"):
        list(generate_chart.values("a:\n  # -- Text.\n  b: 1\n  c: 2\n"))


def test_braces_in_the_crd_survive_helm() -> None:
    crd = 'apiVersion: v1\nmetadata:\n  name: agbsessions.agb.cloud\nspec: "{{x}}"\n'
    assert 'spec: "{{ "{{" }}x}}"' in generate_chart.crd_template(crd)


def test_a_crd_with_metadata_of_its_own_is_refused() -> None:
    crd = "apiVersion: v1\nmetadata:\n  name: agbsessions.agb.cloud\n  labels: {}\nspec: {}\n"
    with pytest.raises(ValueError, match="a name and nothing else"):
        generate_chart.crd_template(crd)
