"""`kubectl agb` as a user runs it: a real kubectl that finds the plugin, and a real API server."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from control_plane import ControlPlane
from kubectl import Kubectl
from kubectl_agb.__main__ import main

PROGRAMS = Path(sys.executable).parent
_SECONDS = 120
_numbers = count(1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ended:
    """How a call ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """What it says of its failure, which is one line."""
        assert self.err.count("\n") == 1, self.err
        return self.err.strip()


@dataclass(frozen=True, kw_only=True, slots=True)
class Plugin:
    """Runs `kubectl agb` in one namespace."""

    kubectl_program: Path
    namespace: str
    env: Mapping[str, str]
    kubectl: Kubectl

    def __call__(self, *args: str, stdin: str | None = None, env: Mapping[str, str] | None = None) -> Ended:
        """Run one verb, in a zone that is not the test machine's and 80 columns wide."""
        done = subprocess.run(
            [self.kubectl_program, "agb", *args],
            env={**self.env, **(env or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr)

    def within(self, *args: str) -> Ended:
        """Run one verb in the namespace, in this process: a hundred of them would take minutes otherwise."""
        words = [*args, "-n", self.namespace]
        done = CliRunner().invoke(main, words, env=dict(self.env), prog_name="kubectl agb")
        return Ended(code=done.exit_code, out=done.stdout, err=done.stderr)

    def here(self, verb: str, *args: str, **more: Any) -> Ended:
        """Run a verb in the namespace."""
        return self(verb, *args, "-n", self.namespace, **more)


@pytest.fixture(scope="session")
def plugin_env(
    control_plane: ControlPlane, kubectl_program: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, str]:
    """What a user's shell has: kubectl and the plugin on the PATH, a kubeconfig, a home."""
    return {
        "PATH": os.pathsep.join([str(PROGRAMS), str(kubectl_program.parent), "/usr/bin", "/bin"]),
        "KUBECONFIG": str(control_plane.kubeconfig),
        "HOME": str(tmp_path_factory.mktemp("plugin-home")),
        "TZ": "Europe/Berlin",
        "COLUMNS": "80",
        "LANG": "C.UTF-8",
    }


@pytest.fixture(scope="session")
def new_plugin(kubectl: Kubectl, kubectl_program: Path, plugin_env: dict[str, str]) -> Callable[[], Plugin]:
    """Make plugins, each with a namespace of its own."""

    def make() -> Plugin:
        name = f"plugin-{next(_numbers)}"
        assert kubectl("create", "namespace", name).succeeded
        return Plugin(kubectl_program=kubectl_program, namespace=name, env=plugin_env, kubectl=kubectl)

    return make


@pytest.fixture
def agb(new_plugin: Callable[[], Plugin]) -> Plugin:
    """The plugin, with a namespace of the test's own."""
    return new_plugin()


@pytest.fixture
def fleet(agb: Plugin) -> "Fleet":
    """The objects of the test's namespace."""
    return Fleet(agb=agb)


@dataclass(frozen=True, kw_only=True, slots=True)
class Fleet:
    """Makes and reads objects as people and the operator do."""

    agb: Plugin

    def session(self, *names: str, labels: Mapping[str, str] | None = None, **spec: Any) -> None:
        """Apply AgbSessions."""
        self._apply(
            *(_manifest("AgbSession", name, {"sessionId": f"session-{name}", **spec}, labels or {}) for name in names)
        )

    def schedule(self, name: str, *, select: Mapping[str, str] | None = None, **spec: Any) -> None:
        """Apply an AgbPauseSchedule; it selects all unless `select` says else."""
        selector = {"matchLabels": dict(select)} if select else {}
        self._apply(_manifest("AgbPauseSchedule", name, {"selector": selector, "timeZone": "UTC", **spec}, {}))

    def asleep_now(self, name: str, **more: Any) -> None:
        """Apply a schedule that asks for a pause since yesterday, for two days more."""
        today = datetime.now(UTC).replace(hour=0, minute=0)
        bounds = ((today + timedelta(days=days)).strftime("%Y-%m-%dT%H:%M") for days in (-1, 2))
        begin, end = bounds
        self.schedule(name, windows=[{"from": begin, "to": end}], **more)

    def get(self, name: str) -> dict[str, Any]:
        """Read an AgbSession."""
        answer = self.agb.kubectl(
            "get", "agbsession", name, "-n", self.agb.namespace, "-o", "json", "--show-managed-fields"
        )
        assert answer.succeeded, answer.err
        found: dict[str, Any] = json.loads(answer.out)
        return found

    def spec(self, name: str) -> dict[str, Any]:
        """Read its spec."""
        spec: dict[str, Any] = self.get(name)["spec"]
        return spec

    def status(self, name: str, phase: str, *, reason: str = "", ready: str = "True", **more: Any) -> None:
        """Write a status as the operator would."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        generation = self.get(name)["metadata"]["generation"]

        def condition(kind: str, truth: str, why: str) -> dict[str, Any]:
            return {
                "type": kind,
                "status": truth,
                "reason": why,
                "message": f"{why}, says the test.",
                "lastTransitionTime": now,
                "observedGeneration": generation,
            }

        status = {
            "phase": phase,
            "sessionId": f"session-{name}",
            "observedGeneration": generation,
            "conditions": [
                condition("Ready", ready, reason or phase),
                condition("Paused", "True" if phase == "Paused" else "False", phase),
            ],
            **more,
        }
        answer = self.agb.kubectl(
            "patch", "agbsession", name, "-n", self.agb.namespace, "--subresource=status", "--type=merge",
            "--patch", json.dumps({"status": status}),
        )  # fmt: skip
        assert answer.succeeded, answer.err

    def _apply(self, *manifests: Mapping[str, Any]) -> None:
        listed = {"apiVersion": "v1", "kind": "List", "items": manifests}
        answer = self.agb.kubectl("apply", "-n", self.agb.namespace, "-f", "-", stdin=json.dumps(listed))
        assert answer.succeeded, answer.err


def _manifest(kind: str, name: str, spec: Mapping[str, Any], labels: Mapping[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "labels": dict(labels)}
    return {"apiVersion": "agb.cloud/v1alpha1", "kind": kind, "metadata": metadata, "spec": dict(spec)}
