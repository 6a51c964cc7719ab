"""Schedules and instants for the tests of the clock."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.policy.schedule import Schedule

BERLIN = "Europe/Berlin"
NIGHTS: Mapping[str, Any] = {"pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}


def a_body(name: str = "office-hours", **spec: Any) -> dict[str, Any]:
    """An AgbPauseSchedule as the API server gives it, selecting everything."""
    return {
        "metadata": {"namespace": "ml", "name": name, "uid": f"uid-of-{name}", "generation": 1},
        "spec": {"selector": {}, "timeZone": BERLIN, "spread": "0s", "enabled": True, **spec},
    }


def a_schedule(name: str = "office-hours", **spec: Any) -> Schedule:
    """A schedule on the clock; without times of its own it asks for a pause at nights and over the weekend."""
    if not {"pauseAt", "windows"} & set(spec):
        spec = {**NIGHTS, **spec}
    return Schedule(AgbPauseSchedule.from_body(a_body(name, **spec)))


def utc(text: str) -> datetime:
    """An instant such as `2026-11-25 19:00`."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
