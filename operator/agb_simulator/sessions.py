"""One session as the service keeps it, and the words for its states.

Owns the facts about a single session and what a read of its status says (lag and staleness included).
Which moves happen when is decided in `world.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any


class Status(StrEnum):
    """The statuses the API is known to use. A session may carry any other word if a test sets one."""

    CREATING = "CREATING"
    RUNNING = "RUNNING"
    PAUSING = "PAUSING"
    PAUSED = "PAUSED"
    RESUMING = "RESUMING"
    DELETING = "DELETING"
    FINISH = "FINISH"
    DELETED = "DELETED"


RELEASED = frozenset({"FINISH", "DELETED"})
"""Final statuses: such a session is out of ListSession, and only getSession still knows it."""

LEGAL_FROM: Mapping[str, Status] = {
    "pauseSessionAsync": Status.RUNNING,
    "resumeSessionAsync": Status.PAUSED,
    "releaseSessionAsync": Status.RUNNING,
    "releaseSession": Status.RUNNING,
}
"""The one status each action may be called in; the request log marks calls from any other as illegal."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stale:
    """An old status that reads still show: for `reads` more of them, and until `until` (clock seconds)."""

    status: str
    reads: int | None = None
    until: float | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Session:
    """A session. `number` gives the order of creation; `move` counts its status changes."""

    session_id: str
    number: int
    account: str
    image_id: str
    app_instance_id: str
    resource_id: str
    labels: Mapping[str, Any]
    status: str
    created_at: float
    idle_timeout: float | None = None
    seen_labels: frozenset[tuple[str, str]] = frozenset()
    touched_at: float = 0.0
    running_since: float = 0.0
    move: int = 0
    stale: Stale | None = None
    gone: bool = False
    _past: deque[tuple[float, str]] = field(default_factory=lambda: deque(maxlen=16))
    _past_labels: deque[tuple[float, Mapping[str, Any]]] = field(default_factory=lambda: deque(maxlen=16))

    def __post_init__(self) -> None:
        self._past.append((self.created_at, self.status))

    @property
    def live(self) -> bool:
        """Whether the session still exists for its account: listed, billed, counted."""
        return not self.gone and self.status not in RELEASED

    def become(self, status: str, at: float) -> None:
        """Take a status at clock time `at`; whatever was planned for the old one is void."""
        self.status = status
        self.move += 1
        self._past.append((at, status))

    def status_at(self, when: float) -> str:
        """The status at clock time `when`; before the creation, the first one."""
        for since, status in reversed(self._past):
            if since <= when:
                return status
        return self._past[0][1]

    def label(self, labels: Mapping[str, Any], at: float) -> None:
        """Carry these labels, and no others, from clock time `at` on."""
        self.labels = labels
        self._past_labels.append((at, labels))

    def labels_at(self, when: float) -> Mapping[str, Any]:
        """The labels at clock time `when`; before the creation, none."""
        return next((labels for since, labels in reversed(self._past_labels) if since <= when), {})

    def read_status(self, now: float, *, lag: float = 0.0) -> str:
        """What a read says now: the stale status while there is one (it uses up a read), else the true one."""
        stale = self.stale
        if stale is None:
            return self.status if lag == 0 else self.status_at(now - lag)
        if (stale.until is not None and now >= stale.until) or stale.reads == 0:
            self.stale = None
            return self.read_status(now, lag=lag)
        if stale.reads is not None:
            self.stale = replace(stale, reads=stale.reads - 1)
        return stale.status
