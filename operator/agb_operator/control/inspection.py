"""What this process knows of one resource, for people who ask why it is stuck: no secrets, and nothing is changed."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..agb.credentials import Credentials
from ..model.clock import Clock
from ..model.resource import AgbSession, ObjectKey
from .claims import Claims, Theirs, Undecided
from .intents import Intents
from .memory import Memory, Streak
from .queue import WorkQueue
from .store import Store


@dataclass(kw_only=True, slots=True, eq=False)
class Inspection:
    """Reads what the parts hold."""

    store: Store
    memory: Memory
    claims: Claims
    queue: WorkQueue
    credentials: Credentials
    intents: Intents
    clock: Clock

    def of(self, namespace: str, name: str) -> Mapping[str, Any] | None:
        """Tell all that is known of a resource; None if there is none here. Times are seconds ago or to come."""
        session = self.store.get(ObjectKey(namespace, name))
        if session is None:
            return None
        remembered, intent, now = self.memory.of(session), self.intents.last(session), self.clock.now()
        looked, called = remembered.last_look, remembered.called
        return {
            "resource": str(session.key),
            "uid": session.uid,
            "generation": session.generation,
            "observedGeneration": session.status.observed_generation,
            "sessionId": session.session_id,
            "managedBy": self._manager(session),
            "wanted": {"state": str(intent.state), "why": intent.why},
            "nextPass": self.queue.next_pass(session.key) or "none: watch, clock and resync look after it",
            "lastLook": looked and {"secondsAgo": _rounded(now - looked[0]), "saw": str(looked[1])},
            "lastCall": called and {"call": str(called), "secondsAgo": _rounded(now - remembered.called_at)},
            "failures": {
                "AGB": self._streak(remembered.agb),
                "Kubernetes API": self._streak(remembered.cluster),
                "duplicates": self._streak(remembered.duplicates),
            },
            "statusWaitsToBeWritten": remembered.unwritten is not None,
            "key": self._key(session),
        }

    def _manager(self, session: AgbSession) -> str:
        match self.claims.older(session):
            case Theirs(owner=owner):
                return owner
            case Undecided():
                return "undecided: an older resource that names the session has not been looked at yet"
            case _:
                return str(session.key)

    def _streak(self, streak: Streak) -> Mapping[str, float]:
        return {"inARow": streak.count, "forSeconds": _rounded(streak.lasts(self.clock.now()))}

    def _key(self, session: AgbSession) -> Mapping[str, Any]:
        standing, problem = self.credentials.standing_of(session)
        told: dict[str, Any] = {
            "from": f"Secret {session.secret.name}, entry {session.secret.entry}" if session.secret else "the operator",
            "problem": problem,
        }
        if standing is not None:
            told |= {
                "fingerprint": standing.name,
                "accepted": standing.is_proven,
                "refusedForSeconds": self._since(standing.key.open_since),
                "accountFailsForSeconds": self._since(standing.account.open_since),
                "endpointIsDead": standing.endpoint.is_dead,
            }
        return told

    def _since(self, moment: float | None) -> float | None:
        return None if moment is None else _rounded(self.clock.now() - moment)


def _rounded(seconds: float) -> float:
    return round(seconds, 1)
