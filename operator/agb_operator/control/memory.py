"""What this process remembers of each resource between passes; all of it may be lost at a restart without harm."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from ..agb.client import Created
from ..model.resource import AgbSession, ObjectKey
from ..model.states import SessionState
from ..policy.wording import Action, Facts

SAME_MOMENT: Final = 90.0
"""Seconds within which sessions that vanish have vanished together: one resync and its confirmation."""
SUSPICIOUS: Final = 3
"""Sessions of one key that must vanish together before the key is suspect."""


@dataclass(kw_only=True, slots=True)
class Remembered:
    """One resource's memory; times are those of a monotonic clock."""

    uid: str
    called_at: float = float("-inf")
    """When our last call for the session ended; what was seen before it no longer counts."""
    called: Action | None = None
    """That call, if AGB took it, may have taken it, or refused it for the session's state."""
    failures: int = 0
    failing_since: float = 0.0
    missing_looks: int = 0
    missing_since: float = 0.0
    create_sent_at: float | None = None
    intent_is_ours: bool = False
    created: Created | None = None
    duplicates_checked: bool = False
    duplicates_found: bool = False
    """The last check found one that could not be ended yet."""
    undecided: int = 0
    """Passes in a row that waited for the look of an older claimant."""
    stray: str = ""
    """A session with our UID label that the resource never reported; it is released with the resource."""

    def note_failure(self, now: float, *, told_when: bool = False) -> None:
        """Count a failure in a row; one that came with the time of the next try does not lengthen the back-off."""
        if not self.failures:
            self.failing_since = now
        if not (told_when and self.failures):
            self.failures += 1

    def note_loss(self) -> None:
        """Forget what was known of a session that another one is to replace: its create was answered long since."""
        self.missing_looks = 0
        self.create_sent_at = None
        self.duplicates_checked = False

    def note_state(self, state: SessionState, now: float) -> None:
        """Count looks in a row that found nothing."""
        if state != SessionState.NOT_FOUND:
            self.missing_looks = 0
            return
        if not self.missing_looks:
            self.missing_since = now
        self.missing_looks += 1


@dataclass(kw_only=True, slots=True)
class _Client:
    """Which resources of one key see their session, and since when others do not."""

    seen: set[ObjectKey] = field(default_factory=set)
    missing: dict[ObjectKey, float] = field(default_factory=dict)


class Memory:
    """The memories of all resources, and what they say together of a key."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._memory: dict[ObjectKey, Remembered] = {}
        self._clients: dict[int, _Client] = {}
        self._client_of: dict[ObjectKey, int] = {}

    def of(self, session: AgbSession) -> Remembered:
        """Give a resource's memory; another resource of the same name starts with an empty one."""
        remembered = self._memory.get(session.key)
        if remembered is None or remembered.uid != session.uid:
            remembered = self._memory[session.key] = Remembered(uid=session.uid)
        return remembered

    def forget(self, key: ObjectKey) -> None:
        """Drop what is remembered of a resource that no longer exists."""
        self._memory.pop(key, None)
        client = self._clients.get(self._client_of.pop(key, 0))
        if client is not None:
            client.seen.discard(key)
            client.missing.pop(key, None)

    def facts(self, session: AgbSession, *, rival: str = "") -> Facts:
        """Give what the decision may know."""
        now, remembered = self._clock(), self.of(session)
        return Facts(
            called=remembered.called,
            since_call=None if remembered.called_at == float("-inf") else now - remembered.called_at,
            missing_looks=remembered.missing_looks,
            missing_for=now - remembered.missing_since if remembered.missing_looks else 0.0,
            failing_for=now - remembered.failing_since if remembered.failures else 0.0,
            mass_loss=self._vanished_together(session.key),
            since_create=None if remembered.create_sent_at is None else now - remembered.create_sent_at,
            other_claimant=rival,
        )

    def note_look(self, session: AgbSession, state: SessionState, *, client: int) -> None:
        """Note what a look through an account (any number that names it) has found."""
        now, remembered = self._clock(), self.of(session)
        remembered.note_state(state, now)
        if self._client_of.get(session.key) != client:
            self._move(session.key, client)
        looks = self._clients.setdefault(client, _Client())
        if state == SessionState.NOT_FOUND:
            looks.seen.discard(session.key)
            if session.status.session_status:  # one that nobody ever saw has not vanished
                looks.missing.setdefault(session.key, now)
        else:
            looks.missing.pop(session.key, None)
            looks.seen.add(session.key)

    def _move(self, key: ObjectKey, client: int) -> None:
        before = self._clients.get(self._client_of.get(key, 0))
        if before is not None:
            before.seen.discard(key)
            before.missing.pop(key, None)
        self._client_of[key] = client

    def _vanished_together(self, key: ObjectKey) -> bool:
        """Tell whether most sessions of the key vanished in the moment in which this one did."""
        client = self._clients.get(self._client_of.get(key, 0))
        if client is None or key not in client.missing:
            return False
        since = client.missing[key]
        together = sum(abs(other - since) <= SAME_MOMENT for other in client.missing.values())
        return together >= SUSPICIOUS and 2 * together > together + len(client.seen)
