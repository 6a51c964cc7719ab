"""Whatever a client sends is answered, in the envelope, and the books stay right."""

from __future__ import annotations

import json
import string
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agb_simulator import Settings
from agb_simulator.endpoints import ROUTES
from simulator.caller import NOT_FOUND, Caller

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
BODIES = (
    st.binary(max_size=40)
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"sessionId": value, "labels": value, "timeout": value}).encode())
)
QUERIES = st.dictionaries(
    st.sampled_from(["labels", "Labels", "sessionId", "imageId", "maxResults", "nextToken"]),
    st.text(alphabet=string.printable, max_size=12),
)


@given(path=st.sampled_from([*ROUTES, "/", "/mcp", "/sdk/x"]), body=BODIES, query=QUERIES)
@settings(max_examples=300, deadline=None, database=None)
def test_any_request_gets_an_envelope_and_a_log_entry(path: str, body: bytes, query: dict[str, str]) -> None:
    caller = Caller()
    answers = [caller.call(method, path, body, **query) for method in ("GET", "POST")]
    for answer in answers:
        assert answer.body["httpStatusCode"] == answer.status
        assert answer.body["success"] is (answer.status == 200)
    logged = caller.control.requests()
    assert [entry.request_id for entry in logged] == [answer.body["requestId"] for answer in answers]


def test_a_lone_surrogate_in_a_body_is_answered_and_logged() -> None:
    caller = Caller()
    body = b'{"sessionId": "\\ud800", "labels": "\\ud800"}'
    assert caller.call("POST", "/mcp/pauseSessionAsync", body).code == NOT_FOUND
    assert caller.control.requests()[0].session_id == "?"


class Books(RuleBasedStateMachine):
    """Random calls and outside acts, at random times; after each one the indexes must agree with the sessions."""

    @initialize(lag=st.sampled_from([0.0, 3.0]))
    def start(self, lag: float) -> None:
        self.caller = Caller(
            settings=Settings(transition=2, finish_for=4, label_lag=lag, idle_timeout=50, session_limit=6)
        )
        self.known: list[str] = []

    @rule(team=st.sampled_from(["a", "b"]))
    def create(self, team: str) -> None:
        answer = self.caller.try_create(team=team)
        if answer.ok:
            self.known.append(answer.data["sessionId"])

    @rule(data=st.data(), call=st.sampled_from(["pause", "resume", "release", "get", "get_label"]))
    def call(self, data: st.DataObject, call: str) -> None:
        if self.known:
            getattr(self.caller, call)(data.draw(st.sampled_from(self.known)))

    @rule(data=st.data(), team=st.sampled_from(["a", "b"]))
    def relabel(self, data: st.DataObject, team: str) -> None:
        if self.known:
            self.caller.set_label(data.draw(st.sampled_from(self.known)), json.dumps({"team": team}))

    @rule(data=st.data(), action=st.sampled_from(["release", "vanish"]))
    def end(self, data: st.DataObject, action: str) -> None:
        live = [s["sessionId"] for s in self.caller.control.sessions()]
        if live:
            self.caller.control.act(data.draw(st.sampled_from(live)), action)

    @rule(data=st.data(), status=st.sampled_from(["RUNNING", "PAUSED", "FINISH", "ODD"]))
    def set_status(self, data: st.DataObject, status: str) -> None:
        live = [s["sessionId"] for s in self.caller.control.sessions()]
        if live:
            self.caller.control.set_status(data.draw(st.sampled_from(live)), status)

    @rule(seconds=st.sampled_from([0.5, 2.0, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        self.caller.wait(seconds)

    @invariant()
    def list_and_sessions_agree(self) -> None:
        sessions: list[dict[str, Any]] = self.caller.control.sessions()
        live = {s["sessionId"]: s["status"] for s in sessions if s["live"]}
        assert self.caller.listed() == live
        assert self.caller.control.stats()["live"] == len(live)
        by_label = self.caller.listed({"team": "a"}) | self.caller.listed({"team": "b"})
        assert by_label.items() <= live.items()
        if self.caller.control.hook("GET", "settings")["labelLag"] == 0:
            assert list(self.caller.listed({"team": "a"})) == [
                s["sessionId"] for s in sessions if s["live"] and s["labels"] == {"team": "a"}
            ]


TestBooks = Books.TestCase
TestBooks.settings = settings(max_examples=40, stateful_step_count=30, deadline=None, database=None)
