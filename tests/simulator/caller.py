"""A caller of the simulator's pure core: the API's calls as methods, with a clock the test moves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from agb_simulator import Api, Reply, Request, Settings, SimulatorControl

KEY = "simulator-key-a"
OTHER_KEY = "simulator-key-b"
NOT_FOUND = "InvalidMcpSession.NotFound"
ILLEGAL = "InvalidMcpSession.Status"


class TestClock:
    """Seconds that pass only when a test says so."""

    __test__ = False

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A reply as a caller reads it."""

    reply: Reply
    body: dict[str, Any]

    @property
    def status(self) -> int:
        return self.reply.status

    @property
    def ok(self) -> bool:
        return self.reply.status == 200 and self.body["success"] is True

    @property
    def code(self) -> str:
        code: str = self.body["code"]
        return code

    @property
    def data(self) -> Any:
        return self.body["data"]


class Caller:
    """Calls one in-process simulator with one key; `control` is its back door."""

    def __init__(self, *, settings: Settings | None = None, keys: tuple[str, ...] = (), seed: int = 1) -> None:
        self.clock = TestClock()
        self.api = Api(clock=self.clock, wall_clock=lambda: 1_700_000_000.0, settings=settings, keys=keys, seed=seed)
        self.control = SimulatorControl.in_process(self.api)
        self.key = KEY

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    def send(self, method: str, target: str, body: Any = None, *, headers: dict[str, str] | None = None) -> Reply:
        """Send a request as it is."""
        if headers is None:
            headers = {"authorization": f"Bearer {self.key}"}
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        return self.api.handle(Request.to(method, target, headers=headers, body=raw))

    def call(self, method: str, target: str, body: Any = None, **query: str) -> Answer:
        """Send a request that gets JSON back."""
        reply = self.send(method, f"{target}?{urlencode(query)}" if query else target, body)
        return Answer(reply=reply, body=reply.json())

    def create(self, image_id: str = "agb-code-space-1", **labels: Any) -> str:
        """Create a session; its id."""
        answer = self.try_create(image_id, **labels)
        assert answer.ok, answer.body
        session_id: str = answer.data["sessionId"]
        return session_id

    def try_create(self, image_id: str = "agb-code-space-1", **labels: Any) -> Answer:
        body = {"labels": json.dumps(labels)} if labels else {}
        return self.call("POST", "/mcp/createSession", body, imageId=image_id)

    def get(self, session_id: str) -> Answer:
        return self.call("POST", "/mcp/getSession", {"sessionId": session_id})

    def status(self, session_id: str) -> str:
        """The status getSession shows; the error code where it shows none."""
        answer = self.get(session_id)
        return str(answer.data["status"] if answer.ok else answer.code)

    def pause(self, session_id: str) -> Answer:
        return self.call("POST", "/mcp/pauseSessionAsync", {"sessionId": session_id})

    def resume(self, session_id: str) -> Answer:
        return self.call("POST", "/mcp/resumeSessionAsync", {"sessionId": session_id})

    def release(self, session_id: str) -> Answer:
        return self.call("POST", "/mcp/releaseSessionAsync", {"sessionId": session_id})

    def set_label(self, session_id: str, labels: str) -> Answer:
        return self.call("POST", "/sdk/SetLabel", sessionId=session_id, Labels=labels)

    def get_label(self, session_id: str) -> Answer:
        return self.call("GET", "/sdk/GetLabel", sessionId=session_id)

    def labels(self, session_id: str) -> dict[str, Any]:
        labels: dict[str, Any] = json.loads(self.get_label(session_id).data["labels"])
        return labels

    def page(self, labels: dict[str, Any] | None = None, **query: str) -> Answer:
        if labels is not None:
            query["labels"] = json.dumps(labels)
        return self.call("GET", "/sdk/ListSession", **query)

    def listed(self, labels: dict[str, Any] | None = None) -> dict[str, str]:
        """All pages of ListSession: status by session id."""
        found: dict[str, str] = {}
        token: dict[str, str] = {}
        while True:
            answer = self.page(labels, maxResults="100", **token)
            assert answer.ok, answer.body
            found |= {item["sessionId"]: item["sessionStatus"] for item in answer.data}
            if not answer.body["nextToken"]:
                return found
            token = {"nextToken": answer.body["nextToken"]}
