"""What the judgement of a run calls wrong, on small logs: each finding, and what is none."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from agb_simulator import Entry
from agb_simulator.accounts import fingerprint
from chaos import tenant, verdict
from chaos.tenant import Calm, Flip
from control_plane.audit import AuditEvent


def entry(endpoint: str, session_id: str, *, at: float = 0.0, key: str = "", **more: Any) -> Entry:
    values: dict[str, Any] = {
        "seq": 1,
        "time": at,
        "labels": None,
        "status": 200,
        "code": "ok",
        "applied": True,
        "illegal": False,
        "not_found": False,
        "limited": False,
        "state_before": "RUNNING",
        "request_id": "",
        "dropped": False,
        "delay": 0.0,
    }
    return Entry(**values | more, wall_time=at, key=fingerprint(key), endpoint=endpoint, session_id=session_id)


@pytest.mark.parametrize(
    ("endpoint", "session_id", "wrong"),
    [
        ("releaseSessionAsync", "session-others-1", True),
        ("pauseSessionAsync", "session-others-1", True),
        ("SetLabel", "session-others-1", True),
        ("getSession", "session-others-1", False),
        ("releaseSessionAsync", "session-1", False),
    ],
)
def test_whoever_changes_a_session_of_others_is_named(endpoint: str, session_id: str, wrong: bool) -> None:
    found = list(verdict.touched([entry(endpoint, session_id)], {"session-others-1"}))
    assert found == ([f"{endpoint} of session-others-1, which is somebody else's"] if wrong else [])


def write(at: float, *, code: int, name: str = "s000", subresource: str = "status", verb: str = "patch") -> AuditEvent:
    return AuditEvent(
        user="operator",
        verb=verb,
        resource="agbsessions",
        subresource=subresource,
        namespace="chaos",
        name=name,
        api_group="agb.cloud",
        code=code,
        user_agent="",
        uri="",
        finished_at=datetime.fromtimestamp(at, UTC),
    )


@pytest.mark.parametrize(
    ("events", "wrong"),
    [
        pytest.param([write(3.0 * n, code=422) for n in range(21)], True, id="21 in a minute"),
        pytest.param([write(3.1 * n, code=422) for n in range(40)], False, id="20 in a minute, for two"),
        pytest.param([write(100.0 + n, code=403) for n in range(21)], True, id="for want of a right"),
        pytest.param([write(n, code=200) for n in range(60)], False, id="not refused"),
        pytest.param([write(n, code=409) for n in range(60)], False, id="conflicts"),
        pytest.param([write(n, code=422, subresource="") for n in range(60)], False, id="not the status"),
        pytest.param([write(n, code=422, name=f"s{n:03}") for n in range(60)], False, id="of many resources"),
    ],
)
def test_a_status_that_is_written_again_and_again_though_it_is_refused_is_named(
    events: Sequence[AuditEvent], wrong: bool
) -> None:
    found = list(verdict.hammered(events))
    assert found == (["s000: 21 refused writes of its status in a minute"] if wrong else [])


@dataclass(frozen=True, kw_only=True, slots=True)
class Wait:
    """A pause asked for at second 100, when it reached AGB, and when an operator could have served it."""

    called_at: float | None
    calms: Sequence[tuple[float, float]]
    late: bool
    why: str
    endpoint: str = "pauseSessionAsync"
    key: str = tenant.KEY


@pytest.mark.parametrize(
    "wait",
    [
        Wait(called_at=101.0, calms=[(0.0, 200.0)], late=False, why="in time"),
        Wait(called_at=107.0, calms=[(0.0, 200.0)], late=True, why="seven seconds in calm"),
        Wait(called_at=160.0, calms=[(0.0, 104.0), (150.0, 154.0)], late=False, why="two stretches are too short"),
        Wait(called_at=160.0, calms=[(0.0, 104.0), (120.0, 127.0)], late=True, why="the second stretch is long enough"),
        Wait(called_at=None, calms=[(0.0, 200.0)], late=True, why="never"),
        Wait(called_at=None, calms=[(0.0, 103.0)], late=False, why="the run ended before it was late"),
        Wait(called_at=50.0, calms=[(0.0, 200.0)], late=True, why="a call of before is another one"),
        Wait(called_at=101.0, calms=[(0.0, 200.0)], late=True, why="another call", endpoint="resumeSessionAsync"),
        Wait(called_at=101.0, calms=[(0.0, 200.0)], late=True, why="another key's call", key="simulator-key-a"),
    ],
    ids=lambda wait: wait.why,
)
def test_a_flip_of_the_second_tenant_is_late_by_the_calm_that_it_has_waited_through(wait: Wait) -> None:
    entries = [] if wait.called_at is None else [entry(wait.endpoint, "session-1", at=wait.called_at, key=wait.key)]
    flips = [Flip(session_id="session-1", paused=True, at=100.0)]
    calms = [Calm(began=began, ended=ended) for began, ended in wait.calms]
    assert bool(list(tenant.late(flips, calms, entries))) == wait.late


ALWAYS = {"from": "2020-01-01T00:00", "to": "2099-01-01T00:00"}


@pytest.mark.parametrize(
    ("spec", "schedule", "state"),
    [
        ({}, {}, "RUNNING"),
        ({"paused": True}, {}, "PAUSED"),
        ({}, {"windows": [ALWAYS]}, "PAUSED"),
        ({}, {"windows": [ALWAYS], "enabled": False}, "RUNNING"),
        ({}, {"windows": [ALWAYS], "selector": {"matchLabels": {"group": "b"}}}, "RUNNING"),
        ({"override": {"state": "Running", "until": "2099-01-01T00:00:00Z"}}, {"windows": [ALWAYS]}, "RUNNING"),
        ({"override": {"state": "Running", "until": "2020-01-01T00:00:00Z"}}, {"windows": [ALWAYS]}, "PAUSED"),
        ({"override": {"state": "Paused", "until": "2099-01-01T00:00:00Z"}}, {}, "PAUSED"),
    ],
)
def test_what_is_wanted_is_said_by_override_spec_and_schedules(
    spec: dict[str, Any], schedule: dict[str, Any], state: str
) -> None:
    body = {"metadata": {"labels": {"group": "a"}}, "spec": spec}
    schedules = [{"spec": {"selector": {"matchLabels": {"group": "a"}}, "timeZone": "UTC", **schedule}}]
    assert verdict.wanted(body, schedules, datetime(2026, 3, 1, 12, tzinfo=UTC)) == state


@pytest.mark.parametrize(
    ("reason", "named", "labelled", "live", "abandoned"),
    [
        ("DeletionBlocked", None, "uid-2", True, True),
        ("DeletionBlocked", None, "uid-1", False, True),
        ("DeletionBlocked", None, "uid-1", True, False),
        ("DeletionBlocked", "session-1", "uid-2", True, False),
        ("CredentialsInvalid", None, "uid-2", True, False),
    ],
)
def test_only_a_deletion_that_waits_for_nothing_is_let_go(
    reason: str, named: str | None, labelled: str, live: bool, abandoned: bool
) -> None:
    status: dict[str, Any] = {"conditions": [{"type": "Stalled", "reason": reason}]}
    body = {"metadata": {"name": "s000", "uid": "uid-1"}, "status": status | ({"sessionId": named} if named else {})}
    sessions = {"session-9": {"live": live, "labels": {verdict.UID: labelled}}}

    assert list(verdict.left_nothing([body], sessions)) == (["s000"] if abandoned else [])
