"""What the list and the watch of schedules do: they update what is known, and have the sessions asked about anew."""

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from ..model.clock import Clock
from ..model.schedule import AgbPauseSchedule
from .intents import Intents
from .queue import WorkQueue
from .schedule_store import Reading, ScheduleStore

logger = logging.getLogger(__name__)

_SETTLES: float = 10.0
"""Seconds until the counts of a schedule are first looked at that was there before: the sessions come meanwhile."""


@dataclass(kw_only=True, slots=True, eq=False)
class ScheduleInformer:
    """Takes in what the API server says of schedules."""

    schedules: ScheduleStore
    intents: Intents
    queue: WorkQueue
    """Takes the keys of schedules that need a pass."""
    ask_anew: Callable[[str | None], None]
    """Has all sessions of a namespace (None: of all) asked about again."""
    clock: Clock

    def listed(self, scope: str | None, bodies: Iterable[dict[str, Any]]) -> None:
        """Take in all schedules of a namespace (None: of all): those that are not among them are gone."""
        found = [AgbPauseSchedule.from_body(body) for body in bodies]
        keys = {schedule.key for schedule in found}
        for schedule in found:
            self._put(schedule)
        for known in self.schedules:
            if scope in (None, known.namespace) and known.key not in keys:
                self._gone(known)
        self._note(scope, Reading.LISTED, "the AgbPauseSchedules are read")

    def event(self, kind: str, body: dict[str, Any]) -> None:
        """Take in one event of the watch: ADDED, MODIFIED or DELETED."""
        schedule = AgbPauseSchedule.from_body(body)
        if kind == "DELETED":
            self._gone(schedule)
        else:
            self._put(schedule)

    def absent(self, scope: str | None) -> None:
        """Note that the resource is not installed."""
        self._note(scope, Reading.ABSENT, "there is no AgbPauseSchedule resource in this cluster; it is looked for")

    def refused(self, scope: str | None, why: str) -> None:
        """Note that schedules cannot be read: who sleeps sleeps on."""
        self._note(scope, Reading.REFUSED, f"the AgbPauseSchedules cannot be read, so nobody wakes by them: {why}")

    def unavailable(self, scope: str | None, why: str) -> None:
        """Note that the API server gives no list: what is known holds, and if that is nothing, nobody wakes."""
        if self.schedules.reading(scope or "") == Reading.UNKNOWN:
            self.refused(scope, why)

    def _note(self, scope: str | None, reading: Reading, text: str) -> None:
        if self.schedules.note(scope, reading):
            level = logging.WARNING if reading == Reading.REFUSED else logging.INFO
            logger.log(level, "%s%s", text, f" (namespace {scope})" if scope else "")
            self.ask_anew(scope)

    def _put(self, schedule: AgbPauseSchedule) -> None:
        if not self.schedules.put(schedule):
            return
        self.ask_anew(schedule.namespace)
        if schedule.status.observed_generation == schedule.generation:
            self.queue.add_after(schedule.key, _SETTLES)
        else:
            self.queue.add(schedule.key)

    def _gone(self, schedule: AgbPauseSchedule) -> None:
        if self.schedules.remove(schedule.key, self.clock.now()):
            self.intents.forget(schedule.key)
            self.queue.add(schedule.key)  # its last pass forgets
            self.ask_anew(schedule.namespace)
