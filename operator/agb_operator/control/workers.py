"""The workers: they take keys from the queue, have one pass done for each, and queue the next.

Owns what becomes of a pass that fails in an unforeseen way or never ends: it touches that one resource, is counted and
logged with its traceback, and is tried again with back-off.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from ..agb.lanes import Lane, caller_lane
from ..model.resource import ObjectKey
from ..policy import backoff
from .metrics import Metrics
from .queue import WorkQueue

logger = logging.getLogger(__name__)

PASS_DEADLINE: Final = 180.0
"""Seconds for one pass, but for its waits for the key's bucket; every request inside is bounded more tightly."""
_CALLS: Final = 4
"""Calls to AGB that a pass makes one after the other, at most."""
_GRACE: Final = 30.0
"""Seconds after its deadline when a pass did not even let itself be given up."""


def pass_deadline(*, workers: int, slowest: float) -> float:
    """Give the seconds after which a pass has hung, though all workers may wait for one key's turns.

    Args:
        workers: how many passes may be under way.
        slowest: the lowest rate of a key, in calls a second.
    """
    return PASS_DEADLINE + _CALLS * workers / slowest


def hung_after(deadline: float) -> float:
    """Give the seconds after which a pass cannot even be given up any more."""
    return deadline + _GRACE


@dataclass(kw_only=True, slots=True, eq=False)
class Workers:
    """Owns the loops and the count of unforeseen failures per key."""

    queue: WorkQueue
    """Where the keys come from and go back to."""
    reconcile: Callable[[ObjectKey], Awaitable[float | None]]
    """Does one pass; returns the seconds until the next one, or None."""
    count: int
    """How many passes may be under way at once."""
    deadline: float = PASS_DEADLINE
    """Seconds after which a pass has hung, and is given up."""
    metrics: Metrics
    """Counts unforeseen failures."""
    on_pass: Callable[[], None]
    """Told of each finished pass, as proof of progress."""
    _crashes: dict[ObjectKey, int] = field(init=False, default_factory=dict)
    _began: dict[ObjectKey, float] = field(init=False, default_factory=dict)

    def problem(self) -> str:
        """Say which pass hangs, however many others get on; "" when none does."""
        now = asyncio.get_running_loop().time()
        for key, began in self._began.items():
            if now - began > hung_after(self.deadline):
                return f"a pass over {key} has been under way for {now - began:.0f} s"
        return ""

    async def run(self) -> None:
        """Work until cancelled; cancelling drops what is in flight, which the next process picks up by looking."""
        async with asyncio.TaskGroup() as group:
            for number in range(self.count):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while True:
            key = await self.queue.get()
            caller_lane.set(Lane.CLOCK if self.queue.by_clock(key) else Lane.PEOPLE)
            requeue: float | None = None
            self._began[key] = asyncio.get_running_loop().time()
            try:
                requeue = await self._pass(key)
            finally:
                del self._began[key]
                self.queue.done(key)
            self.on_pass()
            if requeue is not None:
                self.queue.add_after(key, requeue)

    async def _pass(self, key: ObjectKey) -> float | None:
        try:
            async with asyncio.timeout(self.deadline):
                requeue = await self.reconcile(key)
        except Exception:
            crashes = self._crashes[key] = self._crashes.get(key, 0) + 1
            self.metrics.reconcile_error("Unforeseen")
            logger.exception("%s: a pass ended in an unforeseen way; it is tried again", key)
            return backoff.retry_delay(crashes, draw=random.random())
        self._crashes.pop(key, None)
        return requeue
