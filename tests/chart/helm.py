"""Helm as a user runs it, and what it renders."""

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chart_rbac import CHART, manifests
from kubectl import Answer

CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
MONITORING = ("ServiceMonitor", "PodMonitor", "PrometheusRule")
_API_VERSIONS = [f"--api-versions=monitoring.coreos.com/v1/{kind}" for kind in MONITORING]
_SECONDS = 60

Values = Mapping[str, Any]
Manifest = dict[str, Any]


class Helm:
    """Runs Helm; with a kubeconfig, against a cluster."""

    def __init__(self, *, program: Path, home: Path, kubeconfig: Path | None = None) -> None:
        """Leave Helm's caches in `home`."""
        self._program = program
        self._env = {"HOME": str(home), "KUBECONFIG": str(kubeconfig or home / "none")}

    def __call__(self, *args: str, values: Values | None = None) -> Answer:
        """Run one command; `values` come on top of the chart's own."""
        stdin = None if values is None else json.dumps(values)
        done = subprocess.run(
            [self._program, *args, *([] if values is None else ["--values=-"])],
            env=self._env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Answer(succeeded=done.returncode == 0, out=done.stdout, err=done.stderr)

    def template(
        self, *flags: str, values: Values | None = None, release: str = "agb-operator", namespace: str = "operators"
    ) -> list[Manifest]:
        """Render the chart for a cluster with the Prometheus Operator, and return its objects."""
        answer = self(
            "template", release, str(CHART), f"--namespace={namespace}", *_API_VERSIONS, *flags, values=values or {}
        )
        assert answer.succeeded, answer.err
        return manifests(answer.out)


def only(manifests: list[Manifest], kind: str, name: str | None = None) -> Manifest:
    """Return the one object of a kind, and of a name if there are several of the kind."""
    (found,) = [item for item in manifests if item["kind"] == kind and name in (None, item["metadata"]["name"])]
    return found


def operator_container(manifests: list[Manifest]) -> Manifest:
    """Return the operator's container."""
    deployments = [item for item in manifests if item["kind"] == "Deployment"]
    containers = [item for deployment in deployments for item in deployment["spec"]["template"]["spec"]["containers"]]
    (found,) = [item for item in containers if item["name"] == "operator"]
    return dict(found)
