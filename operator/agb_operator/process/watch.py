"""The watch as a part that is supervised: it runs kopf, and knows whether each watch request is accepted.

kopf is the informer's engine and the one part with a shutdown of its own. Owns the proof that the watch lives, and what
becomes of a namespace whose watch is not allowed; what an event means is the informer's to say.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from ..control.informer import Informer
from ..control.metrics import Metrics
from ..control.relist import Relist
from ..control.store import Store
from ..kube.cluster import Cluster
from ..kube.kopf_watch import WATCH_SECONDS, run_kopf
from ..kube.schedule_requests import SESSIONS
from ..kube.watch_stream import without_echoes
from ..model.clock import Clock
from .health import Progress

logger = logging.getLogger(__name__)

_WAYS_OUT: Final = {
    403: "grant the operator its RBAC rules there",
    404: "the CRD was removed: apply crds/agbsessions.yaml, the operator waits for it",
    429: "the API server asks for fewer requests, the operator tries again",
}


@dataclass(kw_only=True, slots=True, eq=False)
class Watch:
    """One replica's watch of AgbSessions; `run` once."""

    cluster: Cluster
    informer: Informer
    relist: Relist
    store: Store
    metrics: Metrics
    clock: Clock
    namespaces: tuple[str, ...]
    """The ones watched; none is the whole cluster."""
    on_start: Callable[[], None]
    """Called when kopf has spawned its tasks and taken the process's signals."""
    _namespace_of: dict[str, str] = field(init=False)
    _accepted: dict[str, Progress] = field(init=False)
    """By the path of a watch request: when one was last accepted."""
    _refused: dict[str, int] = field(init=False, default_factory=dict)
    """By the path of a watch request that is refused: the status of HTTP."""

    def __post_init__(self) -> None:
        self._namespace_of = {f"{SESSIONS}/namespaces/{name}/agbsessions": name for name in self.namespaces}
        self._accepted = {
            path: Progress("no watch request was accepted", limit=3 * WATCH_SECONDS, clock=self.clock)
            for path in self._namespace_of or [f"{SESSIONS}/agbsessions"]
        }

    def problem(self) -> str:
        """Say what is wrong, "" when nothing is."""
        return next((problem for progress in self._accepted.values() if (problem := progress.problem())), "")

    def missing(self) -> str:
        """Say that the cluster serves no AgbSessions any more, "" while it does."""
        return "AgbSessions are not served: apply crds/agbsessions.yaml" if 404 in self._refused.values() else ""

    async def run(self) -> None:
        """Watch; ends only when it is told to, or when kopf has failed."""
        for progress in self._accepted.values():
            progress.touch()
        await run_kopf(
            self.informer.event, open_session=self._open_session, namespaces=self.namespaces, on_start=self.on_start
        )

    async def _open_session(self) -> tuple[str, Any]:
        echoes = without_echoes(self.informer.tells_more, self.relist.note_list)
        return self.cluster.server, await self.cluster.open_session(self._on_answer, self._on_refused, echoes)

    def _on_answer(self, path: str) -> None:
        progress = self._accepted.get(path)
        if progress is not None:
            progress.touch()
            self.metrics.watch_activity()
        if self._refused.pop(path, None):
            logger.info("AgbSessions can be watched again: %s", path)

    def _on_refused(self, path: str, status: int) -> None:
        """Tell it once, and wait: for rights, for the CRD that somebody has removed, or for an API server at rest."""
        progress = self._accepted.get(path)
        if progress is None:
            return
        if self._refused.get(path) != status:
            self._refused[path] = status
            level = logging.WARNING if status == 429 else logging.ERROR
            logger.log(level, "AgbSessions cannot be watched (HTTP %d): %s: %s", status, path, _WAYS_OUT[status])
        if status == 403:
            self._on_forbidden(path)
        else:
            progress.touch()

    def _on_forbidden(self, path: str) -> None:
        """Go on without a namespace's watch: when a namespace is deleted, its RoleBinding goes before its AgbSessions.

        What is known of the namespace is read one by one, so that its deletion ends (see the chart's ClusterRole for
        the finalizer); the other namespaces are served all the while, which a restart would not do better. In
        cluster-wide mode nothing is left to serve: /healthz fails, and the next start says what is missing.
        """
        namespace = self._namespace_of.get(path)
        if namespace is None:
            return
        self._accepted[path].touch()
        for session in self.store:
            if session.key.namespace == namespace:
                self.relist.fetch(session.key)
