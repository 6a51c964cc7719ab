"""Which API key a resource may use, and the account that goes with it.

Owns the Secrets that were read (for a short time). A resource uses the Secret it names, in its own namespace; one that
names none uses the operator's own key, in the namespaces the administrator listed and nowhere else. The last key that a
Secret held is kept for deletions: a namespace's deletion often removes the Secret first. A key that was replaced serves
on as a witness of what it alone has seen.
"""

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import InitVar, dataclass, field
from typing import Final

from ..model.budget import Budget
from ..model.clock import Clock
from ..model.errors import (
    AgbError,
    ApiUnavailable,
    ClusterError,
    ClusterForbidden,
    CredentialsMissing,
    CredentialsRejected,
    ObjectNotFound,
    Throttled,
)
from ..model.resource import AgbSession, ObjectKey, SecretRef
from ..shares import Shares
from .accounts import Accounts
from .api_key import ApiKey
from .client import SessionClient
from .guard import Guard, Guards
from .secret_entry import Entry, SecretReader
from .verdicts import Standing

logger = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds for which a key that was read is used without reading the Secret again."""
RECHECK: Final = 20.0
"""Seconds for which a missing or refused key is not looked for again; below the requeue of those that wait for it."""
TRIES: Final = 20
"""Refusals of API keys that a namespace may meet at once, and `TRY_REFILL` the seconds until it may meet one more: AGB
may take offence at the operator's address, which is the same for all tenants."""
TRY_REFILL: Final = 10.0
REREADS: Final = 50
"""Reads of Secrets without a usable key that a namespace may have at once, and the seconds until one more."""
REREAD_REFILL: Final = 0.5
_READS: Final = 12
"""Secrets that may be read at once, for all namespaces; one alone reads four."""
EVERYWHERE: Final = "*"


@dataclass(kw_only=True, slots=True, eq=False)
class Credentials:
    """Gives each resource its account."""

    secrets: SecretReader
    """Reads Secrets."""
    open_client: InitVar[Callable[[ApiKey, Guard], SessionClient]]
    """Gives the calls of a key, within the limits of its guard."""
    guards: InitVar[Guards]
    own_key: ApiKey | None
    """The operator's key (`AGB_API_KEY`), None without one."""
    own_key_namespaces: InitVar[Collection[str]]
    """Where resources may use it; `*` is everywhere."""
    clock: Clock
    on_key: InitVar[Callable[[ApiKey], None]]
    """Told of every key before its first use, so that logs can redact it."""
    _own_key_namespaces: frozenset[str] = field(init=False)
    _entries: dict[tuple[str, SecretRef], Entry] = field(init=False, default_factory=dict)
    _tries: dict[str, Budget] = field(init=False, default_factory=dict)
    _rereads: dict[str, Budget] = field(init=False, default_factory=dict)
    _reads: Shares = field(init=False, default_factory=lambda: Shares(_READS))
    _accounts: Accounts = field(init=False)

    def __post_init__(
        self,
        open_client: Callable[[ApiKey, Guard], SessionClient],
        guards: Guards,
        own_key_namespaces: Collection[str],
        on_key: Callable[[ApiKey], None],
    ) -> None:
        self._own_key_namespaces = frozenset(own_key_namespaces)
        self._accounts = Accounts(open_client=open_client, guards=guards, on_key=on_key, on_refused=self._note_refusal)

    async def client_of(self, session: AgbSession) -> SessionClient:
        """Give the account a resource may use.

        Raises:
            CredentialsMissing: it has none; the message says what to do.
            CredentialsRejected: what the Secret holds is certainly no key.
            Throttled: the key is not known to be good, and the namespace has had too many that were not.
            ApiUnavailable: the Secret cannot be read at present and no key is known from before.
        """
        if session.secret is None:
            return self._accounts.client(self._own(session.key.namespace), session.key.namespace)
        entry = self._entries.setdefault((session.key.namespace, session.secret), Entry())
        if self._is_due(entry) and not (entry.lock.locked() and self._serves_on(entry)):
            async with entry.lock:
                if self._is_due(entry) and self._may_read(entry, session.key.namespace):
                    await self._read(entry, session.key.namespace, session.secret)
        if entry.problem is not None and not (session.deleting and entry.key is not None):
            raise _copy(entry.problem)
        if entry.key is None:
            raise ApiUnavailable(
                f"Secret {session.secret.name} could not be read yet.", retry_after=entry.retry_at - self.clock.now()
            )
        if session.deleting and entry.before is not None and self._accounts.refused_since(entry.key) is not None:
            return self._accounts.client(entry.before, session.key.namespace)
        client = self._accounts.client(entry.key, session.key.namespace)
        self._check_budget(entry.key, session.key.namespace)
        return client

    def may_have_another_key(self, session: AgbSession) -> bool:
        """Tell whether the Secret is to be read at once, as it was last read before AGB began to refuse its key."""
        entry = self._entries.get((session.key.namespace, session.secret)) if session.secret else None
        if entry is None or not (self._outdated(entry) and self._is_due(entry)):
            return False
        budget = self._rereads.get(session.key.namespace)
        return budget is None or not budget.rest(self.clock.now())

    def standing_of(self, session: AgbSession) -> tuple[Standing | None, str]:
        """Tell what is known of the key that a resource uses, and what is wrong with its Secret; nothing is read."""
        if session.secret is None:
            key, problem = self.own_key, None
        else:
            entry = self._entries.get((session.key.namespace, session.secret), Entry())
            key, problem = entry.key, entry.problem
        return self._accounts.standing(key), problem.message if problem else ""

    def witness_of(self, session: AgbSession) -> SessionClient | None:
        """Give the account of the key that a resource's status names, if that is in memory."""
        witness = session.witness
        return None if witness is None else self._accounts.named(witness, session.key.namespace)

    def open_breakers(self) -> Mapping[str, int]:
        """Count the breakers that hold somebody's requests back, by kind."""
        return self._accounts.open_breakers(self._in_use())

    def rate_limit(self) -> float:
        """Give the lowest rate that holds a key's calls back, in calls a second; infinite while none does."""
        return self._accounts.rate_limit(self._in_use())

    def _in_use(self) -> set[ApiKey | None]:
        """Give all keys but those that are kept for deletions, or for what they alone have seen."""
        return {entry.key for entry in self._entries.values()} | {self.own_key}

    def retain(self, sessions: Iterable[AgbSession]) -> None:
        """Forget the Secrets and accounts that none of these resources, which are all there are, needs any more."""
        known = list(sessions)
        used = {(session.key.namespace, session.secret) for session in known}
        for unused in self._entries.keys() - used:
            del self._entries[unused]
        keys = {key for entry in self._entries.values() for key in (entry.key, entry.before)}
        if any(secret is None for _, secret in used):
            keys.add(self.own_key)
        self._accounts.retain(
            keys,
            witnesses=(session.witness for session in known if session.witness is not None),
            namespaces={namespace for namespace, _ in used},
        )
        for budgets in (self._tries, self._rereads):
            for namespace in [each for each, budget in budgets.items() if budget.is_full(self.clock.now())]:
                del budgets[namespace]

    def _own(self, namespace: str) -> ApiKey:
        allowed = EVERYWHERE in self._own_key_namespaces or namespace in self._own_key_namespaces
        if not allowed:
            raise CredentialsMissing(
                f"spec.credentials is not set, and namespace {namespace} may not use the operator's own key. "
                "Name a Secret in spec.credentials.secretRef, or have the administrator list the namespace "
                "(--default-key-namespace)."
            )
        if self.own_key is None:
            raise CredentialsMissing(
                "spec.credentials is not set, and the operator has no key of its own (AGB_API_KEY). "
                "Name a Secret in spec.credentials.secretRef."
            )
        return self.own_key

    def _note_refusal(self, namespaces: frozenset[str]) -> None:
        for namespace in namespaces:
            self._tries.setdefault(namespace, Budget(burst=TRIES, refill=TRY_REFILL)).spend(self.clock.now())

    def _check_budget(self, key: ApiKey, namespace: str) -> None:
        """Raise if trying a key that may be none would be one try too many of the namespace."""
        standing, tries = self._accounts.standing(key), self._tries.get(namespace)
        if tries is None or (standing is not None and standing.is_accepted):
            return
        if rest := tries.rest(self.clock.now()):
            raise Throttled(
                f"AGB refused too many of the API keys in namespace {namespace}, so this one waits for its turn",
                retry_after=rest,
            )

    def _may_read(self, entry: Entry, namespace: str) -> bool:
        """Take a read off the namespace's budget; a first read, and those of a key that AGB accepts, are free."""
        standing = self._accounts.standing(entry.key)
        is_proven = standing is not None and standing.is_proven
        if entry.read_at == float("-inf") or (is_proven and self._serves_on(entry)):
            return True
        budget = self._rereads.setdefault(namespace, Budget(burst=REREADS, refill=REREAD_REFILL))
        return budget.may_spend(self.clock.now())

    def _outdated(self, entry: Entry) -> bool:
        refused_since = self._accounts.refused_since(entry.key)
        return refused_since is not None and entry.read_at <= refused_since

    def _serves_on(self, entry: Entry) -> bool:
        """Tell whether nothing is known against the key from before."""
        return entry.key is not None and entry.problem is None and self._accounts.refused_since(entry.key) is None

    def _is_due(self, entry: Entry) -> bool:
        now = self.clock.now()
        if now < entry.retry_at:
            return False
        fresh = FRESH if self._serves_on(entry) else RECHECK
        return self._outdated(entry) or now - entry.read_at > fresh

    async def _read(self, entry: Entry, namespace: str, ref: SecretRef) -> None:
        try:
            async with self._reads.turn(namespace):
                content = await self.secrets.read_secret(namespace, ref.name)
        except ObjectNotFound:
            entry.problem = CredentialsMissing(
                f"Secret {ref.name} does not exist in namespace {namespace}. Create it with the API key under "
                f"{ref.entry}; the operator looks again within a minute."
            )
        except ClusterForbidden:
            entry.problem = CredentialsMissing(
                f"The operator may not read Secret {ref.name} in namespace {namespace}. Grant it get on Secrets there."
            )
        except ClusterError as error:
            # Not the Secret's fault: a key from before serves on, and without one the caller tries again.
            entry.failures += 1
            entry.retry_at = self.clock.now() + self._gap(entry.failures)
            logger.warning("Secret %s could not be read: %s", ObjectKey(namespace, ref.name), error)
            return
        else:
            entry.problem = None
            self._take(entry, content.get(ref.entry), namespace, ref)
        entry.failures = 0
        entry.read_at = self.clock.now()

    def _gap(self, failures: int) -> float:
        return min(RECHECK, 2.0 ** min(failures - 1, 10)) * (1 + self.clock.jitter()) / 2

    def _take(self, entry: Entry, value: bytes | None, namespace: str, ref: SecretRef) -> None:
        where = f"Secret {ref.name} in namespace {namespace}"
        if value is None:
            entry.problem = CredentialsMissing(
                f"{where} has no entry {ref.entry}. Add it, or name another one in spec.credentials.secretRef.key."
            )
            return
        try:
            key = ApiKey(value.decode())
        except ValueError as exc:  # a decoding error is one, too, and neither quotes the value
            text = "it is not text" if isinstance(exc, UnicodeDecodeError) else str(exc)
            entry.problem = CredentialsRejected(f"Entry {ref.entry} of {where} cannot be used: {text}")
            return
        if entry.key not in (None, key) and self._accounts.refused_since(entry.key) is None:
            entry.before = entry.key
        entry.key = key


def _copy(problem: CredentialsMissing | CredentialsRejected) -> AgbError:
    # An exception object collects the traceback of each raise, so the cached one is never raised itself.
    return type(problem)(problem.message)
