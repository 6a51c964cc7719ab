"""The regular look at all sessions that are settled.

Settled sessions cost no pass and no timer of their own: each round looks at all of a credential's sessions together
(by pages or one by one, whichever is fewer calls) and queues only those that changed behind our back. The rest, which
is nearly all, is left alone. The credentials do not wait for each other: one whose looks take long misses rounds, and
nobody else does.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.resource import AgbSession, SecretRef
from ..model.states import Observation
from ..policy import backoff
from ..policy.decide import is_settled
from .claims import Claims, Ours
from .intents import Intents
from .memory import Memory
from .queue import WorkQueue
from .store import Store

logger = logging.getLogger(__name__)

TRIES: Final = 3
"""Looks in a row that must fail before the settled resources are told so one by one."""
RETRY: Final = 5.0
"""Seconds before a failed look is repeated."""

_Credential = tuple[str, SecretRef | None]
"""A namespace, and the Secret in it or the operator's own key."""


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
    intents: Intents
    interval: float
    """Seconds between the starts of two rounds."""
    clock: Clock
    _under_way: set[_Credential] = field(init=False, default_factory=set)

    async def run(self) -> None:
        """Go on with rounds until cancelled; the first one begins at once, since much may have changed meanwhile."""
        async with asyncio.TaskGroup() as looks:
            while True:
                self.credentials.retain(self.store)
                for credential, sessions in self._settled().items():
                    if credential not in self._under_way:
                        self._under_way.add(credential)
                        looks.create_task(self._look(credential, sessions))
                await asyncio.sleep(backoff.jittered(self.interval, draw=self.clock.jitter()))

    def _settled(self) -> Mapping[_Credential, list[AgbSession]]:
        """Give what to look at, by credential."""
        groups: dict[_Credential, list[AgbSession]] = {}
        for session in self.store:
            if (
                not session.session_id
                or not is_settled(session, self.intents.last(session))
                or self.queue.is_pending(session.key)
            ):
                continue
            if not isinstance(self.claims.judge(session), Ours):
                self.queue.add(session.key)  # an older resource has come to manage its session meanwhile
                continue
            groups.setdefault((session.key.namespace, session.secret), []).append(session)
        return groups

    async def _look(self, credential: _Credential, sessions: Collection[AgbSession]) -> None:
        try:
            for tries_left in reversed(range(TRIES)):
                if await self._found(sessions, last=not tries_left):
                    return
                await asyncio.sleep(backoff.jittered(min(RETRY, self.interval), draw=self.clock.jitter()))
        finally:
            self._under_way.discard(credential)

    async def _found(self, sessions: Collection[AgbSession], *, last: bool) -> bool:
        """Look once and queue what has changed; tells whether the look succeeded."""
        try:
            client = await self.credentials.client_of(next(iter(sessions)))
        except AgbError:
            self._queue(sessions)  # their passes say what is wrong with the key
            return True
        try:
            seen = await self.observer.observe_all(client, {s.session_id: bool(s.image_id) for s in sessions})
        except AgbError as error:
            logger.warning("%d settled sessions could not be looked at: %s", len(sessions), error.message)
            if last:
                self._queue(sessions)  # each says so by itself
            return False
        for session in sessions:
            self._note(session, seen.get(session.session_id), client)
        return True

    def _note(self, session: AgbSession, look: Observation | None, client: SessionClient) -> None:
        known = self.store.get(session.key)
        if known is None or known.uid != session.uid:
            return
        seen_by_another_key = known.status.seen_with not in ("", client.witness(known.session_id))
        if look is None or look.status != known.status.session_status or seen_by_another_key:
            self.queue.add(session.key)
            return
        self.memory.note_look(known, look.state, client=client)
        remembered = self.memory.of(known)
        if known.status.usage is None and not remembered.first_count_asked:
            # An older operator has written this status: each is written once, spread over the round.
            remembered.first_count_asked = True
            self.queue.add_after(known.key, self.interval * self.clock.jitter())

    def _queue(self, sessions: Collection[AgbSession]) -> None:
        for session in sessions:
            if self.store.get(session.key) is not None:
                self.queue.add(session.key)
