"""A token bucket that people can queue at, and that the API can close for a while.

It keeps the order of arrival in each of its two queues, so nobody starves, and holds no task of its own: one timer
wakes the next in line.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from ..model.errors import Throttled

PATIENCE: Final = 3.0
"""Seconds of a `Retry-After` that a caller sits out; for more it is sent away, so that its worker serves others."""
PREFERRED_EVERY: Final = 32
"""One of so many turns is the preferred callers' while others wait, too."""
_TICK: Final = 0.001


def loop_time() -> float:
    """Now, in seconds of the running loop's clock."""
    return asyncio.get_running_loop().time()


class TokenBucket:
    """Lets `qps` callers a second through, `burst` at once after a rest, in the order they came.

    There are two queues, each in its order. While both have callers, one turn in `PREFERRED_EVERY` is the preferred
    ones': what serves many does not wait behind all of them, and holds up nobody for long.

    Args:
        qps: calls per second, above zero.
        burst: calls that may go at once, at least one.
        clock: now, in seconds of the loop's clock.
    """

    def __init__(self, *, qps: float, burst: int, clock: Callable[[], float] = loop_time) -> None:
        self._qps = qps
        self._burst = float(burst)
        self._clock = clock
        self._tokens = float(burst)
        self._counted_at = clock()
        self._blocked_until = clock()
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._preferred: deque[asyncio.Future[None]] = deque()
        self._turns = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def blocked_for(self) -> float:
        """Seconds for which nobody gets through, 0 when somebody may."""
        return max(0.0, self._blocked_until - self._clock())

    async def take(self, *, preferred: bool = False) -> None:
        """Wait for the turn.

        Args:
            preferred: wait in the shorter queue.

        Raises:
            Throttled: the bucket is blocked for longer than is worth waiting; says how long.
        """
        if self.blocked_for > PATIENCE:
            raise self._sent_away()
        self._refill()
        if self._tokens >= 1 and not self._waiting and not self._preferred and not self.blocked_for:
            self._tokens -= 1
            return
        turn = asyncio.get_running_loop().create_future()
        queue = self._preferred if preferred else self._waiting
        queue.append(turn)
        self._set_timer()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self._tokens += 1  # it had its turn and cannot use it
                self._set_timer()
            else:
                with suppress(ValueError):
                    queue.remove(turn)
            raise

    def block(self, seconds: float) -> None:
        """Let nobody through for that long; a longer block that is in force stays."""
        until = self._clock() + seconds
        if until <= self._blocked_until:
            return
        self._refill()
        self._blocked_until = until
        # Afterwards it starts slowly: a full bucket emptied at once would run into the limit again.
        self._tokens = min(self._tokens, 1.0)
        self._counted_at = until
        if seconds > PATIENCE:
            for turn in (*self._preferred, *self._waiting):
                if not turn.done():
                    turn.set_exception(self._sent_away())
            self._preferred.clear()
            self._waiting.clear()
        self._set_timer()

    def _sent_away(self) -> Throttled:
        return Throttled("AGB asked for a break in the calls with this API key", retry_after=self.blocked_for)

    def _refill(self) -> None:
        now = self._clock()
        if now > self._counted_at:
            self._tokens = min(self._burst, self._tokens + (now - self._counted_at) * self._qps)
            self._counted_at = now

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting or self._preferred:
            at = max(self._counted_at + (1 - self._tokens) / self._qps, self._blocked_until)
            # Not sooner than the loop's clock can tell apart, or a rounding error would set the timer for ever.
            self._timer = asyncio.get_running_loop().call_at(max(at, self._clock() + _TICK), self._serve)

    def _serve(self) -> None:
        self._timer = None
        if not self.blocked_for:
            self._refill()
            while (self._waiting or self._preferred) and self._tokens >= 1:
                turn = self._next()
                if not turn.done():
                    self._tokens -= 1
                    turn.set_result(None)
        self._set_timer()

    def _next(self) -> asyncio.Future[None]:
        self._turns += 1
        if self._preferred and (self._turns % PREFERRED_EVERY == 0 or not self._waiting):
            return self._preferred.popleft()
        return self._waiting.popleft()
