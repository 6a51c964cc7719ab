"""What the watch last said of each AgbSession, and which resources speak of which session.

Owns the resources in memory (typed and trimmed) and nothing durable: a restart fills it from the watch again.
"""

from collections import Counter
from collections.abc import Iterator

from ..model.resource import AgbSession, ObjectKey
from ..model.status import Phase


class Store:
    """All known resources by key, with an index by session id."""

    def __init__(self) -> None:
        self._sessions: dict[ObjectKey, AgbSession] = {}
        self._claims: dict[str, set[ObjectKey]] = {}
        self._sees: dict[ObjectKey, bool] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[AgbSession]:
        return iter(list(self._sessions.values()))

    def get(self, key: ObjectKey) -> AgbSession | None:
        """Give a resource as it was last seen."""
        return self._sessions.get(key)

    def put(self, session: AgbSession) -> AgbSession | None:
        """Take in a resource unless a newer version is known; returns what was known before.

        A watch may deliver a version that our own write has already replaced: resource versions of one object are
        compared as numbers, which the API conventions allow since Kubernetes 1.35, and taken as they come otherwise.
        """
        before = self._sessions.get(session.key)
        if before is not None:
            if before.uid == session.uid and _is_older(session.resource_version, before.resource_version):
                return before
            self._unclaim(before)
            if before.uid != session.uid:
                self._sees.pop(session.key, None)
        self._sessions[session.key] = session
        if session.session_id:
            self._claims.setdefault(session.session_id, set()).add(session.key)
        return before

    def has(self, key: ObjectKey, *, uid: str, version: str) -> bool:
        """Tell whether this version of a resource, or a newer one, is known."""
        known = self._sessions.get(key)
        if known is None or known.uid != uid:
            return False
        return known.resource_version == version or _is_older(version, known.resource_version)

    def remove(self, key: ObjectKey, uid: str) -> AgbSession | None:
        """Forget a resource; one of the same name with another uid stays."""
        session = self._sessions.get(key)
        if session is None or session.uid != uid:
            return None
        del self._sessions[key]
        self._sees.pop(key, None)
        self._unclaim(session)
        return session

    def _unclaim(self, session: AgbSession) -> None:
        claimants = self._claims.get(session.session_id)
        if claimants is not None:
            claimants.discard(session.key)
            if not claimants:
                del self._claims[session.session_id]

    def claimants(self, session_id: str) -> list[ObjectKey]:
        """Name the resources that speak of a session."""
        return sorted(self._claims.get(session_id, ()))

    def note_sight(self, key: ObjectKey, *, sees: bool) -> bool:
        """Note whether a resource's key can see the session it names; only those that can have a say in a conflict.

        Returns whether it can for the first time since it could not, while others claim the session: one of them may
        be about to call, because it managed the session until now.
        """
        session = self._sessions.get(key)
        if session is None:
            return False
        regained = sees and self._sees.get(key) is False
        self._sees[key] = sees
        return regained and len(self.claimants(session.session_id)) > 1

    def rival(self, session: AgbSession) -> tuple[str, bool]:
        """Find the resource that manages the session in this one's place: (its name or "", whether that is certain).

        The older one manages (creationTimestamp, then uid). Resources that only observe, those whose spec cannot be
        used and those whose key does not see the session do not count: otherwise naming a stranger's session would
        block its owner.
        """
        if session.observe_only:
            return "", True
        claimants = (self._sessions[key] for key in self.claimants(session.session_id))
        for other in sorted(claimants, key=lambda claimant: claimant.seniority):
            if other.seniority >= session.seniority:
                break
            if other.observe_only or other.problem:
                continue
            sees = self._sees.get(other.key)
            if sees is None and not other.status.session_status:
                return str(other.key), False
            if sees is not False:
                return str(other.key), True
        return "", True

    def phases(self) -> Counter[tuple[str, str]]:
        """Count the resources by namespace and phase."""
        return Counter((s.key.namespace, str(s.status.phase or Phase.PENDING)) for s in self._sessions.values())

    def stalled(self) -> Counter[tuple[str, str]]:
        """Count the resources that wait for a person, by namespace and reason."""
        found: Counter[tuple[str, str]] = Counter()
        for session in self._sessions.values():
            condition = session.status.condition("Stalled")
            if condition is not None:
                found[session.key.namespace, condition.reason] += 1
        return found


def _is_older(version: str, than: str) -> bool:
    try:
        return int(version) < int(than)
    except ValueError:
        return False
