"""What this process remembers of each resource between passes; all of it may be lost at a restart without harm."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ..agb.client import SessionClient
from ..model.budget import Budget
from ..model.event import Event
from ..model.resource import AgbSession, ObjectKey
from ..model.states import Created, SessionState
from ..model.status import OperationType, SessionStatus
from ..policy.plan import Action, Recalled

SAME_MOMENT: Final = 90.0
"""Seconds within which sessions that vanish have vanished together: one resync and its confirmation."""
SUSPICIOUS: Final = 3
"""Sessions of one key that must vanish together before the key is suspect."""
CHANGES: Final = 20
"""Changes that people make to one resource that are followed at once."""
CHANGE_REFILL: Final = 1.0
"""Seconds between two of them afterwards: whoever writes without end is followed at this pace."""


@dataclass(kw_only=True, slots=True)
class Streak:
    """Failures in a row of one kind: each kind has a patience of its own."""

    count: int = 0
    since: float = 0.0

    def note(self, now: float, *, told_when: bool = False) -> None:
        """Count a failure; one that came with the time of the next try does not lengthen the back-off."""
        if not self.count:
            self.since = now
        if not (told_when and self.count):
            self.count += 1

    def end(self) -> None:
        """Begin anew: the thing that failed has worked."""
        self.count = 0

    def lasts(self, now: float) -> float:
        """Give the seconds since the first of the failures, 0 without one."""
        return now - self.since if self.count else 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Unwritten:
    """A status that the API server did not take, and from what it was decided."""

    asks: tuple[object, ...]
    before: SessionStatus
    status: SessionStatus
    events: tuple[Event, ...]

    def holds(self, session: AgbSession) -> bool:
        """Tell whether a resource is still as it was when this was decided."""
        return session.asks == self.asks and session.status == self.before


@dataclass(kw_only=True, slots=True)
class Remembered:
    """One resource's memory; times are those of a monotonic clock."""

    uid: str
    changes: Budget = field(default_factory=lambda: Budget(burst=CHANGES, refill=CHANGE_REFILL))
    """Changes of it that may still be followed at once."""
    called_at: float = float("-inf")
    """When our last call for the session ended; what was seen before it no longer counts."""
    called: Action | None = None
    """That call, if AGB took it, may have taken it, or refused it for the session's state."""
    agb: Streak = field(default_factory=Streak)
    """Failures of looks and calls."""
    cluster: Streak = field(default_factory=Streak)
    """Failures of writes to the Kubernetes API."""
    duplicates: Streak = field(default_factory=Streak)
    """Failures to find or end what an interrupted create has left."""
    unwritten: Unwritten | None = None
    operation: tuple[OperationType, datetime] | None = None
    """The operation that the status names, and since when this process knows of it."""
    operation_since: float = 0.0
    first_count_asked: bool = False
    """A pass was asked for because nothing was counted; once, as an older CRD drops what is written."""
    usage_since: tuple[datetime, float] | None = None
    """Until when this process has counted the usage, and how far the time of day was ahead then."""
    last_look: tuple[float, SessionState] | None = None
    """When the last look ended, and what it saw."""
    missing_looks: int = 0
    missing_since: float = 0.0
    vouched: bool = False
    """The key saw another session after the first of the looks that found nothing, and before the last."""
    create_sent_at: float | None = None
    intent_is_ours: bool = False
    sender: Streak = field(default_factory=Streak)
    """Refusals of the key from before that sent the create."""
    created: Created | None = None
    """What createSession has answered, until a status names the session."""
    labels_set: bool = False
    """SetLabel was called for the session."""
    labels: Mapping[str, str] | None = None
    """What it was called with, if AGB took the last such call; None if that is not known."""
    duplicated: bool = False
    """A living session carries the resource's UID and is not the one that it names, until a look-up finds none."""
    left_behind: str = ""
    """A living session that was made for a resource of this name that is no more; "" for none."""
    look_up_at: float = float("-inf")
    """When the next look-up of duplicates may come, after one that failed."""
    status_refused: bool = False
    """The last write of a status failed: until one succeeds, nothing is ended without a word about it first."""

    def change_waits(self, now: float) -> float:
        """Give the seconds until a change is to be followed, 0 unless the resource is changed again and again."""
        return 0.0 if self.changes.may_spend(now) else self.changes.rest(now)

    def note_absence(self) -> None:
        """Forget what was known of a session that another one is to replace: its create was answered long since."""
        self.missing_looks = 0
        self.create_sent_at = None
        self.labels_set = False

    def note_written(self, before: AgbSession, written: AgbSession) -> None:
        """Note what a status write means for the creation."""
        if written.status.create_attempts > before.status.create_attempts:
            # Our own intent, just written: no createSession has been sent for it yet.
            self.intent_is_ours, self.create_sent_at = True, None
        if written.session_id:
            self.created = None
        elif before.session_id:
            self.note_absence()

    def note_state(self, state: SessionState, now: float, *, saw_another_at: float) -> None:
        """Count looks in a row that found nothing; `saw_another_at` is when the key last saw any session."""
        self.last_look = (now, state)
        if state != SessionState.NOT_FOUND:
            self.missing_looks = 0
            return
        if not self.missing_looks:
            self.missing_since, self.vouched = now, False
        self.vouched = self.vouched or saw_another_at > self.missing_since
        self.missing_looks += 1

    def note_operation(self, session: AgbSession, now: float) -> None:
        """Note since when the operation is known that the status names."""
        last = session.status.operation
        operation = None if last is None else (last.type, last.started_at)
        if operation != self.operation:
            self.operation, self.operation_since = operation, now

    def clock_ahead(self, session: AgbSession, ahead: float) -> float:
        """Give how far the time of day has jumped ahead since the usage was last counted, or this process began."""
        usage, since = session.status.usage, self.usage_since
        before = since[1] if usage is not None and since is not None and since[0] == usage.counted_until else 0.0
        return max(0.0, ahead - before)


@dataclass(kw_only=True, slots=True)
class _KeyMemory:
    """Which resources of one key see their session, and since when others do not, in order of time."""

    seen: set[ObjectKey] = field(default_factory=set)
    missing: dict[ObjectKey, float] = field(default_factory=dict)
    moments: list[float] = field(default_factory=list)
    seen_at: float = float("-inf")
    """When it last saw any of them."""
    shares_with: set[SessionClient] = field(default_factory=set)
    """The keys whose place this one has taken, and of which it has seen a session: they open the same account."""

    def note(self, key: ObjectKey, now: float, *, sees: bool) -> None:
        """Note whether a resource's session is seen at this time."""
        if sees:
            self.forget(key)
            self.seen.add(key)
            self.seen_at = now
        elif key not in self.missing:
            self.seen.discard(key)
            self.missing[key] = now
            insort(self.moments, now)

    def forget(self, key: ObjectKey) -> None:
        self.seen.discard(key)
        since = self.missing.pop(key, None)
        if since is not None:
            del self.moments[bisect_left(self.moments, since)]

    def vanished_together(self, key: ObjectKey) -> bool:
        """Tell whether most sessions of the key vanished in the moment of this one, and none was seen since."""
        since = self.missing.get(key)
        if since is None or self.seen_at > since + SAME_MOMENT:
            return False
        together = bisect_right(self.moments, since + SAME_MOMENT) - bisect_left(self.moments, since - SAME_MOMENT)
        return together >= SUSPICIOUS and together > len(self.seen)


class Memory:
    """What is remembered of all resources, and what that says together of a key."""

    def __init__(self, *, clock: Callable[[], float], ahead: Callable[[], float] = lambda: 0.0) -> None:
        """Begin with nothing; `ahead` gives the seconds by which the time of day has jumped since the process began."""
        self._clock = clock
        self._ahead = ahead
        self._remembered: dict[ObjectKey, Remembered] = {}
        self._by_key: dict[SessionClient, _KeyMemory] = {}
        self._client_of: dict[ObjectKey, SessionClient] = {}

    def of(self, session: AgbSession) -> Remembered:
        """Give a resource's memory; another resource of the same name starts with an empty one."""
        remembered = self._remembered.get(session.key)
        if remembered is None or remembered.uid != session.uid:
            remembered = self._remembered[session.key] = Remembered(uid=session.uid)
        return remembered

    def forget(self, key: ObjectKey) -> None:
        """Drop what is remembered of a resource that no longer exists."""
        self._remembered.pop(key, None)
        self._leave(key)

    def change_waits(self, session: AgbSession) -> float:
        """Give the seconds until a change of this resource is to be followed."""
        return self.of(session).change_waits(self._clock())

    def recall(self, session: AgbSession, *, owner: str = "") -> Recalled:
        """Give what the decision may know."""
        now, remembered = self._clock(), self.of(session)
        remembered.note_operation(session, now)
        if session.status.may_have_duplicates and remembered.create_sent_at is None:
            remembered.create_sent_at = now  # an earlier process may have sent one just now
        client = self._client_of.get(session.key)
        of_key = self._by_key.get(client) if client is not None else None
        return Recalled(
            called=remembered.called,
            since_call=None if remembered.called_at == float("-inf") else now - remembered.called_at,
            known_for=now - remembered.operation_since,
            missing_looks=remembered.missing_looks,
            missing_for=now - remembered.missing_since if remembered.missing_looks else 0.0,
            vouched=bool(remembered.missing_looks) and remembered.vouched,
            failing_for=remembered.agb.lasts(now),
            mass_loss=of_key is not None and of_key.vanished_together(session.key),
            since_create=None if remembered.create_sent_at is None else now - remembered.create_sent_at,
            created=remembered.created,
            look_up_rests=max(0.0, remembered.look_up_at - now),
            clock_ahead=remembered.clock_ahead(session, self._ahead()),
            labels_in_doubt=remembered.labels_set and remembered.labels != session.status.labels,
            duplicated=remembered.duplicated,
            left_behind=remembered.left_behind,
            owner=owner,
        )

    def note_usage(self, before: AgbSession | None, after: AgbSession | None) -> None:
        """Note how far the time of day is ahead when the usage of a known resource is counted."""
        if before is None or after is None or after.status.usage in (None, before.status.usage):
            return
        self.of(after).usage_since = (after.status.usage.counted_until, self._ahead())

    def note_look(self, session: AgbSession, state: SessionState, *, client: SessionClient) -> None:
        """Note what a look through a client has found."""
        now, key = self._clock(), session.key
        before = self._client_of.get(key)
        if before != client:
            self._leave(key)
            self._client_of[key] = client
        of_key = self._by_key.setdefault(client, _KeyMemory())
        self.of(session).note_state(state, now, saw_another_at=of_key.seen_at)
        if state != SessionState.NOT_FOUND:
            of_key.note(key, now, sees=True)
            if before not in (None, client) and before.witness(session.session_id) == session.status.seen_with:
                of_key.shares_with.add(before)
        elif session.status.session_status:  # one that nobody ever saw has not vanished
            of_key.note(key, now, sees=False)
        else:
            of_key.seen.discard(key)

    def misses(self, session: AgbSession) -> bool:
        """Tell whether the last look at a resource's session found none."""
        return self.of(session).missing_looks > 0

    def note_disagreement(self, session: AgbSession) -> None:
        """Begin the count of looks that find nothing anew: the key that saw the session did not say so, too."""
        self.of(session).missing_looks = 0

    def key_is_proven(self, session: AgbSession, client: SessionClient) -> bool:
        """Tell whether the key has seen a session of the key that last saw a resource's."""
        of_key, session_id = self._by_key.get(client), session.session_id
        return of_key is not None and any(
            other.witness(session_id) == session.status.seen_with for other in of_key.shares_with
        )

    def _leave(self, key: ObjectKey) -> None:
        client = self._client_of.pop(key, None)
        of_key = self._by_key.get(client) if client is not None else None
        if client is None or of_key is None:
            return
        of_key.forget(key)
        if not of_key.seen and not of_key.missing:
            del self._by_key[client]
