"""What an event of the watch does: it updates the store and queues the key.

Owns also what becomes of a resource that is no more, whether the watch has told that or a pass has found it out.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..model.resource import AgbSession, ObjectKey
from ..policy.decide import is_settled
from .claims import Claims
from .intents import Intents
from .memory import Memory
from .metrics import Metrics
from .queue import WorkQueue
from .store import Store

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True, eq=False)
class Informer:
    """Takes in what the watch says."""

    store: Store
    """Is told of every version, and tells what is gone."""
    queue: WorkQueue
    """Takes the keys of resources that need a pass."""
    claims: Claims
    memory: Memory
    intents: Intents
    metrics: Metrics
    """Counts overrides."""
    on_activity: Callable[[], None]
    """Told of each event, as proof that the watch lives."""

    def __post_init__(self) -> None:
        self.store.on_gone = self._forget

    def event(self, kind: str | None, body: dict[str, Any]) -> None:
        """Take in one event: kind ADDED, MODIFIED, DELETED, or None for what a list found."""
        self.on_activity()
        session = AgbSession.from_body(body)
        if kind == "DELETED":
            self.gone(session)
            return
        before = self.store.put(session, listed=kind is None)
        current = self.store.get(session.key)
        if before is None or before.uid != session.uid:
            if not is_settled(session, self.intents.of(session)) or session.status.may_have_duplicates:
                self.queue.add(session.key)
        elif current is not None and current.asks != before.asks:
            # Our own status writes come back as events, too; only what people can change asks for a pass. It may also
            # decide who of several manages the session. What is written without end is followed at a pace of its own.
            wait = self.memory.change_waits(current)
            self.queue.add_after(session.key, wait)
            self._queue_those_naming_it(session, after=wait)
            if current.override is not None and current.override != before.override:
                self.metrics.override(current.override.state)
        elif (
            current is not None
            and not is_settled(current, self.intents.of(current))
            and not self.queue.is_pending(current.key)
        ):
            # Work that is left has its pass scheduled. Where it has none, another replica has written this status
            # before it ended, or a person has: go on from there.
            self.queue.add(session.key)

    def tells_more(self, line: bytes) -> bool:
        """Tell whether an event of the watch, as it is sent, says more than the store knows."""
        try:
            event = json.loads(line)
            kind, meta = event["type"], event["object"]["metadata"]
            key, uid, version = ObjectKey(meta["namespace"], meta["name"]), meta["uid"], meta["resourceVersion"]
        except (ValueError, KeyError, TypeError):
            return True  # an error or a bookmark: kopf's to understand
        if kind != "MODIFIED" or not self.store.has(key, uid=uid, version=version):
            return True
        self.on_activity()
        return False

    def gone(self, session: AgbSession) -> None:
        """Take out a resource that no longer exists."""
        self.store.remove(session.key, session.uid)

    def _forget(self, session: AgbSession) -> None:
        """Keep nothing of a resource that is no more; whoever waited for its session is looked at anew."""
        self.memory.forget(session.key)
        self.intents.forget(session.key)
        self.claims.forget(session.uid)
        if self.store.get(session.key) is None:
            self.queue.add(session.key)  # its last pass forgets, also what one that is under way still remembers
        self._queue_those_naming_it(session)

    def _queue_those_naming_it(self, session: AgbSession, *, after: float = 0.0) -> None:
        for other in self.store.naming(session.session_id):
            if other.key != session.key:
                self.queue.add_after(other.key, after)
