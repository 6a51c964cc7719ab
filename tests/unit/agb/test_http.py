"""The API client against answers that no well-behaved server sends; the well-behaved one is in `contract/`."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import httpx
import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    Throttled,
)
from agb_operator.model.states import SessionState

KEY = "simulator-key-a"
HTML = b"<html><body>502 Bad Gateway</body></html>"
Action = Callable[[SessionClient], Awaitable[object]]


@dataclass
class Server:
    """Answers every request the same way, and keeps what it was asked and what was counted."""

    answer: httpx.Response | Exception
    asked: list[httpx.Request] = field(default_factory=list)
    counted: list[tuple[str, str]] = field(default_factory=list)

    def client_of(self, endpoint: str = "https://api.example") -> SessionClient:
        api = AgbApi(
            endpoint=endpoint,
            timeout=6.0,
            on_call=lambda call, code, _seconds: self.counted.append((call, code)),
            transport=httpx.MockTransport(self._serve),
        )
        return api.client_of(ApiKey(KEY))

    def _serve(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def reply(status: int = 200, **fields: Any) -> httpx.Response:
    return httpx.Response(status, json={"success": status < 400, "requestId": "R-1", **fields})


def observe(client: SessionClient) -> Awaitable[object]:
    return client.observe("session-1")


def pause(client: SessionClient) -> Awaitable[object]:
    return client.pause("session-1")


def resume(client: SessionClient) -> Awaitable[object]:
    return client.resume("session-1")


def release(client: SessionClient) -> Awaitable[object]:
    return client.release("session-1")


def create(client: SessionClient) -> Awaitable[object]:
    return client.create(image_id="agb-code-space-1", labels={"owner": "a"})


def list_page(client: SessionClient) -> Awaitable[object]:
    return client.list_page()


def set_labels(client: SessionClient) -> Awaitable[object]:
    return client.set_labels("session-1", {"a": "b"})


def get_labels(client: SessionClient) -> Awaitable[object]:
    return client.get_labels("session-1")


EVERY = [observe, list_page, create, pause, resume, release, set_labels, get_labels]
MUTATING = [create, pause, resume, release, set_labels]
LOOKS = [observe, list_page, get_labels]


async def failure(answer: httpx.Response | Exception, call: Action) -> AgbError:
    with pytest.raises(AgbError) as caught:
        await call(Server(answer).client_of())
    return caught.value


@dataclass(frozen=True)
class Case:
    """One refusal and what the client makes of it."""

    title: str
    status: int
    code: str
    call: Action
    expect: type[AgbError]


REFUSALS = [
    Case("the one known code of a lost session is believed", 400, "InvalidMcpSession.NotFound", pause, SessionNotFound),
    Case("codes of mocks for a lost session are believed", 404, "SessionNotFound", release, SessionNotFound),
    Case("the code is believed before the HTTP status", 500, "InvalidMcpSession.NotFound", pause, SessionNotFound),
    Case("a lost session is no answer to create", 400, "InvalidMcpSession.NotFound", create, ApiUnavailable),
    Case("a lost session is no answer to list", 400, "SessionNotFound", list_page, ApiUnavailable),
    Case("an illegal call leads to another look", 409, "InvalidMcpSession.Status", pause, IllegalState),
    Case("illegal states come with 400 as well", 400, "InvalidMcpSession.Status", resume, IllegalState),
    Case("a gateway without the action does not support it", 404, "InvalidAction.NotFound", pause, NotSupported),
    Case("what lacks getSession is no AGB", 400, "InvalidAction.NotFound", observe, ApiUnavailable),
    Case("an account that is not listed is not supported", 403, "Forbidden.NotWhitelisted", resume, NotSupported),
    Case("a bare 403 on pause means unsupported", 403, "", pause, NotSupported),
    Case("a bare 404 on resume means unsupported", 404, "", resume, NotSupported),
    Case("an odd 404 on pause means unsupported", 404, "Odd", pause, NotSupported),
    Case("a bad key is a bad key on pause too", 401, "InvalidApiKey", pause, CredentialsRejected),
    Case("a bare 401 is a bad key", 401, "", pause, CredentialsRejected),
    Case("a bare 403 elsewhere is a bad key", 403, "", observe, CredentialsRejected),
    Case("no permission is a matter of the key", 403, "AccessDenied", pause, CredentialsRejected),
    Case("a bare 404 elsewhere is a wrong address", 404, "", observe, ApiUnavailable),
    Case("a redirect is a wrong address", 302, "", pause, ApiUnavailable),
    Case("a rate limit is a rate limit", 429, "Throttling.User", pause, Throttled),
    Case("a bare 429 is a rate limit", 429, "", observe, Throttled),
    Case("a throttling code counts under any status", 400, "Throttling.User", pause, Throttled),
    Case("the session limit counts under 400", 400, "QuotaExceeded.Session", create, QuotaExceeded),
    Case("the session limit is not taken for a rate limit", 429, "QuotaExceeded.Session", resume, QuotaExceeded),
    Case("an unknown image is refused for good", 400, "InvalidImage.NotFound", create, RequestRefused),
    Case("a bad parameter is refused for good", 400, "InvalidParameter", set_labels, RequestRefused),
    Case("a server fault passes", 500, "InternalError", pause, ApiUnavailable),
    Case("a gateway fault passes", 502, "", observe, ApiUnavailable),
    Case("an unknown code with 400 may pass", 400, "Strange.Code", pause, ApiUnavailable),
    Case("an unknown code with 200 may pass", 200, "Strange.Code", observe, ApiUnavailable),
]


@pytest.mark.parametrize("case", REFUSALS, ids=lambda case: case.title)
async def test_refusals_become_the_error_that_says_what_to_do(case: Case) -> None:
    answer = reply(case.status, success=False, code=case.code, message="Text for people.", data=None)
    error = await failure(answer, case.call)
    assert type(error) is case.expect
    assert (error.code, error.http_status, error.request_id) == (case.code, case.status, "R-1")
    assert "Text for people." in error.message


async def test_a_session_that_is_not_found_is_an_observation() -> None:
    server = Server(reply(400, code="InvalidMcpSession.NotFound"))
    seen = await server.client_of().observe("session-1")
    assert (seen.state, seen.status) == (SessionState.NOT_FOUND, "")


async def test_only_an_unknown_image_is_about_the_image() -> None:
    about = await failure(reply(400, code="InvalidImage.NotFound"), create)
    other = await failure(reply(400, code="InvalidParameter"), create)
    assert isinstance(about, RequestRefused)
    assert isinstance(other, RequestRefused)
    assert about.about_image
    assert not other.about_image


@pytest.mark.parametrize("call", EVERY)
@pytest.mark.parametrize(
    "body",
    [
        b"",
        HTML,
        b"null",
        b"[]",
        b'"text"',
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"success": 1}',
        b'{"success": "true"}',
    ],
    ids=["empty", "html", "null", "array", "text", "cut", "deep", "binary", "one", "string"],
)
async def test_a_200_without_the_word_success_is_no_success(call: Action, body: bytes) -> None:
    error = await failure(httpx.Response(200, content=body), call)
    assert type(error) is ApiUnavailable
    assert error.outcome_unknown == (call in MUTATING)


@pytest.mark.parametrize("call", MUTATING)
@pytest.mark.parametrize(
    ("answer", "unknown"),
    [
        pytest.param(httpx.ReadTimeout("slow"), True, id="read timeout"),
        pytest.param(httpx.ReadError("reset"), True, id="reset"),
        pytest.param(httpx.RemoteProtocolError("cut"), True, id="cut"),
        pytest.param(httpx.Response(502, content=HTML), True, id="html 502"),
        pytest.param(httpx.Response(400, content=HTML), True, id="html 400"),
        pytest.param(reply(500, code="InternalError"), True, id="500"),
        pytest.param(reply(200, success=False, code="InternalError"), True, id="200 that says InternalError"),
        pytest.param(httpx.ConnectError("refused"), False, id="refused"),
        pytest.param(httpx.ConnectTimeout("slow"), False, id="connect timeout"),
        pytest.param(httpx.PoolTimeout("busy"), False, id="pool timeout"),
        pytest.param(reply(429), False, id="429"),
        pytest.param(reply(401), False, id="401"),
        pytest.param(reply(200, success=False, code="Strange.Code"), False, id="clear no with 200"),
        pytest.param(reply(400, success=False, code="Strange.Code"), False, id="clear no with 400"),
    ],
)
async def test_a_call_may_have_taken_effect_unless_it_was_refused_or_never_sent(
    call: Action, answer: httpx.Response | Exception, unknown: bool
) -> None:
    assert (await failure(answer, call)).outcome_unknown is unknown


@pytest.mark.parametrize("call", LOOKS)
@pytest.mark.parametrize("answer", [httpx.ReadTimeout("slow"), httpx.Response(502, content=HTML)])
async def test_a_look_has_no_effect_to_be_unsure_of(call: Action, answer: httpx.Response | Exception) -> None:
    assert not (await failure(answer, call)).outcome_unknown


@pytest.mark.parametrize(
    "body",
    [
        {"Success": True, "Code": "ok", "RequestId": "R-1", "Data": {"SessionId": "session-1", "Status": "PAUSED"}},
        {"body": {"success": True, "requestId": "R-1", "data": {"status": "PAUSED"}}},
        {"Body": {"Success": True, "RequestId": "R-1", "Data": {"Status": "PAUSED"}}},
        {"success": True, "requestId": "R-1", "data": {"status": "PAUSED"}},
    ],
    ids=["pascal case", "enveloped", "both", "no code"],
)
async def test_either_case_and_a_body_envelope_are_read(body: dict[str, Any]) -> None:
    seen = await Server(httpx.Response(200, json=body)).client_of().observe("session-1")
    assert (seen.state, seen.status) == (SessionState.PAUSED, "PAUSED")


@pytest.mark.parametrize("data", [None, {}, [], "text", 7, {"status": None}, {"status": 3}, {"status": ""}])
async def test_a_status_that_is_missing_or_odd_is_unknown(data: object) -> None:
    seen = await Server(reply(data=data)).client_of().observe("session-1")
    assert (seen.state, seen.status) == (SessionState.UNKNOWN, "")


async def test_an_unknown_status_is_kept_as_the_word_it_is() -> None:
    seen = await Server(reply(data={"status": "HIBERNATED"})).client_of().observe("session-1")
    assert (seen.state, seen.status) == (SessionState.UNKNOWN, "HIBERNATED")


@pytest.mark.parametrize("status", [201, 202, 204, 302])
async def test_an_action_is_accepted_with_exactly_200(status: int) -> None:
    error = await failure(reply(status, success=True), pause)
    assert type(error) is ApiUnavailable
    assert error.outcome_unknown


async def test_the_request_id_of_the_header_serves_when_the_body_has_none() -> None:
    answer = httpx.Response(200, json={"success": True}, headers={"x-request-id": "H-1"})
    assert (await Server(answer).client_of().pause("session-1")).request_id == "H-1"


@pytest.mark.parametrize("odd", ["https://viewer.example/?authcode=x1", "a b", "x" * 200, "", 7, None])
async def test_a_request_id_that_looks_like_none_is_left_out(odd: object) -> None:
    answer = httpx.Response(200, json={"success": True, "requestId": odd}, headers={"x-request-id": "not one"})
    assert (await Server(answer).client_of().pause("session-1")).request_id == ""


# --- create ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        {"success": True, "data": {"success": True, "errMsg": None, "sessionId": "session-9"}},
        {"data": {"sessionId": "session-9"}},
        {"Success": True, "Data": {"SessionId": "session-9"}},
    ],
    ids=["complete", "session id only", "pascal case"],
)
async def test_a_session_id_is_what_makes_a_create_succeed(body: dict[str, Any]) -> None:
    created = await Server(httpx.Response(200, json=body)).client_of().create(image_id="i", labels={})
    assert created.session_id == "session-9"


@pytest.mark.parametrize(
    ("body", "unknown"),
    [
        ({"success": True, "data": {"success": False, "errMsg": "no room"}}, False),
        ({"success": False, "code": "Odd", "data": None}, False),
        ({"success": True, "data": {"success": False, "sessionId": "session-9"}}, True),
        ({"success": False, "data": {"success": True, "sessionId": "session-9"}}, True),
        ({"success": True, "data": {"sessionId": ""}}, True),
        ({"success": True, "data": None}, True),
    ],
    ids=["refused inside", "refused", "refused with an id", "contradiction", "empty id", "no data"],
)
async def test_a_create_without_a_clear_answer_is_to_be_looked_for(body: dict[str, Any], unknown: bool) -> None:
    error = await failure(httpx.Response(200, json=body), create)
    assert type(error) is ApiUnavailable
    assert error.outcome_unknown is unknown


async def test_the_reason_inside_a_refused_create_is_shown() -> None:
    error = await failure(reply(data={"success": False, "errMsg": "no room left"}), create)
    assert "no room left" in error.message


# --- list and labels -------------------------------------------------------------------------------------------


async def test_a_page_is_read_and_its_broken_rows_are_left_out() -> None:
    rows = [
        {"sessionId": "session-1", "sessionStatus": "RUNNING"},
        {"SessionId": "session-2", "SessionStatus": "PAUSED"},
        {"sessionId": "session-3"},
        {"sessionId": ""},
        {"sessionId": 4},
        "session-5",
        None,
    ]
    page = await Server(reply(data=rows, nextToken="T", count=9)).client_of().list_page()
    assert [(seen.session_id, seen.state) for seen in page.sessions] == [
        ("session-1", SessionState.RUNNING),
        ("session-2", SessionState.PAUSED),
        ("session-3", SessionState.UNKNOWN),
    ]
    assert (page.next_token, page.total) == ("T", 9)


@pytest.mark.parametrize("count", [None, "9", True, -1, 9.5, pytest.param(10**400, id="four hundred digits")])
async def test_a_count_that_is_no_count_is_unknown(count: object) -> None:
    assert (await Server(reply(data=[], count=count)).client_of().list_page()).total is None


@pytest.mark.parametrize("fields", [{}, {"data": None}, {"data": [], "nextToken": None}, {"data": None, "count": 0}])
async def test_an_empty_page_may_leave_its_fields_out(fields: dict[str, Any]) -> None:
    page = await Server(reply(**fields)).client_of().list_page()
    assert (list(page.sessions), page.next_token) == ([], "")


@pytest.mark.parametrize(
    "fields",
    [{"data": {"a": 1}}, {"data": "text"}, {"data": None, "count": 3}, {"data": [], "nextToken": 7}],
    ids=["object", "text", "nothing where there are three", "token of another type"],
)
async def test_what_is_no_list_is_never_an_empty_one(fields: dict[str, Any]) -> None:
    assert type(await failure(reply(**fields), list_page)) is ApiUnavailable


@pytest.mark.parametrize(
    ("labels", "expect"),
    [
        ('{"a": "b"}', {"a": "b"}),
        ({"a": "b"}, {"a": "b"}),
        ('{"a": 1}', {"a": "1"}),
        ("", {}),
        (None, {}),
        ("{}", {}),
        ("null", {}),
    ],
)
async def test_labels_are_read_from_text_or_object(labels: object, expect: dict[str, str]) -> None:
    assert await Server(reply(data={"labels": labels})).client_of().get_labels("session-1") == expect


@pytest.mark.parametrize("labels", ["{", "[]", "7", ["a"], 7, "[" * 100_000])
async def test_labels_of_another_shape_are_an_error_and_not_an_empty_set(labels: object) -> None:
    assert type(await failure(reply(data={"labels": labels}), get_labels)) is ApiUnavailable


# --- what is sent ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "method", "url", "body"),
    [
        (observe, "POST", "/mcp/getSession", {"sessionId": "session-1"}),
        (pause, "POST", "/mcp/pauseSessionAsync", {"sessionId": "session-1"}),
        (resume, "POST", "/mcp/resumeSessionAsync", {"sessionId": "session-1"}),
        (release, "POST", "/mcp/releaseSessionAsync", {"sessionId": "session-1"}),
        (create, "POST", "/mcp/createSession", {"labels": '{"owner": "a"}'}),
        (set_labels, "POST", "/sdk/SetLabel", {}),
        (list_page, "GET", "/sdk/ListSession", None),
        (get_labels, "GET", "/sdk/GetLabel", None),
    ],
)
async def test_each_call_is_sent_as_the_sdk_sends_it(
    call: Action, method: str, url: str, body: dict[str, str] | None
) -> None:
    server = Server(reply(data={"sessionId": "session-1"} if call is not list_page else []))
    await call(server.client_of("api.example/"))
    [request] = server.asked
    assert (request.method, request.url.host, request.url.path) == (method, "api.example", url)
    assert request.url.scheme == "https"
    assert (json.loads(request.content) if request.content else None) == body
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["content-type"] == "application/json"
    assert server.counted == [(url.rpartition("/")[2], "200")]


async def test_queries_carry_labels_as_json_text() -> None:
    server = Server(reply(data=[]))
    client = server.client_of()
    await client.list_page(labels={"team": "ä&b"}, token="T+/=", size=50)
    await client.set_labels("session-1", {"team": "a"})
    await client.get_labels("session-1")
    listed, stored, read = (dict(request.url.params) for request in server.asked)
    assert json.loads(listed.pop("labels")) == {"team": "ä&b"}
    assert listed == {"maxResults": "50", "nextToken": "T+/="}
    assert stored == {"sessionId": "session-1", "Labels": '{"team": "a"}'}
    assert read == {"sessionId": "session-1"}


async def test_create_names_the_image_and_leaves_absent_labels_out() -> None:
    server = Server(reply(data={"sessionId": "session-1"}))
    await server.client_of().create(image_id="agb-code-space-1", labels={})
    assert dict(server.asked[0].url.params) == {"imageId": "agb-code-space-1"}
    assert json.loads(server.asked[0].content) == {}


@pytest.mark.parametrize(
    ("endpoint", "expect"),
    [
        ("api.example", "https://api.example/mcp/getSession"),
        (" api.example:8443/ ", "https://api.example:8443/mcp/getSession"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090/mcp/getSession"),
        ("https://api.example/prefix//", "https://api.example/prefix/mcp/getSession"),
    ],
)
async def test_endpoints_are_taken_in_the_forms_of_the_sdk(endpoint: str, expect: str) -> None:
    server = Server(reply(data={}))
    await server.client_of(endpoint).observe("session-1")
    assert str(server.asked[0].url) == expect


@pytest.mark.parametrize(
    "endpoint",
    ["", "https://", "ftp://api.example", "https://user:pw@api.example", "https://api.example?a=b", "a b", "x#y"],
)
async def test_an_endpoint_that_cannot_be_used_is_refused_in_words(endpoint: str) -> None:
    with pytest.raises(ValueError, match="the AGB endpoint") as caught:
        Server(reply()).client_of(endpoint)
    assert "pw" not in str(caught.value)


# --- throttling ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("header", "seconds"), [("7", 7), ("0", 0), ("1.5", 1.5)])
async def test_retry_after_is_read_as_seconds(header: str, seconds: float) -> None:
    error = await failure(httpx.Response(429, headers={"retry-after": header}), pause)
    assert isinstance(error, Throttled)
    assert error.retry_after == seconds


async def test_retry_after_is_read_as_a_date() -> None:
    # Made here: a run of all tests may collect this one long before it.
    in_an_hour = format_datetime(datetime.now(UTC) + timedelta(hours=1))
    error = await failure(httpx.Response(429, headers={"retry-after": in_an_hour}), pause)
    assert isinstance(error, Throttled)
    assert error.retry_after is not None
    assert 3000 <= error.retry_after <= 3600


async def test_a_date_in_the_past_asks_for_no_wait() -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1))
    error = await failure(httpx.Response(429, headers={"retry-after": past}), pause)
    assert isinstance(error, Throttled)
    assert error.retry_after == 0


@pytest.mark.parametrize("header", ["", "soon", "-3", "1e9", "9" * 5000, "٣", "Thu, 99 Foo 2020"])
async def test_a_retry_after_that_says_nothing_is_none(header: str) -> None:
    error = await failure(httpx.Response(429, headers=[(b"retry-after", header.encode())]), pause)
    assert isinstance(error, Throttled)
    assert error.retry_after is None


# --- texts and secrets -----------------------------------------------------------------------------------------


async def test_an_error_text_holds_no_key_no_address_no_request_id_and_is_short() -> None:
    text = f"key {KEY}\n at https://viewer.example/?authcode=x1&resourceId=p-77 request R-1 " + "x" * 1000
    error = await failure(reply(400, code=f"Odd.{KEY}", message=text), pause)
    everything = f"{error} {error!r} {error.code} {vars(error)}"
    assert KEY not in everything
    assert "authcode" not in everything
    assert "R-1" not in error.message
    assert "\n" not in error.message
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "answer",
    [httpx.ReadError(f"broke with {KEY}"), httpx.Response(401, content=KEY.encode())],
    ids=["broken", "refused"],
)
async def test_an_error_keeps_neither_the_request_nor_its_exception(answer: httpx.Response | Exception) -> None:
    """The libraries' exceptions and the frames of their tracebacks hold the request, and so the key."""
    error = await failure(answer, pause)
    assert error.__cause__ is None
    assert error.__context__ is None
    assert KEY not in repr(error)


async def test_debug_logs_of_all_libraries_hold_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await Server(reply(data={})).client_of().observe("session-1")
    await failure(httpx.ReadError(f"broke with {KEY}"), pause)
    await failure(httpx.Response(401, content=KEY.encode()), pause)
    assert "pauseSessionAsync" in caplog.text
    assert KEY not in caplog.text


async def test_a_call_without_an_end_is_cut_off() -> None:
    async def hang(_request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError("nobody sets it")

    api = AgbApi(
        endpoint="api.example",
        timeout=0.05,
        on_call=lambda *_: None,
        transport=httpx.MockTransport(hang),
    )
    with pytest.raises(ApiUnavailable, match="no answer") as caught:
        await api.client_of(ApiKey(KEY)).pause("session-1")
    assert caught.value.outcome_unknown


async def test_a_body_without_an_end_is_cut_off() -> None:
    class Endless(httpx.AsyncByteStream):
        async def __aiter__(self) -> Any:
            while True:
                yield b" " * 1_000_000

    assert type(await failure(httpx.Response(200, stream=Endless()), pause)) is ApiUnavailable


async def test_a_failed_call_is_counted_as_an_error() -> None:
    server = Server(httpx.ConnectError("refused"))
    with pytest.raises(ApiUnavailable):
        await server.client_of().pause("session-1")
    assert server.counted == [("pauseSessionAsync", "error")]
