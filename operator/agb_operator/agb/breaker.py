"""A circuit breaker: after failures that the next call would only repeat, it answers in the called one's place.

It knows neither keys nor endpoints: `verdicts` says which outcomes count. A failure is the place's where it happened
(one session, or one kind of call) until a second session tells the same while nobody has a success to tell: then it is
the whole's. While open it lets one call through now and then, at growing intervals, to find out whether things are
better. Passing failures leave here with the time of the next such try, so that the callers keep in step with it: a
caller's own back-off would outlast the trouble.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, NamedTuple

from ..model.clock import Clock
from ..model.errors import AgbError, TransientError

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """Where a call is aimed: at one session, or, of a call that names none, at its kind."""

    session: str = ""
    kind: str = ""

    def __str__(self) -> str:
        return self.session or self.kind


WHOLE: Final = Place()
"""Not at a part, but at all that the breaker protects."""
_FORGOTTEN: Final = 600.0
"""Seconds after which a place that nobody tries any more is forgotten."""


class Outcome(Enum):
    """What the outcome of one call says of the thing that the breaker protects."""

    GOOD = auto()
    BAD = auto()
    """It is bad as a whole."""
    BAD_HERE = auto()
    """The place is bad, and who knows what else."""
    SILENT = auto()
    """Nothing, e.g. because the call was cancelled."""


@dataclass(kw_only=True, slots=True, eq=False)
class _Opening:
    """Calls are held back, of a place or of the whole."""

    because: Callable[[], AgbError]
    since: float
    wait: float
    retry_at: float
    probing: bool = False


@dataclass(kw_only=True, slots=True, eq=False)
class Breaker:
    """For the whole and for each place: closed, open, or open with one call on its way to find out."""

    name: str
    """What it protects, for logs."""
    judge: Callable[[BaseException | None], Outcome]
    """The verdict on a call that ended with this exception, None for a call that succeeded."""
    threshold: int
    """How many bad outcomes in a row open it."""
    first_wait: float
    """Seconds until the first call is let through again; doubles with each that fails."""
    longest_wait: float
    """Seconds the waits grow up to."""
    clock: Clock
    """Its chance takes up to half off each wait, so that breakers do not probe in step."""
    _open: dict[Place, _Opening] = field(init=False, default_factory=dict)
    _bad_in_a_row: deque[Place] = field(init=False)

    def __post_init__(self) -> None:
        self._bad_in_a_row = deque(maxlen=4 * self.threshold)

    @property
    def open_since(self) -> float | None:
        """When it opened for the whole, in seconds of the clock; None while it is closed."""
        opening = self._open.get(WHOLE)
        return opening.since if opening is not None else None

    def check(self, place: Place = WHOLE) -> None:
        """Raise what opened the breaker, unless a call may go ahead now; takes no turn."""
        for opening in self._concerning(place):
            if opening.probing or self.clock.now() < opening.retry_at:
                raise self._dated(opening.because(), opening)

    def close(self) -> None:
        """Let all calls go through again, as somebody else has found that things are better."""
        self._open.clear()
        self._bad_in_a_row.clear()

    @contextmanager
    def attempt(self, place: Place = WHOLE) -> Iterator[None]:
        """Surround one call.

        Raises:
            AgbError: the breaker is open; the error is the one that opened it, made anew.
        """
        self.check(place)
        tried = self._concerning(place)
        for opening in tried:
            opening.probing = True
        outcome: BaseException | None = None
        try:
            yield
        except BaseException as exc:
            outcome = exc
            raise
        finally:
            for opening in tried:
                opening.probing = False
            self._record(outcome, place, tried)

    def _concerning(self, place: Place) -> list[_Opening]:
        return [self._open[each] for each in {WHOLE, place} if each in self._open]

    def _record(self, outcome: BaseException | None, place: Place, tried: list[_Opening]) -> None:
        match verdict := self.judge(outcome):
            case Outcome.GOOD:
                self._bad_in_a_row.clear()
                for each in (WHOLE, place):
                    if self._open.get(each) in tried:
                        del self._open[each]
                        logger.info("%s: calls go through again", _named(self.name, each))
            case Outcome.BAD | Outcome.BAD_HERE:
                assert isinstance(outcome, AgbError)
                where = WHOLE if verdict is Outcome.BAD else place
                self._bad_in_a_row.append(where)
                for opening in tried:
                    opening.wait = min(self.longest_wait, opening.wait * 2)
                    self._hold(opening, outcome)
                if where is not WHOLE and self._bad_in_a_row.count(where) >= self.threshold:
                    self._trip(where, outcome)
                if len(self._bad_in_a_row) >= self.threshold and self._is_whole():
                    self._trip(WHOLE, outcome)
                for opening in self._concerning(place):
                    self._dated(outcome, opening)
            case Outcome.SILENT:
                pass

    def _is_whole(self) -> bool:
        sessions = {place.session for place in self._bad_in_a_row if place.session}
        return WHOLE in self._bad_in_a_row or len(sessions) > 1

    def _trip(self, place: Place, error: AgbError) -> None:
        """Open; what is open stays as it is. Calls that were under way then change nothing: only a try does."""
        if place in self._open:
            return
        now = self.clock.now()
        for old in [each for each, opening in self._open.items() if opening.retry_at < now - _FORGOTTEN]:
            del self._open[old]
        logger.warning("%s: no more calls for now: %s", _named(self.name, place), error.message)
        opening = self._open[place] = _Opening(because=lambda: error, since=now, wait=self.first_wait, retry_at=now)
        self._hold(opening, error)

    def _hold(self, opening: _Opening, error: AgbError) -> None:
        kind, message, code, status = type(error), error.message, error.code, error.http_status
        opening.because = lambda: kind(message, code=code, http_status=status)
        opening.retry_at = self.clock.now() + opening.wait * (1 - self.clock.jitter() / 2)

    def _dated(self, error: AgbError, opening: _Opening) -> AgbError:
        """Put into a passing failure when to come back; while a try is on its way, that is a guess."""
        if isinstance(error, TransientError):
            error.retry_after = max(opening.retry_at - self.clock.now(), opening.wait / 2)
        return error


def _named(name: str, place: Place) -> str:
    return name if place is WHOLE else f"{name}, {place}"
