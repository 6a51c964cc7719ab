"""How long to wait before the next try or look, as pure arithmetic; randomness is passed in.

Full jitter: the wait is drawn evenly up to a ceiling that doubles, so that thousands of resources that failed
together do not come back together. The waits of the policy are named here, once, by what they wait for.
"""

from typing import Final

FIRST_DELAY: Final = 1.0
"""Ceiling of the first wait, in seconds."""
MAX_DELAY: Final = 300.0
"""Ceiling of every wait for AGB, in seconds: nothing rests longer than five minutes."""
MAX_WRITE_DELAY: Final = 60.0
"""Ceiling of every wait for the Kubernetes API, in seconds: a status that may be written again is soon true again."""
SHORTEST: Final = 0.1
"""Seconds until a pass comes back at the earliest when it waits for AGB."""
SLOW: Final = 300.0
"""Seconds between looks at what only a person or AGB can mend."""
SUSPECT: Final = 60.0
"""Seconds between looks while a whole key is suspect."""
UNTOLD: Final = 10.0
"""Seconds for which a passing failure is not worth a status write."""
SECRET_RECHECK: Final = 30.0
"""Seconds between looks at a Secret whose key is missing or refused."""
QUOTA_RECHECK: Final = 60.0
"""Seconds between tries to create a session while the account's limit is reached."""
LABELS_SHOW: Final = 30.0
"""Seconds for which look-ups must stay empty after a create that may have been sent; labels show up late."""
LOOK_UP_AGAIN: Final = 5.0
"""Seconds between look-ups meanwhile."""
CALL_SHOWS: Final = 5.0
"""Seconds, doubled with each attempt, for which the state that a call has left may be a stale read."""
BELIEVE_AFTER: Final = 5.0
"""Seconds between the two looks after which "not found" is believed."""
KEY_DOUBTED: Final = 3600.0
"""Seconds of steady answers after which a key is believed that sees none of its sessions any more."""
KEY_GIVEN_UP: Final = 120.0
"""Seconds for which AGB must refuse a key from before until what only that key can tell is done without."""
UNKNOWN_STATE: Final = 10.0
"""Seconds between looks at a session whose status is no word that we know."""


def ceiling(failures: int, *, most: float = MAX_DELAY) -> float:
    """Give the longest wait after so many failures in a row, in seconds (1, 2, 4 ... `most`)."""
    return min(most, FIRST_DELAY * 2.0 ** min(max(failures - 1, 0), 16))


def retry_delay(failures: int, *, draw: float, most: float = MAX_DELAY) -> float:
    """Give the wait before the next try, in seconds; `draw` is random in [0, 1).

    A tenth of the ceiling is kept as the least wait, so that an unlucky draw does not hammer the API.
    """
    top = ceiling(failures, most=most)
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
