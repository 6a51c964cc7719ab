"""What the watch last said of each AgbSession, and which resources speak of which session.

Owns the resources in memory (typed and trimmed) and nothing durable: a restart fills it from the watch again.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from ..model.resource import AgbSession, ObjectKey
from ..model.status import Phase

OnChange = Callable[[AgbSession | None, AgbSession | None], None]
"""Takes what was known of a resource and what is known now; None if there is none."""
OnGone = Callable[[AgbSession], None]
"""Takes a resource that is no more."""


class Store:
    """All known resources by key, with an index by session id."""

    def __init__(self, *, on_change: Sequence[OnChange] = ()) -> None:
        """Begin empty; each of `on_change` is told of every change."""
        self._on_change = on_change
        self.on_gone: OnGone = lambda _: None
        """Told of each resource that is no more, whoever has found that out; another one may have its name."""
        self._sessions: dict[ObjectKey, AgbSession] = {}
        self._by_uid: dict[str, ObjectKey] = {}
        self._naming: dict[str, set[ObjectKey]] = {}
        self.changes = 0
        """How often a resource has come, changed or gone."""

    def __len__(self) -> int:
        return len(self._sessions)

    def __iter__(self) -> Iterator[AgbSession]:
        return iter(list(self._sessions.values()))

    def get(self, key: ObjectKey) -> AgbSession | None:
        """Give a resource as it was last seen."""
        return self._sessions.get(key)

    def put(self, session: AgbSession, *, listed: bool = False) -> AgbSession | None:
        """Take in a resource unless a newer version is known; returns what was known before.

        What a list says counts whatever its version: numbers go back when etcd is restored from a backup. A watch may
        deliver a version that our own write has already replaced: resource versions of one object are compared as
        numbers, which the API conventions allow since Kubernetes 1.35, and taken as they come otherwise.
        """
        before = self._sessions.get(session.key)
        if before is not None:
            if (
                not listed
                and before.uid == session.uid
                and _is_older(session.resource_version, before.resource_version)
            ):
                return before
            self._unname(before)
            self._by_uid.pop(before.uid, None)
        self._sessions[session.key] = session
        self._by_uid[session.uid] = session.key
        self.changes += 1
        if session.session_id:
            self._naming.setdefault(session.session_id, set()).add(session.key)
        if before is not None and before.uid != session.uid:
            self.on_gone(before)
        self._tell(before, session)
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
        self._by_uid.pop(uid, None)
        self.changes += 1
        self._unname(session)
        self._tell(session, None)
        self.on_gone(session)
        return session

    def _tell(self, before: AgbSession | None, after: AgbSession | None) -> None:
        for told in self._on_change:
            told(before, after)

    def _unname(self, session: AgbSession) -> None:
        naming = self._naming.get(session.session_id)
        if naming is not None:
            naming.discard(session.key)
            if not naming:
                del self._naming[session.session_id]

    def lives(self, uid: str) -> bool:
        """Tell whether there is a resource of this uid."""
        return uid in self._by_uid

    def naming(self, session_id: str) -> list[AgbSession]:
        """Give the resources that speak of a session, by name."""
        return [self._sessions[key] for key in sorted(self._naming.get(session_id, ()))]

    def sharing_key(self, session: AgbSession) -> Iterator[AgbSession]:
        """Give the other resources that take their API key from where this one does."""
        for other in self:
            near = session.secret is None or other.key.namespace == session.key.namespace
            if near and other.secret == session.secret and other.uid != session.uid:
                yield other

    def phases(self) -> Counter[tuple[str, str]]:
        """Count the resources by namespace and phase."""
        return Counter((s.key.namespace, str(s.status.phase or Phase.PENDING)) for s in self._sessions.values())

    def stalled(self) -> Counter[tuple[str, str]]:
        """Count the resources that wait for a person, by namespace and reason."""
        found: Counter[tuple[str, str]] = Counter()
        for session in self._sessions.values():
            if (condition := session.status.stalled) is not None:
                found[session.key.namespace, condition.reason] += 1
        return found


def _is_older(version: str, than: str) -> bool:
    try:
        return int(version) < int(than)
    except ValueError:
        return False
