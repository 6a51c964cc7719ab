"""What this process remembers of each resource between passes; all of it may be lost at a restart without harm."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from .reports import Action, Facts
from .resource import AgbSession, Key
from .sessions import Created
from .states import SessionState

SAME_MOMENT: Final = 90.0
"""Seconds within which sessions that vanish have vanished together: one resync and its confirmation."""
SUSPICIOUS: Final = 3
"""Sessions of one key that must vanish together before the key is suspect."""


@dataclass(kw_only=True, slots=True)
class Memory:
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
class _Account:
    """Which resources of one key see their session, and since when others do not."""

    seen: set[Key] = field(default_factory=set)
    missing: dict[Key, float] = field(default_factory=dict)


class Memories:
    """The memories of all resources, and what they say together of a key."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._memories: dict[Key, Memory] = {}
        self._accounts: dict[int, _Account] = {}
        self._account_of: dict[Key, int] = {}

    def of(self, session: AgbSession) -> Memory:
        """Give a resource's memory; another resource of the same name starts with an empty one."""
        memory = self._memories.get(session.key)
        if memory is None or memory.uid != session.uid:
            memory = self._memories[session.key] = Memory(uid=session.uid)
        return memory

    def forget(self, key: Key) -> None:
        """Drop what is remembered of a resource that no longer exists."""
        self._memories.pop(key, None)
        account = self._accounts.get(self._account_of.pop(key, 0))
        if account is not None:
            account.seen.discard(key)
            account.missing.pop(key, None)

    def facts(self, session: AgbSession, *, rival: str = "") -> Facts:
        """Give what the decision may know."""
        now, memory = self._clock(), self.of(session)
        return Facts(
            called=memory.called,
            since_call=None if memory.called_at == float("-inf") else now - memory.called_at,
            missing_looks=memory.missing_looks,
            missing_for=now - memory.missing_since if memory.missing_looks else 0.0,
            failing_for=now - memory.failing_since if memory.failures else 0.0,
            mass_loss=self._vanished_together(session.key),
            since_create=None if memory.create_sent_at is None else now - memory.create_sent_at,
            other_claimant=rival,
        )

    def note_look(self, session: AgbSession, state: SessionState, *, account: int) -> None:
        """Note what a look through an account (any number that names it) has found."""
        now, memory = self._clock(), self.of(session)
        memory.note_state(state, now)
        if self._account_of.get(session.key) != account:
            self._move(session.key, account)
        looks = self._accounts.setdefault(account, _Account())
        if state == SessionState.NOT_FOUND:
            looks.seen.discard(session.key)
            if session.status.session_status:  # one that nobody ever saw has not vanished
                looks.missing.setdefault(session.key, now)
        else:
            looks.missing.pop(session.key, None)
            looks.seen.add(session.key)

    def _move(self, key: Key, account: int) -> None:
        before = self._accounts.get(self._account_of.get(key, 0))
        if before is not None:
            before.seen.discard(key)
            before.missing.pop(key, None)
        self._account_of[key] = account

    def _vanished_together(self, key: Key) -> bool:
        """Tell whether most sessions of the key vanished in the moment in which this one did."""
        account = self._accounts.get(self._account_of.get(key, 0))
        if account is None or key not in account.missing:
            return False
        since = account.missing[key]
        together = sum(abs(other - since) <= SAME_MOMENT for other in account.missing.values())
        return together >= SUSPICIOUS and 2 * together > together + len(account.seen)
