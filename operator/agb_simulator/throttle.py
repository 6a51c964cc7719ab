"""The rate limit: a token bucket for each key."""

from __future__ import annotations

from agb_simulator.settings import Settings
from agb_simulator.wire import ApiError


class Throttle:
    """Buckets by key fingerprint, each with a burst of one second's worth (at least one request)."""

    def __init__(self) -> None:
        self._buckets: dict[str, tuple[float, float]] = {}

    def check(self, key: str, now: float, settings: Settings) -> None:
        """Count a request; raises `ApiError` 429 when the key has none left."""
        rate = settings.rate_limit
        if rate is None:
            return
        burst = max(rate, 1.0)
        tokens, since = self._buckets.get(key, (burst, now))
        tokens = min(burst, tokens + (now - since) * rate)
        if tokens < 1:
            self._buckets[key] = (tokens, now)
            wait = (1 - tokens) / rate
            raise ApiError(
                429,
                "Throttling.User",
                "Request was denied due to user flow control.",
                retry_after=wait if settings.send_retry_after else None,
            )
        self._buckets[key] = (tokens - 1, now)
