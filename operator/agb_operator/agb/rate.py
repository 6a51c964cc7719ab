"""How many calls a second the API allows, found by itself: for a key, and for each kind of its calls.

AGB publishes no limit, so the rate starts modestly and doubles with each round trip until the API refuses a call or its
answers get slow. What it let through since it last said so, divided by the time, is then what it allows: its bucket was
empty at both ends, or its queue was not. The rate comes to rest just below that, and asks for more from time to time:
the longer the wait that a refusal costs, the more rarely. It grows only while calls wait for it, and never falls by
itself, so an hour of rest changes nothing. Pure but for the time that is passed in: who waits is known in `bucket`.
"""

from collections.abc import Hashable
from dataclasses import dataclass, field
from math import inf
from typing import Final

FIRST: Final = 10.0
"""Calls a second before anything is known."""
SLOWEST: Final = 1.0
"""Calls a second that are tried, however often they are refused; the breaks between them grow all the same."""
_BELOW: Final = 0.97
"""What part of what was let through the rate rests at."""
_REST: Final = 10.0
"""Seconds of use for which it does so, before it asks for more."""
_REST_PER_WAIT: Final = 10.0
"""The same for each second that a refusal has cost: at most a tenth of the time is spent on asking."""
_DOUBLES_IN: Final = 3.0
"""Seconds of use in which it doubles while it asks for more."""
_FAR: Final = 2.5
"""How many times the rate it had rested at makes a refusal of no use for finding the limit: it has to be met again."""
_NEARER: Final = 0.6
"""What part of such a rate the limit is approached with."""
_ROUND: Final = 0.05
"""Seconds of a round trip, at least, in which what is let through is counted."""
_PAUSE: Final = 1.0
"""Seconds that a pause in the calls counts for at most. Who allows a burst allows about a second's worth of calls."""
_ENOUGH: Final = 5
"""Calls let through, and a second of use, from which what the API allows can be told."""
_SAVED: Final = 0.1
"""Seconds whose calls may go at once after a pause, so that a busy event loop loses none."""
_DEAF: Final = 5.0
"""Seconds that a queue gets to drain before slow answers say something new."""


@dataclass(kw_only=True, slots=True, eq=False)
class Rate:
    """A rate that follows what the API answers, and the calls that it lets go now."""

    per_second: float
    """Calls a second that may go at present; without a limit while none was met."""
    most: float = inf
    """What it never exceeds."""
    now: float
    """When it was made, in seconds of the clock that all methods are told."""
    closed_until: float = field(init=False, default=-inf)
    """Until when no call may go, as the API asked for."""
    is_found: bool = field(init=False, default=False)
    """Whether the API ever said that a rate was too high."""
    _rested_at: float = field(init=False, default=inf)
    _rest: float = field(init=False, default=0.0)
    _cut_at: float = field(init=False, default=-inf)
    _deaf_until: float = field(init=False, default=-inf)
    _tokens: float = field(init=False, default=1.0)
    _filled_at: float = field(init=False)
    _waited_at: float = field(init=False, default=-inf)
    _let_through: int = field(init=False, default=0)
    _in_round: int = field(init=False, default=0)
    _round_at: float = field(init=False)
    _served: float = field(init=False, default=0.0)
    """What the last round trip has let through, in calls a second."""
    _served_calls: int = field(init=False, default=0)
    _used: float = field(init=False, default=0.0)
    _used_at: float = field(init=False)

    def __post_init__(self) -> None:
        self.per_second = min(self.per_second, self.most)
        self._filled_at = self._used_at = self._round_at = self.now

    def next_at(self, now: float) -> float:
        """Say when the next call may go; not later than now if it may go at once."""
        self._fill(now)
        if self._tokens >= 1 or self.per_second == inf:
            return self.closed_until
        return max(self.closed_until, self._filled_at + (1 - self._tokens) / self.per_second)

    def take(self, now: float) -> None:
        """Count a call that goes now."""
        self._fill(now)
        self._tokens -= 1

    def give_back(self) -> None:
        """Take back a call that did not go after all."""
        self._tokens += 1

    def waits(self, now: float) -> None:
        """Note that it is this rate that somebody waits for."""
        if now >= self.closed_until:
            self._waited_at = now

    def let_through(self, now: float, seconds: float, *, slow: bool) -> None:
        """Count an answer that asks for nothing, after so many seconds; the rate grows with those that are not slow."""
        used = self._use(now)
        self._let_through += 1
        self._count_round(now, seconds)
        if slow or now > self._waited_at + _PAUSE:
            return
        if self._rest > 0:
            self._rest -= used
        elif self.is_found:
            self.per_second *= 2 ** (used / _DOUBLES_IN)
        else:
            # Twice of what the last round trip has let through, so that no queue grows longer than that.
            self.per_second = max(self.per_second, 2 * self._served)
        self.per_second = min(self.per_second, self.most)

    @property
    def bound(self) -> float:
        """Calls a second that are known to be too many, if one more: what was found, or what is never exceeded."""
        return self.per_second if self.is_found else self.most

    @property
    def asks_for_more(self) -> bool:
        """Whether it has met the limit and tries whether that is still there."""
        return self.is_found and self._rest <= 0

    def close(self, now: float, *, wait: float) -> None:
        """Let nothing go for so many seconds; a longer break that is in force stays."""
        if now + wait > self.closed_until:
            self._fill(now)
            self.closed_until = now + wait
            # Afterwards it starts with one call: what was saved up would run into the limit again.
            self._tokens, self._filled_at = 1.0, self.closed_until

    def met_since(self, sent_at: float) -> bool:
        """Whether it has met the limit since a call was sent."""
        return sent_at <= self._cut_at

    def refused(self, now: float, *, sent_at: float, wait: float) -> None:
        """Learn from the refusal of a call that was sent then, which costs a break of so many seconds."""
        if not self.met_since(sent_at):
            self._cut(now, rest=max(_REST, _REST_PER_WAIT * wait))

    def forget(self, now: float) -> None:
        """Let everything go: it was another rate that was too high."""
        self.per_second, self._rested_at, self.is_found, self._cut_at = self.most, inf, False, now

    def slow_down(self, now: float, *, sent_at: float) -> bool:
        """Answers have become slow; tells whether that says anything new of a call that was sent then."""
        if sent_at <= self._deaf_until or self._served_calls < _ENOUGH:
            return False
        # The queue is as long as the last round trip: what was served in it is all that can be.
        self._rest_at(now, _BELOW * self._served, rest=_REST)
        self._deaf_until = now + _DEAF
        return True

    def _cut(self, now: float, *, rest: float) -> None:
        self._use(now)
        measured = _BELOW * self._let_through / max(self._used, _PAUSE)
        limited = now <= self._waited_at + max(_PAUSE, self._used)
        told = limited and self._used >= _PAUSE and self._let_through >= _ENOUGH
        if not self.is_found:
            rate, rest = max(FIRST, measured), 0.0
        elif self.per_second > _FAR * self._rested_at:
            rate, rest = _NEARER * self.per_second, 0.0
        elif self.per_second > self._rested_at:
            rate = max(self._rested_at, measured)
        elif rest > _REST or (told and measured >= self.per_second / 2):
            rate = measured
        else:  # what is told by little, or is hard to believe, is met once more
            rate, rest = max(self.per_second / 2, measured), 0.0
        self._rest_at(now, rate, rest=rest)

    def _rest_at(self, now: float, rate: float, *, rest: float) -> None:
        self.per_second = min(max(SLOWEST, rate), self.per_second, self.most)
        self._rested_at = self.per_second if rest else inf
        self.is_found, self._rest, self._cut_at = True, rest, now
        self._let_through, self._used = 0, 0.0
        self._tokens = min(self._tokens, 1.0)

    def _count_round(self, now: float, seconds: float) -> None:
        self._in_round += 1
        if (round_trip := now - self._round_at) >= max(seconds, _ROUND):
            self._served, self._served_calls = self._in_round / round_trip, self._in_round
            self._in_round, self._round_at = 0, now

    def _use(self, now: float) -> float:
        """Count the time since the last answer; tells how much it counts for."""
        used = min(now - self._used_at, max(_PAUSE, 2 / self.per_second))
        self._used += used
        self._used_at = now
        return used

    def _fill(self, now: float) -> None:
        if now > self._filled_at:
            room = max(1.0, _SAVED * self.per_second)
            more = room if self.per_second == inf else (now - self._filled_at) * self.per_second
            self._tokens = min(room, self._tokens + more)
            self._filled_at = now


_SLOW: Final = 0.5
"""Seconds beyond the usual, and beyond twice the usual, from which on an answer is slow."""
_AS_SLOW_AGAIN: Final = 3
"""How often in a row answers stay as slow, although the rate was cut each time, until that is how they are."""


@dataclass(kw_only=True, slots=True)
class _Usual:
    seconds: float
    since: float | None = None
    """When an answer was slow first, None while they are not."""
    slow: float | None = None
    """How slow they were when the rate was last cut, None while they are not."""
    again: int = 0


@dataclass(kw_only=True, slots=True, eq=False)
class Slowness:
    """Tells slow answers of an endpoint that queues from those of one that is slow by nature.

    The usual is the quickest ever, so that no queue is learnt as normal. Only answers that stay as slow while less and
    less is asked are no queue of ours.
    """

    _usual: dict[Hashable, _Usual] = field(init=False, default_factory=dict)

    def is_slow(self, kind: Hashable, *, sent_at: float, now: float) -> bool:
        """Tell whether the answer to a call of this kind took unusually long."""
        seconds = now - sent_at
        usual = self._usual.setdefault(kind, _Usual(seconds=seconds))
        usual.seconds = min(usual.seconds, seconds)
        slow = seconds > usual.seconds + max(usual.seconds, _SLOW)
        if not slow:
            usual.since, usual.slow, usual.again = None, None, 0
        elif usual.since is None:
            usual.since = now
        return slow

    def lasts(self, kind: Hashable, *, sent_at: float) -> bool:
        """Tell whether it is more than a hiccup: a call that was sent after a slow answer was answered slowly, too."""
        since = self._usual[kind].since
        return since is not None and sent_at > since

    def slowed_down(self, kind: Hashable, seconds: float) -> None:
        """Note that the rate was cut because of such an answer."""
        usual = self._usual[kind]
        as_before = usual.slow is not None and 0.95 * usual.slow <= seconds <= 1.2 * usual.slow
        usual.slow, usual.again = seconds, usual.again + 1 if as_before else 0
        if usual.again == _AS_SLOW_AGAIN:
            for slow in [each for each, known in self._usual.items() if known.since is not None]:
                del self._usual[slow]
