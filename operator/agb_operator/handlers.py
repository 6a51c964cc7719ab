"""kopf's part: an event of the watch updates the store and queues the key; nothing else happens here.

kopf keeps no state of its own on users' objects: only `@kopf.on.event` is used, which needs no finalizer, no annotation
and no peering (see docs/adr/0001).
"""

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import kopf

from .creation import may_have_duplicates
from .memory import Memory
from .plan import is_settled
from .resource import GROUP, PLURAL, VERSION, AgbSession, ObjectKey
from .store import Store
from .workqueue import WorkQueue

logger = logging.getLogger(__name__)

WATCH_SECONDS: Final = 60
"""Seconds that one watch request lasts before it is renewed where it ended; the API server reads whole ones only."""


class Informer:
    """Takes in what the watch says.

    Args:
        store: is told of every version.
        queue: takes the keys of resources that need a pass.
        memories: forgets what is deleted.
        on_activity: told of each event, as proof that the watch lives.
    """

    def __init__(self, *, store: Store, queue: WorkQueue, memory: Memory, on_activity: Callable[[], None]) -> None:
        self._store = store
        self._queue = queue
        self._memory = memory
        self._on_activity = on_activity

    def event(self, kind: str | None, body: dict[str, Any]) -> None:
        """Take in one event: kind ADDED, MODIFIED, DELETED, or None for what a list found."""
        self._on_activity()
        session = AgbSession.from_body(body)
        if kind == "DELETED":
            self.gone(session)
            return
        before = self._store.put(session)
        current = self._store.get(session.key)
        if before is None or before.uid != session.uid:
            if not is_settled(session) or may_have_duplicates(session):
                self._queue.add(session.key)
        elif current is not None and current.asks != before.asks:
            # Our own status writes come back as events, too; only what people can change asks for a pass. It may also
            # decide who of several manages the session.
            self._queue.add(session.key)
            self._queue_claimants(session)
        elif current is not None and not is_settled(current) and not self._queue.is_pending(current.key):
            # Work that is left has its pass scheduled. Where it has none, another replica has written this status
            # before it ended, or a person has: go on from there.
            self._queue.add(session.key)

    def is_news(self, line: bytes) -> bool:
        """Tell whether an event of the watch, as it is sent, says more than the store knows."""
        try:
            event = json.loads(line)
            kind, meta = event["type"], event["object"]["metadata"]
            key, uid, version = ObjectKey(meta["namespace"], meta["name"]), meta["uid"], meta["resourceVersion"]
        except (ValueError, KeyError, TypeError):
            return True  # an error or a bookmark: kopf's to understand
        if kind != "MODIFIED" or not self._store.has(key, uid=uid, version=version):
            return True
        self._on_activity()
        return False

    def gone(self, session: AgbSession) -> None:
        """Forget a resource that no longer exists; whoever waited for its session is looked at anew."""
        self._store.remove(session.key, session.uid)
        if self._store.get(session.key) is None:  # also if it had been removed already, by our own last write
            self._memory.forget(session.key)
            self._queue.forget(session.key)
        self._queue_claimants(session)

    def _queue_claimants(self, session: AgbSession) -> None:
        for key in self._store.claimants(session.session_id):
            self._queue.add(key)


def register(
    registry: kopf.OperatorRegistry, informer: Informer, *, log_in: Callable[[], Awaitable[kopf.AiohttpSession]]
) -> None:
    """Register with kopf the one handler, and how to log in: again whenever the API server refuses a token."""

    @kopf.on.login(registry=registry)
    async def on_login(**_: Any) -> kopf.AiohttpSession:
        return await log_in()

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        informer.event(event["type"], dict(event["object"]))


class _NoDiffs(kopf.DiffBaseStorage):
    """Compares no versions: kopf would copy each object deeply, twice, for handlers that we do not have."""

    def build(self, *, body: kopf.Body, extra_fields: Iterable[Any] | None = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        raise AssertionError("nothing is ever stored on users' objects")


class _NoProgress(kopf.ProgressStorage):
    """Keeps no progress of handlers, for the same reason."""

    def fetch(self, *, key: str, body: kopf.Body) -> None:
        return None

    def store(self, *, key: str, record: Any, body: kopf.Body, patch: kopf.Patch) -> None:
        raise AssertionError("nothing is ever stored on users' objects")

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None:
        return None

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None:
        return None

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up as an informer for many objects.

    Sources: kopf's documentation of `settings.watching`, `settings.scanning`, `settings.posting`.
    """
    settings.posting.enabled = False  # no Kubernetes events of kopf's own
    settings.persistence.diffbase_storage = _NoDiffs()
    settings.persistence.progress_storage = _NoProgress()
    settings.scanning.disabled = True  # needs no right to list CRDs and namespaces
    settings.watching.chunk_size = 500  # a list of 10,000 never stands in memory as a whole
    # Each watch request lives a minute: its renewal is the proof that the watch works even where nothing changes, and
    # a connection that a network swallowed without a word is given up soon after.
    settings.watching.server_timeout = WATCH_SECONDS
    settings.watching.client_timeout = WATCH_SECONDS + 10.0
    settings.watching.inactivity_timeout = WATCH_SECONDS + 10.0
    settings.watching.reconnect_backoff = 0.5
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.queueing.idle_timeout = 1.0  # a settled object keeps no task
    settings.queueing.exit_timeout = 1.0
    settings.execution.max_workers = 1  # our handler never leaves the event loop
