"""Whatever a server answers, the API client returns a typed value or raises an error of the tree."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
from hypothesis import given, settings
from hypothesis import strategies as st

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import Accepted, Listed, SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.model.errors import AgbError, ApiUnavailable, SessionNotFound
from agb_operator.model.states import Created, Observation, SessionState

KEY = "simulator-key-a"
CALLS: list[tuple[Callable[[SessionClient], Awaitable[object]], type]] = [
    (lambda client: client.observe("session-1"), Observation),
    (lambda client: client.list_page(), Listed),
    (lambda client: client.create(image_id="i", labels={"a": "b"}), Created),
    (lambda client: client.pause("session-1"), Accepted),
    (lambda client: client.resume("session-1"), Accepted),
    (lambda client: client.release("session-1"), Accepted),
    (lambda client: client.set_labels("session-1", {"a": "b"}), Accepted),
    (lambda client: client.get_labels("session-1"), Mapping),
]
CODES = ["ok", "", "InvalidMcpSession.NotFound", "Throttling.User", "InvalidApiKey", "InternalError", KEY]
NAMES = ["success", "code", "message", "requestId", "data", "nextToken", "count", "body", "labels"]
NAMES += ["sessionId", "sessionStatus", "status", "errMsg"]

words = st.sampled_from([*CODES, "RUNNING", "PAUSED", '{"a": "b"}', f"{KEY} https://viewer.example/?authcode=x1"])
leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | words
names = st.sampled_from(NAMES).flatmap(lambda name: st.sampled_from([name, name[0].upper() + name[1:]]))
documents = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names | st.text(max_size=8), inner, max_size=8),
    max_leaves=20,
)
envelopes = st.fixed_dictionaries(
    {"success": st.sampled_from([True, True, False, None, "true", 1]), "data": documents},
    optional={
        "code": words | leaves,
        "message": leaves | words,
        "requestId": leaves,
        "nextToken": leaves,
        "count": leaves,
    },
)
bodies = (documents | envelopes).map(lambda document: json.dumps(document).encode()) | st.binary(max_size=60)
statuses = st.sampled_from([200, 200, 200, 201, 204, 302, 400, 401, 403, 404, 409, 429, 500, 502, 599])
headers = st.dictionaries(st.sampled_from(["retry-after", "x-request-id"]), st.text(max_size=20).map(str.encode))


def answer(status: int, body: bytes, sent: Mapping[str, bytes], number: int) -> object:
    """What one call makes of one answer: its value, or the `AgbError` it raises."""

    def serve(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(status, content=body, headers=[(name.encode(), value) for name, value in sent.items()])

    async def ask() -> object:
        api = AgbApi(endpoint="api.example", on_call=lambda *_: None, transport=httpx.MockTransport(serve))
        try:
            return await CALLS[number][0](api.client_of(ApiKey(KEY)))
        except AgbError as error:
            return error

    return asyncio.run(ask())


@settings(deadline=None)  # an example that waits for a busy machine is no slower one
@given(status=statuses, body=bodies, sent=headers, number=st.integers(0, len(CALLS) - 1))
def test_no_answer_escapes_the_error_tree_or_shows_the_key(
    status: int, body: bytes, sent: dict[str, bytes], number: int
) -> None:
    result = answer(status, body, sent, number)
    assert isinstance(result, CALLS[number][1] | AgbError)
    json.dumps(str(result)).encode()
    if isinstance(result, AgbError):
        shown = f"{result} {vars(result)}"
        assert KEY not in shown
        assert "authcode" not in shown
        shown.encode()
        assert len(result.message) < 500


@settings(deadline=None)  # an example that waits for a busy machine is no slower one
@given(status=statuses, body=bodies, number=st.integers(0, len(CALLS) - 1))
def test_a_session_counts_as_lost_only_by_the_services_own_code(status: int, body: bytes, number: int) -> None:
    result = answer(status, body, {}, number)
    lost = isinstance(result, SessionNotFound)
    lost = lost or (isinstance(result, Observation) and result.state == SessionState.NOT_FOUND)
    assert not lost or b"InvalidMcpSession.NotFound" in body


@settings(deadline=None)  # an example that waits for a busy machine is no slower one
@given(status=st.integers(500, 599), document=documents, number=st.sampled_from([2, 3, 4, 5, 6]))
def test_a_server_fault_without_a_known_code_leaves_the_outcome_of_a_change_open(
    status: int, document: Any, number: int
) -> None:
    result = answer(status, json.dumps({"data": document}).encode(), {}, number)
    assert isinstance(result, ApiUnavailable)
    assert result.outcome_unknown
