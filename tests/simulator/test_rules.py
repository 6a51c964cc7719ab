"""What always holds: the rules a well-behaved AGB keeps, call by call."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from agb_simulator import Settings
from simulator.caller import ILLEGAL, KEY, NOT_FOUND, OTHER_KEY, Caller

BY_BODY = [
    "getSession",
    "getSessionInfo",
    "pauseSessionAsync",
    "resumeSessionAsync",
    "releaseSessionAsync",
    "releaseSession",
]
BY_QUERY = [("POST", "SetLabel"), ("GET", "GetLabel")]


def test_a_new_session_runs_at_once_and_moves_from_the_very_next_read() -> None:
    caller = Caller()
    session = caller.create()
    assert caller.status(session) == "RUNNING"
    assert caller.pause(session).ok
    assert caller.status(session) == "PAUSING"
    caller.wait(0.99)
    assert caller.status(session) == "PAUSING"
    caller.wait(0.01)
    assert caller.status(session) == "PAUSED"
    assert caller.resume(session).ok
    assert caller.status(session) == "RESUMING"
    caller.wait(1)
    assert caller.status(session) == "RUNNING"


@pytest.mark.parametrize(
    ("transition", "just_before"),
    [pytest.param(0.0, None, id="at once"), pytest.param(86_400.0, 86_399.0, id="a day")],
)
def test_a_transition_takes_as_long_as_the_settings_say(transition: float, just_before: float | None) -> None:
    caller = Caller(settings=Settings(transition=transition))
    session = caller.create()
    caller.pause(session)
    if just_before is not None:
        caller.wait(just_before)
        assert caller.status(session) == "PAUSING"
        caller.wait(1)
    assert caller.status(session) == "PAUSED"


def test_a_session_can_take_time_to_be_created() -> None:
    caller = Caller(settings=Settings(create_transition=2))
    session = caller.create()
    assert caller.status(session) == "CREATING"
    caller.wait(2)
    assert caller.status(session) == "RUNNING"


def test_a_paused_session_is_released_only_after_a_resume() -> None:
    caller = Caller()
    session = caller.create()
    caller.pause(session)
    caller.wait(1)
    refused = caller.release(session)
    assert (refused.status, refused.code) == (400, ILLEGAL)
    assert caller.status(session) == "PAUSED"
    caller.resume(session)
    caller.wait(1)
    assert caller.release(session).ok
    caller.wait(1)
    assert caller.status(session) == "FINISH"


def test_not_found_is_http_400_on_every_call_that_takes_a_session() -> None:
    caller = Caller()
    answers = [caller.call("POST", f"/mcp/{name}", {"sessionId": "session-unknown"}) for name in BY_BODY]
    answers += [
        caller.call(method, f"/sdk/{name}", sessionId="session-unknown", Labels="{}") for method, name in BY_QUERY
    ]
    answers.append(caller.call("POST", "/mcp/refreshSessionIdleTime", sessionId="session-unknown"))
    assert {(a.status, a.code, a.body["message"]) for a in answers} == {
        (400, NOT_FOUND, "Resource [McpSession] is not found.")
    }
    assert all(a.body["data"] is None for a in answers)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """How a released session ends: settings, and what is seen after so many seconds."""

    settings: Settings
    seen: dict[float, str]


@pytest.mark.parametrize(
    "end",
    [
        pytest.param(
            End(
                settings=Settings(transition=1, finish_for=10),
                seen={0: "DELETING", 1: "FINISH", 10: "FINISH", 11: NOT_FOUND},
            ),
            id="FINISH for a while",
        ),
        pytest.param(
            End(settings=Settings(transition=1, finish_for=0), seen={0: "DELETING", 1: NOT_FOUND}),
            id="straight to not found",
        ),
        pytest.param(
            End(
                settings=Settings(transition=1, release_transition=3, finish_for=None),
                seen={2: "DELETING", 3: "FINISH", 1e6: "FINISH"},
            ),
            id="FINISH for ever, with a pace of its own",
        ),
        pytest.param(
            End(
                settings=Settings(transition=1, released_status="DELETED", finish_for=5),
                seen={1: "DELETED", 6: NOT_FOUND},
            ),
            id="DELETED",
        ),
    ],
)
def test_a_released_session_is_deleting_then_finished_then_not_found(end: End) -> None:
    caller = Caller(settings=end.settings)
    session = caller.create()
    caller.release(session)
    start = caller.clock.now
    for after, status in end.seen.items():
        caller.clock.now = start + after
        assert caller.status(session) == status


def test_a_released_session_leaves_the_list_when_it_is_finished() -> None:
    caller = Caller()
    kept, released = caller.create(team="a"), caller.create(team="a")
    caller.release(released)
    assert caller.listed() == {kept: "RUNNING", released: "DELETING"}
    caller.wait(1)
    assert caller.listed() == {kept: "RUNNING"}
    assert caller.listed({"team": "a"}) == {kept: "RUNNING"}


def test_a_finished_id_never_works_again() -> None:
    caller = Caller(settings=Settings(finish_for=None))
    session = caller.create()
    caller.release(session)
    caller.wait(1)
    answers = [
        caller.pause(session),
        caller.resume(session),
        caller.release(session),
        caller.set_label(session, "{}"),
        caller.get_label(session),
    ]
    assert {(a.status, a.code) for a in answers} == {(400, NOT_FOUND)}
    assert caller.status(session) == "FINISH"


def test_a_second_release_while_deleting_is_accepted_and_changes_nothing() -> None:
    caller = Caller()
    session = caller.create()
    caller.release(session)
    caller.wait(0.5)
    assert caller.release(session).ok
    caller.wait(0.5)
    assert caller.status(session) == "FINISH"


def test_the_older_release_call_does_the_same() -> None:
    caller = Caller()
    session = caller.create()
    assert caller.call("POST", "/mcp/releaseSession", {"sessionId": session}).ok
    assert caller.status(session) == "DELETING"


@pytest.mark.parametrize("status", ["CREATING", "PAUSING", "PAUSED", "RESUMING", "DELETING", "RUNNING"])
def test_pause_and_resume_are_refused_outside_their_one_legal_state(status: str) -> None:
    caller = Caller()
    session = caller.control.add_session(KEY, status=status)
    if status != "RUNNING":
        assert caller.pause(session).code == ILLEGAL
        assert caller.status(session) == status
    if status != "PAUSED":
        assert caller.resume(session).code == ILLEGAL
        assert caller.status(session) == status


def test_labels_are_json_strings_everywhere_and_set_label_replaces_them() -> None:
    caller = Caller()
    session = caller.create(team="a", stage="x:1")
    assert json.loads(caller.get_label(session).data["labels"]) == {"team": "a", "stage": "x:1"}
    assert caller.set_label(session, '{"team": "b"}').ok
    assert caller.labels(session) == {"team": "b"}
    assert caller.listed({"team": "a"}) == {}
    assert list(caller.listed({"team": "b"})) == [session]
    assert caller.set_label(session, "{}").ok
    assert caller.labels(session) == {}


def test_a_session_without_labels_has_an_empty_set() -> None:
    caller = Caller()
    assert caller.labels(caller.create()) == {}


@pytest.mark.parametrize("labels", ["{", "[]", "null", '"text"', "1", "[" * 100_000])
def test_labels_that_are_no_json_object_are_refused(labels: str) -> None:
    caller = Caller()
    session = caller.create(team="a")
    answers = [
        caller.call("POST", "/mcp/createSession", {"labels": labels}, imageId="agb-code-space-1"),
        caller.set_label(session, labels),
        caller.call("GET", "/sdk/ListSession", labels=labels),
    ]
    assert {(a.status, a.code) for a in answers} == {(400, "InvalidParameter")}
    assert caller.labels(session) == {"team": "a"}
    assert list(caller.listed()) == [session]


def test_labels_in_a_body_must_be_a_string() -> None:
    answer = Caller().call("POST", "/mcp/createSession", {"labels": {"a": "b"}}, imageId="agb-code-space-1")
    assert answer.code == "InvalidParameter"


def test_every_answer_has_the_envelope_and_repeats_its_request_id_in_a_header() -> None:
    caller = Caller()
    session = caller.create()
    answers = [
        caller.get(session),
        caller.pause(session),
        caller.page(),
        caller.get_label(session),
        caller.get("session-unknown"),
        caller.call("GET", "/unknown"),
    ]
    for answer in answers:
        assert answer.reply.headers["content-type"] == "application/json"
        assert answer.reply.headers["x-request-id"] == answer.body["requestId"]
        assert answer.body["requestId"] == answer.body["requestId"].upper()
        assert answer.body["httpStatusCode"] == answer.status
        assert answer.body["success"] is (answer.status == 200)
        assert (answer.body["code"] == "ok") is (answer.status == 200)
    assert len({answer.body["requestId"] for answer in answers}) == len(answers)


def test_the_resource_url_changes_on_each_read() -> None:
    caller = Caller()
    created = caller.try_create()
    reads = [caller.get(created.data["sessionId"]).data for _ in range(3)]
    urls = {created.data["resourceUrl"], *(read["resourceUrl"] for read in reads)}
    assert len(urls) == 4
    assert all(f"resourceId={created.data['resourceId']}" in url for url in urls)
    assert reads[0]["appInstanceId"] == created.data["appInstanceId"]


def test_get_session_info_shows_the_status_alone() -> None:
    caller = Caller()
    session = caller.create()
    assert caller.call("POST", "/mcp/getSessionInfo", {"sessionId": session}).data == {"status": "RUNNING"}


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="no header"),
        pytest.param({"authorization": f"Basic {KEY}"}, id="wrong scheme"),
        pytest.param({"authorization": KEY}, id="no scheme"),
        pytest.param({"authorization": "Bearer "}, id="no key"),
        pytest.param({"authorization": "Bearer simulator-key-wrong"}, id="unknown key"),
    ],
)
@pytest.mark.parametrize("target", ["/mcp/getSession", "/unknown"])
def test_a_bad_key_is_refused_before_anything_else(headers: dict[str, str], target: str) -> None:
    reply = Caller(keys=(KEY,)).send("POST", target, b"not json", headers=headers)
    assert reply.status == 401
    assert reply.json()["code"] == "InvalidApiKey"
    assert reply.json()["success"] is False


def test_any_key_opens_an_account_of_its_own_unless_keys_are_given() -> None:
    caller = Caller()
    session = caller.create(team="a")
    caller.key = OTHER_KEY
    assert caller.status(session) == NOT_FOUND
    assert caller.pause(session).code == NOT_FOUND
    assert caller.set_label(session, "{}").code == NOT_FOUND
    assert caller.listed() == {}
    assert caller.listed({"team": "a"}) == {}
    caller.key = KEY
    assert caller.labels(session) == {"team": "a"}


def test_an_unknown_path_is_404_with_the_envelope() -> None:
    answer = Caller().call("POST", "/mcp/nosuchcall", {})
    assert (answer.status, answer.code, answer.body["success"]) == (404, "InvalidAction.NotFound", False)
    assert Caller().call("POST", "/mcp/getsession", {}).status == 404, "paths are case-sensitive"


def test_a_wrong_method_is_405() -> None:
    assert Caller().call("GET", "/mcp/getSession").status == 405
    assert Caller().call("POST", "/sdk/ListSession").status == 405


def test_a_doubled_leading_slash_is_accepted() -> None:
    caller = Caller()
    session = caller.create()
    assert caller.call("POST", "//mcp/getSession", {"sessionId": session}).ok
    assert caller.call("GET", "//sdk/ListSession").ok


def test_transitions_of_many_sessions_do_not_wait_for_each_other() -> None:
    caller = Caller()
    sessions = [caller.create() for _ in range(50)]
    for session in sessions:
        caller.pause(session)
    caller.wait(1)
    assert {caller.status(session) for session in sessions} == {"PAUSED"}


@pytest.mark.parametrize("body", [b"{", b"[]", b"1", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    reply = Caller().send("POST", "/mcp/getSession", body)
    assert (reply.status, reply.json()["code"]) == (400, "InvalidParameter")


def test_a_missing_or_wrong_session_id_is_named() -> None:
    caller = Caller()
    assert caller.call("POST", "/mcp/pauseSessionAsync", {}).code == "MissingParameter"
    assert caller.call("POST", "/mcp/pauseSessionAsync", {"sessionId": ""}).code == "MissingParameter"
    assert caller.call("POST", "/mcp/pauseSessionAsync", {"sessionId": 7}).code == "InvalidParameter"
    assert caller.call("POST", "/sdk/SetLabel", sessionId=caller.create()).code == "MissingParameter"


def test_create_needs_an_image_and_may_refuse_one() -> None:
    caller = Caller(settings=Settings(refused_images=frozenset({"image-gone"})))
    assert caller.call("POST", "/mcp/createSession", {}).code == "MissingParameter"
    assert caller.try_create("image-gone").code == "InvalidImage.NotFound"
    assert caller.try_create("any-other-image").ok
    assert caller.call("POST", "/mcp/createSession", {"timeout": 0}, imageId="i").code == "InvalidParameter"


def test_a_session_limit_counts_paused_sessions_and_not_released_ones() -> None:
    caller = Caller(settings=Settings(session_limit=2))
    paused, other = caller.create(), caller.create()
    caller.pause(paused)
    caller.wait(1)
    refused = caller.try_create()
    assert (refused.status, refused.code) == (400, "QuotaExceeded.Session")
    caller.release(other)
    caller.wait(1)
    assert caller.try_create().ok


def test_the_limit_can_refuse_a_resume() -> None:
    caller = Caller(settings=Settings(session_limit=1))
    session = caller.create()
    caller.pause(session)
    caller.wait(1)
    caller.control.configure(session_limit=0, limit_on_resume=True)
    assert caller.resume(session).code == "QuotaExceeded.Session"
    assert caller.status(session) == "PAUSED"
    caller.control.configure(session_limit=1)
    assert caller.resume(session).ok


def test_a_rate_limit_is_kept_per_key_and_refills() -> None:
    caller = Caller(settings=Settings(rate_limit=2))
    assert [caller.page().status for _ in range(3)] == [200, 200, 429]
    limited = caller.page()
    assert limited.code == "Throttling.User"
    assert limited.reply.headers["retry-after"] == "1"
    caller.key = OTHER_KEY
    assert caller.page().ok
    caller.key = KEY
    caller.wait(0.5)
    assert [caller.page().status for _ in range(2)] == [200, 429]
    caller.wait(3600)
    assert [caller.page().status for _ in range(3)] == [200, 200, 429], "idle time is not saved up"
    caller.control.configure(send_retry_after=False)
    assert "retry-after" not in caller.page().reply.headers


def test_latency_is_added_to_every_answer() -> None:
    caller = Caller(settings=Settings(latency=0.02))
    assert caller.page().reply.delay == 0.02
    assert caller.get("session-unknown").reply.delay == 0.02
