"""The hooks below /_sim/: what they do, and what a wrong one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agb_simulator import HookRefused, Settings
from agb_simulator.effects import HttpError
from simulator.caller import KEY, NOT_FOUND, OTHER_KEY, Caller


def test_the_clock_can_be_moved_ahead_and_held() -> None:
    caller = Caller()
    session = caller.create()
    caller.pause(session)
    caller.control.freeze()
    caller.wait(100)
    assert caller.status(session) == "PAUSING"
    caller.control.advance(1)
    assert caller.status(session) == "PAUSED"
    caller.resume(session)
    caller.control.thaw()
    assert caller.status(session) == "RESUMING", "no time passed while it was held"
    caller.control.advance(1)
    assert caller.status(session) == "RUNNING"


def test_settings_change_while_running_and_only_the_named_ones() -> None:
    caller = Caller(settings=Settings(latency=0.5))
    caller.control.configure(transition=10, refused_images={"image-gone"}, finish_for=None)
    shown = caller.control.hook("GET", "settings")
    assert (shown["transition"], shown["latency"], shown["finishFor"]) == (10, 0.5, None)
    assert shown["refusedImages"] == ["image-gone"]
    session = caller.create()
    caller.pause(session)
    caller.control.configure(transition=1)
    caller.wait(9)
    assert caller.status(session) == "PAUSING", "a transition under way keeps its pace"
    caller.wait(1)
    assert caller.status(session) == "PAUSED"


def test_sessions_can_be_added_under_any_key_in_any_state() -> None:
    caller = Caller()
    one = caller.control.add_session(OTHER_KEY, session_id="session-1", labels={"a": "b"}, status="PAUSED")
    assert one == "session-1"
    assert caller.status(one) == NOT_FOUND
    caller.key = OTHER_KEY
    assert caller.listed({"a": "b"}) == {"session-1": "PAUSED"}
    assert len(caller.control.add_sessions(OTHER_KEY, count=3)) == 3
    assert len(caller.listed()) == 4


def test_a_vanished_session_can_show_up_again() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.act(session, "vanish")
    assert caller.status(session) == NOT_FOUND
    assert caller.control.add_session(KEY, session_id=session, status="PAUSED") == session
    assert caller.listed() == {session: "PAUSED"}


def test_a_finished_session_can_be_set_back() -> None:
    caller = Caller()
    session = caller.create(team="a")
    caller.control.set_status(session, "FINISH")
    assert caller.listed() == {}
    assert caller.control.stats()["live"] == 0
    caller.control.set_status(session, "PAUSED")
    assert caller.listed({"team": "a"}) == {session: "PAUSED"}
    caller.wait(1e6)
    assert caller.status(session) == "PAUSED", "the planned end is void"
    assert caller.control.stats()["live"] == 1


def test_a_status_set_to_finish_is_forgotten_like_any_release() -> None:
    caller = Caller(settings=Settings(finish_for=5))
    session = caller.create()
    caller.control.set_status(session, "FINISH")
    caller.wait(5)
    assert caller.status(session) == NOT_FOUND


def test_labels_can_be_set_from_outside() -> None:
    caller = Caller()
    session = caller.create(team="a")
    caller.control.set_labels(session, {"team": "b"})
    assert list(caller.listed({"team": "b"})) == [session]
    assert caller.control.session(session)["labels"] == {"team": "b"}


@pytest.mark.parametrize(
    ("action", "changed", "statuses"),
    [
        ("vanish", [0, 1, 2], [NOT_FOUND, NOT_FOUND, NOT_FOUND]),
        ("release", [0, 1, 2], ["DELETING", "DELETING", "DELETING"]),
        ("pause", [0], ["PAUSING", "PAUSED", "RESUMING"]),
        ("resume", [1], ["RUNNING", "RESUMING", "RESUMING"]),
    ],
)
def test_all_sessions_of_an_account_can_be_acted_on_at_once(
    action: str, changed: list[int], statuses: list[str]
) -> None:
    caller = Caller()
    sessions = [caller.control.add_session(KEY, status=status) for status in ("RUNNING", "PAUSED", "RESUMING")]
    foreign = caller.control.add_session(OTHER_KEY)
    assert caller.control.act_on_all(KEY, action) == [sessions[at] for at in changed]
    assert [caller.status(session) for session in sessions] == statuses
    assert caller.control.session(foreign)["status"] == "RUNNING"


def test_acting_on_all_sessions_of_a_revoked_key_leaves_it_revoked() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.revoke_key(KEY)
    assert caller.control.act_on_all(KEY, "vanish") == [session]
    assert caller.page().status == 401


def test_all_sessions_of_an_account_can_lose_their_labels_at_once() -> None:
    caller = Caller()
    session = caller.create(team="a")
    ended = caller.create(team="a")
    caller.control.set_status(ended, "FINISH")
    assert caller.control.label_all(KEY, {}) == [session], "only live ones"
    assert caller.labels(session) == {}
    assert caller.listed({"team": "a"}) == {}


def test_keys_can_be_added_shared_and_revoked() -> None:
    caller = Caller(keys=(KEY,))
    session = caller.create()
    caller.key = OTHER_KEY
    assert caller.status(session) == "InvalidApiKey"
    caller.control.add_key(OTHER_KEY, shares_with=KEY)
    assert caller.status(session) == "RUNNING"
    caller.control.revoke_key(KEY)
    caller.key = KEY
    assert caller.status(session) == "InvalidApiKey"
    caller.control.add_key(KEY)
    assert caller.status(session) == "RUNNING", "the account is still the same"


def test_a_key_can_be_revoked_where_any_key_is_accepted() -> None:
    caller = Caller()
    caller.control.revoke_key(KEY)
    assert caller.page().status == 401
    caller.control.add_key(KEY)
    assert caller.page().ok


def test_reset_goes_back_to_the_start() -> None:
    caller = Caller(settings=Settings(transition=2), keys=(KEY,))
    caller.create()
    caller.control.add_fault(HttpError(), endpoint="getSession")
    caller.control.configure(transition=9)
    caller.control.add_key(OTHER_KEY)
    caller.control.freeze()
    caller.control.reset()
    state = caller.control.state()
    assert (state["sessions"], state["faults"], state["clock"]["frozen"]) == ([], [], False)
    assert state["settings"]["transition"] == 2
    assert caller.page().body["count"] == 0
    caller.key = OTHER_KEY
    assert caller.page().status == 401


def test_a_session_id_with_odd_characters_can_be_reached() -> None:
    caller = Caller()
    odd = "a/b ?c=%41é"
    caller.control.add_session(KEY, session_id=odd)
    caller.control.act(odd, "pause")
    assert caller.control.session(odd)["status"] == "PAUSING"
    assert caller.status(odd) == "PAUSING"


@pytest.mark.parametrize(
    ("method", "path", "body", "text"),
    [
        ("GET", "nosuch", None, "there is no hook /_sim/nosuch"),
        ("DELETE", "clock", None, "/_sim/clock does not take DELETE"),
        ("POST", "clock", {"advance": -1}, "advance: Input should be greater than or equal to 0"),
        ("POST", "clock", {"forward": 1}, "forward: Unexpected keyword argument"),
        ("PATCH", "settings", {"transition": "soon"}, "transition: Input should be a valid number"),
        ("PATCH", "settings", {"speed": 1}, "speed: Unexpected keyword argument"),
        ("PATCH", "settings", {"paging": "x"}, "paging: Input should be 'cursor' or 'offset'"),
        ("POST", "faults", {}, "effect: Field required"),
        ("POST", "faults", {"effect": {"kind": "x"}}, "Input tag 'x' found using 'kind' does not match"),
        ("POST", "faults", {"effect": {"kind": "ignored"}, "count": 0}, "count: Input should be greater"),
        ("POST", "faults", {"effect": {"kind": "ignored"}, "endpoint": "x"}, "endpoint: must be one of GetLabel"),
        ("DELETE", "faults/7", None, "there is no fault 7"),
        ("DELETE", "faults/x", None, "there is no fault x"),
        ("GET", "requests?since=x", None, "since: must be a sequence number"),
        ("POST", "keys", {}, "key: Field required"),
        ("POST", "sessions", {"key": KEY, "count": 0}, "count: must be 1 or more"),
        ("POST", "sessions", {"key": KEY, "count": 2, "sessionId": "s"}, "and 1 if there is a sessionId"),
        ("POST", "sessions", {"key": KEY, "sessionId": "session-here"}, "session session-here exists already"),
        ("GET", "sessions/session-x", None, "there is no session session-x"),
        ("PATCH", "sessions/session-here", {}, "give one of status, labels, action"),
        ("PATCH", "sessions/session-here", {"status": "X", "labels": {}}, "give one of status, labels, action"),
        ("PATCH", "sessions/session-here", {"action": "explode"}, "action: Input should be 'pause'"),
        ("PATCH", "sessions/session-here", {"key": KEY, "action": "pause"}, "key: Unexpected keyword argument"),
        ("PATCH", "sessions", {"key": "simulator-key-of-nobody"}, "give one of status, labels, action"),
        ("PATCH", "sessions", {"action": "vanish"}, "key: Field required"),
    ],
)
def test_a_wrong_hook_is_told_so_and_changes_nothing(
    method: str, path: str, body: dict[str, Any] | None, text: str
) -> None:
    caller = Caller()
    caller.control.add_session(KEY, session_id="session-here")
    before = caller.control.state()
    with pytest.raises(HookRefused) as refused:
        caller.control.hook(method, path, body)
    assert text in str(refused.value)
    assert caller.control.state() == before


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_hook_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    reply = Caller().send("POST", "/_sim/clock", body)
    assert reply.status == 400
    assert "body" in json.loads(reply.body)["error"]


def test_health_needs_no_key() -> None:
    reply = Caller(keys=(KEY,)).send("GET", "/_sim/health", headers={})
    assert (reply.status, reply.json()) == (200, {"ok": True})
