"""How long to wait before the next try or look, as pure arithmetic; randomness is passed in.

Full jitter: the wait is drawn evenly up to a ceiling that doubles, so that thousands of resources that failed
together do not come back together.
"""

FIRST_DELAY = 1.0
"""Ceiling of the first wait, in seconds."""
MAX_DELAY = 300.0
"""Ceiling of every wait, in seconds: nothing rests longer than five minutes."""

SHORTEST = 0.1
"""Seconds until a pass comes back at the earliest when it waits for AGB."""


def ceiling(failures: int) -> float:
    """Give the longest wait after so many failures in a row, in seconds (1, 2, 4 ... 300)."""
    return min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(max(failures - 1, 0), 16))


def retry_delay(failures: int, *, draw: float) -> float:
    """Give the wait before the next try, in seconds; `draw` is random in [0, 1).

    A tenth of the ceiling is kept as the least wait, so that an unlucky draw does not hammer the API.
    """
    top = ceiling(failures)
    return top * (0.1 + 0.9 * draw)


def told_delay(seconds: float, *, draw: float) -> float:
    """Give the wait where it is known when to come back; up to a quarter more, `draw` is random in [0, 1)."""
    return seconds * (1.0 + 0.25 * draw)


def jittered(seconds: float, *, draw: float, spread: float = 0.1) -> float:
    """Spread an interval by at most `spread` of itself to either side; `draw` is random in [0, 1)."""
    return seconds * (1.0 + spread * (2.0 * draw - 1.0))


def rest_of(interval: float, *, age: float) -> float:
    """Give what is left of the interval that is under way when the first one began `age` seconds ago, all in seconds.

    A tenth of a second at least: of a rounding error nothing else would be left when it is over.
    """
    return max(SHORTEST, interval - age % interval)
