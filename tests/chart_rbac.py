"""The rights of the chart, on a real API server: end-to-end tests run the operator with these and no others.

    operator = chart_rbac.install(cluster, helm=helm, kubectl=kubectl, folder=tmp_path)
    env = {**os.environ, "KUBECONFIG": str(operator.kubeconfig)}
    subprocess.Popen(["agb-operator", *operator.args, ...], env=env)

The rules are rendered from the chart by Helm each time, so they cannot drift from what users install.
"""

import json
import os
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from control_plane import ControlPlane

CHART = Path(__file__).resolve().parent.parent / "charts" / "agb-operator"
RBAC_KINDS = frozenset({"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"})
_SECONDS = 60


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledOperator:
    """The operator's place in the cluster, without its Pod.

    Attributes:
        kubeconfig: for a token of the chart's ServiceAccount.
        namespace: the release namespace, which holds the lease.
        account: the name of the ServiceAccount in it.
        args: the arguments the chart gives the container, from `run` on; later flags win.
    """

    kubeconfig: Path
    namespace: str
    account: str
    args: tuple[str, ...]


def manifests(text: str) -> list[dict[str, Any]]:
    """Read YAML documents by libyaml, ten times as fast as yaml.safe_load_all: a chart with its CRDs is 60 KB."""
    return [item for item in yaml.load_all(text, yaml.CSafeLoader) if item]


def render(
    *, helm: Path, release: str, namespace: str, values: Mapping[str, Any], flags: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Return the objects of the chart, without touching a cluster."""
    command = [str(helm), "template", release, str(CHART), f"--namespace={namespace}", "--values=-", *flags]
    return manifests(_run(command, stdin=json.dumps(values)))


def install(
    cluster: ControlPlane,
    *,
    helm: Path,
    kubectl: Path,
    folder: Path,
    watch_namespaces: Sequence[str] = (),
    namespace: str = "agb-operator",
    release: str = "agb-operator",
    rbac: Mapping[str, bool] | None = None,
) -> InstalledOperator:
    """Apply the chart's ServiceAccount and rights, and return how to run the operator with them.

    Args:
        cluster: where to; it must run.
        helm: the program.
        kubectl: the program.
        folder: takes the kubeconfig.
        watch_namespaces: the chart's `watchNamespaces`; they are made if they do not exist. None: cluster-wide.
        namespace: the release namespace; made if it does not exist.
        release: name of the Helm release.
        rbac: the chart's value of that name, where it is to differ from the default.
    """
    values = {"watchNamespaces": list(watch_namespaces), "crds": {"enabled": False}, "rbac": dict(rbac or {})}
    objects = render(helm=helm, release=release, namespace=namespace, values=values)
    env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
    namespaces = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}]
    namespaces += [{**namespaces[0], "metadata": {"name": name}} for name in watch_namespaces]
    rights = [item for item in objects if item["kind"] in RBAC_KINDS]
    _run([str(kubectl), "apply", "--filename=-"], stdin=_list_of([*namespaces, *rights]), env=env)

    pod = next(item for item in objects if item["kind"] == "Deployment")["spec"]["template"]["spec"]
    account = pod["serviceAccountName"]
    token = _run([str(kubectl), "create", "token", account, f"--namespace={namespace}"], env=env).strip()
    path = folder / f"{release}.kubeconfig"
    return InstalledOperator(
        kubeconfig=cluster.kubeconfig_for_token(token, path, user=account, namespace=namespace),
        namespace=namespace,
        account=account,
        args=tuple(pod["containers"][0]["args"]),
    )


def _list_of(objects: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})


def _run(command: Sequence[str], *, stdin: str = "", env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, input=stdin, env=env, capture_output=True, text=True, timeout=_SECONDS, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
    return done.stdout
