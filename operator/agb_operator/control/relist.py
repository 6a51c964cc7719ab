"""The sweep for what the watch has missed: kopf does not report what was deleted while its watch was interrupted.

Compares the names that the API server has with the store, slowly and cheaply (names only, no content).
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from typing import Protocol

from ..model.errors import ClusterError
from ..model.resource import AgbSession, ObjectKey
from .store import Store

logger = logging.getLogger(__name__)


class NameLister(Protocol):
    """The part of the cluster needed here."""

    async def list_names(self, namespace: str | None = None) -> dict[tuple[str, str], str]:
        """List (namespace, name) -> uid of all AgbSessions of one namespace or of all; raises any `ClusterError`."""


class Relist:
    """Owns the rounds; tells of each difference and changes nothing itself.

    Args:
        cluster: lists names.
        store: the resources as the watch says.
        namespaces: the ones watched; empty for the whole cluster.
        interval: seconds between rounds.
        on_missing: told of a resource that no longer exists.
        on_unknown: told of one that the watch never reported.
    """

    def __init__(
        self,
        *,
        cluster: NameLister,
        store: Store,
        namespaces: Collection[str],
        interval: float,
        on_missing: Callable[[AgbSession], None],
        on_unknown: Callable[[ObjectKey], None],
    ) -> None:
        self._cluster = cluster
        self._store = store
        self._namespaces: list[str | None] = list(namespaces) or [None]
        self._interval = interval
        self._on_missing = on_missing
        self._on_unknown = on_unknown

    async def run(self) -> None:
        """Go on with rounds until cancelled."""
        while True:
            await asyncio.sleep(self._interval)
            for namespace in self._namespaces:
                try:
                    await self.round(namespace)
                except ClusterError as error:
                    logger.warning("the AgbSessions could not be listed: %s", error)

    async def round(self, namespace: str | None) -> None:
        """Compare the API server's names of one namespace (None: of all) with the store once."""
        # Only what was known before the list began can be missing from it.
        known = {s.key: s.uid for s in self._store if namespace in (None, s.key.namespace)}
        names = {ObjectKey(*name): uid for name, uid in (await self._cluster.list_names(namespace)).items()}
        for key, uid in known.items():
            session = self._store.get(key)
            if names.get(key) != uid and session is not None and session.uid == uid:
                self._on_missing(session)
        for key, uid in names.items():
            session = self._store.get(key)
            if session is None or session.uid != uid:
                self._on_unknown(key)
