"""Who may call next: a queue for each lane, in front of the rates of a key and of each kind of its calls.

It keeps the order of arrival in each lane, but for kinds of call that have to wait while others may go, and holds no
task of its own: one timer wakes the next in line.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf
from typing import Final

from ..model.clock import Clock
from ..model.errors import Throttled
from .lanes import CLOCK_EVERY, Lane
from .rate import FIRST, Rate
from .replies import Call

LONGEST_REST: Final = 3.0
"""Seconds of a `Retry-After` that a caller sits out; for more it is sent away, so that its worker serves others."""
PAGES_EVERY: Final = 32
"""One of so many turns is a page's while other calls wait, too."""
_TICK: Final = 0.001


_Queue = deque[tuple[int, asyncio.Future[None]]]
"""Those who wait for a call of one kind in one lane, each with the number of its arrival."""


@dataclass(kw_only=True, slots=True, eq=False)
class TokenBucket:
    """Lets a key's callers through, in each lane in the order they came."""

    most: float = inf
    """Calls per second that are never exceeded."""
    clock: Clock
    key: Rate = field(init=False)
    """The rate of all the key's calls together."""
    kinds: dict[Call, Rate] = field(init=False)
    """The rate of each kind of call; unlimited until one of the kind is refused."""
    _lanes: dict[Lane, dict[Call, _Queue]] = field(init=False)
    _waiting: dict[Call, int] = field(init=False, default_factory=lambda: dict.fromkeys(Call, 0))
    _arrivals: int = field(init=False, default=0)
    _turns: int = field(init=False, default=0)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        now = self.clock.now()
        self.key = Rate(per_second=FIRST, most=self.most, now=now)
        self.kinds = {call: Rate(per_second=inf, now=now) for call in Call}
        self._lanes = {lane: {call: deque() for call in Call} for lane in Lane}

    @property
    def bound(self) -> float:
        """The lowest rate that holds calls back, in calls a second; without a limit while none does."""
        return min(self.key.bound, *(rate.bound for rate in self.kinds.values()))

    def closed_for(self, call: Call) -> float:
        """Give the seconds for which no call of this kind gets through, 0 when one may."""
        left = max(self.key.closed_until, self.kinds[call].closed_until) - self.clock.now()
        return left if left >= _TICK else 0.0

    async def take(self, call: Call, lane: Lane) -> None:
        """Wait for the turn.

        Raises:
            Throttled: calls of this kind are held back for longer than is worth waiting; says how long.
        """
        if self.closed_for(call) > LONGEST_REST:
            raise self._sent_away(call)
        now = self.clock.now()
        key_at, kind_at = self.key.next_at(now), self.kinds[call].next_at(now)
        if key_at <= now and kind_at <= now and not self._waiting[call]:
            self._go(call, now)
            return
        turn = asyncio.get_running_loop().create_future()
        self._arrivals += 1
        place = (self._arrivals, turn)
        queue = self._lanes[lane][call]
        queue.append(place)
        self._waiting[call] += 1
        self._wake_for(call, now)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.give_back(call)
            else:
                with suppress(ValueError):
                    queue.remove(place)
                    self._waiting[call] -= 1
            self.changed()
            raise

    def give_back(self, call: Call) -> None:
        """Give the turn to another, as the one who had it cannot use it."""
        self.key.give_back()
        self.kinds[call].give_back()

    def changed(self) -> None:
        """Look again who may go or has to be sent away, as a rate has changed."""
        now = self.clock.now()
        for call, waiting in self._waiting.items():
            if waiting:
                if self.closed_for(call) > LONGEST_REST:
                    self._send_away(call)
                else:
                    self._wake_for(call, now)

    def _send_away(self, call: Call) -> None:
        for lane in self._lanes.values():
            for _, turn in lane[call]:
                if not turn.done():
                    turn.set_exception(self._sent_away(call))
            lane[call].clear()
        self._waiting[call] = 0

    def _sent_away(self, call: Call) -> Throttled:
        return Throttled("AGB asked for a break in the calls with this API key", retry_after=self.closed_for(call))

    def _go(self, call: Call, now: float) -> None:
        self.key.take(now)
        self.kinds[call].take(now)

    def _wake_for(self, call: Call, now: float) -> None:
        """See to it that the timer fires when a call of this kind may go; note which rate it is that it waits for."""
        key_at, kind_at = self.key.next_at(now), self.kinds[call].next_at(now)
        (self.key if key_at >= kind_at else self.kinds[call]).waits(now)
        # Not sooner than the loop's clock can tell apart, or a rounding error would set the timer for ever.
        at = max(key_at, kind_at, now + _TICK)
        if self._timer is not None:
            if self._timer.when() <= at:
                return
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(at, self._serve, at)

    def _serve(self, at: float) -> None:
        self._timer = None
        now = max(self.clock.now(), at)  # a loop may be early by what its clock cannot tell apart
        while self.key.next_at(now) <= now and (found := self._next(now)) is not None:
            call, queue = found
            _, turn = queue.popleft()
            self._waiting[call] -= 1
            if not turn.done():
                self._go(call, now)
                turn.set_result(None)
        self.changed()

    def _next(self, now: float) -> tuple[Call, _Queue] | None:
        """Choose whose turn it is: in each lane, who came first of those whose kind of call may go."""
        open_now = [call for call, waiting in self._waiting.items() if waiting and self.kinds[call].next_at(now) <= now]
        if not open_now:
            return None
        self._turns += 1
        order = (Lane.PEOPLE, Lane.PAGES, Lane.CLOCK)
        if self._turns % PAGES_EVERY == 0:
            order = (Lane.PAGES, Lane.PEOPLE, Lane.CLOCK)
        elif self._turns % CLOCK_EVERY == 1:  # never the page's turn
            order = (Lane.CLOCK, Lane.PEOPLE, Lane.PAGES)
        first_lane = next(lane for lane in order if any(self._lanes[lane][call] for call in open_now))
        queues = [(call, self._lanes[first_lane][call]) for call in open_now if self._lanes[first_lane][call]]
        return min(queues, key=lambda each: each[1][0][0])
