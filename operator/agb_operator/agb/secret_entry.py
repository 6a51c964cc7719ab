"""One entry of one Secret, as it was last read; when it is read again is `credentials`' to say."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

from ..model.errors import CredentialsMissing, CredentialsRejected
from .api_key import ApiKey


class SecretReader(Protocol):
    """The part of the cluster needed here."""

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        """Read the entries of one Secret; raises any `ClusterError`."""


@dataclass(kw_only=True, slots=True)
class Entry:
    """One entry of one Secret, as last read; `key` outlives the Secret, for deletions."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Held by the one who reads; all others wait for what it finds, or go on with the key from before."""
    read_at: float = float("-inf")
    failures: int = 0
    """Reads in a row that failed."""
    retry_at: float = float("-inf")
    """When the next read makes sense after one that failed."""
    key: ApiKey | None = None
    before: ApiKey | None = None
    """The last other key that AGB did not refuse: a typo in the Secret must not block a deletion."""
    problem: CredentialsMissing | CredentialsRejected | None = None
