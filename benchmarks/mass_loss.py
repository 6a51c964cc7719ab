"""What one round of decisions costs when all sessions of a key vanish at once: CPU, and how late the event loop is.

    make mass-loss

Each resource's pass is played with the parts that decide (what is remembered, and the policy), without I/O; between two
passes the event loop goes around once, as it does in production. The figures of docs/performance.md come from it.
"""

import asyncio
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from agb_operator.agb.client import SessionClient
from agb_operator.agb.replies import Reply
from agb_operator.agb.requests import Request, client_over
from agb_operator.control.memory import Memory
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import Observation, SessionState
from agb_operator.policy.decide import before_looking, decide
from agb_operator.policy.intent import NO_SCHEDULES, Subject
from agb_operator.policy.intent import decide as wanted
from agb_operator.policy.plan import Input

SESSIONS: Final = 10_000
NOW: Final = datetime(2026, 1, 1, tzinfo=UTC)


def resource(number: int) -> AgbSession:
    """Give a settled resource, as the watch tells of it."""
    condition = {
        "status": "True",
        "reason": "Running",
        "message": "",
        "observedGeneration": 1,
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }
    return AgbSession.from_body(
        {
            "metadata": {
                "namespace": "ml",
                "name": f"s{number}",
                "uid": f"uid-{number}",
                "generation": 1,
                "resourceVersion": "1",
                "creationTimestamp": "2026-01-01T00:00:00Z",
            },
            "spec": {"sessionId": f"session-{number}"},
            "status": {
                "observedGeneration": 1,
                "phase": "Running",
                "sessionId": f"session-{number}",
                "sessionStatus": "RUNNING",
                "conditions": [{"type": "Ready", **condition}],
            },
        }
    )


@dataclass(slots=True)
class Lateness:
    """How late the event loop came back to a task that asked for nothing but its turn every ten milliseconds."""

    worst: float = 0.0

    async def watch(self) -> None:
        """Measure until cancelled."""
        while True:
            due = time.perf_counter() + 0.01
            await asyncio.sleep(0.01)
            self.worst = max(self.worst, time.perf_counter() - due)


async def nothing_is_sent(request: Request) -> Reply:
    """Stand for the way to AGB, which no decision takes."""
    raise AssertionError(request)


async def one_round(memory: Memory, client: SessionClient, sessions: list[AgbSession], state: SessionState) -> int:
    """Look at each session and decide; returns how many were held back because the key is suspect."""
    suspect = 0
    for session in sessions:
        intent = wanted(Subject.of(session), NO_SCHEDULES, NOW)
        given = Input(session=session, now=NOW, intent=intent, recalled=memory.recall(session))
        assert before_looking(given) is None
        memory.note_look(session, state, client=client)
        given = Input(
            session=session,
            now=NOW,
            intent=intent,
            recalled=memory.recall(session),
            seen=Observation(session_id=session.session_id, state=state, status="RUNNING", taken_at=0.0),
        )
        decide(given)
        suspect += given.recalled.mass_loss
        await asyncio.sleep(0)
    return suspect


async def run(count: int) -> None:
    """Measure a round in which all is well, and two after all have vanished."""
    memory, client = Memory(clock=time.monotonic), client_over(nothing_is_sent)
    sessions = [resource(number) for number in range(count)]
    for name, state in (
        ("all is well", SessionState.RUNNING),
        ("all have vanished", SessionState.NOT_FOUND),
        ("the round after", SessionState.NOT_FOUND),
    ):
        late = Lateness()
        watching = asyncio.create_task(late.watch())
        await asyncio.sleep(0.05)
        began = time.process_time()
        suspect = await one_round(memory, client, sessions, state)
        cpu = time.process_time() - began
        watching.cancel()
        print(f"{name:20} {cpu:7.2f} s of CPU {1000 * late.worst:7.1f} ms late at most {suspect:7} held back")


if __name__ == "__main__":
    asyncio.run(run(int(sys.argv[1]) if len(sys.argv) > 1 else SESSIONS))
