"""`kubectl apply -k` installs what the chart installs, and the API server takes it as it is."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

import generate_deploy
from chart_rbac import manifests
from generate_deploy import DEPLOY, EXAMPLE_NAMESPACES
from kubectl import Kubectl

OVERLAYS: Mapping[str, Mapping[str, Any]] = {
    "base": {},
    "overlays/namespaced": {"watchNamespaces": list(EXAMPLE_NAMESPACES)},
}


def build(kubectl: Kubectl, folder: str) -> list[dict[str, Any]]:
    answer = kubectl("kustomize", str(DEPLOY / folder))
    assert answer.succeeded, answer.err
    return manifests(answer.out)


def by_name(objects: list[dict[str, Any]]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]): item for item in objects}


def test_generated_manifests_are_up_to_date(helm_program: Path) -> None:
    for path, text in generate_deploy.generated(helm_program).items():
        assert path.read_text() == text, f"{path} is out of date: run `make generate`"


@pytest.mark.parametrize("folder", OVERLAYS)
def test_kustomize_builds_what_the_chart_renders(kubectl: Kubectl, helm_program: Path, folder: str) -> None:
    rendered = [generate_deploy.namespace(), *generate_deploy.render(helm_program, OVERLAYS[folder])]
    assert by_name(build(kubectl, folder)) == by_name(rendered)


@pytest.mark.parametrize("folder", OVERLAYS)
def test_the_api_server_takes_every_manifest_as_it_is(kubectl: Kubectl, folder: str) -> None:
    names = {item["metadata"]["namespace"] for item in build(kubectl, folder) if "namespace" in item["metadata"]}
    for name in names:  # a dry run creates no namespace for what comes after it
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        assert kubectl.apply(namespace).succeeded
    answer = kubectl("apply", "--dry-run=server", "--validate=strict", "-k", str(DEPLOY / folder))
    assert answer.succeeded, answer.err
    assert answer.err == ""
