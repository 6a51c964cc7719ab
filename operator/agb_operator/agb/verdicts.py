"""Whose fault a failure is: the session's, the key's, the account's or the endpoint's.

    session or kind of call   a 403, a 5xx or no answer, while others of the key have nothing of the kind to tell
    key                       a 401; a 403 of two sessions
    account                   5xx or no answer, of two sessions in a row
    endpoint                  it cannot be reached; or every key that called lately gets 5xx or no answer, and these are
                              keys of two namespaces

What one tenant's account answers is never held against another's: only what cannot be reached is left alone by all.
An endpoint that fails for everybody is left alone by each account for itself; what they share is the good news, since
one success of any key sets all of them free.
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final

from ..model.clock import Clock
from ..model.errors import AgbError, ApiUnavailable, CredentialsRejected, EndpointUnreachable, NotLeading, Throttled
from .breaker import Breaker, Outcome, Place

logger = logging.getLogger(__name__)

FIRST_WAIT: Final = 1.0
"""Seconds for which an account or an endpoint that fails is left alone at first."""
LONGEST_WAIT: Final = 30.0
LATELY: Final = 30.0
"""Seconds for which a key's last answer says something of the endpoint."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Word:
    """What a key has last heard from the endpoint."""

    at: float
    bad: bool
    namespaces: frozenset[str]


@dataclass(kw_only=True, slots=True, eq=False)
class Endpoint:
    """What all keys together say of the endpoint."""

    clock: Clock
    reach: Breaker = field(init=False)
    """Open while it cannot be reached."""
    fails_for_all: bool = field(init=False, default=False)
    """Whether it is reached, and fails for every key that has called lately."""
    recoveries: int = field(init=False, default=0)
    """How often that has come to an end."""
    _words: OrderedDict[str, _Word] = field(init=False, default_factory=OrderedDict)
    """Of the keys that have called lately; the latest is the last."""

    def __post_init__(self) -> None:
        self.reach = Breaker(
            name="AGB endpoint",
            judge=_reach_verdict,
            threshold=5,
            first_wait=FIRST_WAIT,
            longest_wait=LONGEST_WAIT,
            clock=self.clock,
        )

    @property
    def is_dead(self) -> bool:
        """Whether it counts as dead."""
        return self.reach.open_since is not None or self.fails_for_all

    def note(self, name: str, namespaces: frozenset[str], verdict: Outcome) -> None:
        """Note what the account of a key says."""
        if verdict is Outcome.SILENT:
            return
        now, bad = self.clock.now(), verdict is not Outcome.GOOD
        self._words[name] = _Word(at=now, bad=bad, namespaces=namespaces)
        self._words.move_to_end(name)
        while next(iter(self._words.values())).at <= now - LATELY:
            self._words.popitem(last=False)
        if not bad and self.fails_for_all:
            self.fails_for_all = False
            self.recoveries += 1
            logger.info("AGB endpoint: it serves again")
        elif bad and not self.fails_for_all and all(word.bad for word in self._words.values()):
            where = {namespace for word in self._words.values() for namespace in word.namespaces}
            if len(where) > 1:
                self.fails_for_all = True
                logger.warning("AGB endpoint: it fails for every API key that is in use")


@dataclass(kw_only=True, slots=True, eq=False)
class Standing:
    """What is known of one key, its account and their parts."""

    name: str
    """The key's, for logs."""
    endpoint: Endpoint
    clock: Clock
    on_refused: Callable[[], None]
    """Told of each answer that refuses the key."""
    namespaces: frozenset[str] = frozenset()
    """Where the key is used."""
    is_proven: bool = field(init=False, default=False)
    """Whether AGB has ever accepted the key."""
    _recoveries: int = field(init=False)
    key: Breaker = field(init=False)
    """Open while AGB refuses the key."""
    account: Breaker = field(init=False)
    """Open while AGB fails to serve the account."""

    def __post_init__(self) -> None:
        self._recoveries = self.endpoint.recoveries
        self.key = Breaker(
            name=f"API key {self.name}",
            judge=_key_verdict,
            threshold=1,
            first_wait=30.0,
            longest_wait=300.0,
            clock=self.clock,
        )
        self.account = Breaker(
            name=f"account of API key {self.name}",
            judge=_account_verdict,
            threshold=5,
            first_wait=FIRST_WAIT,
            longest_wait=LONGEST_WAIT,
            clock=self.clock,
        )

    @property
    def is_accepted(self) -> bool:
        """Whether AGB accepts the key now, as far as is known."""
        return self.is_proven and self.key.open_since is None

    def check(self, place: Place) -> None:
        """Raise what is known already, if a request to this place would only hear it again."""
        if self._recoveries != self.endpoint.recoveries:
            self._recoveries = self.endpoint.recoveries
            self.account.close()
        self.key.check(place)
        self.account.check(place)
        self.endpoint.reach.check()

    @contextmanager
    def attempt(self, place: Place) -> Iterator[None]:
        """Surround one request; raises as `check` does."""
        self.check(place)  # all of them first: none is to judge what another one answers
        outcome: BaseException | None = None
        try:
            with self.key.attempt(place), self.account.attempt(place), self.endpoint.reach.attempt():
                yield
        except BaseException as exc:
            outcome = exc
            raise
        finally:
            self.endpoint.note(self.name, self.namespaces, _account_verdict(outcome))
            verdict = _key_verdict(outcome)
            self.is_proven = self.is_proven or verdict is Outcome.GOOD
            if verdict is Outcome.BAD:
                self.on_refused()


def _reach_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case EndpointUnreachable():
            return Outcome.BAD
        case NotLeading():
            return Outcome.SILENT
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT


def _account_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case EndpointUnreachable() | NotLeading():
            return Outcome.SILENT
        case ApiUnavailable(http_status=status) if status is None or status >= 500:
            return Outcome.BAD_HERE
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT


def _key_verdict(outcome: BaseException | None) -> Outcome:
    match outcome:
        case CredentialsRejected(http_status=403, code=code) if code != "InvalidApiKey":
            return Outcome.BAD_HERE
        case CredentialsRejected():
            return Outcome.BAD
        case ApiUnavailable() | Throttled() | NotLeading():
            return Outcome.SILENT
        case None | AgbError():
            return Outcome.GOOD
        case _:
            return Outcome.SILENT
