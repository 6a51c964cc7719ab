"""Write the manifests for `kubectl apply -k` from the chart, so that both ways install the same.

    python hack/generate_deploy.py            # write
    python hack/generate_deploy.py --check    # exit 1 if something would change

`deploy/base` is the chart with its default values. `deploy/overlays/namespaced` holds what the namespaced mode
adds; its kustomization removes what the mode must not have. The kustomization files are written by hand.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from control_plane import find_helm

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "agb-operator"
DEPLOY = ROOT / "deploy"
RELEASE = NAMESPACE = "agb-operator"
EXAMPLE_NAMESPACES = ("team-a", "team-b")
_HEADER = "# Generated from charts/agb-operator by hack/generate_deploy.py; change that, and run `make generate`.\n"
_HELMS_OWN = ("helm.sh/chart", "helm.sh/resource-policy", "app.kubernetes.io/managed-by")
_FILES = {
    "CustomResourceDefinition": "crd.yaml",
    "ClusterRole": "rbac.yaml",
    "ClusterRoleBinding": "rbac.yaml",
    "Role": "rbac.yaml",
    "RoleBinding": "rbac.yaml",
}

Manifest = dict[str, Any]


def render(helm: Path, values: Mapping[str, Any]) -> list[Manifest]:
    """Return the chart's objects without Helm's own marks and hooks, in an order that Kustomize keeps."""
    command = [str(helm), "template", RELEASE, str(CHART), f"--namespace={NAMESPACE}", "--no-hooks", "--values=-"]
    text = subprocess.run(command, input=json.dumps(values), check=True, capture_output=True, text=True).stdout
    objects = [item for item in yaml.safe_load_all(text) if item]
    for item in objects:
        _strip(item["metadata"])
        if item["kind"] == "Deployment":
            _strip(item["spec"]["template"]["metadata"])
    return objects


def namespace() -> Manifest:
    """Return the operator's namespace, which admits only Pods under the strictest standard."""
    labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "audit", "warn")}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}


def generated(helm: Path) -> dict[Path, str]:
    """Return every generated file with what it should hold."""
    base = [namespace(), *render(helm, {})]
    namespaced = render(helm, {"watchNamespaces": list(EXAMPLE_NAMESPACES)})
    files: dict[Path, list[Manifest]] = {}
    for item in base:
        files.setdefault(DEPLOY / "base" / _FILES.get(item["kind"], "operator.yaml"), []).append(item)
    here = [_identity(item) for item in base]
    for item in namespaced:
        if _identity(item) not in here:
            name = item["metadata"].get("namespace", "finalizer")
            files.setdefault(DEPLOY / "overlays" / "namespaced" / f"{name}.yaml", []).append(item)
    return {path: _HEADER + yaml.safe_dump_all(items, sort_keys=False, width=110) for path, items in files.items()}


def _identity(item: Manifest) -> tuple[str, str, str]:
    return item["kind"], item["metadata"].get("namespace", ""), item["metadata"]["name"]


def _strip(metadata: Manifest) -> None:
    for field in ("labels", "annotations"):
        kept = {key: value for key, value in metadata.get(field, {}).items() if key not in _HELMS_OWN}
        metadata.pop(field, None)
        if kept:
            metadata[field] = kept


def main() -> int:
    """Write the files, or with --check name those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a file is out of date")
    check = parser.parse_args().check
    files = generated(find_helm())
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    for path in stale:
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: run `make generate`", file=sys.stderr)
        else:
            path.write_text(files[path])
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
