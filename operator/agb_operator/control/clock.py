"""The clock as a cause of passes: sessions whose next change has come, and all whose schedules have changed.

Nothing is fired here: a key is queued when what is wanted of its session may be another thing than its status says,
and the pass asks again. The time of day is compared every second, since timers stand still while a machine is suspended
and know nothing of a clock that is set.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..model.resource import KIND, ObjectKey
from ..policy.decide import is_settled
from .intents import Intents
from .queue import WorkQueue
from .schedule_store import ScheduleStore
from .store import Store

COMPARED: Final = 1.0
"""Seconds between two looks at the time of day, at most."""
COUNTED: Final = 10.0
"""Seconds between two counts of the sessions of schedules, while sessions change."""
_AT_ONCE: Final = 200
"""Sessions that are asked about before others may run."""


@dataclass(kw_only=True, slots=True, eq=False)
class EdgeClock:
    """Owns the wait for the next moment."""

    intents: Intents
    store: Store
    """The sessions."""
    schedules: ScheduleStore
    queue: WorkQueue
    """Takes the keys that need a pass."""
    ahead: Callable[[], float]
    """Gives the seconds by which the time of day has jumped ahead so far; less than before when it was set back."""
    _changed: set[str | None] = field(init=False, default_factory=set)
    """Namespaces of which all is to be asked anew; None: all of them."""
    _wake: asyncio.Event = field(init=False, default_factory=asyncio.Event)
    _ahead: float = field(init=False, default=0.0)
    """What `ahead` has said last."""

    def ask_anew(self, namespace: str | None) -> None:
        """Have all sessions of a namespace (None: of all) asked about again: the schedules have changed."""
        self._changed.add(namespace)
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="edges")
            group.create_task(self._count(), name="counts of schedules")

    async def _follow(self) -> None:
        while True:
            self._wake.clear()
            while self._changed:
                await self._all_of(self._changed.pop())
            while (key := self.intents.due()) is not None:
                self._look(key)
            await self._until_something_is_due()

    async def _until_something_is_due(self) -> None:
        while not self._wake.is_set():
            self._compare()
            left = self.intents.seconds_left()
            if left <= 0:
                return
            try:
                # A session that is due earlier may come at any time, and does not wake this: a second is soon enough.
                async with asyncio.timeout(min(left, COMPARED)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    def _compare(self) -> None:
        """Have everything asked about anew where the clock was set back: what is due then is another thing."""
        before, self._ahead = self._ahead, self.ahead()
        if self._ahead < before:
            self.ask_anew(None)
            for schedule in self.schedules:
                self.queue.add(schedule.key)

    async def _all_of(self, namespace: str | None) -> None:
        for count, session in enumerate(self.store):
            if namespace in (None, session.key.namespace):
                self._look(session.key)
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)

    def _look(self, key: ObjectKey) -> None:
        session = self.store.get(key)
        if key.kind != KIND or (session is not None and not is_settled(session, self.intents.of(session))):
            self.queue.add(key)

    async def _count(self) -> None:
        counted = self.store.changes
        while True:
            await asyncio.sleep(COUNTED)
            if self.store.changes != counted:
                counted = self.store.changes
                for schedule in self.schedules:
                    self.queue.add(schedule.key)
