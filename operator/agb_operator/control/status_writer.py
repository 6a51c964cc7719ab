"""What the operator writes to the cluster about an AgbSession: status and finalizer; it names the Events to be sent.

Owns that a write happens only when it changes something, that it is guarded by the version the decision was made from,
and that the store knows the outcome before the watch tells it.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from ..model.clock import Clock
from ..model.errors import ClusterError, ClusterRefused, NotLeading, ObjectNotFound
from ..model.event import Event
from ..model.resource import FINALIZER, AgbSession
from ..model.status import OperationState, OperationType, SessionStatus
from ..model.status_json import merge_patch, status_to_dict
from .metrics import Metrics
from .store import Store

logger = logging.getLogger(__name__)


class SessionWriter(Protocol):
    """The part of the cluster needed here; every method raises any `ClusterError`."""

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        """Read one AgbSession."""

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge into the status of exactly this version."""

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        """Replace the finalizers of exactly this version."""


@dataclass(kw_only=True, slots=True, eq=False)
class StatusWriter:
    """Writes what was decided."""

    cluster: SessionWriter
    """Takes the writes."""
    store: Store
    """Is told of each outcome."""
    metrics: Metrics
    """Measures finished operations."""
    record: Callable[[AgbSession, Event], None]
    """Takes an Event to be sent; must not block."""
    leads: Callable[[], bool]
    """Says whether this replica may act at this very moment; asked right before each write."""
    clock: Clock

    async def write(self, session: AgbSession, status: SessionStatus, events: Iterable[Event]) -> AgbSession | None:
        """Write a status and its events if it says anything new; returns the resource as it is now, None if unchanged.

        Raises:
            Conflict: the resource has changed since the decision; nothing was written.
            ClusterRefused: the write was refused, or taken, and somebody undid in passing what the next step goes on
                from.
            ClusterError: any other refusal or failure.
            NotLeading: nothing was written, as this replica may not act.
        """
        before = session.status
        if status == before or not (patch := merge_patch(status_to_dict(before), status_to_dict(status))):
            return None
        self._check_leads()
        body = await self.cluster.patch_status(
            session.key.namespace, session.key.name, resource_version=session.resource_version, patch=patch
        )
        written = self._take(body)
        if lost := _lost(status, written.status):
            raise ClusterRefused(
                f"status.{lost} is not as it was written: an admission webhook or an old CRD changes it"
            )
        self._log(session, before, status)
        self._measure(before, status)
        self.announce(session, events)
        return written

    async def set_finalizer(self, session: AgbSession, *, present: bool) -> None:
        """Put our finalizer on the resource or take it off; those of others stay. Raises as `write` does.

        Raises:
            ClusterRefused: the write was taken, and somebody undid it in passing.
        """
        self._check_leads()
        others = [f for f in session.finalizers if f != FINALIZER]
        body = await self.cluster.set_finalizers(
            session.key.namespace,
            session.key.name,
            resource_version=session.resource_version,
            finalizers=[*others, FINALIZER] if present else others,
        )
        if self._take(body).has_finalizer != present:
            raise ClusterRefused(f"finalizer {FINALIZER} is not as it was written: an admission webhook changes it")
        if not (present or others) and session.deleting:
            self.store.remove(session.key, session.uid)

    async def refresh(self, session: AgbSession) -> None:
        """Read the resource anew, since the watch may lag behind."""
        try:
            self._take(await self.cluster.read(session.key.namespace, session.key.name))
        except ObjectNotFound:
            self.store.remove(session.key, session.uid)
        except ClusterError as error:
            logger.warning("%s: could not be read again: %s", session.key, error)

    def announce(self, session: AgbSession, events: Iterable[Event]) -> None:
        """Have Events sent."""
        for event in events:
            self.record(session, event)

    def _check_leads(self) -> None:
        if not self.leads():
            raise NotLeading("this replica does not lead, so it writes nothing")

    def _take(self, body: Mapping[str, Any]) -> AgbSession:
        written = AgbSession.from_body(body)
        self.store.put(written)
        return written

    def _log(self, session: AgbSession, before: SessionStatus, after: SessionStatus) -> None:
        logger.info(
            "%s: %s, was %s: %s",
            session.key,
            after.phase,
            before.phase or "new",
            after.ready.message,
            extra={
                "namespace": session.key.namespace,
                "resource": session.key.name,
                "session_id": after.session_id,
                "request_id": after.operation.request_id if after.operation else "",
            },
        )

    def _measure(self, before: SessionStatus, after: SessionStatus) -> None:
        operation, due = after.operation, before.next_change
        if operation is None or operation == before.operation:
            return
        moves = operation.type in (OperationType.PAUSE, OperationType.RESUME) and operation.finished_at is None
        if moves and due is not None and due.state == after.desired_state:
            self.metrics.edge(max(0.0, (self.clock.wall() - due.at).total_seconds()))
        if operation.finished_at is None:
            return
        if operation.state == OperationState.IN_PROGRESS:
            return
        # It may have been begun by a machine whose clock was ahead.
        seconds = max(0.0, (operation.finished_at - operation.started_at).total_seconds())
        self.metrics.operation(operation.type, operation.state, seconds)


def _lost(wanted: SessionStatus, written: SessionStatus) -> str:
    """Name the field that did not stay as it was written, "" for none.

    Only those count that the next step goes on from: without them it would be taken again, as fast as it can. An older
    CRD may drop newer fields, which people lose and nobody else.
    """
    if written.session_id != wanted.session_id:
        return "sessionId"
    if _step(written) != _step(wanted):
        return "lastOperation"
    return "" if written.labels == wanted.labels else "labels"


def _step(status: SessionStatus) -> tuple[object, ...]:
    operation = status.operation
    return () if operation is None else (operation.type, operation.state, operation.attempts)
