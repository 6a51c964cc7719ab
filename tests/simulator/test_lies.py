"""Answers in good form that are not so: each lie, whom it strikes, and that it ends when it is switched off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from agb_simulator import HookRefused, Settings
from agb_simulator.effects import (
    Effect,
    EndlessPages,
    FieldValues,
    FilterIgnored,
    IdValue,
    LostAnswer,
    OtherAccount,
    Shape,
    StaleLabels,
    StaleList,
    StatusValue,
)
from simulator.caller import KEY, NOT_FOUND, OTHER_KEY, Caller


def test_a_filter_that_is_ignored_lists_sessions_of_others_too() -> None:
    caller = Caller()
    ours, others = caller.create(team="a"), caller.create(team="b")
    fault = caller.control.add_fault(FilterIgnored(), key=KEY)
    answer = caller.page({"team": "a"})
    assert [row["sessionId"] for row in answer.data] == [ours, others]
    assert answer.body["count"] == 2
    caller.control.remove_fault(fault)
    assert list(caller.listed({"team": "a"})) == [ours]


def test_an_ignored_filter_waits_for_a_list_that_has_one() -> None:
    caller = Caller()
    caller.create(team="a")
    caller.control.add_fault(FilterIgnored(), count=1)
    assert len(caller.page({}).data) == 1
    assert caller.control.faults()[0]["struck"] == 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Behind:
    """What a list shows that is ten seconds behind, `seconds` after something happened."""

    seconds: float
    shown: Sequence[str]
    why: str


@pytest.mark.parametrize(
    "behind",
    [
        Behind(seconds=0.0, shown=["old RUNNING", "gone RUNNING"], why="nothing of it has come through"),
        Behind(seconds=9.9, shown=["old RUNNING", "gone RUNNING"], why="not yet"),
        Behind(seconds=10.0, shown=["old PAUSING", "new RUNNING"], why="ten seconds are over"),
        Behind(seconds=11.0, shown=["old PAUSED", "new RUNNING"], why="the pause took a second"),
    ],
    ids=lambda behind: behind.why,
)
def test_a_stale_list_shows_who_was_there_and_how(behind: Behind) -> None:
    caller = Caller()
    old, gone = caller.create(team="a"), caller.create(team="a")
    caller.wait(60)
    caller.pause(old)
    caller.control.act(gone, "vanish")
    new = caller.create(team="a")
    caller.control.add_fault(StaleList(seconds=10))
    caller.wait(behind.seconds)
    names = {old: "old", gone: "gone", new: "new"}
    for labels in ({}, {"team": "a"}):
        listed = caller.listed(labels)
        assert [f"{names[session]} {status}" for session, status in listed.items()] == behind.shown
        assert caller.page(labels).body["count"] == len(behind.shown)
    assert caller.status(gone) == NOT_FOUND, "getSession knows better"
    caller.control.clear_faults()
    assert list(caller.listed()) == [old, new]


def test_a_stale_list_of_another_filter_holds_nobody_who_did_not_match() -> None:
    caller = Caller()
    gone = caller.create(team="b")
    caller.wait(60)
    caller.control.act(gone, "vanish")
    caller.control.add_fault(StaleList(seconds=10))
    assert caller.listed({"team": "a"}) == {}
    assert list(caller.listed({"team": "b"})) == [gone]


def test_a_list_can_be_behind_now_and_then() -> None:
    caller = Caller()
    caller.create()
    caller.control.add_fault(StaleList(seconds=10), probability=0.5)
    assert {len(caller.page().data) for _ in range(50)} == {0, 1}


def test_pages_of_a_stale_list_hold_each_session_once() -> None:
    caller = Caller()
    sessions = [caller.create() for _ in range(23)]
    caller.wait(60)
    for session in sessions[::2]:
        caller.control.act(session, "vanish")
    caller.control.add_fault(StaleList(seconds=10))
    pages = [caller.page()]
    while pages[-1].body["nextToken"]:
        pages.append(caller.page(nextToken=pages[-1].body["nextToken"]))
    assert [row["sessionId"] for page in pages for row in page.data] == sessions


def test_stale_labels_show_what_was_there_before() -> None:
    caller = Caller()
    session = caller.create(team="a")
    caller.control.add_fault(StaleLabels(seconds=5))
    assert caller.labels(session) == {}, "a session that is younger has none"
    caller.wait(5)
    assert caller.labels(session) == {"team": "a"}
    caller.set_label(session, '{"team": "b"}')
    caller.wait(4.9)
    assert caller.labels(session) == {"team": "a"}
    caller.wait(0.1)
    assert caller.labels(session) == {"team": "b"}
    assert list(caller.listed({"team": "b"})) == [session], "the filter has a lag of its own"


@pytest.mark.parametrize("paging", ["cursor", "offset"])
@pytest.mark.parametrize(
    ("how", "rows"),
    [
        ("circle", [2, 2, 1, 2, 2, 1, 2]),
        ("same_token", [2, 2, 2, 2, 2, 2, 2]),
        ("new_tokens", [2, 2, 1, 0, 0, 0, 0]),
    ],
)
def test_pages_without_an_end(how: Any, rows: list[int], paging: Any) -> None:
    caller = Caller(settings=Settings(paging=paging))
    for _ in range(5):
        caller.create()
    caller.control.add_fault(EndlessPages(how=how))
    pages = [caller.page(maxResults="2")]
    while len(pages) < len(rows):
        pages.append(caller.page(maxResults="2", nextToken=pages[-1].body["nextToken"]))
    assert [len(page.data) for page in pages] == rows
    tokens = [page.body["nextToken"] for page in pages]
    assert all(tokens)
    assert len(set(tokens)) == {"circle": 3, "same_token": 1, "new_tokens": len(rows)}[how]
    caller.control.clear_faults()
    assert len(caller.listed()) == 5


def test_a_walk_under_way_stays_on_the_page_whose_token_is_repeated() -> None:
    caller = Caller()
    sessions = [caller.create() for _ in range(5)]
    token = caller.page(maxResults="2").body["nextToken"]
    caller.control.add_fault(EndlessPages(how="same_token"))
    for _ in range(3):
        page = caller.page(maxResults="2", nextToken=token)
        assert [row["sessionId"] for row in page.data] == sessions[2:4]
        assert page.body["nextToken"] == token


@pytest.mark.parametrize("how", ["circle", "same_token", "new_tokens"])
def test_even_an_empty_list_can_go_on_for_ever(how: Any) -> None:
    caller = Caller()
    caller.control.add_fault(EndlessPages(how=how))
    first = caller.page()
    second = caller.page(nextToken=first.body["nextToken"])
    assert (first.data, second.data, bool(second.body["nextToken"])) == ([], [], True)


def test_rows_without_a_status_while_get_session_has_one() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(StatusValue(status=None), endpoint="ListSession")
    assert caller.page().data == [{"sessionId": session}]
    assert caller.status(session) == "RUNNING"


def test_a_row_without_an_id() -> None:
    caller = Caller()
    struck, spared = caller.create(), caller.create()
    caller.control.add_fault(IdValue(session_id=None), endpoint="ListSession", session_id=struck)
    assert caller.page().data == [
        {"sessionStatus": "RUNNING"},
        {"sessionId": spared, "sessionStatus": "RUNNING"},
    ]


@pytest.mark.parametrize("shown", ["session-7", "", None])
def test_get_session_can_answer_for_another_session_or_none(shown: str | None) -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(IdValue(session_id=shown), endpoint="getSession", count=1)
    assert caller.get(session).data.get("sessionId") == shown
    assert caller.get(session).data["sessionId"] == session


def test_a_create_can_name_another_session_and_the_log_names_the_true_one() -> None:
    caller = Caller()
    caller.control.add_fault(IdValue(session_id="session-7"), endpoint="createSession", count=1)
    assert caller.try_create().data["sessionId"] == "session-7"
    (session,) = caller.listed()
    assert caller.control.requests()[0].session_id == session != "session-7"


@pytest.mark.parametrize("value", [10**400, -(10**400), -1, "many", None, 1e300, [], {"n": 1}, True])
def test_a_number_can_be_anything(value: Any) -> None:
    caller = Caller()
    caller.create()
    caller.control.add_fault(FieldValues(fields={"count": value}), endpoint="ListSession")
    assert caller.page().body["count"] == value
    assert caller.control.faults()[0]["effect"]["fields"] == {"count": value}


def test_values_are_put_in_before_the_body_is_deformed_and_into_errors_too() -> None:
    caller = Caller()
    caller.control.add_fault(FieldValues(fields={"httpStatusCode": -1}))
    caller.control.add_fault(Shape(pascal_case=True))
    reply = caller.send("POST", "/mcp/getSession", {"sessionId": "session-unknown"})
    assert (reply.status, reply.json()["HttpStatusCode"]) == (400, -1)


def test_a_key_can_open_another_account_and_be_back() -> None:
    caller = Caller()
    session = caller.create(team="a")
    foreign = caller.control.add_session(OTHER_KEY, labels={"team": "a"})
    account = caller.control.add_key(OTHER_KEY)
    fault = caller.control.add_fault(OtherAccount(account=account), key=KEY)
    assert caller.status(session) == NOT_FOUND
    assert caller.pause(session).code == NOT_FOUND
    assert caller.listed({"team": "a"}) == {foreign: "RUNNING"}
    strayed = caller.create(team="a")
    caller.control.remove_fault(fault)
    assert caller.listed() == {session: "RUNNING"}
    assert caller.control.session(strayed)["account"] == account
    assert [entry.not_found for entry in caller.control.requests()[1:3]] == [True, True]


def test_an_account_nobody_knows_is_new_and_empty_and_other_keys_keep_theirs() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(OtherAccount(), key=KEY, endpoint="ListSession")
    assert caller.listed() == {}
    assert caller.status(session) == "RUNNING", "the fault names ListSession alone"
    caller.key = OTHER_KEY
    assert caller.create() in caller.listed()


@pytest.mark.parametrize("late", [30.0, 120.0])
def test_a_create_can_take_effect_long_after_its_answer_was_lost(late: float) -> None:
    caller = Caller()
    caller.control.add_fault(LostAnswer(late=late), endpoint="createSession", count=1)
    assert caller.send("POST", "/mcp/createSession?imageId=i", {"labels": '{"uid": "1"}'}).drop
    caller.wait(late - 0.1)
    assert caller.listed() == {}
    caller.wait(0.1)
    assert len(caller.listed({"uid": "1"})) == 1


@pytest.mark.parametrize(
    "effect",
    [
        FilterIgnored(),
        StaleList(seconds=12),
        StaleLabels(seconds=3),
        EndlessPages(how="new_tokens"),
        IdValue(session_id=None),
        OtherAccount(account="account-2"),
    ],
    ids=lambda effect: effect.kind,
)
def test_every_lie_can_be_switched_on_and_off_by_its_id(effect: Effect) -> None:
    caller = Caller()
    fault = caller.control.add_fault(effect, key=KEY, probability=0.5)
    assert caller.control.faults()[0]["effect"]["kind"] == effect.kind
    caller.control.remove_fault(fault)
    assert caller.control.faults() == []


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        ({"kind": "stale_list", "seconds": 0}, "seconds: Input should be greater than 0"),
        ({"kind": "stale_list", "seconds": 3601}, "seconds: Input should be less than or equal to 3600"),
        ({"kind": "stale_list"}, "seconds: Field required"),
        ({"kind": "stale_labels", "seconds": -1}, "seconds: Input should be greater than 0"),
        ({"kind": "endless_pages", "how": "x"}, "how: Input should be 'circle'"),
        ({"kind": "id_value"}, "sessionId: Field required"),
        ({"kind": "field_values", "fields": 7}, "fields: Input should be a valid"),
    ],
)
def test_a_lie_that_cannot_be_told_is_refused(effect: dict[str, Any], text: str) -> None:
    caller = Caller()
    with pytest.raises(HookRefused) as refused:
        caller.control.hook("POST", "faults", {"effect": effect})
    assert text in str(refused.value)
