"""Follows a fleet of AgbSessions: which ones are settled as they are asked to be, and when each became so."""

import asyncio
import contextlib
import time
from types import TracebackType
from typing import Self

from .kube import User


class Fleet:
    """Watches all AgbSessions while its context lasts."""

    def __init__(self, user: User) -> None:
        self._user = user
        self.settled_at: dict[str, float] = {}
        """Names of those that are settled, with the time of day at which that was seen."""
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        version = await self._list()
        self._watching = asyncio.create_task(self._watch(version))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watching.cancel()
        await asyncio.wait({self._watching})

    async def all_settled(self, count: int, *, within: float) -> bool:
        """Wait until `count` are settled, `within` seconds at most; tells whether they are."""
        if self._watching.done():
            self._watching.result()  # raises why
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                while len(self.settled_at) < count:
                    self._changed.clear()
                    await self._changed.wait()
        return len(self.settled_at) >= count

    async def _list(self) -> str:
        phases, version = await self._user.phases()
        now = time.time()
        self.settled_at = {name: self.settled_at.get(name, now) for name, phase in phases.items() if phase}
        self._changed.set()
        return version

    async def _watch(self, version: str) -> None:
        while True:
            async for seen in self._user.watch(version):
                if not seen.settled:
                    self.settled_at.pop(seen.name, None)
                elif seen.name not in self.settled_at:
                    self.settled_at[seen.name] = time.time()
                    self._changed.set()
            version = await self._list()  # the API server ends watches at times, e.g. after a change of the CRD
