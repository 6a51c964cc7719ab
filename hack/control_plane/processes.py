"""Components as processes: start, kill, stop, and the end of the log when something went wrong.

Owns nothing about Kubernetes. Reaping is the guard's job (`guard.py`): every component runs under one, in a
session of its own, so that it ends with us, however we end.
"""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import StartFailed

STOP_DEADLINE = 20.0
"""Seconds for an orderly end; the guard itself sends SIGKILL after ten."""
_PORTS = range(20_000, 30_000)
"""Below the ephemeral ports: while a component restarts, no outgoing connection takes its port."""
_GUARD = Path(__file__).with_name("guard.py")


class Component:
    """One program: etcd, kube-apiserver, kube-controller-manager, or one that makes these."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = name
        self.log = log
        """Standard output and error of the program, over all its starts."""
        self.pid = 0
        """Process id of the program itself while it runs."""
        self._folder = folder
        self._environment = environment
        self._command = [str(part) for part in command]
        self._guard: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start the program.

        Raises:
            StartFailed: the file cannot be executed.
        """
        if self.running:
            raise RuntimeError(f"{self.name} runs already")
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            self._guard = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_GUARD), str(os.getpid()), *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd=self._folder,
                env=self._environment,
            )
        assert self._guard.stdout is not None
        line = self._guard.stdout.readline()
        self._guard.stdout.close()
        if not line:
            self.stop()
            raise StartFailed(self.failure("did not start"))
        self.pid = int(line)

    @property
    def running(self) -> bool:
        """Whether the program runs."""
        return self._guard is not None and self._guard.poll() is None

    @property
    def exit_code(self) -> int | None:
        """How the program ended; None while it runs, and after `stop` and `kill`."""
        return self._guard.poll() if self._guard is not None else None

    def kill(self) -> None:
        """End the program with SIGKILL, as a crash would; returns when it is gone."""
        if self.running:
            os.kill(self.pid, signal.SIGKILL)
        self._reap()

    def stop(self) -> None:
        """End the program with SIGTERM, and SIGKILL after ten seconds; returns when it is gone."""
        self._reap()

    def wait_ready(self, probe: Callable[[], bool], *, timeout: float) -> None:
        """Wait until `probe` says True.

        Raises:
            StartFailed: the program ended, or `timeout` seconds passed.
        """
        deadline = time.monotonic() + timeout
        while not probe():
            if not self.running:
                raise StartFailed(self.failure("ended while it started"))
            if time.monotonic() > deadline:
                raise StartFailed(self.failure(f"was not ready after {timeout:.0f} s"))
            time.sleep(0.05)

    def failure(self, what: str) -> str:
        """Say what went wrong, with the end of the log of the last start."""
        tail = "\n".join(f"  | {line}" for line in self.log_of_last_start().splitlines()[-25:])
        return f"{self.name} {what}; the end of its log:\n{tail}"

    def log_of_last_start(self) -> str:
        """Return what the program wrote since it was last started."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return log.read().decode(errors="replace")

    def _reap(self) -> None:
        if self._guard is None:
            return
        self._guard.terminate()
        try:
            self._guard.wait(timeout=STOP_DEADLINE)
        except subprocess.TimeoutExpired:
            self._guard.kill()  # takes the program along: its parent-death signal
            self._guard.wait()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard = None
        self.pid = 0


def free_port() -> int:
    """Return a loopback port that nobody listens on right now; someone may take it before it is used."""
    for port in random.sample(_PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise StartFailed("no free port between 20000 and 30000 on 127.0.0.1")
