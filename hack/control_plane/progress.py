"""What takes long says so: what it is, how long it has taken, how long it may take. On standard error only.

On a terminal one line is rewritten each second; elsewhere, as in CI logs, a line appears every half minute.
"""

import shutil
import sys
import time
from types import TracebackType
from typing import Self, TextIO

_LOG_INTERVAL = 30.0
_TERMINAL_INTERVAL = 1.0


def say(message: str, *, stream: TextIO | None = None) -> None:
    """Print one line about the setting-up."""
    print(f"control-plane: {message}", file=stream or sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Write a duration as people say it."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


class Progress:
    """A `with` block around one long task; call `update` at least once a second inside."""

    def __init__(self, task: str, *, expect: str, stream: TextIO | None = None) -> None:
        """`task` is such as `building etcd 3.7.0`, `expect` a rough expectation such as `half a minute`."""
        self._task = task
        self._expect = expect
        self._stream = stream or sys.stderr
        self._began = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        say(f"{self._task} ({self._expect}) ...", stream=self._stream)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        took = duration(time.monotonic() - self._began)
        self._clear()
        say(f"{self._task}: {'done' if kind is None else 'given up'} after {took}", stream=self._stream)

    def update(self, steps: int = 0, total: int = 0, *, unit: str = "steps") -> None:
        """Show how long the task has taken, how far it is and how long it may still take, if it is time to.

        `steps` were made so far, of `total` at most; 0 where that is not known. They are counted in `unit`.
        """
        now = time.monotonic()
        terminal = self._stream.isatty()
        if now - self._shown < (_TERMINAL_INTERVAL if terminal else _LOG_INTERVAL):
            return
        self._shown = now
        text = f"{self._task}: {duration(now - self._began)} so far{_how_far(steps, total, unit, now - self._began)}"
        if terminal:
            self._clear()
            self._stream.write(f"control-plane: {text}"[: shutil.get_terminal_size().columns - 1])
            self._stream.flush()
        else:
            say(text, stream=self._stream)

    def _clear(self) -> None:
        if self._stream.isatty():
            self._stream.write("\r\x1b[K")


def _how_far(steps: int, total: int, unit: str, took: float) -> str:
    if not steps:
        return ""
    if not total:
        return f", {steps} {unit}"
    far = f", {min(steps, total)} of {total} {unit}"
    if steps >= total:
        return f"{far}, nearly done"
    return f"{far}, about {duration(took * (total - steps) / steps)} still" if steps * 20 >= total else far
