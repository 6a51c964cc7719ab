"""Shows what the demo runs and how the object changes; owns the screen."""

import os
import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

from .stage import ROOT

_COLUMNS: Final = {
    "NAME": ".metadata.name",
    "STATE": ".status.phase",
    "DESIRED": ".status.desiredState",
    "READY": '.status.conditions[?(@.type=="Ready")].status',
    "SESSION": ".status.sessionId",
}


class CommandFailed(Exception):
    """A command of the demo has failed; the text holds what it said."""


class Narrator:
    """Prints, runs kubectl in sight of the audience, and streams how the object changes between the lines.

    Args:
        kubectl: the program.
        environment: of each command; it names the cluster.
        namespace: where the demo plays.
    """

    def __init__(self, *, kubectl: Path, environment: Mapping[str, str], namespace: str) -> None:
        self._kubectl = kubectl
        self._environment = dict(environment)
        self._namespace = namespace
        self._began = time.monotonic()
        self._color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Tell what comes next."""
        self._print(f"\n{self._styled(text, '1')}")

    def show(self, text: str) -> None:
        """Print a block as it is, indented."""
        for line in text.rstrip().splitlines() or [""]:
            self._print(f"    {line}".rstrip())

    def run(self, command: str, *, namespaced: bool = True) -> float:
        """Run a `kubectl ...` command line as shown, from the repository's root; returns the seconds it took.

        Raises:
            CommandFailed: it ended with an error.
        """
        if namespaced:
            command = command.replace("kubectl ", f"kubectl -n {self._namespace} ", 1)
        self._print(f"  $ {self._styled(command, '1;32')}")
        began = time.monotonic()
        done = self._kubectl_run(*shlex.split(command)[1:])
        took = time.monotonic() - began
        self.show(done.stdout)
        if done.returncode != 0:
            raise CommandFailed(f"{command}: {done.stderr.strip()}")
        return took

    def timed(self, command: str) -> None:
        """Run a command line and say how long it took."""
        self.show(f"It took {self.run(command):.1f} s.")

    def quietly(self, *arguments: str) -> str:
        """Run kubectl out of sight and return what it printed.

        Raises:
            CommandFailed: it ended with an error.
        """
        done = self._kubectl_run(*arguments)
        if done.returncode != 0:
            raise CommandFailed(f"kubectl {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def patiently(self, *arguments: str, seconds: float = 30.0) -> None:
        """Run kubectl out of sight, again and again, until it succeeds.

        Raises:
            CommandFailed: it still ends with an error after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while True:
            try:
                self.quietly(*arguments)
                return
            except CommandFailed:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)

    def watch(self) -> "LiveTable":
        """Print a line whenever the shown part of an AgbSession changes, until the `with` block ends."""
        columns = ",".join(f"{title}:{path}" for title, path in _COLUMNS.items())
        wanted = ["get", "agbsessions", "--watch", "--no-headers", f"--output=custom-columns={columns}"]
        command = [str(self._kubectl), f"--namespace={self._namespace}", *wanted]
        return LiveTable(command, environment=self._environment, narrator=self)

    def row(self, values: list[str]) -> None:
        """Print one line of the live table with the time since the start."""
        cells = "".join(f"{value:{width}}" for value, width in zip(values, (9, 10, 9, 7, 0), strict=True))
        self._print(self._styled(f"{time.monotonic() - self._began:9.1f} s | {cells}", "36"))

    def _kubectl_run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._kubectl, *arguments],
            env=self._environment,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def _print(self, text: str) -> None:
        with self._lock:
            print(text, flush=True)

    def _styled(self, text: str, style: str) -> str:
        return f"\033[{style}m{text}\033[0m" if self._color else text


class LiveTable:
    """`kubectl get --watch` beside the story; versions that look the same are left out."""

    def __init__(self, command: list[str], *, environment: Mapping[str, str], narrator: Narrator) -> None:
        self._command = command
        self._environment = environment
        self._narrator = narrator

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command, env=dict(self._environment), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._process.stdout,), daemon=True)
        self._reader.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self, lines: IO[str]) -> None:
        last = list(_COLUMNS)
        for line in lines:
            values = ["-" if value == "<none>" else value for value in line.split()]
            if len(values) != len(_COLUMNS) or values == last:
                continue
            if last == list(_COLUMNS):
                self._narrator.row(last)
            self._narrator.row(values)
            last = values
