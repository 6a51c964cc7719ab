"""How often the API may be called: what protects AGB from us, one tenant from another, and us from a dead endpoint.

Every account is wrapped in a guard. Its calls pass, in this order: the breaker of the key (a refused key
is not sent again and again), the breaker of the endpoint (shared by all keys), and the key's token bucket, first
come first served; only pages of lists, which serve many, wait in a queue of their own. A throttled call waits here if
that is short; nothing else is tried again: the caller decides, and is told how long to stay away.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar

from ..model.errors import AgbError, ApiUnavailable, CredentialsRejected, NotLeading, Throttled
from ..model.states import Observation
from .breaker import Breaker, Outcome
from .bucket import PATIENCE, TokenBucket, loop_time
from .client import Accepted, Created, Listed, SessionClient

T = TypeVar("T")

_ATTEMPTS: Final = 3
_LONGEST_BLOCK: Final = 3600.0
"""Seconds of a `Retry-After` that are believed: a garbled header must not stop a key for ever."""
_FIRST_BLOCK: Final = 1.0
_LONGEST_GUESS: Final = 60.0


class Guards:
    """Makes the guards of one endpoint's accounts; all of them share the endpoint's breaker.

    Args:
        qps: calls per second that each key may make.
        burst: calls of a key that may go at once after a rest.
        random: a number from 0 to 1, for jitter.
        on_throttled: told of each answer of the API that asks for fewer calls.
        on_breaker: told which kind of breaker ("credentials" or "endpoint") opened (+1) or closed (-1).
        clock: now, in seconds of the loop's clock.
    """

    def __init__(
        self,
        *,
        qps: float,
        burst: int,
        random: Callable[[], float],
        on_throttled: Callable[[], None],
        on_breaker: Callable[[str, int], None],
        clock: Callable[[], float] = loop_time,
    ) -> None:
        self._qps = qps
        self._burst = burst
        self._random = random
        self._on_throttled = on_throttled
        self._on_breaker = on_breaker
        self._clock = clock
        self._endpoint = Breaker(
            name="AGB endpoint",
            judge=_endpoint_verdict,
            threshold=5,
            first_wait=1.0,
            longest_wait=30.0,
            clock=clock,
            random=random,
            on_change=lambda is_open: on_breaker("endpoint", 1 if is_open else -1),
        )

    def guard(self, client: SessionClient, *, name: str) -> SessionClient:
        """Return the guarded calls of one key; a new key needs a new guard.

        Besides what `client` raises, and without a call, each method may raise `CredentialsRejected` while the key is
        known to be refused, `ApiUnavailable` while the endpoint is known to be dead, and `Throttled` while a
        `Retry-After` of the API lasts.

        Args:
            client: the calls as they are.
            name: for logs; the key's fingerprint, never the key.
        """
        return _GuardedClient(
            client,
            bucket=TokenBucket(qps=self._qps, burst=self._burst, clock=self._clock),
            endpoint=self._endpoint,
            credentials=Breaker(
                name=f"API key {name}",
                judge=_credentials_verdict,
                threshold=1,
                first_wait=30.0,
                longest_wait=300.0,
                clock=self._clock,
                random=self._random,
                on_change=lambda is_open: self._on_breaker("credentials", 1 if is_open else -1),
            ),
            random=self._random,
            on_throttled=self._on_throttled,
            clock=self._clock,
        )


class _GuardedClient:
    """A `SessionClient` around another."""

    def __init__(
        self,
        client: SessionClient,
        *,
        bucket: TokenBucket,
        endpoint: Breaker,
        credentials: Breaker,
        random: Callable[[], float],
        on_throttled: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._bucket = bucket
        self._endpoint = endpoint
        self._credentials = credentials
        self._random = random
        self._on_throttled = on_throttled
        self._clock = clock
        self._blocked_at = clock()
        self._guess = _FIRST_BLOCK
        self._first_is_back: asyncio.Event | None = None

    async def observe(self, session_id: str) -> Observation:
        return await self._guarded(lambda: self._client.observe(session_id))

    async def list_page(self, *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100) -> Listed:
        # A page answers for a hundred sessions: it does not wait behind the calls for each of them.
        return await self._guarded(
            lambda: self._client.list_page(labels=labels, token=token, size=size), preferred=True
        )

    async def create(self, *, image_id: str, labels: Mapping[str, str]) -> Created:
        return await self._guarded(lambda: self._client.create(image_id=image_id, labels=labels))

    async def pause(self, session_id: str) -> Accepted:
        return await self._guarded(lambda: self._client.pause(session_id))

    async def resume(self, session_id: str) -> Accepted:
        return await self._guarded(lambda: self._client.resume(session_id))

    async def release(self, session_id: str) -> Accepted:
        return await self._guarded(lambda: self._client.release(session_id))

    async def set_labels(self, session_id: str, labels: Mapping[str, str]) -> Accepted:
        return await self._guarded(lambda: self._client.set_labels(session_id, labels))

    async def get_labels(self, session_id: str) -> Mapping[str, str]:
        return await self._guarded(lambda: self._client.get_labels(session_id))

    async def _guarded(self, call: Callable[[], Awaitable[T]], *, preferred: bool = False) -> T:
        if self._first_is_back is None:
            # A key's first call goes alone: were it refused, a whole fleet's first calls would be refused with it.
            self._first_is_back = asyncio.Event()
            try:
                return await self._paced(call, preferred)
            finally:
                self._first_is_back.set()
        if not self._first_is_back.is_set():
            await self._first_is_back.wait()
        return await self._paced(call, preferred)

    async def _paced(self, call: Callable[[], Awaitable[T]], preferred: bool) -> T:
        for _ in range(_ATTEMPTS - 1):
            try:
                return await self._attempt(call, preferred)
            except Throttled as error:
                # A throttled call was not carried out, so it may be sent again; it goes to the end of the queue.
                if error.retry_after is None or error.retry_after > PATIENCE:
                    raise
        return await self._attempt(call, preferred)

    async def _attempt(self, call: Callable[[], Awaitable[T]], preferred: bool) -> T:
        self._credentials.check()
        self._endpoint.check()
        await self._bucket.take(preferred=preferred)
        # What was learned while waiting counts: the breakers are asked again. The endpoint's is the inner one, so
        # that it never takes a refusal of the key's breaker for an answer of the endpoint.
        with self._credentials.attempt(), self._endpoint.attempt():
            sent_at = self._clock()
            try:
                result = await call()
            except Throttled as error:
                self._throttled(error, sent_at=sent_at)
                raise
        self._guess = _FIRST_BLOCK
        return result

    def _throttled(self, error: Throttled, *, sent_at: float) -> None:
        """Block the key, and put into the error for how long."""
        self._on_throttled()
        if error.retry_after:  # "in 0 seconds" names no time either
            self._bucket.block(min(error.retry_after, _LONGEST_BLOCK))
        elif sent_at >= self._blocked_at:
            # Answers to calls that left before the block began tell nothing new, so they do not prolong it.
            self._blocked_at = self._clock()
            self._bucket.block(self._random() * self._guess)
            self._guess = min(_LONGEST_GUESS, self._guess * 2)
        error.retry_after = self._bucket.blocked_for


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


def _credentials_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case CredentialsRejected():
            return Outcome.BAD
        case ApiUnavailable() | Throttled() | NotLeading():
            return Outcome.SILENT
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT
