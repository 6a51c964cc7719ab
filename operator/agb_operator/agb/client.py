"""The port to the session service: what the reconciler may ask of it, free of HTTP.

`requests` implements it for AGB; another backend is another adapter. Every call may raise any error of `errors`, and
`outcome_unknown` on it says that the call may have been carried out all the same.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ..model.states import Created, Observation


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The service took the request; what becomes of it is seen by looking."""

    request_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Listed:
    """One page of the account's sessions.

    Attributes:
        sessions: what the list says of each; `taken_at` is when this page was asked for.
        next_token: continues with the next page, "" on the last one.
        total: matches over all pages as the service counts them, None when it does not say.
        nameless: it has rows without a usable id, so what is not among `sessions` may be there all the same.
    """

    sessions: Sequence[Observation]
    next_token: str
    total: int | None
    nameless: bool = False


class SessionClient(Protocol):
    """The calls of one account (one API key)."""

    def witness(self, subject: str) -> str:
        """Name the key of these calls for one subject, a session or a resource, without giving it away."""

    @property
    def allows(self) -> Callable[[], float]:
        """Says how many calls a second the account allows, infinitely many as long as nobody knows."""

    async def observe(self, session_id: str) -> Observation:
        """Look at one session; one that is not found is an observation (`NOT_FOUND`), not an error."""

    async def list_page(self, *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100) -> Listed:
        """List one page of the sessions that carry all of `labels`, in the service's stable order."""

    async def create(self, *, image_id: str, labels: Mapping[str, str]) -> Created:
        """Create a session. Not idempotent: after an `outcome_unknown` look for it by its labels."""

    async def pause(self, session_id: str) -> Accepted:
        """Ask for a pause; legal in RUNNING only."""

    async def resume(self, session_id: str) -> Accepted:
        """Ask for a resume; legal in PAUSED only."""

    async def release(self, session_id: str) -> Accepted:
        """Ask for the session's end; legal in RUNNING only."""

    async def set_labels(self, session_id: str, labels: Mapping[str, str]) -> Accepted:
        """Replace the session's whole label set."""

    async def get_labels(self, session_id: str) -> Mapping[str, str]:
        """Read the session's labels."""
