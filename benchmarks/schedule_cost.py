"""What it costs to decide who sleeps at a start: CPU seconds for 10,000 sessions and 20 schedules, without any I/O.

    PYTHONPATH=operator .venv/bin/python benchmarks/schedule_cost.py

The first line is a fleet in which each session has a schedule of its team; the second is the worst case, in which
every schedule selects every session.
"""

import time
from datetime import UTC, datetime
from typing import Any

from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.policy.intent import Schedules, Subject, decide
from agb_operator.policy.schedule import Schedule

SESSIONS = 10_000
SCHEDULES = 20
NOW = datetime(2026, 11, 25, 22, tzinfo=UTC)


def schedule(number: int, selector: dict[str, Any]) -> Schedule:
    """Nights and weekends, with a day off, a maintenance window and a spread."""
    spec = {
        "selector": selector,
        "timeZone": "Europe/Berlin",
        "pauseAt": f"{number} 20 * * *",
        "resumeAt": f"{number} 7 * * 1-5",
        "daysOff": ["2026-12-25"],
        "windows": [{"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}],
        "spread": "10m",
    }
    return Schedule(AgbPauseSchedule.from_body({"metadata": {"name": f"schedule-{number}"}, "spec": spec}))


def measure(title: str, selectors: list[dict[str, Any]]) -> None:
    """Print the CPU seconds of one evaluation, from the parsing on."""
    sessions = [Subject(uid=f"uid-{n}", labels={"team": f"t{n % SCHEDULES}"}) for n in range(SESSIONS)]
    begin = time.process_time()
    schedules = Schedules(existing=[schedule(number, selector) for number, selector in enumerate(selectors)])
    asleep = sum(decide(session, schedules, NOW).state == "Paused" for session in sessions)
    print(f"{title}: {time.process_time() - begin:.2f} s of CPU, {asleep} of {SESSIONS} asleep")


if __name__ == "__main__":
    measure("one schedule of 20 for each session", [{"matchLabels": {"team": f"t{n}"}} for n in range(SCHEDULES)])
    measure("all 20 schedules for each session", [{}] * SCHEDULES)
