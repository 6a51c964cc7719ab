"""ListSession: filter, pages, order, lag."""

from __future__ import annotations

import pytest

from agb_simulator import Settings
from simulator.caller import KEY, Caller


def test_the_filter_is_an_and_over_exact_pairs() -> None:
    caller = Caller()
    both = caller.create(team="a", stage="x")
    team = caller.create(team="a")
    caller.create(team="b", stage="x")
    assert list(caller.listed({"team": "a"})) == [both, team]
    assert list(caller.listed({"team": "a", "stage": "x"})) == [both]
    assert list(caller.listed({"stage": "x", "team": "a"})) == [both]
    assert caller.listed({"team": "A"}) == {}
    assert caller.listed({"team": "a", "stage": "y"}) == {}
    assert len(caller.listed({})) == 3


def test_a_label_value_of_another_type_is_another_value() -> None:
    caller = Caller()
    number, text = caller.create(n=1), caller.create(n="1")
    assert list(caller.listed({"n": 1})) == [number]
    assert list(caller.listed({"n": "1"})) == [text]


def test_paused_sessions_are_listed_and_unknown_query_keys_ignored() -> None:
    caller = Caller()
    session = caller.create()
    caller.pause(session)
    caller.wait(1)
    assert caller.page(isAll="true", unknown="x").data == [{"sessionId": session, "sessionStatus": "PAUSED"}]


def test_pages_hold_all_sessions_once_in_order_of_creation() -> None:
    caller = Caller()
    sessions = [caller.create(team="a") for _ in range(23)]
    caller.create(team="b")
    pages = [caller.page({"team": "a"})]
    while pages[-1].body["nextToken"]:
        pages.append(caller.page({"team": "a"}, nextToken=pages[-1].body["nextToken"]))
    assert [len(page.data) for page in pages] == [10, 10, 3], "ten is the default"
    assert [item["sessionId"] for page in pages for item in page.data] == sessions
    assert {page.body["count"] for page in pages} == {23}
    assert {page.body["maxResults"] for page in pages} == {10}


def test_a_full_last_page_has_no_token() -> None:
    caller = Caller()
    for _ in range(4):
        caller.create()
    first = caller.page(maxResults="2")
    assert first.body["nextToken"]
    assert caller.page(maxResults="2", nextToken=first.body["nextToken"]).body["nextToken"] == ""


def test_an_empty_list_is_a_success() -> None:
    answer = Caller().page({"team": "nobody"})
    assert answer.ok
    assert (answer.data, answer.body["count"], answer.body["nextToken"]) == ([], 0, "")


@pytest.mark.parametrize("size", ["0", "101", "-1", "", "ten", "1.5", "\u0661"])
def test_a_page_size_outside_the_limits_is_refused(size: str) -> None:
    answer = Caller().page(maxResults=size)
    assert (answer.status, answer.code) == (400, "InvalidParameter")


def test_the_largest_page_is_a_setting() -> None:
    caller = Caller(settings=Settings(max_page_size=5))
    assert caller.page(maxResults="5").ok
    assert caller.page(maxResults="6").code == "InvalidParameter"
    assert caller.page().body["maxResults"] == 5, "the default never exceeds the largest"


@pytest.mark.parametrize("token", ["x", "b2Zmc2V0PQ==", "b2Zmc2V0PS0x", "%00", "/////w=="])
def test_a_token_nobody_gave_out_is_refused(token: str) -> None:
    answer = Caller().page(nextToken=token)
    assert (answer.status, answer.code) == (400, "InvalidParameter")


def test_a_label_set_later_keeps_the_order_of_creation() -> None:
    caller = Caller()
    first, second = caller.create(), caller.create(team="a")
    caller.set_label(first, '{"team": "a"}')
    assert list(caller.listed({"team": "a"})) == [first, second]


def test_cursor_pages_skip_nobody_when_earlier_sessions_go() -> None:
    caller = Caller(settings=Settings(transition=0))
    sessions = [caller.create() for _ in range(4)]
    first = caller.page(maxResults="2")
    caller.release(sessions[0])
    second = caller.page(maxResults="2", nextToken=first.body["nextToken"])
    assert [item["sessionId"] for item in second.data] == sessions[2:]


def test_offset_pages_skip_a_session_when_an_earlier_one_goes() -> None:
    caller = Caller(settings=Settings(transition=0, paging="offset"))
    sessions = [caller.create() for _ in range(4)]
    first = caller.page(maxResults="2")
    caller.release(sessions[0])
    second = caller.page(maxResults="2", nextToken=first.body["nextToken"])
    assert [item["sessionId"] for item in second.data] == sessions[3:]


def test_labels_can_be_seen_late_by_the_filter_and_at_once_by_get_label() -> None:
    caller = Caller(settings=Settings(label_lag=5))
    session = caller.create(team="a")
    assert caller.labels(session) == {"team": "a"}
    assert caller.listed({"team": "a"}) == {}
    assert list(caller.listed()) == [session]
    caller.wait(5)
    assert list(caller.listed({"team": "a"})) == [session]
    caller.set_label(session, '{"team": "b"}')
    caller.wait(3)
    caller.set_label(session, '{"team": "c"}')
    assert list(caller.listed({"team": "a"})) == [session]
    caller.wait(3)
    assert list(caller.listed({"team": "a"})) == [session], "what was replaced before it showed never shows"
    caller.wait(2)
    assert list(caller.listed({"team": "c"})) == [session]
    assert caller.listed({"team": "a"}) == {}


def test_statuses_can_be_seen_late_by_the_list_and_at_once_by_get_session() -> None:
    caller = Caller(settings=Settings(status_lag=10, finish_for=0))
    session = caller.create(team="a")
    caller.pause(session)
    caller.wait(2)
    assert caller.status(session) == "PAUSED"
    assert caller.listed() == {session: "RUNNING"}
    caller.wait(8)
    assert caller.listed() == {session: "PAUSING"}
    caller.wait(1)
    assert caller.listed() == {session: "PAUSED"}
    caller.control.act(session, "vanish")
    assert caller.listed({"team": "a"}) == {session: "PAUSED"}
    caller.wait(10)
    assert caller.listed() == {}
    assert caller.listed({"team": "a"}) == {}


def test_a_session_that_is_back_before_the_list_saw_it_go_is_listed_once_and_stays() -> None:
    caller = Caller(settings=Settings(status_lag=10))
    session = caller.create(team="a")
    caller.control.set_status(session, "FINISH")
    caller.wait(5)
    caller.control.set_status(session, "PAUSED")
    assert [item["sessionId"] for item in caller.page().data] == [session]
    caller.wait(20)
    assert [item["sessionStatus"] for item in caller.page({"team": "a"}).data] == ["PAUSED"]


def test_ten_thousand_moving_sessions_are_listed_page_by_page_without_gaps() -> None:
    caller = Caller(settings=Settings(transition=3))
    sessions = caller.control.add_sessions(KEY, count=10_000, labels={"fleet": "a", "kind": "b"})
    for session in sessions:
        assert caller.pause(session).ok
    assert set(caller.listed({"fleet": "a"}).values()) == {"PAUSING"}
    caller.wait(3)
    listed = caller.listed({"fleet": "a", "kind": "b"})
    assert list(listed) == sessions
    assert set(listed.values()) == {"PAUSED"}
