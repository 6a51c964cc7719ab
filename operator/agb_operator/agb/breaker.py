"""A circuit breaker: after failures that the next call would only repeat, it answers in the called one's place.

It knows neither keys nor endpoints: `guard` says which outcomes count. While open it lets one call through now and
then, at growing intervals, to find out whether things are better. Passing failures leave here with the time of the
next such try, so that the callers keep in step with it: a caller's own back-off would outlast the trouble.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto

from ..model.clock import Clock
from ..model.errors import AgbError, TransientError

logger = logging.getLogger(__name__)


class Outcome(Enum):
    """What the outcome of one call says of the thing that the breaker protects."""

    GOOD = auto()
    BAD = auto()
    SILENT = auto()
    """Nothing, e.g. because the call was cancelled."""


@dataclass(kw_only=True, slots=True, eq=False)
class Breaker:
    """Closed, open, or open with one call on its way to find out."""

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
    open_since: float | None = field(init=False, default=None)
    """When it opened, in seconds of the clock; None while it is closed."""
    _bad_in_a_row: int = field(init=False, default=0)
    _because: Callable[[], AgbError] | None = field(init=False, default=None)
    _wait: float = field(init=False)
    _retry_at: float = field(init=False, default=0.0)
    _probing: bool = field(init=False, default=False)

    def __post_init__(self) -> None:
        self._wait = self.first_wait

    def check(self) -> None:
        """Raise what opened the breaker, unless a call may go ahead now; takes no turn."""
        if self._because is not None and (self._probing or self.clock.now() < self._retry_at):
            raise self._dated(self._because())

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Surround one call.

        Raises:
            AgbError: the breaker is open; the error is the one that opened it, made anew.
        """
        self.check()
        is_probe = self._because is not None
        self._probing = self._probing or is_probe
        outcome: BaseException | None = None
        try:
            yield
        except BaseException as exc:
            outcome = exc
            raise
        finally:
            if is_probe:
                self._probing = False
            self._record(outcome, is_probe=is_probe)

    def _record(self, outcome: BaseException | None, *, is_probe: bool) -> None:
        match self.judge(outcome):
            case Outcome.GOOD:
                self._bad_in_a_row = 0
                if is_probe:
                    self._close()
            case Outcome.BAD:
                assert isinstance(outcome, AgbError)
                self._bad_in_a_row += 1
                if is_probe:
                    self._wait = min(self.longest_wait, self._wait * 2)
                    self._open(outcome)
                elif self._because is None and self._bad_in_a_row >= self.threshold:
                    self._wait = self.first_wait
                    logger.warning("%s: no more calls for now: %s", self.name, outcome.message)
                    self.open_since = self.clock.now()
                    self._open(outcome)
                if self._because is not None:
                    self._dated(outcome)
            case Outcome.SILENT:
                pass

    def _dated(self, error: AgbError) -> AgbError:
        """Put into a passing failure when to come back; while a try is on its way, that is a guess."""
        if isinstance(error, TransientError):
            error.retry_after = max(self._retry_at - self.clock.now(), self._wait / 2)
        return error

    def _open(self, error: AgbError) -> None:
        """Open, or stay open. Calls that were under way when it opened change nothing: only a probe does."""
        kind, message, code, status = type(error), error.message, error.code, error.http_status
        self._because = lambda: kind(message, code=code, http_status=status)
        self._retry_at = self.clock.now() + self._wait * (1 - self.clock.jitter() / 2)

    def _close(self) -> None:
        self._because = None
        self.open_since = None
        logger.info("%s: calls go through again", self.name)
