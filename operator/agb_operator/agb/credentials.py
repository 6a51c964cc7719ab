"""Which API key a resource may use, and the account that goes with it.

Owns the Secrets that were read (for a short time) and one account per key. A resource uses the Secret it names, in its
own namespace; one that names none uses the operator's own key, in the namespaces the administrator listed and nowhere
else. The last key that a Secret held is kept for deletions: a namespace's deletion often removes the Secret first.
"""

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import InitVar, dataclass, field
from typing import Final, Protocol

from ..model.errors import ApiUnavailable, ClusterError, ClusterForbidden, CredentialsMissing, ObjectNotFound
from ..model.resource import AgbSession, SecretRef
from .api_key import ApiKey
from .client import SessionClient

logger = logging.getLogger(__name__)

FRESH: Final = 60.0
"""Seconds for which a key that was read is used without reading the Secret again."""
RECHECK: Final = 20.0
"""Seconds for which a missing or refused key is not looked for again; below the requeue of those that wait for it."""
EVERYWHERE: Final = "*"


class SecretReader(Protocol):
    """The part of the cluster needed here."""

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """Read the entries of one Secret; raises any `ClusterError`."""


@dataclass(kw_only=True, slots=True)
class _Entry:
    """One entry of one Secret, as last read; `key` outlives the Secret, for deletions."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = float("-inf")
    key: ApiKey | None = None
    problem: CredentialsMissing | None = None
    refused: ApiKey | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Credentials:
    """Gives each resource its account."""

    secrets: SecretReader
    """Reads Secrets."""
    open_client: Callable[[ApiKey], SessionClient]
    own_key: ApiKey | None
    """The operator's key (`AGB_API_KEY`), None without one."""
    own_key_namespaces: InitVar[Collection[str]]
    """Where resources may use it; `*` is everywhere."""
    clock: Callable[[], float]
    """Seconds of a monotonic clock."""
    on_key: Callable[[ApiKey], None]
    """Told of every key before its first use, so that logs can redact it."""
    _own_key_namespaces: frozenset[str] = field(init=False)
    _entries: dict[tuple[str, SecretRef], _Entry] = field(init=False, default_factory=dict)
    _clients: dict[ApiKey, SessionClient] = field(init=False, default_factory=dict)

    def __post_init__(self, own_key_namespaces: Collection[str]) -> None:
        self._own_key_namespaces = frozenset(own_key_namespaces)

    async def client_of(self, session: AgbSession) -> SessionClient:
        """Give the account a resource may use.

        Raises:
            CredentialsMissing: it has none; the message says what to do.
            ApiUnavailable: the Secret cannot be read at present and no key is known from before.
        """
        if session.secret is None:
            return self._client(self._own(session.key.namespace))
        entry = self._entries.setdefault((session.key.namespace, session.secret), _Entry())
        async with entry.lock:
            if self._is_stale(entry):
                await self._read(entry, session.key.namespace, session.secret)
        if entry.problem is not None and not (session.deleting and entry.key is not None):
            raise _copy(entry.problem)
        if entry.key is None:
            raise ApiUnavailable(f"Secret {session.secret.name} could not be read yet.")
        return self._client(entry.key)

    def refused(self, session: AgbSession) -> bool:
        """Note that the API refused the resource's key: its Secret is read again at once, then slowly.

        Returns whether the Secret is still to be read again, so that it may hold another key already.
        """
        entry = self._entries.get((session.key.namespace, session.secret)) if session.secret else None
        if entry is None or entry.key is None:
            return False
        if entry.refused != entry.key:
            entry.refused = entry.key
            entry.read_at = float("-inf")
        return entry.read_at == float("-inf")

    def retain(self, used: Collection[tuple[str, SecretRef]]) -> None:
        """Forget the Secrets and accounts that no resource uses any more."""
        for unused in self._entries.keys() - set(used):
            del self._entries[unused]
        keys = {entry.key for entry in self._entries.values()} | {self.own_key}
        for key in self._clients.keys() - keys:
            del self._clients[key]

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

    def _client(self, key: ApiKey) -> SessionClient:
        client = self._clients.get(key)
        if client is None:
            self.on_key(key)
            client = self._clients[key] = self.open_client(key)
        return client

    def _is_stale(self, entry: _Entry) -> bool:
        waiting = entry.problem is not None or entry.refused is not None
        return self.clock() - entry.read_at > (RECHECK if waiting else FRESH)

    async def _read(self, entry: _Entry, namespace: str, ref: SecretRef) -> None:
        try:
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
            logger.warning("Secret %s/%s could not be read: %s", namespace, ref.name, error)
            return
        else:
            entry.problem = None
            self._take(entry, content.get(ref.entry), namespace, ref)
        entry.read_at = self.clock()

    def _take(self, entry: _Entry, value: bytes | None, namespace: str, ref: SecretRef) -> None:
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
            entry.problem = CredentialsMissing(
                f"Entry {ref.entry} of {where} cannot be used: {text}. Put the API key there, alone and on one line."
            )
            return
        if key != entry.key:
            entry.refused = None
        entry.key = key


def _copy(problem: CredentialsMissing) -> CredentialsMissing:
    # An exception object collects the traceback of each raise, so the cached one is never raised itself.
    return CredentialsMissing(problem.message)
