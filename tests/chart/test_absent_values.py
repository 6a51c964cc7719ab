"""A value that is taken out, or that the chart before did not know, has its default."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from chart.helm import Helm, operator_container
from chart_rbac import CHART, manifests

BEFORE = Path(__file__).resolve().parent / "before" / "agb-operator-0.1.0.tgz"
"""The first chart, kept as it was."""
DEFAULTS = yaml.safe_load((CHART / "files" / "defaults.yaml").read_text())


def paths(values: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in values.items():
        yield above + name
        if isinstance(value, dict):
            yield from paths(value, f"{above}{name}.")


def at(path: str) -> Any:
    value: Any = DEFAULTS
    for name in path.split("."):
        value = value[name]
    return value


@pytest.mark.parametrize("path", list(paths(DEFAULTS)))
def test_a_value_that_is_taken_out_has_its_default(path: str, helm: Helm) -> None:
    rendered = helm.template(f"--set={path}=null")
    assert at(path) == {} or rendered == helm.template(), "only a map of the user's own can be taken out"


def test_all_values_at_once_may_be_absent(helm: Helm, tmp_path: Path) -> None:
    """As `helm upgrade --reuse-values` leaves the values that the chart before did not know."""
    shutil.copytree(CHART, tmp_path / "chart")
    free = {"livenessProbe", "readinessProbe", "resources", "podSecurityContext", "securityContext"}
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    kept = {name: value for name, value in values.items() if name in free}
    kept["simulator"] = {"resources": values["simulator"]["resources"]}
    (tmp_path / "chart" / "values.yaml").write_text(json.dumps(kept))
    bare = helm("template", "agb-operator", str(tmp_path / "chart"), "--namespace=operators")
    assert bare.succeeded, bare.err
    assert bare.out == helm("template", "agb-operator", str(CHART), "--namespace=operators").out


@pytest.mark.parametrize("value", ["operator.workers=0", "crds.enabled=no", "podDisruptionBudget.maxUnavailable=-1"])
def test_a_default_stands_in_for_nothing_that_was_given(value: str, helm: Helm) -> None:
    assert not helm("template", "x", str(CHART), f"--set={value}").succeeded


def test_what_is_switched_off_stays_off(helm: Helm) -> None:
    objects = helm.template("--set=crds.enabled=false,rbac.create=false,replicaCount=0")
    assert not {"CustomResourceDefinition", "ClusterRoleBinding"} & {item["kind"] for item in objects}
    (deployment,) = [item for item in objects if item["kind"] == "Deployment"]
    assert deployment["spec"]["replicas"] == 0


@pytest.mark.parametrize("probe", ["livenessProbe", "readinessProbe"])
def test_a_probe_can_be_switched_off(probe: str, helm: Helm) -> None:
    container = operator_container(helm.template(f"--set={probe}=null"))
    assert {"livenessProbe", "readinessProbe"} - container.keys() == {probe}


@pytest.mark.parametrize("enabled", [True, False])
def test_a_chart_that_depends_on_this_one_can_leave_it_out(enabled: bool, helm: Helm, tmp_path: Path) -> None:
    (tmp_path / "Chart.yaml").write_text(
        "{apiVersion: v2, name: umbrella, version: 0.1.0, "
        "dependencies: [{name: agb-operator, version: '>=0', condition: agb-operator.enabled}]}"
    )
    (tmp_path / "values.yaml").write_text(
        json.dumps(
            {
                "agb-operator": {"enabled": enabled, "operator": {"workers": None}},
                "global": {"imageRegistry": "registry.example.org"},
            }
        )
    )
    shutil.copytree(CHART, tmp_path / "charts" / "agb-operator")
    answer = helm("template", "x", str(tmp_path))
    assert answer.succeeded, answer.err
    assert ("--workers=256" in answer.out) == enabled


@pytest.mark.usefixtures("clean_cluster")
def test_an_upgrade_that_reuses_the_values_of_the_first_chart_works(cluster_helm: Helm) -> None:
    names = ["agb-operator", "--namespace=before"]
    ours = "--set=operator.workers=7"
    try:
        made = cluster_helm("install", names[0], str(BEFORE), names[1], "--create-namespace", ours)
        assert made.succeeded, made.err
        changed = cluster_helm("upgrade", names[0], str(CHART), names[1], "--reuse-values")
        assert changed.succeeded, changed.err
        manifest = manifests(cluster_helm("get", "manifest", *names).out)
    finally:
        cluster_helm("uninstall", *names)
    # The first chart's default for the rate is among the values that are reused, as a bound now.
    fresh = cluster_helm("template", *names, str(CHART), ours, "--set=operator.apiQps=50")
    assert operator_container(manifest) == operator_container(manifests(fresh.out))
