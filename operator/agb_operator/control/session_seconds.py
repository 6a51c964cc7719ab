"""How long sessions ran and slept while this replica led, and what one that is gone has used.

A status tells of one session; these sums also hold sessions whose resource is deleted. They begin with the process,
as counters do, and follow the store: each session counts as what its `status.usage` says.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

from ..model.clock import Clock
from ..model.resource import AgbSession
from ..model.status import UsageState
from ..policy.usage import total, until

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Meter:
    """The time of the sessions of one namespace that are in one state."""

    sessions: int = 0
    seconds: float = 0.0
    at: float = 0.0

    def go_on(self, now: float, *, more: int = 0) -> float:
        """Count until now, then let so many sessions more (or fewer) run the meter."""
        self.seconds += self.sessions * max(0.0, now - self.at)
        self.at, self.sessions = now, self.sessions + more
        return self.seconds


@dataclass(kw_only=True, slots=True, eq=False)
class SessionSeconds:
    """Owns the sums of `agb_session_seconds_total`."""

    clock: Clock
    _meters: dict[tuple[str, str], _Meter] = field(init=False, default_factory=dict)

    def changed(self, before: AgbSession | None, after: AgbSession | None) -> None:
        """Take in what the store learns of a resource: `before` None is a new one, `after` None one that is gone."""
        if before is not None and after is not None and before.uid != after.uid:
            self.changed(before, None)
            before = None
        was, is_now = _state(before), _state(after)
        if was != is_now:
            now = self.clock.now()
            for key, more in ((was, -1), (is_now, 1)):
                if key is not None:
                    self._meters.setdefault(key, _Meter(at=now)).go_on(now, more=more)
        if before is not None and after is None:
            self._tell(before)

    def sums(self) -> Mapping[tuple[str, str], float]:
        """Give the seconds by namespace and state, until now."""
        now = self.clock.now()
        return {key: meter.go_on(now) for key, meter in self._meters.items()}

    def _tell(self, session: AgbSession) -> None:
        if session.status.usage is None:
            return
        used = total(until(session.status.usage, self.clock.wall()))
        logger.info(
            "%s: is gone; since %s its session ran for %d s and slept for %d s (pauses: %d, resumes: %d)",
            session.key,
            used.month,
            used.running_seconds,
            used.paused_seconds,
            used.pauses,
            used.resumes,
            extra={
                "namespace": session.key.namespace,
                "resource": session.key.name,
                "session_id": session.session_id,
            },
        )


def _state(session: AgbSession | None) -> tuple[str, str] | None:
    usage = session.status.usage if session is not None else None
    if session is None or usage is None or usage.state == UsageState.NONE:
        return None
    return session.key.namespace, str(usage.state)
