"""kubectl as a user runs it, and what it answers."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SECONDS = 120


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What one call of kubectl printed, and whether it succeeded."""

    succeeded: bool
    out: str
    err: str


class Kubectl:
    """Runs kubectl against one API server."""

    def __init__(self, *, program: Path, kubeconfig: Path, home: Path) -> None:
        """Leave kubectl's caches in `home`."""
        self._program = program
        self._env = {"KUBECONFIG": str(kubeconfig), "HOME": str(home)}

    def __call__(self, *args: str, stdin: str | None = None) -> Answer:
        """Run one command."""
        done = subprocess.run(
            [self._program, *args],
            env=self._env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
        return Answer(succeeded=done.returncode == 0, out=done.stdout, err=done.stderr)

    def apply(self, manifest: Mapping[str, Any], *flags: str) -> Answer:
        """Create or update an object."""
        return self("apply", *flags, "-f", "-", stdin=json.dumps(manifest))
