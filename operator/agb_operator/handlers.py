"""kopf's part: an event of the watch updates the store and queues the key; nothing else happens here.

kopf keeps no state of its own on users' objects: only `@kopf.on.event` is used, which needs no finalizer, no annotation
and no peering (see docs/adr/0001).
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

import kopf

from .creation import may_have_duplicates
from .memory import Memories
from .plan import is_settled
from .resource import GROUP, PLURAL, VERSION, AgbSession
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

    def __init__(self, *, store: Store, queue: WorkQueue, memories: Memories, on_activity: Callable[[], None]) -> None:
        self._store = store
        self._queue = queue
        self._memories = memories
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

    def gone(self, session: AgbSession) -> None:
        """Forget a resource that no longer exists; whoever waited for its session is looked at anew."""
        if self._store.remove(session.key, session.uid) is None:
            return
        self._memories.forget(session.key)
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


def configure(settings: kopf.OperatorSettings) -> None:
    """Set kopf up as an informer for many objects.

    Sources: kopf's documentation of `settings.watching`, `settings.scanning`, `settings.posting`.
    """
    settings.posting.enabled = False  # no Kubernetes events of kopf's own
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
