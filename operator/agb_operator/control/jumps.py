"""Jumps of the time of day that this process can prove: the monotonic clock did not go with them.

Steps of NTP, a virtual machine that was suspended, somebody who sets the clock. A restart forgets them.
"""

import logging
from typing import Final

from ..model.clock import Clock

logger = logging.getLogger(__name__)

STEP: Final = 2.0
"""Seconds by which the two clocks must part to count: the status holds whole seconds."""


class Jumps:
    """How far the time of day has jumped ahead since this process began."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._apart = self._now_apart()
        self._ahead = 0.0

    def ahead(self) -> float:
        """Give the seconds by which the clock has jumped so far; less than 0 when it was set back."""
        step = self._now_apart() - self._apart
        if abs(step) >= STEP:
            self._apart += step
            self._ahead += step
            if step > 0:
                logger.warning(
                    "The clock has jumped ahead by %.0f s; status.usage of no AgbSession counts these seconds.", step
                )
            else:
                logger.warning("The clock was set back by %.0f s; status.usage counts nothing twice.", -step)
        return self._ahead

    def _now_apart(self) -> float:
        return self._clock.wall().timestamp() - self._clock.now()
