"""What is known of the schedules of each namespace, and whether they can be read at all.

Owns the schedules in memory and nothing durable. What a deleted one asked for is kept for ten seconds more, so that one
that is replaced, or goes with its namespace, wakes nobody.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from enum import Enum, auto
from typing import Final

from ..model.resource import ObjectKey
from ..model.schedule import AgbPauseSchedule
from ..policy.intent import Schedules
from ..policy.schedule import Schedule

HELD: Final = 10.0
"""Seconds for which a deleted schedule is heard."""


class Reading(Enum):
    """What the last list of schedules has brought."""

    UNKNOWN = auto()
    """None has ended yet."""
    LISTED = auto()
    ABSENT = auto()
    """The resource is not installed, and was not since this process began."""
    REFUSED = auto()
    """They cannot be read."""


class ScheduleStore:
    """All known schedules.

    Args:
        namespaces: the ones watched, each of which is listed by itself; none is the whole cluster.
    """

    def __init__(self, *, namespaces: Collection[str]) -> None:
        self._readings: dict[str | None, Reading] = dict.fromkeys(namespaces or (None,), Reading.UNKNOWN)
        self._listed: set[str | None] = set()
        self._resources: dict[ObjectKey, AgbPauseSchedule] = {}
        self._schedules: dict[str, dict[str, Schedule]] = {}
        self._deleted: dict[str, dict[str, tuple[Schedule, float]]] = {}
        """With the time at which each stops being heard, on the monotonic clock: the time of day may be set."""

    def __iter__(self) -> Iterator[AgbPauseSchedule]:
        return iter(list(self._resources.values()))

    def get(self, key: ObjectKey) -> AgbPauseSchedule | None:
        """Give a resource as it was last seen."""
        return self._resources.get(key)

    def schedule(self, key: ObjectKey) -> Schedule:
        """Give a known resource on the clock."""
        return self._schedules[key.namespace][key.name]

    def reading(self, namespace: str) -> Reading:
        """Say what is known of a namespace's schedules."""
        return self._readings.get(namespace, self._readings.get(None, Reading.UNKNOWN))

    def note(self, scope: str | None, reading: Reading) -> bool:
        """Note what a list of a namespace (None: of all) has brought; tells whether that changes anything."""
        before = self._readings[scope]
        if reading == Reading.LISTED:
            self._listed.add(scope)
        elif reading == Reading.ABSENT and scope in self._listed:
            reading = Reading.REFUSED  # it was there, so nobody may wake for its going
        self._readings[scope] = reading
        return reading != before

    def of(self, namespace: str) -> Schedules:
        """Give what the decision may know of a namespace's schedules."""
        return Schedules(
            existing=tuple(self._schedules.get(namespace, {}).values()),
            deleted=tuple(schedule for schedule, _ in self._deleted.get(namespace, {}).values()),
            readable=self.reading(namespace) != Reading.REFUSED,
        )

    def asks(self) -> Counter[tuple[str, str]]:
        """Count the schedules by namespace and what their status says they ask for."""
        return Counter((s.namespace, str(s.status.asks)) for s in self._resources.values() if s.status.asks is not None)

    def invalid(self) -> Counter[tuple[str]]:
        """Count those by namespace that cannot be used."""
        return Counter((key.namespace,) for key in self._resources if self.schedule(key).problem)

    def unsettled(self) -> Counter[tuple[str]]:
        """Count those by namespace of which some session is not as it is wanted."""
        return Counter((s.namespace,) for s in self._resources.values() if s.status.sessions != s.status.settled)

    def put(self, resource: AgbPauseSchedule) -> bool:
        """Take in a resource; tells whether what it asks for may have changed."""
        key = resource.key
        before = self._resources.get(key)
        self._resources[key] = resource
        if before is not None and (before.uid, before.generation) == (resource.uid, resource.generation):
            return False
        self._schedules.setdefault(key.namespace, {})[key.name] = Schedule(resource)
        self._deleted.get(key.namespace, {}).pop(key.name, None)
        return True

    def remove(self, key: ObjectKey, now: float) -> bool:
        """Take out a resource that is gone; tells whether it was known."""
        if self._resources.pop(key, None) is None:
            return False
        schedule = self._schedules[key.namespace].pop(key.name)
        self._deleted.setdefault(key.namespace, {})[key.name] = schedule, now + HELD
        return True

    def forget(self, key: ObjectKey, now: float) -> float | None:
        """Drop a deleted one that is no longer heard; gives the seconds until it may be, None when nothing is left."""
        namespace, name = key.namespace, key.name
        deleted = self._deleted.get(namespace, {})
        if name in deleted and (left := deleted[name][1] - now) > 0:
            return left
        deleted.pop(name, None)
        for table in (self._deleted, self._schedules):
            if not table.get(namespace, True):
                del table[namespace]
        return None
