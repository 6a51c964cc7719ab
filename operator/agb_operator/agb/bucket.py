"""A token bucket with a queue for each lane, which the API can close for a while.

It keeps the order of arrival in each lane, so nobody starves, and holds no task of its own: one timer wakes the next
in line.
"""

import asyncio
from collections import deque
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from ..model.clock import Clock
from ..model.errors import Throttled
from .lanes import Lane

PATIENCE: Final = 3.0
"""Seconds of a `Retry-After` that a caller sits out; for more it is sent away, so that its worker serves others."""
PAGES_EVERY: Final = 32
"""One of so many turns is a page's while other calls wait, too."""
CLOCK_EVERY: Final = 4
"""One of so many turns is the clock's while people wait, too."""
_TICK: Final = 0.001


def loop_time() -> float:
    """Now, in seconds of the running loop's clock."""
    return asyncio.get_running_loop().time()


@dataclass(kw_only=True, slots=True, eq=False)
class TokenBucket:
    """Lets callers through, in each lane in the order they came."""

    qps: float
    """Calls per second, above zero."""
    burst: int
    """Calls that may go at once after a rest, at least one."""
    clock: Clock
    _tokens: float = field(init=False)
    _counted_at: float = field(init=False)
    _blocked_until: float = field(init=False)
    _lanes: dict[Lane, deque[asyncio.Future[None]]] = field(init=False)
    _turns: int = field(init=False, default=0)
    _timer: asyncio.TimerHandle | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._tokens = float(self.burst)
        self._counted_at = self._blocked_until = self.clock.now()
        self._lanes = {lane: deque() for lane in Lane}

    @property
    def blocked_for(self) -> float:
        """Seconds for which nobody gets through, 0 when somebody may."""
        return max(0.0, self._blocked_until - self.clock.now())

    async def take(self, lane: Lane) -> None:
        """Wait for the turn.

        Raises:
            Throttled: the bucket is blocked for longer than is worth waiting; says how long.
        """
        if self.blocked_for > PATIENCE:
            raise self._sent_away()
        self._refill()
        if self._tokens >= 1 and not self._somebody_waits and not self.blocked_for:
            self._tokens -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._lanes[lane].append(turn)
        self._set_timer()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._tokens += 1  # it had its turn and cannot use it
                self._set_timer()
            else:
                with suppress(ValueError):
                    self._lanes[lane].remove(turn)
            raise

    def block(self, seconds: float) -> None:
        """Let nobody through for that long; a longer block that is in force stays."""
        until = self.clock.now() + seconds
        if until <= self._blocked_until:
            return
        self._refill()
        self._blocked_until = until
        # Afterwards it starts slowly: a full bucket emptied at once would run into the limit again.
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = until
        if seconds > PATIENCE:
            for lane in self._lanes.values():
                for turn in lane:
                    if not turn.done():
                        turn.set_exception(self._sent_away())
                lane.clear()
        self._set_timer()

    @property
    def _somebody_waits(self) -> bool:
        return any(self._lanes.values())

    def _sent_away(self) -> Throttled:
        return Throttled("AGB asked for a break in the calls with this API key", retry_after=self.blocked_for)

    def _refill(self) -> None:
        now = self.clock.now()
        if now > self._counted_at:
            self._tokens = min(float(self.burst), self._tokens + (now - self._counted_at) * self.qps)
            self._counted_at = now

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._somebody_waits:
            at = max(self._counted_at + (1 - self._tokens) / self.qps, self._blocked_until)
            # Not sooner than the loop's clock can tell apart, or a rounding error would set the timer for ever.
            wait = max(at - self.clock.now(), _TICK)
            self._timer = asyncio.get_running_loop().call_later(wait, self._serve)

    def _serve(self) -> None:
        self._timer = None
        if not self.blocked_for:
            self._refill()
            while self._somebody_waits and self._tokens >= 1:
                turn = self._next()
                if not turn.done():
                    self._tokens -= 1
                    turn.set_result(None)
        self._set_timer()

    def _next(self) -> asyncio.Future[None]:
        self._turns += 1
        people, clock, pages = (self._lanes[lane] for lane in (Lane.PEOPLE, Lane.CLOCK, Lane.PAGES))
        if self._turns % PAGES_EVERY == 0:
            order = (pages, people, clock)
        elif self._turns % CLOCK_EVERY == 1:  # never the page's turn
            order = (clock, people, pages)
        else:
            order = (people, pages, clock)
        return next(filter(None, order)).popleft()
