"""The programs of an end-to-end test: a simulator and an operator, each a process, and the ways to watch them."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.client import HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from agb_simulator.control import SimulatorControl
from kubectl import Kubectl

KEY = "simulator-key-a"
"""The key that the tests' simulators accept."""
STOP_SECONDS = 15.0

T = TypeVar("T")


def eventually(probe: Callable[[], T], *, within: float = 30.0, every: float = 0.1) -> T:
    """Call `probe` until it returns something true, and return that; fails after `within` seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            last: T | AssertionError = probe()
        except AssertionError as exc:
            last = exc
        if last and not isinstance(last, AssertionError):
            return last
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within:g} s; last: {last!r}")
        time.sleep(every)


def until_gone(kubectl: Kubectl, crd: str) -> None:
    """Wait for the end of a definition that is being deleted.

    A delete soon after a create finds the API server's storage for the kind not ready ("storage is (re)initializing"),
    and it tries again after ever longer pauses. An update of the definition makes it try at once.
    """

    def gone() -> bool:
        return not kubectl("annotate", crd, f"tests/try-again={time.monotonic()}", "--overwrite").succeeded

    eventually(gone, within=60, every=0.5)


def until_established(kubectl: Kubectl, crd: str) -> None:
    """Wait until a CRD, by `crd/NAME` or `--filename=FILE`, is served."""
    # kubectl does not wait for a status that is not there yet, but ends with an error.
    eventually(lambda: kubectl("wait", crd, "--for=condition=Established", "--timeout=30s").succeeded)


def environment(**more: str) -> dict[str, str]:
    """Give a process only what it needs, so that nothing of the developer's shell leaks into a test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TMPDIR") if name in os.environ}
    return {**kept, **more}


class Process:
    """A program that is stopped by its process id, whatever happens."""

    def __init__(self, command: Sequence[str], *, env: Mapping[str, str], log: Path) -> None:
        """Start it; stdout and stderr go to `log`, after what is in it."""
        self.log = log
        with log.open("ab") as out:
            self._popen = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out)

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def stop(self) -> int:
        """Ask it to end (SIGTERM) and return its exit code."""
        self._popen.send_signal(signal.SIGTERM)
        return self._popen.wait(STOP_SECONDS)

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        self._popen.kill()
        self._popen.wait(STOP_SECONDS)

    def wait(self, within: float) -> int:
        """Wait for it to end by itself and return its exit code."""
        return self._popen.wait(within)

    def close(self) -> None:
        """Leave nothing behind."""
        if self.running:
            self.kill()

    def text(self) -> str:
        """All it has written so far."""
        return self.log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Simulator(Process):
    """A simulator; `control` works its hooks."""

    def __init__(self, *flags: str, log: Path) -> None:
        """Start one on a free port and wait for it."""
        command = [sys.executable, "-m", "agb_simulator", "--port", "0", f"--api-key={KEY}", *flags]
        super().__init__(command, env=environment(), log=log)
        self.endpoint: str = eventually(self._address)
        self.control = SimulatorControl.over_http(self.endpoint)

    def _address(self) -> str:
        assert self.running, self.text()
        lines = self.text().splitlines()
        return str(json.loads(lines[0])["address"]) if lines else ""


class Operator(Process):
    """An operator; `get` asks its HTTP server."""

    def __init__(
        self,
        *flags: str,
        kubeconfig: Path,
        endpoint: str,
        log: Path,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "agb_operator"),
    ) -> None:
        """Start one; `ready` waits for it. `program` is what Python runs."""
        self._log_begins = log.stat().st_size if log.exists() else 0
        # The system chooses the port: one that was free a moment ago may be taken by another test's program.
        command = [sys.executable, *program, "run", "--http-address=127.0.0.1:0", *flags]
        given = {"KUBECONFIG": str(kubeconfig), "AGB_ENDPOINT": endpoint, **(env or {})}
        super().__init__(command, env=environment(**given), log=log)

    @property
    def address(self) -> str:
        """Where its HTTP server is; "" until it has said so."""
        with self.log.open("rb") as log:
            log.seek(self._log_begins)
            said = re.search(rb"/metrics are on port (\d+) of", log.read())
        return f"127.0.0.1:{int(said[1])}" if said else ""

    def ready(self, *, within: float = 60.0) -> Self:
        """Wait until it says that it is ready."""

        def probe() -> bool:
            assert self.running, self.text()
            return self.get("/readyz")[0] == 200

        eventually(probe, within=within)
        return self

    def get(self, path: str) -> tuple[int, str]:
        """Ask its HTTP server: status and text, (0, reason) without an answer."""
        address = self.address
        if not address:
            return 0, "it does not listen yet"
        try:
            with urllib.request.urlopen(f"http://{address}{path}", timeout=5) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as exc:
            with exc:
                return exc.code, exc.read().decode()
        except (OSError, HTTPException) as exc:  # it is gone, and somebody else may have its port by now
            return 0, str(exc)


def manifest(name: str, namespace: str, **spec: Any) -> dict[str, Any]:
    """An AgbSession as a user writes it."""
    return {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbSession",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }


ALL_DAY: Final[Mapping[str, Any]] = {"windows": [{"from": "2020-01-01T00:00", "to": "2999-01-01T00:00"}]}
"""When a schedule asks that always does."""


def nights(namespace: str, **spec: Any) -> dict[str, Any]:
    """An AgbPauseSchedule of UTC for the sessions with team=ml; `spec` says when, or selects others."""
    usual = {"selector": {"matchLabels": {"team": "ml"}}, "timeZone": "UTC"}
    return {**manifest("nights", namespace, **{**usual, **spec}), "kind": "AgbPauseSchedule"}
