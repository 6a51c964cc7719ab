"""What the watch has missed: kopf does not report what was deleted while its watch was interrupted.

Compares the names that the API server has with the store, slowly and cheaply (names only, no content), and reads one by
one what the watch did not tell of. Owns these requests; what a resource means is the informer's to say.
"""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..model.errors import ClusterError, ObjectNotFound
from ..model.resource import ObjectKey
from .informer import Informer
from .store import Store

logger = logging.getLogger(__name__)

_READERS: Final = 8
"""Resources that are read one by one at the same time."""


class ObjectReader(Protocol):
    """The part of the cluster needed here; both raise any `ClusterError`."""

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read one AgbSession."""

    async def list_names(self, namespace: str | None = None) -> dict[tuple[str, str], str]:
        """List (namespace, name) -> uid of all AgbSessions of one namespace or of all."""


@dataclass(kw_only=True, slots=True, eq=False)
class Relist:
    """Owns the rounds, and the reads of single resources."""

    cluster: ObjectReader
    store: Store
    informer: Informer
    """Is told of each difference."""
    namespaces: Collection[str]
    """The ones watched; empty for the whole cluster."""
    interval: float
    """Seconds between rounds."""
    _listed: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _wanted: asyncio.Queue[ObjectKey] = field(init=False, default_factory=asyncio.Queue)
    _reading: set[ObjectKey] = field(init=False, default_factory=set)

    async def run(self) -> None:
        """Go on with rounds and reads until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds(), name="relist rounds")
            group.create_task(self._after_lists(), name="relist after a list")
            for number in range(_READERS):
                group.create_task(self._read_all(), name=f"relist reader {number}")

    def note_list(self) -> None:
        """Note that the watch lists everything anew: what was deleted meanwhile is told by no event."""
        self._listed.set()

    def fetch(self, key: ObjectKey) -> None:
        """Have a resource read that the watch has missed or may not tell of; soon, and once however often asked."""
        if key not in self._reading:
            self._reading.add(key)
            self._wanted.put_nowait(key)

    async def round(self, namespace: str | None, *, unknown: bool = True) -> None:
        """Compare the API server's names of one namespace (None: of all) with the store once.

        Args:
            namespace: the one.
            unknown: read what the store does not know; else only what is gone is told.
        """
        # Only what was known before the list began can be missing from it.
        known = {s.key: s.uid for s in self.store if namespace in (None, s.key.namespace)}
        if not (known or unknown):
            return
        names = {ObjectKey(*name): uid for name, uid in (await self.cluster.list_names(namespace)).items()}
        for key, uid in known.items():
            session = self.store.get(key)
            if names.get(key) != uid and session is not None and session.uid == uid:
                self.informer.gone(session)
        for key, uid in names.items() if unknown else ():
            session = self.store.get(key)
            if session is None or session.uid != uid:
                self.fetch(key)

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(self.interval)
            await self._everywhere(unknown=True)

    async def _after_lists(self) -> None:
        while True:
            await self._listed.wait()
            self._listed.clear()
            # The list itself is being read: what it brings is the watch's to tell.
            await self._everywhere(unknown=False)

    async def _everywhere(self, *, unknown: bool) -> None:
        for namespace in self.namespaces or (None,):
            try:
                await self.round(namespace, unknown=unknown)
            except ClusterError as error:
                logger.warning("the AgbSessions could not be listed: %s", error)

    async def _read_all(self) -> None:
        while True:
            key = await self._wanted.get()
            self._reading.discard(key)
            await self._read(key)

    async def _read(self, key: ObjectKey) -> None:
        try:
            body = await self.cluster.read(key.namespace, key.name)
        except ObjectNotFound:
            if (known := self.store.get(key)) is not None:
                self.informer.gone(known)
        except ClusterError as error:
            logger.warning("%s: could not be read: %s", key, error)
        else:
            self.informer.event(None, body)
