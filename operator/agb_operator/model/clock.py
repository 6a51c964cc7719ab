"""Time and chance as one value that is passed in; pure: it calls what it was given."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, kw_only=True, slots=True)
class Clock:
    """What a part may know of time and chance."""

    now: Callable[[], float]
    """Seconds of a monotonic clock: the event loop's."""
    wall: Callable[[], datetime]
    """The time of day, aware of its zone."""
    jitter: Callable[[], float]
    """A random number in [0, 1)."""
