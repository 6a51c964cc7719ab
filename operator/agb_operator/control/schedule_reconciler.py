"""One pass over one AgbPauseSchedule: count its sessions and write its status.

Owns how often that is written: at once when the schedule asks for something else, once in ten seconds while nothing
moves but the number of sessions. What sessions do about a schedule is their own passes' affair.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..model.clock import Clock
from ..model.errors import ClusterError, ObjectNotFound
from ..model.event import Event
from ..model.resource import ObjectKey
from ..model.schedule import AgbPauseSchedule
from ..model.schedule_status import schedule_status_to_dict
from ..model.status import Reason
from ..model.status_json import merge_patch
from ..policy import backoff
from ..policy.decide import is_settled
from ..policy.schedule_status import ScheduleReport, report_of
from .intents import Intents
from .schedule_store import ScheduleStore
from .store import Store

logger = logging.getLogger(__name__)

BETWEEN_COUNTS: Final = 10.0
"""Seconds between two writes that only count."""


class ScheduleWriter(Protocol):
    """The part of the cluster needed here; raises any `ClusterError`."""

    async def patch_schedule_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Merge into the status of exactly this version."""


@dataclass(kw_only=True, slots=True, eq=False)
class ScheduleReconciler:
    """Carries out passes over schedules."""

    schedules: ScheduleStore
    store: Store
    """The sessions."""
    intents: Intents
    cluster: ScheduleWriter
    ask_anew: Callable[[str | None], None]
    """Has all sessions of a namespace asked about again."""
    record: Callable[[AgbPauseSchedule, Event], None]
    """Takes an Event to be sent; must not block."""
    leads: Callable[[], bool]
    """Says whether this replica may act at this very moment; asked right before each write."""
    clock: Clock
    _counted_at: dict[ObjectKey, float] = field(init=False, default_factory=dict)
    _failures: dict[ObjectKey, int] = field(init=False, default_factory=dict)

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Do one pass; returns the seconds until the next one, None when clock and watch look after the schedule."""
        resource = self.schedules.get(key)
        if resource is None or resource.deleting:
            self._counted_at.pop(key, None)
            self._failures.pop(key, None)
            return self._forget(key) if resource is None else None
        schedule, now = self.schedules.schedule(key), self.clock.wall()
        sessions, settled = self._counts(resource)
        report = report_of(schedule, before=resource.status, sessions=sessions, settled=settled, now=now)
        self.intents.ask_again(key, report.next_at)
        patch = merge_patch(schedule_status_to_dict(resource.status), schedule_status_to_dict(report.status))
        wait = self._counted_at.get(key, float("-inf")) + BETWEEN_COUNTS - self.clock.now() if report.only_counts else 0
        if not patch or not self.leads():
            return None
        return wait if wait > 0 else await self._write(resource, report, patch)

    def _forget(self, key: ObjectKey) -> float | None:
        left = self.schedules.forget(key, self.clock.now())
        if left is None:
            self.ask_anew(key.namespace)  # it is no longer heard
        return left

    async def _write(
        self, resource: AgbPauseSchedule, report: ScheduleReport, patch: Mapping[str, Any]
    ) -> float | None:
        key = resource.key
        try:
            body = await self.cluster.patch_schedule_status(
                key.namespace, key.name, resource_version=resource.resource_version, patch=patch
            )
        except ObjectNotFound:
            return None  # the watch says so, too
        except ClusterError as error:
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            logger.warning("AgbPauseSchedule %s: the status could not be written: %s", key, error)
            return backoff.retry_delay(failures, draw=self.clock.jitter(), most=backoff.MAX_WRITE_DELAY)
        self._failures.pop(key, None)
        self._counted_at[key] = self.clock.now()
        if (known := self.schedules.get(key)) is not None and known.resource_version == resource.resource_version:
            self.schedules.put(AgbPauseSchedule.from_body(body))
        for event in report.events:
            self.record(resource, event)
        return None

    def _counts(self, resource: AgbPauseSchedule) -> tuple[int, int]:
        """Count the sessions that it selects, and those of them that are as they are wanted."""
        sessions = settled = 0
        if resource.selector is None:
            return 0, 0
        for session in self.store:
            if session.key.namespace != resource.namespace or session.observe_only or session.deleting:
                continue
            if session.status.ready.reason == Reason.SESSION_CONFLICT:
                continue
            if resource.selector.matches(session.object_labels):
                sessions += 1
                settled += is_settled(session, self.intents.last(session))
        return sessions, settled
