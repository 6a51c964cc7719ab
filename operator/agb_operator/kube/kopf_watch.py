"""kopf, which is our informer's engine and nothing more: it lists and watches, and hands each event on.

kopf keeps no state of its own on users' objects: only `@kopf.on.event` is used, which needs no finalizer, no annotation
and no peering (see docs/adr/0001).
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final, cast

import aiohttp
import kopf

from ..model.resource import GROUP, PLURAL, VERSION
from .rounds import renewal

WATCH_SECONDS: Final = 60
"""Seconds that one watch request lasts before it is renewed where it ended; the API server reads whole ones only."""
_SILENCE: Final = WATCH_SECONDS + 10.0
"""Seconds after which a watch is given up and asked for anew; silence is noticed first, and told by nobody."""
_STOP_SECONDS: Final = 0.5
"""Seconds that kopf gets to end its watches: it only reads, and a standby waits for the Lease meanwhile."""

OnObject = Callable[[str | None, dict[str, Any]], None]
"""Takes an event (ADDED, MODIFIED, DELETED, or None for what a list found) and the object."""


async def run_kopf(
    on_object: OnObject,
    *,
    open_session: Callable[[], Awaitable[tuple[str, aiohttp.ClientSession]]],
    namespaces: Collection[str],
    on_start: Callable[[], None],
) -> None:
    """List and watch the AgbSessions; ends only when it is cancelled, or when kopf has failed.

    Args:
        on_object: takes each event.
        open_session: gives the API server's address and a session it accepts; asked again when it refuses a token.
        namespaces: the ones to watch; none is the whole cluster.
        on_start: called when kopf has spawned its tasks and taken the process's signals.
    """
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    _configure(settings)
    _register(registry, on_object, open_session)
    stop = asyncio.Event()
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        # Without one, kopf asks for the name of the process's user, whom a random UID in a pod does not have.
        identity=cast("Any", "agb-operator"),
        standalone=True,
        clusterwide=not namespaces,
        namespaces=namespaces,
        stop_flag=stop,
    )
    on_start()
    running = asyncio.create_task(kopf.run_tasks(tasks, ignored=existing), name="kopf")
    try:
        await asyncio.shield(running)
    finally:
        stop.set()
        with contextlib.suppress(TimeoutError, asyncio.CancelledError):
            await asyncio.wait_for(running, _STOP_SECONDS)


def _register(
    registry: kopf.OperatorRegistry,
    on_object: OnObject,
    open_session: Callable[[], Awaitable[tuple[str, aiohttp.ClientSession]]],
) -> None:
    """Register with kopf the one handler, and how to log in: again whenever the API server refuses a token."""
    logged_in = -math.inf

    @kopf.on.login(registry=registry)
    async def on_login(**_: Any) -> kopf.AiohttpSession:
        # A proxy may accept the credentials for what `open_session` asks, and refuse them for the watch.
        nonlocal logged_in
        await renewal(logged_in)
        logged_in = asyncio.get_running_loop().time()
        server, session = await open_session()
        return kopf.AiohttpSession(server=server, aiohttp_session=session)

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def on_event(event: kopf.RawEvent, **_: Any) -> None:
        on_object(event["type"], dict(event["object"]))


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


def _configure(settings: kopf.OperatorSettings) -> None:
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
    settings.watching.client_timeout = _SILENCE
    settings.watching.inactivity_timeout = _SILENCE
    settings.watching.reconnect_backoff = 0.5
    settings.networking.request_timeout = 30.0
    settings.networking.connect_timeout = 10.0
    settings.queueing.idle_timeout = 1.0  # a settled object keeps no task
    settings.queueing.exit_timeout = 1.0
    settings.execution.max_workers = 1  # our handler never leaves the event loop
