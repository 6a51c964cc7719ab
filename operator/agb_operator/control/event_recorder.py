"""Events on their way to the API server: statuses go before them, and nothing waits for them.

Owns their queue, and what becomes of one that cannot be sent: while the API server is away it is tried again, under one
name, so that it is there once; then it is dropped with a line in the log. As in client-go, Events are best effort: what
people must not miss is in the status.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..model.clock import Clock
from ..model.errors import ClusterError, ClusterUnavailable, Conflict
from ..model.event import Event, RecordedEvent
from ..model.resource import AgbSession

logger = logging.getLogger(__name__)

ROOM: Final = 20_000
"""Events that may wait; each is about a kilobyte, and after a burst some hundred are sent in a second."""
TRIES: Final = 5
PATIENCE: Final = 60.0
"""Seconds for which an Event lets everything else go first."""
_BUSY_CHECK: Final = 0.1
_FIRST_WAIT: Final = 1.0
_SENDERS: Final = 2
"""Requests at once: few, so that in a burst nearly all the requests under way are statuses."""
_LAST_WORDS: Final = 1.0
"""Seconds for the events that still wait when the process is told to end: a standby waits for the Lease meanwhile."""


class EventWriter(Protocol):
    """The part of the cluster needed here; raises any `ClusterError`."""

    @property
    def busy(self) -> bool:
        """Whether the next request would have to wait for its turn."""

    async def record_event(self, recorded: RecordedEvent) -> None:
        """Create one Event about an AgbSession; a `Conflict` says that it is there already."""


@dataclass(kw_only=True, slots=True, eq=False)
class EventRecorder:
    """Sends Events in the order they came."""

    cluster: EventWriter
    """Takes them."""
    leads: Callable[[], bool]
    """Says whether this replica may act at this very moment; asked right before each try."""
    clock: Clock
    _nanoseconds: int = field(init=False, default=0)
    _waiting: asyncio.Queue[RecordedEvent] = field(init=False, default_factory=lambda: asyncio.Queue(ROOM))

    def record(self, session: AgbSession, event: Event) -> None:
        """Take an Event that happens now; it is sent soon."""
        at = self.clock.wall()
        # Named as client-go's, so that a list shows them in their order; `kubectl describe` knows only whole seconds.
        self._nanoseconds = max(self._nanoseconds + 1, int(at.timestamp() * 1e6) * 1000)
        recorded = RecordedEvent(
            event=event, key=session.key, uid=session.uid, at=at, event_id=f"{self._nanoseconds:x}"
        )
        try:
            self._waiting.put_nowait(recorded)
        except asyncio.QueueFull:
            _drop(recorded, f"{ROOM} others wait")

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_SENDERS):
                group.create_task(self._send_all(), name=f"event sender {number}")

    async def flush(self) -> None:
        """Send what still waits, for a second at most; call it when nothing is recorded any more."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                while not self._waiting.empty():
                    await self._send_next(self._waiting.get_nowait())
        while not self._waiting.empty():
            _drop(self._waiting.get_nowait(), "the process ends")

    async def _send_all(self) -> None:
        while True:
            recorded = await self._waiting.get()
            await self._send_next(recorded, patience=PATIENCE)

    async def _send_next(self, recorded: RecordedEvent, *, patience: float = 0.0) -> None:
        try:
            await self._let_statuses_go_first(recorded, patience)
            await self._send(recorded)
        except asyncio.CancelledError:
            with contextlib.suppress(asyncio.QueueFull):
                self._waiting.put_nowait(recorded)  # for `flush`; were it sent already, its name would be taken
            raise

    async def _let_statuses_go_first(self, recorded: RecordedEvent, patience: float) -> None:
        for _ in range(round(patience / _BUSY_CHECK)):
            if not self.cluster.busy or (self.clock.wall() - recorded.at).total_seconds() >= patience:
                return
            await asyncio.sleep(_BUSY_CHECK)

    async def _send(self, recorded: RecordedEvent) -> None:
        wait = _FIRST_WAIT
        for tries_left in reversed(range(TRIES)):
            if not self.leads():
                _drop(recorded, "this replica does not lead any more")
                return
            try:
                await self.cluster.record_event(recorded)
            except Conflict:
                return  # the answer to an earlier try was lost
            except ClusterUnavailable as error:
                if not tries_left:
                    _drop(recorded, str(error))
                    return
                await asyncio.sleep(max(wait, error.retry_after or 0.0))
                wait *= 2
            except ClusterError as error:
                _drop(recorded, str(error))
                return
            else:
                return


def _drop(recorded: RecordedEvent, why: str) -> None:
    logger.warning("%s: event %s could not be sent: %s", recorded.key, recorded.event.reason, why)
