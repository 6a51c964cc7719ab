"""Events on their way to the API server: statuses go before them, and nothing waits for them.

Owns their lines, one for each namespace, the budget of each object, and what becomes of an Event that cannot be sent:
while the API server is away it is tried again, under one name, so that it is there once; then it is dropped with a line
in the log. As in client-go, Events are best effort: what people must not miss is in the status.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Protocol

from ..model.budget import Budget
from ..model.clock import Clock
from ..model.errors import ClusterError, ClusterUnavailable, Conflict
from ..model.event import Event, RecordedEvent
from ..model.resource import AgbSession
from ..model.schedule import AgbPauseSchedule
from ..shares import Held, Tenant

logger = logging.getLogger(__name__)

ROOM: Final = 60_000
"""Events that may wait, a third of them of a namespace alone; each is about a kilobyte, and after a burst some hundred
are sent in a second."""
TRIES: Final = 5
GIVEN_UP_AFTER: Final = 60.0
"""Seconds for which an Event lets everything else go first."""
BURST: Final = 25
"""Events that an object may have at once, and `REFILL` the seconds until it may have one more, as in client-go."""
REFILL: Final = 300.0
_BUSY_CHECK: Final = 0.1
_FIRST_WAIT: Final = 1.0
_LONGEST_WAIT: Final = 60.0
_SENDERS: Final = 6
"""Requests at once, two of a namespace alone: few, so that in a burst nearly all that is under way are statuses."""
_LAST_WORDS: Final = 1.0
"""Seconds for the events that still wait when the process is told to end: a standby waits for the Lease meanwhile."""


class EventWriter(Protocol):
    """The part of the cluster needed here; raises any `ClusterError`."""

    def busy(self, namespace: str) -> bool:
        """Tell whether the next request about the namespace would have to wait for its turn."""

    async def record_event(self, recorded: RecordedEvent) -> None:
        """Create one Event; a `Conflict` says that it is there already."""


@dataclass(kw_only=True, slots=True)
class _Waiting:
    """An Event that is to be sent, and how often that has failed."""

    recorded: RecordedEvent
    failures: int = 0

    @property
    def tenant(self) -> Tenant:
        return self.recorded.key.namespace, ""


@dataclass(kw_only=True, slots=True, eq=False)
class EventRecorder:
    """Sends the Events of each namespace in the order they came."""

    cluster: EventWriter
    """Takes them."""
    leads: Callable[[], bool]
    """Says whether this replica may act at this very moment; asked right before each try."""
    clock: Clock
    _nanoseconds: int = field(init=False, default=0)
    _lines: dict[Tenant, deque[_Waiting]] = field(init=False, default_factory=dict)
    _resting: dict[str, tuple[asyncio.TimerHandle, _Waiting]] = field(init=False, default_factory=dict)
    _budgets: dict[str, Budget] = field(init=False, default_factory=dict)
    _room: Held = field(init=False, default_factory=lambda: Held(ROOM))
    _senders: Held = field(init=False, default_factory=lambda: Held(_SENDERS))
    _changed: asyncio.Event = field(init=False, default_factory=asyncio.Event)

    def record(self, about: AgbSession | AgbPauseSchedule, event: Event) -> None:
        """Take an Event that happens now; it is sent soon."""
        at = self.clock.wall()
        # Named as client-go's, so that a list shows them in their order; `kubectl describe` knows only whole seconds.
        self._nanoseconds = max(self._nanoseconds + 1, int(at.timestamp() * 1e6) * 1000)
        recorded = RecordedEvent(event=event, key=about.key, uid=about.uid, at=at, event_id=f"{self._nanoseconds:x}")
        waiting = _Waiting(recorded=recorded)
        if not self._spend(about.uid):
            _drop(recorded, f"the object had {BURST} at once, and has one more every {REFILL / 60:g} minutes")
        elif not self._room.may(waiting.tenant):
            _drop(recorded, "too many others of the namespace wait")
        else:
            self._room.add(waiting.tenant)
            self._lines.setdefault(waiting.tenant, deque()).append(waiting)
            self._changed.set()

    async def run(self) -> None:
        """Send until cancelled."""
        async with asyncio.TaskGroup() as group:
            for number in range(_SENDERS):
                group.create_task(self._send_all(), name=f"event sender {number}")

    async def flush(self) -> None:
        """Send what still waits, for a second at most; call it when nothing is recorded any more."""
        for timer, waiting in self._resting.values():
            timer.cancel()
            self._return(waiting)
        self._resting.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORDS):
                while self._lines:
                    await self._send_next(self._take(next(iter(self._lines))), patience=0.0)
        for line in self._lines.values():
            for waiting in line:
                _drop(waiting.recorded, "the process ends")
        self._lines.clear()

    def _spend(self, uid: str) -> bool:
        """Take one Event off the object's budget, if that holds one."""
        now = self.clock.now()
        if uid not in self._budgets and len(self._budgets) >= ROOM:
            self._budgets = {each: budget for each, budget in self._budgets.items() if not budget.is_full(now)}
        return self._budgets.setdefault(uid, Budget(burst=BURST, refill=REFILL)).may_spend(now)

    async def _send_all(self) -> None:
        while True:
            while (tenant := next(filter(self._senders.may, self._lines), None)) is None:
                self._changed.clear()
                await self._changed.wait()
            self._senders.add(tenant)
            try:
                await self._send_next(self._take(tenant), patience=GIVEN_UP_AFTER)
            finally:
                self._senders.remove(tenant)
                self._changed.set()

    def _take(self, tenant: Tenant) -> _Waiting:
        line = self._lines.pop(tenant)
        waiting = line.popleft()
        if line:
            self._lines[tenant] = line  # behind the others
        return waiting

    def _return(self, waiting: _Waiting) -> None:
        """Put an Event back to the head of its line."""
        self._lines.setdefault(waiting.tenant, deque()).appendleft(waiting)
        self._changed.set()

    async def _send_next(self, waiting: _Waiting, *, patience: float) -> None:
        try:
            await self._let_statuses_go_first(waiting.recorded, patience)
            is_done = await self._send(waiting)
        except asyncio.CancelledError:
            self._return(waiting)  # for `flush`; were it sent already, its name would be taken
            raise
        if is_done:
            self._room.remove(waiting.tenant)

    async def _let_statuses_go_first(self, recorded: RecordedEvent, patience: float) -> None:
        for _ in range(round(patience / _BUSY_CHECK)):
            waited = (self.clock.wall() - recorded.at).total_seconds()
            if waited >= patience or not self.cluster.busy(recorded.key.namespace):
                return
            await asyncio.sleep(_BUSY_CHECK)

    async def _send(self, waiting: _Waiting) -> bool:
        """Try once; tells whether that was the last try. An Event that is to be tried again holds no sender."""
        if not self.leads():
            _drop(waiting.recorded, "this replica does not lead any more")
            return True
        try:
            await self.cluster.record_event(waiting.recorded)
        except Conflict:
            return True  # the answer to an earlier try was lost
        except ClusterUnavailable as error:
            waiting.failures += 1
            if waiting.failures >= TRIES:
                _drop(waiting.recorded, str(error))
                return True
            self._rest(waiting, max(_FIRST_WAIT * 2 ** (waiting.failures - 1), error.retry_after or 0.0))
            return False
        except ClusterError as error:
            _drop(waiting.recorded, str(error))
        return True

    def _rest(self, waiting: _Waiting, seconds: float) -> None:
        def wake() -> None:
            del self._resting[waiting.recorded.event_id]
            self._return(waiting)

        timer = asyncio.get_running_loop().call_later(min(seconds, _LONGEST_WAIT), wake)
        self._resting[waiting.recorded.event_id] = (timer, waiting)


def _drop(recorded: RecordedEvent, why: str) -> None:
    logger.warning("%s: event %s could not be sent: %s", recorded.key, recorded.event.reason, why)
