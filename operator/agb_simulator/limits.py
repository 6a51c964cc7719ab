"""Limits of the service: how many requests a second it lets through, how many at once, how many it can serve.

Owns the kinds of limit, as effects of a fault, and what is counted for each. Which requests a limit is for is
in `faults.py`. All of it is counted in the simulator's time, in which a request takes as long as its answer
is delayed.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from agb_simulator.settings import CAMEL, Seconds
from agb_simulator.wire import ApiError

PerSecond = Annotated[float, Field(gt=0, allow_inf_nan=False)]

HAND_OVER = 1e-4
"""Seconds by which the answer to a request may be thought to be out before it is: clocks of loops are rounded."""

WHOLE = 1 - 1e-9
"""What counts as a whole request in a bucket: sums of spans are rounded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RateLimit:
    """Refuse more than `per_second` requests of a key with 429; a burst of one second's worth is let through.

    `retry_after` is what the refusal says: "wait" the time until the next one is let through (rounded up to
    whole seconds), a number of seconds, None nothing.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["rate_limit"] = "rate_limit"
    per_second: PerSecond
    retry_after: Seconds | Literal["wait"] | None = "wait"


@dataclass(frozen=True, kw_only=True, slots=True)
class AtOnceLimit:
    """Refuse a request of a key with 429 while `requests` others wait for their answers."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["at_once_limit"] = "at_once_limit"
    requests: Annotated[int, Field(ge=1)]
    retry_after: Seconds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Capacity:
    """Serve `per_second` requests, of all keys together, one after the other: the answers of more come late."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["capacity"] = "capacity"
    per_second: PerSecond


Limit = RateLimit | AtOnceLimit | Capacity
"""Effects that every request meets which matches, all of them together."""

Limits = Sequence[tuple[int, Limit]]
"""The limits for one request, each with the id that what is counted for it is kept under."""


class Limited(ApiError):
    """A request is refused because of the limit `limit_id`."""

    def __init__(self, limit_id: int, retry_after: float | None) -> None:
        message = "Request was denied due to user flow control."
        super().__init__(429, "Throttling.User", message, retry_after=retry_after)
        self.limit_id = limit_id


class Throttle:
    """What is counted for the limits: by limit and, where each key has its own, by key fingerprint."""

    def __init__(self) -> None:
        self._buckets: dict[tuple[int, str], tuple[float, float]] = {}
        self._answers: defaultdict[tuple[int, str], list[float]] = defaultdict(list)
        self._free: dict[int, float] = {}

    def admit(self, limits: Limits, key: str, now: float) -> None:
        """Let a request through and count it; raises `Limited` when one of its limits is reached."""
        for limit_id, limit in limits:
            match limit:
                case RateLimit(per_second=rate, retry_after=told) if (
                    left := self._left(limit_id, key, rate, now)
                ) < WHOLE:
                    raise Limited(limit_id, (1 - left) / rate if told == "wait" else told)
                case AtOnceLimit(requests=most) if self._under_way(limit_id, key, now) >= most:
                    raise Limited(limit_id, limit.retry_after)
        for limit_id, limit in limits:
            if isinstance(limit, RateLimit):
                left = self._left(limit_id, key, limit.per_second, now)
                self._buckets[limit_id, key] = (left - 1, now)

    def wait(self, limits: Limits, now: float) -> float:
        """Queue a request that was let through; returns the seconds until it has been served."""
        ends = now
        for limit_id, limit in limits:
            if isinstance(limit, Capacity):
                self._free[limit_id] = max(now, self._free.get(limit_id, now)) + 1 / limit.per_second
                ends = max(ends, self._free[limit_id])
        return ends - now

    def answered(self, limits: Limits, key: str, at: float) -> None:
        """Note when the answer to a request that was let through goes out."""
        for limit_id, limit in limits:
            if isinstance(limit, AtOnceLimit):
                heapq.heappush(self._answers[limit_id, key], at)

    def _left(self, limit_id: int, key: str, rate: float, now: float) -> float:
        burst = max(rate, 1.0)
        tokens, since = self._buckets.get((limit_id, key), (burst, now))
        return min(burst, tokens + (now - since) * rate)

    def _under_way(self, limit_id: int, key: str, now: float) -> int:
        answers = self._answers[limit_id, key]
        while answers and answers[0] <= now + HAND_OVER:
            heapq.heappop(answers)
        return len(answers)
