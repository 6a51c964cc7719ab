"""The configuration for kube-state-metrics reads what an AgbSession has."""

from typing import Any

import pytest
import yaml

from chart_rbac import CHART

CRD = yaml.safe_load((CHART.parent.parent / "crds" / "agbsessions.yaml").read_text())
(RESOURCE,) = yaml.safe_load((CHART / "files" / "kube-state-metrics.yaml").read_text())["spec"]["resources"]
(VERSION,) = CRD["spec"]["versions"]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
METADATA = {"properties": {"namespace": {"type": "string"}, "name": {"type": "string"}}}


def field(path: list[str], schema: dict[str, Any] = SCHEMA) -> dict[str, Any]:
    """Follow a path through a schema."""
    for name in path:
        schema = METADATA if name == "metadata" else schema["properties"][name]
    return schema


def parts() -> list[Any]:
    return [
        pytest.param(
            metric["each"]["type"], next(v for k, v in metric["each"].items() if k != "type"), id=metric["name"]
        )
        for metric in RESOURCE["metrics"]
    ]


def test_it_speaks_of_agb_sessions() -> None:
    assert RESOURCE["groupVersionKind"] == {
        "group": CRD["spec"]["group"],
        "version": VERSION["name"],
        "kind": CRD["spec"]["names"]["kind"],
    }
    for path in RESOURCE["labelsFromPath"].values():
        assert field(path)["type"] == "string"


@pytest.mark.parametrize(("kind", "part"), parts())
def test_every_path_leads_to_a_field(kind: str, part: dict[str, Any]) -> None:
    at = field(part.get("path", []))
    item = at.get("items", at)
    for path in [*part.get("labelsFromPath", {}).values(), *([part["valueFrom"]] if "valueFrom" in part else [])]:
        assert field(path, item)["type"] == "string"
    if kind == "StateSet":
        assert part["list"] == at["enum"]
