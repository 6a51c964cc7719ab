"""So many at once, and one more every so often; pure: the time is passed in."""

from dataclasses import dataclass, field


@dataclass(kw_only=True, slots=True)
class Budget:
    """What somebody may still do; it begins full."""

    burst: int
    """How much there is after a rest."""
    refill: float
    """Seconds until there is one more."""
    _left: float = field(init=False)
    _at: float = field(init=False, default=float("-inf"))

    def __post_init__(self) -> None:
        self._left = float(self.burst)

    def left(self, now: float) -> float:
        """How much there is; below zero what was spent too much."""
        self._left = min(float(self.burst), self._left + (now - self._at) / self.refill)
        self._at = now
        return self._left

    def is_full(self, now: float) -> bool:
        """Tell whether forgetting it would change nothing."""
        return self.left(now) >= self.burst

    def spend(self, now: float) -> None:
        """Take one away, whether or not it is there."""
        self._left = self.left(now) - 1

    def may_spend(self, now: float) -> bool:
        """Take one away if it is there; tells whether it was."""
        if self.left(now) < 1:
            return False
        self.spend(now)
        return True

    def rest(self, now: float) -> float:
        """Seconds until there is one, 0 when there is."""
        return max(0.0, (1 - self.left(now)) * self.refill)
