"""Shows what the demo runs and how the object changes; owns the screen."""

import shlex
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self


class CommandFailed(Exception):
    """A command that the demo shows has failed; the text holds what it said."""


class Narrator:
    """Prints, runs kubectl in sight of the audience, and streams `kubectl get --watch` between the lines.

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
        self._color = sys.stdout.isatty()
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Tell what comes next."""
        self._print("", "")
        self._print("", self._bold(text))

    def show(self, text: str) -> None:
        """Print a block as it is, indented."""
        for line in text.rstrip().splitlines():
            self._print("", f"    {line}")

    def run(self, command: str, *, stdin: str | None = None) -> float:
        """Run a `kubectl ...` command line as shown; returns the seconds it took.

        Raises:
            CommandFailed: it ended with an error.
        """
        self._print("", f"  $ {self._bold(command)}")
        arguments = shlex.split(command)[1:]
        began = time.monotonic()
        done = subprocess.run(
            [self._kubectl, "--namespace", self._namespace, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        took = time.monotonic() - began
        self.show(done.stdout + done.stderr)
        if done.returncode != 0:
            raise CommandFailed(f"{command}: {done.stderr.strip()}")
        return took

    def quietly(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl out of sight and return what it printed.

        Raises:
            CommandFailed: it ended with an error.
        """
        done = subprocess.run(
            [self._kubectl, *arguments],
            env=self._environment,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise CommandFailed(f"kubectl {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def watch(self) -> "LiveTable":
        """Stream the table of AgbSessions until the `with` block ends."""
        command = [str(self._kubectl), "--namespace", self._namespace, "get", "agbsessions", "--watch"]
        return LiveTable(command, environment=self._environment, narrator=self)

    def row(self, line: str) -> None:
        """Print one line of the live table with the time since the start."""
        self._print(f"{time.monotonic() - self._began:6.1f}s ", self._dim(f"| {line}"))

    def _print(self, margin: str, text: str) -> None:
        with self._lock:
            print(f"{margin:8}{text}" if margin else text, flush=True)

    def _bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._color else text

    def _dim(self, text: str) -> str:
        return f"\033[36m{text}\033[0m" if self._color else text


class LiveTable:
    """`kubectl get --watch` beside the story: each line appears when the object changes."""

    def __init__(self, command: Sequence[str], *, environment: Mapping[str, str], narrator: Narrator) -> None:
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
        for line in lines:
            self._narrator.row(line.rstrip())
