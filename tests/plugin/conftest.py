"""`kubectl agb` as a user runs it: a real kubectl that finds the plugin, and a real API server."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from control_plane import ControlPlane
from kubectl import Kubectl

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


@pytest.fixture
def new_namespace(kubectl: Kubectl) -> Callable[[], str]:
    """Make namespaces."""

    def make() -> str:
        name = f"plugin-{next(_numbers)}"
        assert kubectl("create", "namespace", name).succeeded
        return name

    return make


@pytest.fixture
def agb(
    kubectl: Kubectl, kubectl_program: Path, plugin_env: dict[str, str], new_namespace: Callable[[], str]
) -> Plugin:
    """The plugin, with a namespace of the test's own."""
    return Plugin(kubectl_program=kubectl_program, namespace=new_namespace(), env=plugin_env, kubectl=kubectl)
