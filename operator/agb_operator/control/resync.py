"""The regular look at all sessions that are settled.

Settled sessions cost no pass and no timer of their own: each round looks at all of an account's sessions together
(by pages or one by one, whichever is fewer calls) and queues only those that changed behind our back. The rest, which
is nearly all, is left alone.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.resource import AgbSession
from ..policy import backoff
from ..policy.decide import is_settled
from .claims import Claims, Ours
from .memory import Memory
from .queue import WorkQueue
from .store import Store

logger = logging.getLogger(__name__)

FAILED_ROUNDS = 3
"""Rounds in a row that must fail before the settled resources are told so one by one."""
RETRY = 5.0
"""Seconds before a failed round is repeated."""


@dataclass(kw_only=True, slots=True, eq=False)
class Resync:
    """Owns the rounds; finds what to queue and leaves the rest to passes."""

    store: Store
    """The resources."""
    claims: Claims
    queue: WorkQueue
    """Takes the keys that need a pass."""
    credentials: Credentials
    """Gives each resource its account."""
    observer: BatchedObserver
    """Looks at many sessions at once."""
    memory: Memory
    interval: float
    """Seconds between the starts of two rounds."""
    clock: Clock
    _failures: WeakKeyDictionary[SessionClient, int] = field(init=False, default_factory=WeakKeyDictionary)

    async def run(self) -> None:
        """Go on with rounds until cancelled; the first one begins at once, since much may have changed meanwhile."""
        while True:
            complete = await self.round()
            pause = self.interval if complete else min(RETRY, self.interval)
            await asyncio.sleep(backoff.jittered(pause, draw=self.clock.jitter()))

    async def round(self) -> bool:
        """Look at everything settled once; tells whether every account could be looked at."""
        groups: dict[SessionClient, list[AgbSession]] = {}
        for session in self.store:
            if not session.session_id or not is_settled(session) or self.queue.is_pending(session.key):
                continue
            if not isinstance(self.claims.judge(session), Ours):
                self.queue.add(session.key)  # an older resource has come to manage its session meanwhile
                continue
            try:
                client = await self.credentials.client_of(session)
            except AgbError:
                self.queue.add(session.key)  # its pass says what is wrong with the key
                continue
            groups.setdefault(client, []).append(session)
        self.credentials.retain({(s.key.namespace, s.secret) for s in self.store if s.secret is not None})
        results = [await self._look(client, sessions) for client, sessions in groups.items()]
        return all(results)

    async def _look(self, client: SessionClient, sessions: Collection[AgbSession]) -> bool:
        try:
            seen = await self.observer.observe_all(client, {s.session_id: bool(s.image_id) for s in sessions})
        except AgbError as error:
            failures = self._failures[client] = self._failures.get(client, 0) + 1
            logger.warning("%d settled sessions could not be looked at: %s", len(sessions), error.message)
            if failures < FAILED_ROUNDS:
                return False
            seen = {}  # from here on each says so by itself
        self._failures.pop(client, None)
        for session in sessions:
            look = seen.get(session.session_id)
            if look is None or look.status != session.status.session_status:
                self.queue.add(session.key)
            elif (known := self.store.get(session.key)) is not None and known.uid == session.uid:
                self.memory.note_look(session, look.state, client=client)
        return True
