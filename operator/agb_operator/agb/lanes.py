"""Whose calls go first when a key's calls have to wait, and for whom the one that calls now does it."""

from contextvars import ContextVar
from enum import Enum, auto
from typing import Final


class Lane(Enum):
    """Whose turn it is; within a lane, who came first."""

    PEOPLE = auto()
    """Somebody waits for what the call does to one session."""
    CLOCK = auto()
    """The time of day caused it, for many sessions at once: it gives way to people, and always gets on."""
    PAGES = auto()
    """A page of a list tells of a hundred sessions: it does not wait behind the calls for each of them."""


CLOCK_EVERY: Final = 4
"""One of so many turns is the clock's while people wait, too."""
caller_lane: Final[ContextVar[Lane]] = ContextVar("caller_lane", default=Lane.PEOPLE)
"""The lane of the calls, other than pages, that are made in this context; whoever causes them sets it."""
