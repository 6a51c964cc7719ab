"""How often the API may be called: what protects AGB from us, one tenant from another, and us from a dead endpoint.

Each key has a guard around the one function that sends its requests. They pass, in this order: what is known of their
session, key, account and endpoint, so that nothing is asked that would only be refused again; the key's token bucket;
and the connections, of which each key has a share. A throttled request waits here if that is short; nothing else is
tried again: the caller decides, and is told how long to stay away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ..model.clock import Clock
from ..model.errors import Throttled
from ..shares import Shares
from .breaker import Place
from .bucket import PATIENCE, TokenBucket
from .lanes import Lane, caller_lane
from .replies import Call, Reply
from .requests import Request, Send
from .verdicts import Endpoint, Standing

CONNECTIONS: Final = 192
"""Requests under way at once, for all keys: a key alone has 64. More only wait at the other end, and each needs a TLS
handshake."""
_ATTEMPTS: Final = 3
_LONGEST_BLOCK: Final = 3600.0
"""Seconds of a `Retry-After` that are believed: a garbled header must not stop a key for ever."""
_FIRST_BLOCK: Final = 1.0
_LONGEST_GUESS: Final = 60.0


@dataclass(kw_only=True, slots=True, eq=False)
class Guards:
    """Makes the guards of one endpoint's keys; all of them share what is known of the endpoint."""

    qps: float
    """Requests per second that each key may make."""
    burst: int
    """Requests of a key that may go at once after a rest."""
    clock: Clock
    on_throttled: Callable[[], None]
    """Told of each answer of the API that asks for fewer requests."""
    endpoint: Endpoint = field(init=False)
    _connections: Shares = field(init=False, default_factory=lambda: Shares(CONNECTIONS))

    def __post_init__(self) -> None:
        self.endpoint = Endpoint(clock=self.clock)

    def new(self, name: str, *, on_refused: Callable[[], None] = lambda: None) -> "Guard":
        """Make the guard of a key.

        Args:
            name: for logs: the key's fingerprint, never the key.
            on_refused: told of each answer that refuses the key.
        """
        return Guard(
            bucket=TokenBucket(qps=self.qps, burst=self.burst, clock=self.clock),
            connections=self._connections,
            standing=Standing(name=name, endpoint=self.endpoint, clock=self.clock, on_refused=on_refused),
            clock=self.clock,
            on_throttled=self.on_throttled,
        )


@dataclass(kw_only=True, slots=True, eq=False)
class Guard:
    """The limits of one key."""

    bucket: TokenBucket
    connections: Shares
    standing: Standing
    """What is known of the key."""
    clock: Clock
    on_throttled: Callable[[], None]
    _blocked_at: float = field(init=False)
    _guess: float = field(init=False, default=_FIRST_BLOCK)
    _first_is_back: asyncio.Event | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._blocked_at = self.clock.now()

    def around(self, send: Send) -> Send:
        """Put the limits around what sends the key's requests.

        Besides what `send` raises, and without a request, it may raise `CredentialsRejected` while the key is known to
        be refused, `ApiUnavailable` while the account is known to fail or the endpoint to be dead, and `Throttled`
        while a `Retry-After` of the API lasts.
        """
        return partial(self._guarded, send)

    async def _guarded(self, send: Send, request: Request) -> Reply:
        if self._first_is_back is None:
            # A key's first request goes alone: were it refused, a whole fleet's first ones would be refused with it.
            self._first_is_back = asyncio.Event()
            try:
                return await self._paced(send, request)
            finally:
                self._first_is_back.set()
        if not self._first_is_back.is_set():
            await self._first_is_back.wait()
        return await self._paced(send, request)

    async def _paced(self, send: Send, request: Request) -> Reply:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._attempt(send, request)
            except Throttled as error:
                # A throttled request was not carried out, so it may be sent again; it goes to the end of the queue.
                if error.retry_after is None or error.retry_after > PATIENCE:
                    raise
        return await self._attempt(send, request)

    async def _attempt(self, send: Send, request: Request) -> Reply:
        place = Place(session=request.session_id, kind="" if request.session_id else request.call.label)
        self.standing.check(place)
        await self.bucket.take(Lane.PAGES if request.call is Call.LIST else caller_lane.get())
        async with self.connections.turn(self.standing.name):
            # What was learned while waiting counts, so the breakers are asked again.
            with self.standing.attempt(place):
                sent_at = self.clock.now()
                try:
                    reply = await send(request)
                except Throttled as error:
                    self._throttled(error, sent_at=sent_at)
                    raise
        self._guess = _FIRST_BLOCK
        return reply

    def _throttled(self, error: Throttled, *, sent_at: float) -> None:
        """Block the key, and put into the error for how long."""
        self.on_throttled()
        if error.retry_after:  # "in 0 seconds" names no time either
            self.bucket.block(min(error.retry_after, _LONGEST_BLOCK))
        elif sent_at >= self._blocked_at:
            # Answers to requests that left before the block began tell nothing new, so they do not prolong it.
            self._blocked_at = self.clock.now()
            self.bucket.block(self.clock.jitter() * self._guess)
            self._guess = min(_LONGEST_GUESS, self._guess * 2)
        error.retry_after = self.bucket.blocked_for
