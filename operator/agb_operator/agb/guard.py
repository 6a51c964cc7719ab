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
from math import inf
from typing import Final

from ..model.clock import Clock
from ..model.errors import AgbError, ApiUnavailable, EndpointUnreachable, NotLeading, Throttled
from ..shares import Shares
from .breaker import Place
from .bucket import LONGEST_REST, TokenBucket
from .lanes import Lane, caller_lane
from .rate import Slowness
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
_TOGETHER: Final = 10.0
"""Seconds within which two kinds of call that are refused mean that it is the key's limit."""


@dataclass(kw_only=True, slots=True, eq=False)
class Guards:
    """Makes the guards of one endpoint's keys; all of them share what is known of the endpoint."""

    most: float = inf
    """Requests per second that no key exceeds, however many AGB would serve."""
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
            bucket=TokenBucket(most=self.most, clock=self.clock),
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
    _slowness: Slowness = field(init=False, default_factory=Slowness)
    _refused_at: dict[Call, float] = field(init=False, default_factory=dict)
    """When the API last asked for fewer calls of this kind."""
    _guess: dict[Call, float] = field(init=False, default_factory=dict)
    _first_is_back: asyncio.Event | None = field(init=False, default=None)

    def around(self, send: Send) -> Send:
        """Put the limits around what sends the key's requests.

        Besides what `send` raises, and without a request, it may raise `CredentialsRejected` while the key is known to
        be refused, `ApiUnavailable` while the account is known to fail or the endpoint to be dead, and `Throttled`
        while a `Retry-After` of the API lasts.
        """
        return partial(self._guarded, send)

    def allows(self) -> float:
        """Say how many calls a second the key allows, infinitely many as long as nobody knows."""
        return self.bucket.key.bound

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
                if error.retry_after is None or error.retry_after > LONGEST_REST:
                    raise
        return await self._attempt(send, request)

    async def _attempt(self, send: Send, request: Request) -> Reply:
        place = Place(session=request.session_id, kind="" if request.session_id else request.call.label)
        self.standing.check(place)
        lane = Lane.PAGES if request.call is Call.LIST else caller_lane.get()
        while True:
            await self.bucket.take(request.call, lane)
            async with self.connections.turn(self.standing.name):
                if self.bucket.closed_for(request.call):
                    self.bucket.give_back(request.call)  # refused to others while this one waited for a connection
                    continue
                return await self._sent(send, request, place)

    async def _sent(self, send: Send, request: Request, place: Place) -> Reply:
        # What was learned while waiting counts, so the breakers are asked again.
        with self.standing.attempt(place):
            sent_at = self.clock.now()
            try:
                reply = await send(request)
            except Throttled as error:
                self._throttled(request.call, error, sent_at=sent_at)
                raise
            except (NotLeading, EndpointUnreachable):
                raise
            except AgbError as error:
                self._answered(request.call, sent_at=sent_at, served=not isinstance(error, ApiUnavailable))
                raise
        self._answered(request.call, sent_at=sent_at)
        return reply

    def _answered(self, call: Call, *, sent_at: float, served: bool = True) -> None:
        """Learn from an answer that asks for nothing, or from none that is any use."""
        now, bucket = self.clock.now(), self.bucket
        seconds = now - sent_at
        slow = self._slowness.is_slow(call, sent_at=sent_at, now=now)
        if served:
            self._guess.pop(call, None)
            bucket.key.let_through(now, seconds, slow=slow)
            bucket.kinds[call].let_through(now, seconds, slow=slow)
        if self._slowness.lasts(call, sent_at=sent_at) and bucket.key.slow_down(now, sent_at=sent_at):
            self._slowness.slowed_down(call, seconds)
        bucket.changed()

    def _throttled(self, call: Call, error: Throttled, *, sent_at: float) -> None:
        """Hold back that kind of call, or the key if another kind was refused lately; put into the error how long."""
        self.on_throttled()
        now = self.clock.now()
        tells_more = sent_at >= self._refused_at.get(call, -inf)
        if error.retry_after:  # "in 0 seconds" names no time either
            wait = min(error.retry_after, _LONGEST_BLOCK)
        elif tells_more:
            guess = self._guess.get(call, _FIRST_BLOCK)
            self._guess[call] = min(_LONGEST_GUESS, guess * 2)
            wait = self.clock.jitter() * guess
        else:
            # Answers to requests that left before the break began tell nothing new, so they do not prolong it.
            wait = 0.0
        self._refused_at[call] = now
        self._hold(call, sent_at=sent_at, wait=wait)
        error.retry_after = self.bucket.closed_for(call)

    def _hold(self, call: Call, *, sent_at: float, wait: float) -> None:
        now, bucket = self.clock.now(), self.bucket
        lately = [each for each, at in self._refused_at.items() if at >= now - _TOGETHER]
        if len(lately) > 1:
            bucket.key.close(now, wait=wait)
            bucket.key.refused(now, sent_at=sent_at, wait=wait)
            for each in lately:
                bucket.kinds[each].forget(now)
        else:
            bucket.kinds[call].close(now, wait=wait)
            # It is the key's rate that was too high if that one is being raised.
            key, kind = bucket.key, bucket.kinds[call]
            is_the_key = key.met_since(sent_at) or (key.asks_for_more and not kind.asks_for_more)
            rate = key if is_the_key else kind
            rate.refused(now, sent_at=sent_at, wait=wait)
        bucket.changed()
