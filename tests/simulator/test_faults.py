"""What can be made to go wrong: each kind of fault, whom it strikes and how often."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from agb_simulator import HookRefused, Settings
from agb_simulator.effects import (
    BareCreate,
    BusinessError,
    CreateFailed,
    Delay,
    Effect,
    FallBack,
    HttpError,
    Ignored,
    Interference,
    InvalidToken,
    LostAnswer,
    NeverEnds,
    RawAnswer,
    Shape,
    ShortPage,
    StaleRead,
    StatusValue,
    TransitionTime,
)
from simulator.caller import ILLEGAL, KEY, NOT_FOUND, OTHER_KEY, Caller

PAUSE = "pauseSessionAsync"
RESUME = "resumeSessionAsync"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (500, "InternalError"),
        (502, "BadGateway"),
        (503, "ServiceUnavailable"),
        (504, "ServiceUnavailable"),
        (429, "Throttling.User"),
        (403, "AccessDenied"),
        (418, "SimulatedFault"),
    ],
)
def test_an_http_error_replaces_the_action(status: int, code: str) -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(HttpError(status=status), endpoint=PAUSE, count=1)
    answer = caller.pause(session)
    assert (answer.status, answer.code, answer.body["success"]) == (status, code, False)
    assert "retry-after" not in answer.reply.headers
    assert caller.status(session) == "RUNNING"
    assert caller.pause(session).ok, "the count is used up"


def test_an_http_error_can_come_after_the_action_with_a_code_of_its_own() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(HttpError(status=504, code="Gateway.Own", message="late", applied=True), count=1)
    answer = caller.pause(session)
    assert (answer.status, answer.code, answer.body["message"]) == (504, "Gateway.Own", "late")
    assert caller.status(session) == "PAUSING"


def test_an_http_error_can_be_an_html_page_with_retry_after() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(HttpError(status=503, html=True, retry_after=1.2), endpoint=PAUSE)
    reply = caller.send("POST", "/mcp/pauseSessionAsync", {"sessionId": session})
    assert (reply.status, reply.headers["content-type"], reply.headers["retry-after"]) == (503, "text/html", "2")
    assert b"<h1>503</h1>" in reply.body


def test_a_business_error_is_http_200_without_success() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(BusinessError(code="Some.Code", message="no"), endpoint=PAUSE, count=1)
    answer = caller.pause(session)
    assert (answer.status, answer.code, answer.body["success"]) == (200, "Some.Code", False)
    assert caller.status(session) == "RUNNING"


@pytest.mark.parametrize("code", ["ok", ""])
def test_a_business_error_may_even_carry_the_code_of_success(code: str) -> None:
    caller = Caller()
    caller.control.add_fault(BusinessError(code=code))
    answer = caller.page()
    assert (answer.status, answer.code, answer.body["success"]) == (200, code, False)


@pytest.mark.parametrize("body", ["", "<html>login</html>", '{"success": tr'])
def test_a_raw_answer_is_sent_as_it_is(body: str) -> None:
    caller = Caller()
    caller.control.add_fault(RawAnswer(body=body, content_type="text/plain"))
    reply = caller.send("GET", "/sdk/ListSession")
    assert (reply.status, reply.body.decode(), reply.headers["content-type"]) == (200, body, "text/plain")


@pytest.mark.parametrize(("applied", "status"), [(True, "PAUSING"), (False, "RUNNING")])
def test_a_lost_answer_drops_the_connection_after_or_instead_of_acting(applied: bool, status: str) -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(LostAnswer(applied=applied), endpoint=PAUSE, count=1)
    reply = caller.send("POST", "/mcp/pauseSessionAsync", {"sessionId": session})
    assert reply.drop
    assert caller.status(session) == status
    entry = caller.control.requests()[1]
    assert (entry.dropped, entry.applied) == (True, applied)
    if applied:
        assert caller.pause(session).code == ILLEGAL, "a repeat meets PAUSING"


def test_a_lost_create_can_take_effect_late() -> None:
    caller = Caller()
    caller.control.add_fault(LostAnswer(late=20), endpoint="createSession", count=1)
    assert caller.send("POST", "/mcp/createSession?imageId=i", {"labels": '{"uid": "1"}'}).drop
    assert caller.listed({"uid": "1"}) == {}
    assert not caller.control.requests()[0].applied
    caller.wait(20)
    (late,) = caller.listed({"uid": "1"})
    entry = caller.control.requests()[0]
    assert (entry.applied, entry.session_id, entry.dropped) == (True, late, True)
    assert caller.control.count("createSession", "applied") == 1


def test_a_late_call_that_became_illegal_changes_nothing() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(LostAnswer(late=5), endpoint=PAUSE, count=1)
    caller.send("POST", "/mcp/pauseSessionAsync", {"sessionId": session})
    caller.release(session)
    caller.wait(5)
    assert caller.status(session) == "FINISH"
    assert not caller.control.requests()[1].applied


def test_a_delayed_answer_acts_at_once() -> None:
    caller = Caller(settings=Settings(latency=1))
    session = caller.create()
    caller.control.add_fault(Delay(seconds=90), endpoint=PAUSE, count=1)
    assert caller.pause(session).reply.delay == 91
    assert caller.status(session) == "PAUSING"


def test_an_ignored_call_succeeds_and_never_begins() -> None:
    caller = Caller()
    session = caller.create()
    caller.pause(session)
    caller.wait(1)
    caller.control.add_fault(Ignored(), endpoint="releaseSessionAsync")
    assert caller.release(session).ok
    assert caller.status(session) == "PAUSED"


def test_a_fault_strikes_only_its_session_its_key_and_its_endpoint() -> None:
    caller = Caller()
    struck, spared = caller.create(), caller.create()
    caller.control.add_fault(HttpError(), endpoint="getSession", session_id=struck, key=KEY)
    assert caller.get(struck).status == 500
    assert caller.get(spared).ok
    assert caller.get_label(struck).ok
    caller.key = OTHER_KEY
    assert caller.get(struck).code == NOT_FOUND


def test_a_fault_strikes_as_often_as_its_count_says() -> None:
    caller = Caller()
    fault = caller.control.add_fault(HttpError(), count=2)
    assert [caller.page().status for _ in range(3)] == [500, 500, 200]
    assert caller.control.faults() == []
    with pytest.raises(HookRefused, match=f"there is no fault {fault}"):
        caller.control.remove_fault(fault)


def test_a_fault_with_a_probability_strikes_some_and_repeats_with_the_seed() -> None:
    def run() -> Sequence[int]:
        caller = Caller(seed=7)
        caller.control.add_fault(HttpError(), probability=0.5)
        return [caller.page().status for _ in range(100)]

    first = run()
    assert set(first) == {200, 500}
    assert run() == first


def test_of_two_faults_the_older_one_strikes_first() -> None:
    caller = Caller()
    caller.control.add_fault(HttpError(status=503), count=1)
    caller.control.add_fault(BusinessError(code="Second"), count=1)
    caller.control.add_fault(Delay(seconds=3), count=1)
    answers = [caller.page(), caller.page(), caller.page()]
    assert [(a.status, a.code, a.reply.delay) for a in answers] == [
        (503, "ServiceUnavailable", 3),
        (200, "Second", 0),
        (200, "ok", 0),
    ]


def test_faults_can_be_listed_and_switched_off() -> None:
    caller = Caller()
    first = caller.control.add_fault(HttpError(status=503), key=KEY, count=3)
    caller.control.add_fault(HttpError(status=504))
    assert caller.page().status == 503
    shown = caller.control.faults()[0]
    assert (shown["id"], shown["left"], shown["struck"]) == (first, 2, 1)
    assert shown["effect"]["status"] == 503
    assert KEY not in str(caller.control.state())
    caller.control.remove_fault(first)
    assert caller.page().status == 504
    caller.control.clear_faults()
    assert caller.page().ok


def test_a_stale_read_shows_the_old_status_for_some_reads() -> None:
    caller = Caller(settings=Settings(transition=0))
    session = caller.create()
    caller.control.add_fault(StaleRead(reads=2), count=2)
    caller.pause(session)
    assert [caller.status(session) for _ in range(3)] == ["RUNNING", "RUNNING", "PAUSED"]
    caller.resume(session)
    assert [caller.listed()[session], caller.status(session), caller.status(session)] == [
        "PAUSED",
        "PAUSED",
        "RUNNING",
    ]


def test_a_stale_read_shows_the_old_status_for_some_time() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(StaleRead(seconds=3), count=1)
    caller.pause(session)
    caller.wait(2.9)
    assert caller.status(session) == "RUNNING"
    caller.wait(0.1)
    assert caller.status(session) == "PAUSED"


@pytest.mark.parametrize("ends", ["a release", "a status set from outside"])
def test_a_stale_read_ends_with_the_next_change(ends: str) -> None:
    caller = Caller(settings=Settings(transition=0, release_transition=5))
    session = caller.control.add_session(KEY, status="PAUSED")
    caller.control.add_fault(StaleRead(reads=5), count=1)
    caller.resume(session)
    assert caller.status(session) == "PAUSED"
    if ends == "a release":
        assert caller.release(session).ok
    else:
        caller.control.set_status(session, "DELETING")
    assert caller.status(session) == "DELETING"


def test_a_refused_pause_does_not_use_up_a_stale_read() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(StaleRead(reads=1), count=1)
    assert caller.resume(session).code == ILLEGAL
    assert len(caller.control.faults()) == 1


def test_a_transition_can_fall_back() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(FallBack(), endpoint=PAUSE, count=1)
    caller.control.add_fault(FallBack(seconds=5), endpoint=RESUME, count=1)
    caller.pause(session)
    assert caller.status(session) == "PAUSING"
    caller.wait(1)
    assert caller.status(session) == "RUNNING"
    caller.pause(session)
    caller.wait(1)
    caller.resume(session)
    caller.wait(4.9)
    assert caller.status(session) == "RESUMING"
    caller.wait(0.1)
    assert caller.status(session) == "PAUSED"


def test_a_transition_can_never_end_until_somebody_ends_it() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(NeverEnds(), count=2)
    caller.pause(session)
    caller.wait(1e9)
    assert caller.status(session) == "PAUSING"
    caller.control.set_status(session, "RUNNING")
    caller.release(session)
    caller.wait(1e9)
    assert caller.status(session) == "DELETING"


def test_one_transition_can_have_its_own_time() -> None:
    caller = Caller()
    slow, usual, released = caller.create(), caller.create(), caller.create()
    caller.control.add_fault(TransitionTime(seconds=10), session_id=slow)
    caller.control.add_fault(TransitionTime(seconds=10), session_id=released)
    caller.pause(slow)
    caller.pause(usual)
    caller.release(released)
    caller.wait(9)
    assert [caller.status(s) for s in (slow, usual, released)] == ["PAUSING", "PAUSED", "DELETING"]
    caller.wait(1)
    assert [caller.status(s) for s in (slow, released)] == ["PAUSED", "FINISH"]


@pytest.mark.parametrize("state", ["RUNNING", "PAUSING", "PAUSED", "RESUMING"])
@pytest.mark.parametrize("action", ["release", "vanish"])
def test_somebody_else_can_end_a_session_in_any_state(state: str, action: str) -> None:
    caller = Caller(settings=Settings(finish_for=0))
    session = caller.control.add_session(KEY, status=state)
    caller.control.act(session, action)
    assert caller.status(session) == ("DELETING" if action == "release" else NOT_FOUND)
    caller.wait(1)
    assert caller.status(session) == NOT_FOUND


def test_a_transition_under_way_is_void_once_somebody_ends_the_session() -> None:
    caller = Caller(settings=Settings(transition=2, release_transition=5))
    session = caller.create()
    caller.pause(session)
    caller.control.act(session, "release")
    caller.wait(2)
    assert caller.status(session) == "DELETING"


def test_somebody_else_can_pause_and_resume() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.act(session, "pause")
    assert caller.status(session) == "PAUSING"
    caller.wait(1)
    caller.control.act(session, "resume")
    caller.wait(1)
    assert caller.status(session) == "RUNNING"
    with pytest.raises(HookRefused, match="cannot resume a session in status RUNNING"):
        caller.control.act(session, "resume")


def test_somebody_else_can_act_just_before_or_just_after_a_call() -> None:
    caller = Caller()
    before, after = caller.create(), caller.create()
    caller.control.add_fault(Interference(action="pause", when="before"), session_id=before, count=1)
    caller.control.add_fault(Interference(action="vanish", when="after"), session_id=after, count=1)
    assert caller.pause(before).code == ILLEGAL
    assert caller.pause(after).ok
    assert caller.status(after) == NOT_FOUND
    assert [entry.illegal for entry in caller.control.requests()] == [False] * 5


def test_an_interference_without_a_session_does_nothing() -> None:
    caller = Caller()
    caller.control.add_fault(Interference(action="vanish", when="before"))
    assert caller.try_create().ok
    assert caller.get("session-unknown").code == NOT_FOUND


@pytest.mark.parametrize("state", ["PAUSING", "PAUSED", "RESUMING"])
def test_repeats_can_be_accepted_without_a_change(state: str) -> None:
    caller = Caller(settings=Settings(repeat_policy="accept"))
    session = caller.control.add_session(KEY, status=state)
    assert caller.pause(session).ok
    assert caller.status(session) == state
    assert caller.control.requests()[0].illegal, "the log still says what the caller did"
    assert not caller.control.requests()[0].applied


@pytest.mark.parametrize("status", ["", "HIBERNATED", None])
def test_a_read_can_show_any_status_or_none(status: str | None) -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(StatusValue(status=status), session_id=session)
    assert caller.get(session).data.get("status") == status
    assert caller.page().data[0].get("sessionStatus") == status
    assert caller.control.session(session)["status"] == "RUNNING"


def test_a_status_value_meant_for_one_endpoint_leaves_the_other_alone() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.add_fault(StatusValue(status="ODD"), endpoint="ListSession", count=1)
    assert caller.status(session) == "RUNNING"
    assert caller.listed() == {session: "ODD"}


def test_bodies_can_be_deformed() -> None:
    caller = Caller()
    session = caller.create()

    def shaped(shape: Shape) -> dict[str, object]:
        caller.control.add_fault(shape, count=1)
        body: dict[str, object] = caller.send("POST", "/mcp/getSession", {"sessionId": session}).json()
        return body

    pascal = shaped(Shape(pascal_case=True))
    assert pascal["Success"] is True
    assert isinstance(pascal["Data"], dict)
    assert pascal["Data"]["SessionId"] == session
    assert "code" not in shaped(Shape(no_code=True))
    assert "requestId" not in shaped(Shape(no_request_id=True))
    null = shaped(Shape(null_data=True))
    assert (null["data"], null["success"]) == (None, True)
    wrapped = shaped(Shape(enveloped=True, pascal_case=True))
    assert list(wrapped) == ["body"]


def test_errors_are_deformed_too() -> None:
    caller = Caller()
    caller.control.add_fault(Shape(pascal_case=True))
    reply = caller.send("POST", "/mcp/releaseSessionAsync", {"sessionId": "session-unknown"})
    assert reply.json()["Code"] == NOT_FOUND


def test_pause_and_resume_can_be_switched_off_for_a_key() -> None:
    caller = Caller()
    session = caller.create()
    caller.control.allow_pause(KEY, False)
    assert (caller.pause(session).status, caller.pause(session).code) == (403, "Forbidden.NotWhitelisted")
    assert caller.resume(session).code == "Forbidden.NotWhitelisted"
    assert caller.get(session).ok
    caller.control.allow_pause(KEY, True)
    assert caller.pause(session).ok


def test_a_create_can_fail_inside_a_successful_answer() -> None:
    caller = Caller()
    caller.control.add_fault(CreateFailed(err_msg="no capacity"), count=1)
    answer = caller.try_create()
    assert answer.ok
    assert answer.data == {"success": False, "errMsg": "no capacity"}
    assert caller.listed() == {}
    assert not caller.control.requests()[0].applied


def test_a_create_can_answer_with_the_id_alone() -> None:
    caller = Caller()
    caller.control.add_fault(BareCreate(), count=1)
    answer = caller.try_create()
    assert list(answer.data) == ["sessionId"]
    assert caller.status(answer.data["sessionId"]) == "RUNNING"


def test_a_page_token_can_become_invalid() -> None:
    caller = Caller()
    for _ in range(3):
        caller.create()
    token = caller.page(maxResults="2").body["nextToken"]
    caller.control.add_fault(InvalidToken(), count=1)
    assert caller.page(maxResults="2").ok
    assert caller.page(maxResults="2", nextToken=token).code == "InvalidParameter"
    assert caller.page(maxResults="2", nextToken=token).ok


def test_a_page_can_be_short() -> None:
    caller = Caller()
    for _ in range(5):
        caller.create()
    caller.control.add_fault(ShortPage(items=1), count=1)
    short = caller.page(maxResults="3")
    assert (len(short.data), short.body["count"]) == (1, 5)
    assert len(caller.page(maxResults="3", nextToken=short.body["nextToken"]).data) == 2


@pytest.mark.parametrize(
    "effect",
    [HttpError(), LostAnswer(), Delay(seconds=1), StaleRead(reads=1), StatusValue(status=None), Ignored()],
)
def test_an_effect_reads_back_as_it_was_sent(effect: Effect) -> None:
    caller = Caller()
    caller.control.add_fault(effect, endpoint="getSession", session_id="session-1", count=2, probability=0.5)
    shown = caller.control.faults()[0]
    assert shown["effect"]["kind"] == effect.kind
    assert (shown["endpoint"], shown["sessionId"], shown["probability"]) == ("getSession", "session-1", 0.5)
