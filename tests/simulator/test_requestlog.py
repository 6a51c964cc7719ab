"""The request log: what an operator is judged by."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from agb_simulator import Entry, Settings
from agb_simulator.accounts import fingerprint
from agb_simulator.effects import HttpError, LostAnswer
from simulator.caller import KEY, OTHER_KEY, Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """How the log judges a call that meets a session in some state."""

    call: str
    state: str
    illegal: bool = False
    not_found: bool = False
    applied: bool = False


@pytest.mark.parametrize(
    "verdict",
    [
        Verdict(call="pause", state="RUNNING", applied=True),
        Verdict(call="pause", state="PAUSING", illegal=True),
        Verdict(call="pause", state="PAUSED", illegal=True),
        Verdict(call="pause", state="RESUMING", illegal=True),
        Verdict(call="pause", state="DELETING", illegal=True),
        Verdict(call="pause", state="FINISH", not_found=True),
        Verdict(call="resume", state="PAUSED", applied=True),
        Verdict(call="resume", state="RUNNING", illegal=True),
        Verdict(call="resume", state="PAUSING", illegal=True),
        Verdict(call="resume", state="FINISH", not_found=True),
        Verdict(call="release", state="RUNNING", applied=True),
        Verdict(call="release", state="PAUSED", illegal=True),
        Verdict(call="release", state="RESUMING", illegal=True),
        Verdict(call="release", state="DELETING", illegal=True),
        Verdict(call="release", state="FINISH", not_found=True),
        Verdict(call="get", state="PAUSING"),
    ],
    ids=lambda verdict: f"{verdict.call} in {verdict.state}",
)
def test_each_call_is_judged_by_the_true_state_it_met(verdict: Verdict) -> None:
    caller = Caller()
    session = caller.control.add_session(KEY, status=verdict.state)
    getattr(caller, verdict.call)(session)
    (entry,) = caller.control.requests()
    assert (entry.illegal, entry.not_found, entry.applied) == (
        verdict.illegal,
        verdict.not_found,
        verdict.applied,
    )
    assert entry.state_before == verdict.state
    assert entry.session_id == session


@pytest.mark.parametrize("call", ["pause", "resume", "release", "get"])
def test_an_unknown_or_foreign_session_is_not_found_and_not_illegal(call: str) -> None:
    caller = Caller()
    foreign = caller.control.add_session(OTHER_KEY)
    getattr(caller, call)("session-unknown")
    getattr(caller, call)(foreign)
    for entry in caller.control.requests():
        assert (entry.not_found, entry.illegal, entry.state_before) == (True, False, None)


def test_an_illegal_call_is_judged_so_even_if_a_fault_or_the_rate_limit_stopped_it() -> None:
    caller = Caller(settings=Settings(rate_limit=1))
    session = caller.control.add_session(KEY, status="PAUSED")
    caller.control.add_fault(HttpError(), count=1)
    assert caller.pause(session).status == 500
    assert caller.pause(session).status == 429
    assert [entry.illegal for entry in caller.control.requests()] == [True, True]


def test_an_entry_says_who_asked_what_when_and_what_came_of_it() -> None:
    caller = Caller()
    session = caller.create(team="a")
    caller.wait(5)
    answer = caller.page({"team": "a"})
    first, second = caller.control.requests()
    assert first == Entry(
        seq=1,
        wall_time=1_700_000_000.0,
        time=1000.0,
        key=fingerprint(KEY),
        endpoint="createSession",
        session_id=session,
        labels='{"team": "a"}',
        status=200,
        code="ok",
        applied=True,
        illegal=False,
        not_found=False,
        limited=False,
        state_before=None,
        request_id=first.request_id,
        dropped=False,
        delay=0.0,
    )
    assert (second.endpoint, second.labels, second.time) == ("ListSession", '{"team": "a"}', 1005.0)
    assert second.request_id == answer.body["requestId"]


def test_no_key_is_ever_logged_or_shown() -> None:
    caller = Caller(keys=(KEY,))
    caller.create()
    caller.key = "simulator-key-wrong"
    caller.page()
    shown = str([caller.control.requests(), caller.control.state(), caller.control.stats()])
    assert "simulator-key" not in shown
    assert fingerprint(KEY) in shown
    assert caller.control.requests()[-1].key is None


def test_the_log_is_read_on_from_a_sequence_number_and_goes_on_after_clearing() -> None:
    caller = Caller()
    for _ in range(5):
        caller.page()
    assert [entry.seq for entry in caller.control.requests(since=3)] == [4, 5]
    assert caller.control.requests(since=5) == []
    assert caller.control.requests(since=99) == []
    caller.control.clear_requests()
    assert caller.control.requests() == []
    caller.page()
    assert [entry.seq for entry in caller.control.requests()] == [6]
    assert caller.control.count("ListSession") == 1


def test_counts_are_kept_by_endpoint() -> None:
    caller = Caller()
    session = caller.create()
    caller.pause(session)
    caller.pause(session)
    caller.pause("session-unknown")
    caller.control.add_fault(LostAnswer(), count=1)
    caller.send("POST", "/mcp/getSession", {"sessionId": session})
    stats = caller.control.stats()
    assert stats["endpoints"]["pauseSessionAsync"] == {
        "requests": 3,
        "applied": 1,
        "illegal": 1,
        "notFound": 1,
        "limited": 0,
        "dropped": 0,
        "byStatus": {"200": 1, "400": 2},
    }
    assert (stats["requests"], stats["illegal"], stats["created"], stats["live"]) == (5, 1, 1, 1)
    assert stats["sessions"] == {"PAUSING": 1}
    assert caller.control.count("getSession", "dropped") == 1
    assert caller.control.count("GetLabel") == 0


def test_hooks_are_not_logged() -> None:
    caller = Caller()
    caller.control.state()
    assert caller.control.requests() == []
