"""One client for each API key that is in memory, within that key's limits.

Keys of former Secrets are among them as long as somebody needs what they alone can see; they are found by the name that
a status has for them, never by their text.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field
from functools import partial
from math import inf

from ..model.resource import Witness
from .api_key import ApiKey
from .client import SessionClient
from .guard import Guard, Guards
from .verdicts import Standing


@dataclass(frozen=True, kw_only=True, slots=True)
class _Account:
    """What goes with a key."""

    client: SessionClient
    guard: Guard


@dataclass(kw_only=True, slots=True, eq=False)
class Accounts:
    """Owns the clients; here alone is known which keys AGB refuses."""

    open_client: Callable[[ApiKey, Guard], SessionClient]
    """Gives the calls of a key, within the limits of its guard."""
    guards: Guards
    on_key: Callable[[ApiKey], None]
    """Told of every key before its first use, so that logs can redact it."""
    on_refused: Callable[[frozenset[str]], None]
    """Told of each answer that refuses a key, with the namespaces that use it."""
    _known: dict[ApiKey, _Account] = field(init=False, default_factory=dict)

    def client(self, key: ApiKey, namespace: str) -> SessionClient:
        """Give the account of a key that a resource of a namespace may use."""
        account = self._known.get(key)
        if account is None:
            self.on_key(key)
            guard = self.guards.new(key.fingerprint, on_refused=partial(self._note_refusal, key))
            account = self._known[key] = _Account(client=self.open_client(key, guard), guard=guard)
        account.guard.standing.namespaces |= {namespace}
        return account.client

    def named(self, witness: Witness, namespace: str) -> SessionClient | None:
        """Give the account of the key that a status names, if that is in memory and was used in the namespace.

        Whether AGB accepts it is for its answer to say: a key that is never asked stays refused for ever.
        """
        for key, account in self._known.items():
            used_here = namespace in account.guard.standing.namespaces
            if used_here and key.witness(witness.subject) == witness.name:
                return account.client
        return None

    def standing(self, key: ApiKey | None) -> Standing | None:
        """Tell what is known of a key."""
        account = self._known.get(key) if key is not None else None
        return account.guard.standing if account is not None else None

    def refused_since(self, key: ApiKey | None) -> float | None:
        """Tell since when AGB refuses a key."""
        standing = self.standing(key)
        return standing.key.open_since if standing is not None else None

    def open_breakers(self, keys: Collection[ApiKey | None]) -> Mapping[str, int]:
        """Count the breakers that hold requests with these keys back, by kind."""
        known = [account.guard.standing for key, account in self._known.items() if key in keys]
        return {
            "credentials": sum(standing.key.open_since is not None for standing in known),
            "account": sum(standing.account.open_since is not None for standing in known),
            "endpoint": int(bool(known) and self.guards.endpoint.is_dead),
        }

    def rate_limit(self, keys: Collection[ApiKey | None]) -> float:
        """Give the lowest rate that holds back calls with one of these keys, a second; infinite while none does."""
        return min((account.guard.bucket.bound for key, account in self._known.items() if key in keys), default=inf)

    def retain(self, keys: Set[ApiKey | None], *, witnesses: Iterable[Witness], namespaces: Set[str]) -> None:
        """Forget the keys that are not among these and that no status names, and namespaces without resources."""
        if unused := self._known.keys() - keys:
            named = list(witnesses)
            for key in unused:
                if not any(key.witness(witness.subject) == witness.name for witness in named):
                    del self._known[key]
        for account in self._known.values():
            account.guard.standing.namespaces &= namespaces

    def _note_refusal(self, key: ApiKey) -> None:
        standing = self.standing(key)
        if standing is not None:
            self.on_refused(standing.namespaces)
