"""Who manages a session that several resources name: one question, answered in one place.

The older one manages (creationTimestamp, then uid). Resources that only observe, those whose spec cannot be used and
those whose key does not see the session have no say: otherwise naming a stranger's session would block its owner.
"""

from dataclasses import dataclass, field
from typing import Final

from ..model.resource import AgbSession
from .store import Store

UNDECIDED_JUDGEMENTS: Final = 30
"""Judgements in a row that wait for an older resource's look; one that cannot look for so long blocks nobody."""


@dataclass(frozen=True, slots=True)
class Ours:
    """The resource manages its session, or observes one."""


@dataclass(frozen=True, slots=True)
class Theirs:
    """Another resource manages the session."""

    owner: str
    """Its namespace and name."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """An older resource has not looked yet, so whether it can see the session is not known."""


Judgement = Ours | Theirs | Undecided


@dataclass(kw_only=True, slots=True, eq=False)
class Claims:
    """Owns which resources see their session; the resources are the store's."""

    store: Store
    _sees: dict[str, bool] = field(init=False, default_factory=dict)
    """By uid: whether the resource's key sees the session it names."""
    _waited: dict[str, int] = field(init=False, default_factory=dict)
    """By uid: judgements in a row that were undecided."""

    def judge(self, session: AgbSession) -> Judgement:
        """Say who manages the session that a resource names."""
        judgement = self.older(session)
        if not isinstance(judgement, Undecided):
            self._waited.pop(session.uid, None)
            return judgement
        waited = self._waited[session.uid] = self._waited.get(session.uid, 0) + 1
        return judgement if waited <= UNDECIDED_JUDGEMENTS else Ours()

    def note(self, session: AgbSession, *, sees: bool) -> bool:
        """Note whether a resource's key sees its session.

        Returns whether it does for the first time since it did not, while others claim the session: one of them may be
        about to call, because it managed the session until now.
        """
        known = self.store.get(session.key)
        if known is None or known.uid != session.uid:
            return False
        regained = sees and self._sees.get(session.uid) is False
        self._sees[session.uid] = sees
        return regained and len(self.store.naming(session.session_id)) > 1

    def forget(self, uid: str) -> None:
        """Drop what is known of a resource that no longer exists."""
        self._sees.pop(uid, None)
        self._waited.pop(uid, None)

    def older(self, session: AgbSession) -> Judgement:
        """Say what `judge` would, however long that has been undecided."""
        if session.observe_only or not session.session_id:
            return Ours()
        for other in sorted(self.store.naming(session.session_id), key=lambda one: one.precedence):
            if other.precedence >= session.precedence:
                break
            if other.observe_only or other.problem:
                continue
            sees = self._sees.get(other.uid)
            if sees is None and not other.status.session_status:
                return Undecided()
            if sees is not False:
                return Theirs(owner=str(other.key))
        return Ours()
