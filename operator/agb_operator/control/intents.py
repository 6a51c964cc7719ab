"""What is wanted of each session, and when that is to be asked again: the policy's answer, kept until then.

Owns the answers and the times at which the clock alone may change them. Who acts on that is `clock`'s.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from heapq import heappop, heappush

from ..model.clock import Clock
from ..model.resource import AgbSession, ObjectKey
from ..model.states import DesiredState
from ..policy.intent import SCHEDULE, Intent, Schedules, Subject, decide
from .schedule_store import Reading, ScheduleStore


@dataclass(kw_only=True, slots=True, eq=False)
class Intents:
    """The answers of the policy."""

    schedules: ScheduleStore
    clock: Clock
    _last: dict[ObjectKey, tuple[str, Intent]] = field(init=False, default_factory=dict)
    """With the uid that it was given for."""
    _moved: dict[ObjectKey, tuple[str, int]] = field(init=False, default_factory=dict)
    """The uid and the generation of a resource of which the clock or a schedule has changed what is wanted."""
    _due: dict[ObjectKey, datetime] = field(init=False, default_factory=dict)
    _heap: list[tuple[datetime, ObjectKey]] = field(init=False, default_factory=list)

    def known(self, session: AgbSession) -> bool:
        """Tell whether the schedules of its namespace have been listed, or that was refused."""
        return self.schedules.reading(session.key.namespace) != Reading.UNKNOWN

    def of(self, session: AgbSession) -> Intent:
        """Ask what is wanted of a session now."""
        intent = decide(Subject.of(session), self._schedules(session), self.clock.wall())
        self._last[session.key] = (session.uid, intent)
        status = session.status
        if status.observed_generation == session.generation and status.desired_state not in ("", intent.state):
            self._moved[session.key] = (session.uid, session.generation)
        self.ask_again(session.key, intent.look_again)
        return intent

    def hold(self, state: DesiredState, session: AgbSession, current: AgbSession | None) -> bool:
        """Tell whether a resource is what it was, and this is still wanted of its session."""
        return current is not None and current.asks == session.asks and self.of(current).state == state

    def last(self, session: AgbSession) -> Intent:
        """Give the last answer: it holds until `due` names the session or somebody changes something."""
        uid, intent = self._last.get(session.key, ("", None))
        return intent if intent is not None and uid == session.uid else self.of(session)

    def by_clock(self, session: AgbSession) -> bool:
        """Tell whether the session is at work because of the clock or a schedule, and nobody has changed it since."""
        return self._moved.get(session.key) == (session.uid, session.generation)

    def ask_again(self, key: ObjectKey, at: datetime | None) -> None:
        """Have an object named by `due` once this moment has come; None: not at all."""
        if self._due.get(key) == at:
            return
        if at is None:
            del self._due[key]
        else:
            self._due[key] = at
            heappush(self._heap, (at, key))

    def due(self) -> ObjectKey | None:
        """Take one whose moment has come; None if there is none."""
        now = self.clock.wall()
        while self._heap and self._heap[0][0] <= now:
            at, key = heappop(self._heap)
            if self._due.get(key) == at:
                del self._due[key]
                return key
        return None

    def seconds_left(self) -> float:
        """Give the seconds until the next is due."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        if not self._heap:
            return float("inf")
        return max(0.0, (self._heap[0][0] - self.clock.wall()).total_seconds())

    def wanted(self) -> Counter[tuple[str, str, str]]:
        """Count the sessions by namespace, what is wanted, and why in one word: names of schedules are left out."""
        found: Counter[tuple[str, str, str]] = Counter()
        for key, (_, intent) in self._last.items():
            if intent.state != DesiredState.GONE:
                found[key.namespace, str(intent.state), intent.why.partition("/")[0]] += 1
        return found

    def forget(self, key: ObjectKey) -> None:
        """Drop what is known of an object that no longer exists."""
        self._last.pop(key, None)
        self._moved.pop(key, None)
        self._due.pop(key, None)

    def _schedules(self, session: AgbSession) -> Schedules:
        namespace = session.key.namespace
        absent = self.schedules.reading(namespace) == Reading.ABSENT
        if absent and session.status.why.startswith(SCHEDULE):
            return Schedules(readable=False)  # there were schedules once: nobody wakes because they cannot be read
        return self.schedules.of(namespace)
