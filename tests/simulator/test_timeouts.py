"""Idle and lifetime timeouts: off unless asked for, stopped while paused."""

from __future__ import annotations

import pytest

from agb_simulator import Settings
from simulator.caller import NOT_FOUND, Caller


def test_without_timeouts_a_session_runs_for_ever() -> None:
    caller = Caller()
    session = caller.create()
    caller.wait(1e9)
    assert caller.status(session) == "RUNNING"


def test_an_idle_session_is_released_and_reads_do_not_keep_it() -> None:
    caller = Caller(settings=Settings(idle_timeout=300))
    session = caller.create()
    for _ in range(299):
        caller.wait(1)
        assert caller.status(session) == "RUNNING"
        caller.listed()
        caller.get_label(session)
    caller.wait(1)
    assert caller.status(session) == "DELETING"
    caller.wait(1)
    assert caller.status(session) == "FINISH"
    caller.wait(60)
    assert caller.status(session) == NOT_FOUND


@pytest.mark.parametrize("call", ["SetLabel", "refreshSessionIdleTime"])
def test_a_call_that_is_no_read_resets_the_idle_timer(call: str) -> None:
    caller = Caller(settings=Settings(idle_timeout=300))
    session = caller.create()
    caller.wait(200)
    if call == "SetLabel":
        caller.set_label(session, "{}")
    else:
        assert caller.call("POST", "/mcp/refreshSessionIdleTime", sessionId=session).ok
    caller.wait(299)
    assert caller.status(session) == "RUNNING"
    caller.wait(1)
    assert caller.status(session) == "DELETING"


def test_reads_can_be_made_to_count() -> None:
    caller = Caller(settings=Settings(idle_timeout=300, reads_keep_alive=True))
    session = caller.create()
    for _ in range(3):
        caller.wait(299)
        assert caller.status(session) == "RUNNING"


def test_a_session_may_bring_its_own_idle_timeout() -> None:
    caller = Caller()
    answer = caller.call("POST", "/mcp/createSession", {"timeout": 30}, imageId="i")
    session = answer.data["sessionId"]
    caller.wait(29)
    assert caller.status(session) == "RUNNING"
    caller.wait(1)
    assert caller.status(session) == "DELETING"


def test_a_lifetime_ends_a_busy_session_too_and_may_strike_late() -> None:
    caller = Caller(settings=Settings(max_lifetime=1800, timeout_lag=60))
    session = caller.create()
    for _ in range(185):
        caller.wait(10)
        caller.set_label(session, "{}")
    assert caller.status(session) == "RUNNING"
    caller.wait(10)
    assert caller.status(session) == "DELETING"


def test_timeouts_stop_while_paused_and_start_anew_at_running() -> None:
    caller = Caller(settings=Settings(idle_timeout=300, max_lifetime=1800))
    session = caller.create()
    caller.wait(290)
    caller.pause(session)
    caller.wait(1e6)
    assert caller.status(session) == "PAUSED"
    caller.resume(session)
    caller.wait(1 + 299)
    assert caller.status(session) == "RUNNING"
    caller.wait(1)
    assert caller.status(session) == "DELETING"


def test_timeouts_switched_on_later_strike_sessions_that_run_already() -> None:
    caller = Caller()
    old = caller.create()
    caller.wait(1000)
    caller.control.configure(idle_timeout=300)
    assert caller.status(old) == "DELETING"
    young = caller.create()
    caller.control.configure(idle_timeout=None)
    caller.wait(1e6)
    assert caller.status(young) == "RUNNING"
