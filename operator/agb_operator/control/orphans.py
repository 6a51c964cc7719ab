"""Living sessions that carry our cluster's label and that no resource names: duplicates, and what a backup has left.

A slow walk over what this operator has created. A session that no resource names at two rounds in a row is asked for
its labels, once. What carries the UID of a resource is a duplicate of its session, and its passes end it. What carries
the name of one, and the UID of none, is told to people there; the rest is counted.
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..agb.lanes import Lane, caller_lane
from ..agb.pages import PageWalk
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.resource import CLUSTER_LABEL, NAME_LABEL, NAMESPACE_LABEL, UID_LABEL, AgbSession
from ..policy import backoff
from ..policy.creation import living
from .memory import Memory
from .queue import WorkQueue
from .store import Store

logger = logging.getLogger(__name__)

QUESTIONS: Final = 20
"""Sessions of a key that are asked for their labels in a round, at most."""


@dataclass(kw_only=True, slots=True)
class _Account:
    """What is known of one key's sessions that no resource names."""

    unnamed: set[str] = field(default_factory=set)
    """Their ids at the last round."""
    labels: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Their labels, of those that were asked."""


@dataclass(kw_only=True, slots=True, eq=False)
class Orphans:
    """Owns the rounds, and which sessions are nobody's; ends nothing."""

    store: Store
    memory: Memory
    queue: WorkQueue
    """Takes the resources that need a pass."""
    credentials: Credentials
    own_labels: Mapping[str, str]
    """Labels that the sessions created by this operator carry."""
    namespaces: Collection[str]
    """The ones watched; empty for the whole cluster."""
    label_is_unshared: bool
    """Whether nobody else creates sessions with this cluster's label: only then is what is nobody's worth a warning."""
    clock: Clock
    interval: float = backoff.SLOW
    """Seconds between rounds."""
    _accounts: dict[SessionClient, _Account] = field(init=False, default_factory=dict)
    _warned: set[str] = field(init=False, default_factory=set)

    async def run(self) -> None:
        """Go on with rounds until cancelled."""
        while True:
            await asyncio.sleep(backoff.jittered(self.interval, draw=self.clock.jitter()))
            await self.round()

    async def round(self) -> None:
        """Look once at what each key lists; keys do not wait for each other."""
        clients = await self._clients()
        self._accounts = {client: self._accounts.get(client, _Account()) for client in clients}
        async with asyncio.TaskGroup() as group:
            for client, account in self._accounts.items():
                group.create_task(self._look(client, account))
        self._tell()

    def nobodys(self) -> int:
        """Count the sessions that carry our cluster's label and the UID of no resource."""
        return len(dict(self._ownerless()))

    async def _clients(self) -> set[SessionClient]:
        found = set()
        for session in {(s.secret and s.key.namespace, s.secret): s for s in self.store}.values():
            try:
                found.add(await self.credentials.client_of(session))
            except AgbError:
                continue  # the passes of its resources say so
        return found

    async def _look(self, client: SessionClient, account: _Account) -> None:
        caller_lane.set(Lane.CLOCK)  # nobody waits for it
        walk, listed = PageWalk(client=client, labels=self.own_labels), set[str]()
        try:
            while not walk.ended:
                listed |= {seen.session_id for seen in living((await walk.next_page()).sessions)}
            unnamed = {session_id for session_id in listed if not self.store.naming(session_id)}
            known = {each: labels for each, labels in account.labels.items() if each in unnamed}
            before, account.unnamed, account.labels = account.unnamed, unnamed, known
            # One that has just been created is named by its resource a moment later.
            for session_id in sorted(unnamed & before - known.keys())[:QUESTIONS]:
                known[session_id] = await client.get_labels(session_id)
        except AgbError as error:
            logger.debug("the sessions of no resource could not be looked for: %s", error.message)

    def _ours(self) -> list[tuple[str, Mapping[str, str]]]:
        """Give those that carry our cluster's label: a list may ignore what it was asked for."""
        cluster = self.own_labels[CLUSTER_LABEL]
        return [
            (session_id, labels)
            for account in self._accounts.values()
            for session_id, labels in account.labels.items()
            if labels.get(CLUSTER_LABEL) == cluster and not self.store.naming(session_id)
        ]

    def _ownerless(self) -> list[tuple[str, Mapping[str, str]]]:
        watched = self.namespaces
        return [
            (session_id, labels)
            for session_id, labels in self._ours()
            if not self.store.lives(labels.get(UID_LABEL, ""))
            and (not watched or labels.get(NAMESPACE_LABEL) in watched)
        ]

    def _tell(self) -> None:
        """Let the resources know that are concerned, and the log what is new."""
        uids = {labels.get(UID_LABEL, "") for _, labels in self._ours()}
        ownerless = dict(sorted(self._ownerless(), key=lambda one: one[0]))
        left: dict[tuple[str, str], str] = {}
        for session_id, labels in ownerless.items():
            left.setdefault((labels.get(NAMESPACE_LABEL, ""), labels.get(NAME_LABEL, "")), session_id)
            if self.label_is_unshared and session_id not in self._warned:
                logger.warning(
                    "session %s belongs to no AgbSession: it was created for %s/%s, whose UID no AgbSession has",
                    session_id,
                    labels.get(NAMESPACE_LABEL, "?"),
                    labels.get(NAME_LABEL, "?"),
                )
        self._warned = set(ownerless)
        for session in self.store:
            remembered = self.memory.of(session)
            before = remembered.left_behind
            remembered.left_behind = left.get(_labelled(session), "")
            duplicated = session.uid in uids and bool(session.session_id)
            remembered.duplicated = remembered.duplicated or duplicated
            if duplicated or remembered.left_behind != before:
                self.queue.add(session.key)


def _labelled(session: AgbSession) -> tuple[str, str]:
    """Give the namespace and the name as the labels of the resource's session have them."""
    labels = session.session_labels("")
    return labels[NAMESPACE_LABEL], labels[NAME_LABEL]
