"""How often the API may be called: what protects AGB from us, one tenant from another, and us from a dead endpoint.

Each key has a guard around the one function that sends its requests. They pass, in this order: the breaker of the key
(a refused key is not sent again and again), the breaker of the endpoint (shared by all keys), and the key's token
bucket. A throttled request waits here if that is short; nothing else is tried again: the caller decides, and is told
how long to stay away.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from ..model.clock import Clock
from ..model.errors import AgbError, ApiUnavailable, CredentialsRejected, NotLeading, Throttled
from .breaker import Breaker, Outcome
from .bucket import PATIENCE, Lane, TokenBucket
from .replies import Call, Reply
from .requests import Request, Send

_ATTEMPTS: Final = 3
_LONGEST_BLOCK: Final = 3600.0
"""Seconds of a `Retry-After` that are believed: a garbled header must not stop a key for ever."""
_FIRST_BLOCK: Final = 1.0
_LONGEST_GUESS: Final = 60.0


@dataclass(kw_only=True, slots=True, eq=False)
class Guards:
    """Makes the guards of one endpoint's keys; all of them share the endpoint's breaker."""

    qps: float
    """Requests per second that each key may make."""
    burst: int
    """Requests of a key that may go at once after a rest."""
    clock: Clock
    on_throttled: Callable[[], None]
    """Told of each answer of the API that asks for fewer requests."""
    endpoint: Breaker = field(init=False)

    def __post_init__(self) -> None:
        self.endpoint = Breaker(
            name="AGB endpoint",
            judge=_endpoint_verdict,
            threshold=5,
            first_wait=1.0,
            longest_wait=30.0,
            clock=self.clock,
        )

    def new(self, name: str) -> "Guard":
        """Make the guard of a key; `name` is for logs: the key's fingerprint, never the key."""
        return Guard(
            bucket=TokenBucket(qps=self.qps, burst=self.burst, clock=self.clock),
            endpoint=self.endpoint,
            key=Breaker(
                name=f"API key {name}",
                judge=_key_verdict,
                threshold=1,
                first_wait=30.0,
                longest_wait=300.0,
                clock=self.clock,
            ),
            clock=self.clock,
            on_throttled=self.on_throttled,
        )


@dataclass(kw_only=True, slots=True, eq=False)
class Guard:
    """The limits of one key, and what is known of it."""

    bucket: TokenBucket
    endpoint: Breaker
    key: Breaker
    """Open while AGB refuses the key."""
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
        be refused, `ApiUnavailable` while the endpoint is known to be dead, and `Throttled` while a `Retry-After` of
        the API lasts.
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
        self.key.check()
        self.endpoint.check()
        await self.bucket.take(Lane.PAGES if request.call is Call.LIST else Lane.PEOPLE)
        # What was learned while waiting counts: the breakers are asked again. The endpoint's is the inner one, so
        # that it never takes a refusal of the key's breaker for an answer of the endpoint.
        with self.key.attempt(), self.endpoint.attempt():
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


def _endpoint_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case ApiUnavailable(http_status=status) if status is None or status >= 500:
            return Outcome.BAD
        case NotLeading():
            return Outcome.SILENT
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT


def _key_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case CredentialsRejected():
            return Outcome.BAD
        case ApiUnavailable() | Throttled() | NotLeading():
            return Outcome.SILENT
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT
