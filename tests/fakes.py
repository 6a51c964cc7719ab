"""Stand-ins for the cluster in tests that need virtual time: named, small, and strict where the real one is."""

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agb_operator.model.errors import ClusterError, Conflict, ObjectNotFound
from agb_operator.model.event import RecordedEvent

Listener = Callable[[str | None, dict[str, Any]], None]


@dataclass(frozen=True, kw_only=True, slots=True)
class SentEvent:
    """One Event that the operator has sent."""

    event_id: str
    at: datetime
    namespace: str
    name: str
    severity: str
    reason: str
    message: str


@dataclass(kw_only=True)
class FakeCluster:
    """The API server's part for AgbSessions: versions, generations, merge patches, finalizers, conflicts, a watch.

    `latency` is what each of the operator's requests takes, in (virtual) seconds. `fail` is raised by the operator's
    next requests, one after the other. `on_secret_read` may fail the reads of a namespace's Secrets, or take its time;
    `on_event` is the same for its Events.
    `is_busy` is what the operator is told when it asks whether it would have to wait.
    """

    latency: float = 0.001
    objects: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    secrets: dict[tuple[str, str], dict[str, bytes]] = field(default_factory=dict)
    events: list[SentEvent] = field(default_factory=list)
    status_writes: list[dict[str, Any]] = field(default_factory=list)
    finalizer_writes: int = 0
    secret_reads: int = 0
    fail: list[ClusterError] = field(default_factory=list)
    on_secret_read: Callable[[str], Awaitable[None]] | None = None
    on_event: Callable[[str], Awaitable[None]] | None = None
    listeners: list[Listener] = field(default_factory=list)
    schedules: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    schedule_listeners: list[Listener] = field(default_factory=list)
    schedule_writes: list[dict[str, Any]] = field(default_factory=list)
    watch_delay: float = 0.002
    is_busy: bool = False
    _version: int = 100

    # What people do

    def apply(self, namespace: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
        """Create a resource, or replace the spec of one that exists."""
        known = self.objects.get((namespace, name))
        if known is None:
            known = {
                "apiVersion": "agb.cloud/v1alpha1",
                "kind": "AgbSession",
                "metadata": {
                    "namespace": namespace,
                    "name": name,
                    "uid": f"uid-{self._version}",
                    "generation": 1,
                    "creationTimestamp": f"2026-01-01T00:{self._version // 60 % 60:02}:{self._version % 60:02}Z",
                    **metadata,
                },
                "spec": dict(spec),
                "status": {"observedGeneration": -1},
            }
            self.objects[namespace, name] = known
            self._changed("ADDED", known)
            return copy.deepcopy(known)
        if known["spec"] != dict(spec):
            known["spec"] = dict(spec)
            known["metadata"]["generation"] += 1
        known["metadata"].update(metadata)
        self._changed("MODIFIED", known)
        return copy.deepcopy(known)

    def patch(self, namespace: str, name: str, **spec: Any) -> None:
        """Merge into the spec, as `kubectl patch --type=merge` does; None removes a field."""
        known = self.objects[namespace, name]
        merged = {k: v for k, v in {**known["spec"], **spec}.items() if v is not None}
        self.apply(namespace, name, merged)

    def label(self, namespace: str, name: str, **labels: str) -> None:
        """Set labels of the resource."""
        known = self.objects[namespace, name]
        known["metadata"]["labels"] = {**known["metadata"].get("labels", {}), **labels}
        self._changed("MODIFIED", known)

    def apply_schedule(self, namespace: str, name: str, spec: Mapping[str, Any]) -> None:
        """Create an AgbPauseSchedule, or replace the spec of one that exists."""
        known = self.schedules.get((namespace, name))
        kind = "ADDED" if known is None else "MODIFIED"
        if known is None:
            meta = {"namespace": namespace, "name": name, "uid": f"uid-{self._version}", "generation": 0}
            known = self.schedules[namespace, name] = {"metadata": meta, "status": {"observedGeneration": -1}}
        known["spec"] = dict(spec)
        known["metadata"]["generation"] += 1
        self._schedule_changed(kind, known)

    def delete_schedule(self, namespace: str, name: str) -> None:
        """Delete an AgbPauseSchedule."""
        self._schedule_changed("DELETED", self.schedules.pop((namespace, name)))

    def annotate(self, namespace: str, name: str, **annotations: str) -> None:
        """Set annotations of ours: `reconcile_requested_at` is agb.cloud/reconcile-requested-at."""
        known = self.objects[namespace, name]
        known["metadata"].setdefault("annotations", {}).update(
            {f"agb.cloud/{k.replace('_', '-')}": v for k, v in annotations.items()}
        )
        self._changed("MODIFIED", known)

    def touch(self, namespace: str, name: str) -> None:
        """Have the watch tell of a resource as it is now, after somebody has written to `objects`."""
        self._changed("MODIFIED", self.objects[namespace, name])

    def relist(self) -> None:
        """Have the watch list everything anew, as it does after its history was compacted."""
        for known in list(self.objects.values()):
            for listener in self.listeners:
                listener(None, copy.deepcopy(known))

    def delete(self, namespace: str, name: str) -> None:
        """Delete a resource: at once without finalizers, else it waits for them."""
        known = self.objects[namespace, name]
        if known["metadata"].get("finalizers"):
            if not known["metadata"].get("deletionTimestamp"):
                known["metadata"]["deletionTimestamp"] = "2026-01-02T00:00:00Z"
                known["metadata"]["generation"] += 1
            self._changed("MODIFIED", known)
        else:
            self._remove(known)

    def status(self, namespace: str, name: str) -> dict[str, Any]:
        """Give a resource's status."""
        return copy.deepcopy(self.objects[namespace, name].get("status") or {})

    def put_secret(self, namespace: str, name: str, **entries: str) -> None:
        """Write a Secret."""
        self.secrets[namespace, name] = {k: v.encode() for k, v in entries.items()}

    # What the operator asks

    def busy(self, namespace: str) -> bool:
        return self.is_busy

    async def read(self, namespace: str, name: str) -> dict[str, Any]:
        await self._travel()
        return copy.deepcopy(self._known(namespace, name))

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        await self._travel()
        known = self._guarded(namespace, name, resource_version)
        known["status"] = _merged(known.get("status") or {}, patch)
        self.status_writes.append(copy.deepcopy(known["status"]))
        self._changed("MODIFIED", known)
        answer = copy.deepcopy(known)
        await self._travel()
        return answer

    async def patch_schedule_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        await self._travel()
        known = self.schedules.get((namespace, name))
        if known is None:
            raise ObjectNotFound(f"AgbPauseSchedule {namespace}/{name} is not there", http_status=404)
        if known["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(f"AgbPauseSchedule {namespace}/{name} has changed", http_status=409)
        known["status"] = _merged(known["status"], patch)
        self.schedule_writes.append(copy.deepcopy(known["status"]))
        self._schedule_changed("MODIFIED", known)
        return copy.deepcopy(known)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        await self._travel()
        known = self._guarded(namespace, name, resource_version)
        known["metadata"]["finalizers"] = list(finalizers)
        self.finalizer_writes += 1
        if known["metadata"].get("deletionTimestamp") and not finalizers:
            self._remove(known)
        else:
            self._changed("MODIFIED", known)
        answer = copy.deepcopy(known)
        await self._travel()
        return answer

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        self.secret_reads += 1
        if self.on_secret_read is not None:
            await self.on_secret_read(namespace)
        await self._travel()
        try:
            return dict(self.secrets[namespace, name])
        except KeyError:
            raise ObjectNotFound(f"Secret {namespace}/{name} is not there", http_status=404) from None

    async def list_names(self, namespace: str | None = None) -> dict[tuple[str, str], str]:
        await self._travel()
        return {key: o["metadata"]["uid"] for key, o in self.objects.items() if namespace in (None, key[0])}

    async def record_event(self, recorded: RecordedEvent) -> None:
        if self.on_event is not None:
            await self.on_event(recorded.key.namespace)
        await self._travel()
        sent = SentEvent(
            event_id=recorded.event_id,
            at=recorded.at,
            namespace=recorded.key.namespace,
            name=recorded.key.name,
            severity="Warning" if recorded.event.warning else "Normal",
            reason=recorded.event.reason,
            message=recorded.event.message,
        )
        if any((known.name, known.event_id) == (sent.name, sent.event_id) for known in self.events):
            raise Conflict(f"Event {sent.name}.{sent.event_id} exists", http_status=409)
        self.events.append(sent)

    # Inside

    async def _travel(self) -> None:
        await asyncio.sleep(self.latency)
        if self.fail:
            raise self.fail.pop(0)

    def _known(self, namespace: str, name: str) -> dict[str, Any]:
        try:
            return self.objects[namespace, name]
        except KeyError:
            raise ObjectNotFound(f"AgbSession {namespace}/{name} is not there", http_status=404) from None

    def _guarded(self, namespace: str, name: str, version: str) -> dict[str, Any]:
        known = self._known(namespace, name)
        meta = known["metadata"]
        if meta["resourceVersion"] != version:
            raise Conflict(f"AgbSession {namespace}/{name} has changed", http_status=409)
        return known

    def _changed(self, kind: str, known: dict[str, Any]) -> None:
        self._version += 1
        known["metadata"]["resourceVersion"] = str(self._version)
        self._tell(kind, known)

    def _schedule_changed(self, kind: str, known: dict[str, Any]) -> None:
        self._version += 1
        known["metadata"]["resourceVersion"] = str(self._version)
        for listener in self.schedule_listeners:
            asyncio.get_running_loop().call_later(self.watch_delay, listener, kind, copy.deepcopy(known))

    def _remove(self, known: dict[str, Any]) -> None:
        self._version += 1
        known["metadata"]["resourceVersion"] = str(self._version)
        del self.objects[known["metadata"]["namespace"], known["metadata"]["name"]]
        self._tell("DELETED", known)

    def _tell(self, kind: str, known: dict[str, Any]) -> None:
        body = copy.deepcopy(known)
        loop = asyncio.get_running_loop()
        for listener in self.listeners:
            loop.call_later(self.watch_delay, listener, kind, body)


def _merged(target: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping):
            inner = result.get(key)
            result[key] = _merged(inner if isinstance(inner, Mapping) else {}, value)
        else:
            result[key] = copy.deepcopy(value)
    return result
