"""What happened in a run: troubles, what users did, operators that came and went, and what must not have happened.

Every part of a run writes here, from threads of its own; the report at the end is read from here.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Life:
    """One operator process; times are seconds since the epoch."""

    replica: str
    fingerprint: str
    pid: int
    started: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """A time in which reads of a session (any session without one) may have been out of date, for that long each."""

    began: float
    ended: float
    lag: float
    session_id: str = ""


class Journal:
    """Safe for threads. `tell` is given each line as it happens."""

    def __init__(self, tell: Callable[[str], None] = lambda _: None) -> None:
        self.began = time.time()
        self.counts: Counter[str] = Counter()
        self.lives: list[Life] = []
        self.windows: list[Window] = []
        self.violations: list[str] = []
        self._tell = tell
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        """Count something too frequent for a line."""
        with self._lock:
            self.counts[what] += 1

    def note(self, what: str, text: str = "") -> None:
        """Count something, and tell it."""
        self.count(what)
        self._tell(f"{time.time() - self.began:6.1f} s  {what} {text}".rstrip())

    def started(self, life: Life) -> None:
        """Note an operator's start."""
        with self._lock:
            self.lives.append(life)

    def stale(self, window: Window) -> None:
        """Note that reads were out of date."""
        with self._lock:
            self.windows.append(window)

    def violated(self, text: str) -> None:
        """Note something that must never happen."""
        with self._lock:
            if text not in self.violations:
                self.violations.append(text)
        self._tell(f"{time.time() - self.began:6.1f} s  VIOLATION {text}")
