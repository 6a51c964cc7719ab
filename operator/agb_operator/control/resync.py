"""The regular look at all sessions that are settled.

Settled sessions cost no pass and no timer of their own: each round looks at all of an account's sessions together
(by pages or one by one, whichever is fewer calls) and queues only those that changed behind our back. The rest, which
is nearly all, is left alone.
"""

import asyncio
import logging
from collections.abc import Callable, Collection

from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..model.errors import AgbError
from ..model.resource import AgbSession
from ..policy import backoff
from ..policy.decide import is_settled
from .memory import Memory
from .queue import WorkQueue
from .store import Store

logger = logging.getLogger(__name__)

FAILED_ROUNDS = 3
"""Rounds in a row that must fail before the settled resources are told so one by one."""
RETRY = 5.0
"""Seconds before a failed round is repeated."""


class Resync:
    """Owns the rounds; finds what to queue and leaves the rest to passes.

    Args:
        store: the resources.
        queue: takes the keys that need a pass.
        credentials: gives each resource its account.
        observer: looks at many sessions at once.
        memories: is told what was seen.
        interval: seconds between the starts of two rounds.
        draw: random numbers in [0, 1), for jitter.
    """

    def __init__(
        self,
        *,
        store: Store,
        queue: WorkQueue,
        credentials: Credentials,
        observer: BatchedObserver,
        memory: Memory,
        interval: float,
        draw: Callable[[], float],
    ) -> None:
        self._store = store
        self._queue = queue
        self._credentials = credentials
        self._observer = observer
        self._memory = memory
        self._interval = interval
        self._draw = draw
        self._failures: dict[int, int] = {}

    async def run(self) -> None:
        """Go on with rounds until cancelled; the first one begins at once, since much may have changed meanwhile."""
        while True:
            complete = await self.round()
            pause = self._interval if complete else min(RETRY, self._interval)
            await asyncio.sleep(backoff.jittered(pause, draw=self._draw()))

    async def round(self) -> bool:
        """Look at everything settled once; tells whether every account could be looked at."""
        groups: dict[int, tuple[SessionClient, list[AgbSession]]] = {}
        for session in self._store:
            if not session.session_id or not is_settled(session) or self._queue.is_pending(session.key):
                continue
            if self._store.rival(session)[0]:
                self._queue.add(session.key)  # an older resource has come to manage its session meanwhile
                continue
            try:
                client = await self._credentials.client_of(session)
            except AgbError:
                self._queue.add(session.key)  # its pass says what is wrong with the key
                continue
            groups.setdefault(id(client), (client, []))[1].append(session)
        self._credentials.retain({(s.key.namespace, s.secret) for s in self._store if s.secret is not None})
        results = [await self._look(client, sessions) for client, sessions in groups.values()]
        return all(results)

    async def _look(self, client: SessionClient, sessions: Collection[AgbSession]) -> bool:
        try:
            seen = await self._observer.observe_all(client, {s.session_id: bool(s.image_id) for s in sessions})
        except AgbError as error:
            failures = self._failures[id(client)] = self._failures.get(id(client), 0) + 1
            logger.warning("%d settled sessions could not be looked at: %s", len(sessions), error.message)
            if failures < FAILED_ROUNDS:
                return False
            seen = {}  # from here on each says so by itself
        self._failures.pop(id(client), None)
        for session in sessions:
            look = seen.get(session.session_id)
            if look is None or look.status != session.status.session_status:
                self._queue.add(session.key)
            elif (known := self._store.get(session.key)) is not None and known.uid == session.uid:
                self._memory.note_look(session, look.state, client=id(client))
        return True
