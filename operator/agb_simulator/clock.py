"""Time as the simulator sees it: an injected source that can be frozen and moved ahead, and an agenda.

Everything that happens later (a pause that settles, a label that becomes visible, a timeout) is one
entry of the agenda, run before the next request is answered. There is no task per session, so ten
thousand sessions that move at once cost ten thousand heap entries and nothing while they wait.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from itertools import count


class Clock:
    """Seconds from `source`, shifted by `advance` and held still by `freeze`. It never goes back."""

    def __init__(self, source: Callable[[], float]) -> None:
        self._source = source
        self._ahead = 0.0
        self._frozen_at: float | None = None

    def now(self) -> float:
        """The simulated time in seconds; only differences mean something."""
        return self._source() + self._ahead if self._frozen_at is None else self._frozen_at

    @property
    def frozen(self) -> bool:
        """Whether time stands still until `advance` or `thaw`."""
        return self._frozen_at is not None

    def advance(self, seconds: float) -> None:
        """Move time ahead by `seconds`, frozen or not. Raises ValueError for a negative number."""
        if seconds < 0:
            raise ValueError("the clock cannot go back: 'advance' must be 0 or more seconds")
        if self._frozen_at is None:
            self._ahead += seconds
        else:
            self._frozen_at += seconds

    def freeze(self) -> None:
        """Hold time where it is."""
        self._frozen_at = self.now()

    def thaw(self) -> None:
        """Let time flow again from where it was held."""
        if self._frozen_at is not None:
            self._ahead = self._frozen_at - self._source()
            self._frozen_at = None


class Agenda:
    """Things to do at given times, in order of time and, at the same time, of entry."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, int, Callable[[float], None]]] = []
        self._order = count()

    def add(self, when: float, do: Callable[[float], None]) -> None:
        """Have `do(when)` called by the first `run` at or after `when`."""
        heapq.heappush(self._entries, (when, next(self._order), do))

    def run(self, now: float) -> None:
        """Do all that is due, also what a due entry adds for a time that has passed already."""
        while self._entries and self._entries[0][0] <= now:
            when, _, do = heapq.heappop(self._entries)
            do(when)
