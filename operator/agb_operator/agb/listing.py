"""Who waits for an answer about a session, and what a walk over the list would cost in place of single looks.

Owns the count of those who ask, from which follows how long a walk's answers are good.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ..model.clock import Clock
from ..model.states import Observation

LONGEST_GOOD: Final = 5.0
"""Seconds for which an answer of a walk may be used, at most."""
_PAGES_PER_SECOND: Final = 10
"""What walking may cost in the long run, in calls a second: it sets how long a walk's answers are good."""
_SHARE_OF_CALLS: Final = 0.2
"""The same as a part of what the account allows, where that is little."""


@dataclass(eq=False, slots=True)
class Waiter:
    """Somebody waits for an answer about a session that was taken after `good_from`.

    In the same tick is not after: which of the two came first cannot be told then.
    """

    session_id: str
    good_from: float
    labelled: bool
    at_rest: bool
    answer: asyncio.Future[Observation]


@dataclass(eq=False, slots=True)
class Listing:
    """The sessions that one label filter lists: what a walk over them costs, and who waits for one.

    `pages` is what the last walk told; before the first it is a hopeful one, so that several looks try a page.
    """

    labels: Mapping[str, str]
    allows: Callable[[], float]
    clock: Clock
    pages: int = 1
    walking: bool = False
    waiting: dict[str, list[Waiter]] = field(default_factory=dict)
    asked_at: deque[float] = field(default_factory=deque)

    @property
    def good_for(self) -> float:
        """Seconds for which the answers of a walk may be used."""
        return min(LONGEST_GOOD, self.pages / min(_PAGES_PER_SECOND, _SHARE_OF_CALLS * self.allows()))

    def demand(self, looks: int) -> int:
        """How many looks a walk would serve: these, or all that come in a time as long as its answers are good."""
        since = self.clock.now() - self.good_for
        while self.asked_at and self.asked_at[0] < since:
            self.asked_at.popleft()
        return max(looks, len(self.asked_at))

    def deserves_walk(self, looks: int) -> bool:
        """Tell whether a whole walk is fewer calls than these looks one by one."""
        return self.demand(looks) > self.pages

    def good_from(self, not_before: float) -> float:
        """Give the time from which on an answer is good for a look that comes now.

        Many share what a walk has just told. A few would not cost a walk: they look for themselves, and see what is.
        """
        now = self.clock.now()
        return max(not_before, now - self.good_for if self.deserves_walk(1) else now)

    def cost(self, looks: int) -> int:
        """How many calls these looks cost by the cheaper way."""
        return min(self.pages, self.demand(looks)) if looks else 0

    def take_out(self, *, asked_by: float = float("inf")) -> list[Waiter]:
        """Take out those for whom an answer taken at `asked_by` is good enough."""
        taken = [look for looks in self.waiting.values() for look in looks if look.good_from < asked_by]
        for look in taken:
            self.drop(look)
        return taken

    def drop(self, look: Waiter) -> None:
        """Forget one who no longer waits."""
        looks = self.waiting.get(look.session_id, [])
        if look in looks:
            looks.remove(look)
            if not looks:
                del self.waiting[look.session_id]
