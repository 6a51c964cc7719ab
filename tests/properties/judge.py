"""The judge of an operator: watches its calls, its looks and its writes from outside, and complains.

Owns the rules that hold at every moment, whatever goes wrong around the operator:

- Each pause, resume and release is justified: the caller was told, by an answer to a question that it had sent after
  its own last call for this session and lately, that the session is in the state in which the call is legal. AGB may
  have moved the session since, or may have lied; then the call is illegal and yet justified.
- No write leaves an object as it was.
- A resource never reports another session while the one it reported lives.
- No session is released while its resource lives and reports it, nor touched at all if it is somebody else's.
- No session is asked for while the one that its resource reports lives.
- No operator asks more than `BUSY` questions within a minute for each of its resources.
- No pass ends in an unforeseen way.

The harm that people would notice is counted, too, see `Harm`.

Two rules hold only where nobody else moves sessions and no answer lies; who asks for them says so by
`assert_flawless`: no call is illegal, and no session is asked for while the resource has one.
"""

import json
import logging
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, Final

import httpx

from agb_simulator import SimulatorControl
from integration.world import KEY
from simulated import loop_time

LATELY: Final = 30.0
"""Seconds for which a look justifies a call: more than a throttled call may wait, less than a resync."""
LEGAL_FROM: Final = {
    "pauseSessionAsync": "RUNNING",
    "resumeSessionAsync": "PAUSED",
    "releaseSessionAsync": "RUNNING",
}
BUSY: Final = 120
"""Requests to AGB in a minute, for each resource; who has few may make as many as for `FEW`."""
FEW: Final = 10
"""A walk without an end makes 3,000 requests in a minute."""
UID: Final = "agb-operator-uid"


class Harm(StrEnum):
    """What must never happen to anybody, whatever an answer says."""

    RELEASED = "sessions released that were not ours"
    CREATED = "sessions created that were not asked for"
    ORPHANED = "sessions alive without a resource"
    ILLEGAL = "illegal calls"


class Judge(logging.Handler):
    """Collects complaints of all operators of one world; each operator is known by a number.

    Attributes:
        counts: how often each harm was done.
        foreign: ids of sessions that are no operator's business.
        home: the account in which the resources' sessions belong.
    """

    def __init__(self, control: SimulatorControl, objects: Mapping[Any, Mapping[str, Any]]) -> None:
        super().__init__(logging.ERROR)
        self.complaints: list[str] = []
        self.counts: Counter[Harm] = Counter(dict.fromkeys(Harm, 0))
        self.foreign: set[str] = set()
        self.home = control.add_key(KEY)
        self.relabelled: dict[str, str] = {}
        """Whose the sessions are that somebody has taken the labels from: resource UIDs by session id."""
        self._objects = objects
        self._asked: dict[int, deque[float]] = defaultdict(deque)
        self._seconds: list[str] = []
        self._control = control
        self._told: dict[tuple[int, str], dict[str, float]] = defaultdict(dict)
        self._called: dict[tuple[int, str], float] = {}

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take what the operator logs as an error for a complaint."""
        logger = logging.getLogger("agb_operator")
        logger.addHandler(self)
        propagates, logger.propagate = logger.propagate, False
        try:
            yield
        finally:
            logger.propagate = propagates
            logger.removeHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.complaints.append(f"logged: {record.getMessage()} {record.exc_info}")

    def assert_content(self) -> None:
        """Nothing was complained about so far."""
        assert not self.complaints, self.complaints

    def assert_flawless(self) -> None:
        """No call was illegal so far, and no second session was asked for."""
        self.counts[Harm.ILLEGAL] = self._control.stats()["illegal"]
        assert not self.counts[Harm.ILLEGAL], [entry for entry in self._control.requests() if entry.illegal]
        assert not self._seconds, self._seconds

    def owner(self, session: Mapping[str, Any]) -> str:
        """The UID of the resource that a session was created for; "" if it was for none."""
        return str(self.relabelled.get(session["sessionId"], session["labels"].get(UID, "")))

    # What an operator asks of AGB

    def sent(self, operator: int, request: httpx.Request) -> None:
        """Judge a request at the moment in which it is sent."""
        endpoint, session_id = _endpoint(request), _session_id(request)
        self._hurried(operator)
        if endpoint == "createSession":
            self._created(request)
        elif endpoint == "releaseSessionAsync":
            self._released(session_id)
        elif session_id in self.foreign and endpoint in (*LEGAL_FROM, "SetLabel"):
            self.complaints.append(f"{loop_time():.3f}: {endpoint} of {session_id}, which is somebody else's")
        wanted = LEGAL_FROM.get(endpoint)
        if wanted is None:
            return
        told = self._told[operator, session_id].get(wanted)
        if told is None or loop_time() - told > LATELY:
            known = self._told[operator, session_id]
            self.complaints.append(f"{loop_time():.3f}: {endpoint} of {session_id} without a look; told was {known}")

    def _hurried(self, operator: int) -> None:
        asked, now = self._asked[operator], loop_time()
        asked.append(now)
        while asked[0] < now - 60.0:
            asked.popleft()
        if len(asked) > BUSY * max(FEW, len(self._objects)):
            self.complaints.append(f"{now:.3f}: {len(asked)} requests in {now - asked[0]:.1f} s")
            asked.clear()

    def _created(self, request: httpx.Request) -> None:
        uid = json.loads(json.loads(request.content)["labels"])[UID]
        theirs = [s for s in self._live() if self.owner(s) == uid]
        # What a key of another account has left there, a resource can only tell of.
        if there := [s["sessionId"] for s in theirs if s["account"] == self.home]:
            self._seconds.append(f"{loop_time():.3f}: a session for {uid} is asked for, which has {there}")
        if self._reported(uid) in [s["sessionId"] for s in theirs]:
            self._harmed(Harm.CREATED, f"one for {uid}, which reports {self._reported(uid)} that lives")

    def _released(self, session_id: str) -> None:
        session = next((s for s in self._live() if s["sessionId"] == session_id), None)
        if session_id in self.foreign:
            self._harmed(Harm.RELEASED, f"{session_id}, which is somebody else's")
        elif session is not None and self._reported(self.owner(session)) == session_id:
            self._harmed(Harm.RELEASED, f"{session_id}, which its resource reports and wants")

    def _reported(self, uid: str) -> str:
        """The session that a resource reports which lives; "" if it is going, or says none."""
        body = next((body for body in self._objects.values() if body["metadata"]["uid"] == uid), None)
        if body is None or body["metadata"].get("deletionTimestamp"):
            return ""
        return str((body.get("status") or {}).get("sessionId", ""))

    def _harmed(self, harm: Harm, text: str) -> None:
        self.counts[harm] += 1
        self.complaints.append(f"{loop_time():.3f}: {harm}: {text}")

    def answered(self, operator: int, request: httpx.Request, sent_at: float, answer: httpx.Response | None) -> None:
        """Note what an answer tells, None for one that got lost."""
        endpoint, session_id = _endpoint(request), _session_id(request)
        if endpoint in LEGAL_FROM:
            if answer is None or answer.status_code != 429:  # a throttled call was not carried out
                self._called[operator, session_id] = loop_time()
                self._told[operator, session_id].clear()
            return
        if answer is None:
            return
        for seen, word in _statuses(session_id, answer):
            if sent_at >= self._called.get((operator, seen), float("-inf")):
                self._told[operator, seen][word] = loop_time()

    # What an operator writes to the cluster

    def written(self, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
        """Judge a change of an object."""
        name = f"{loop_time():.3f}: {after['metadata']['name']}"
        if _content(before) == _content(after):
            self.complaints.append(f"{name}: a write changed nothing")
        old, new = before["status"], after["status"]
        reported = old.get("sessionId")
        if reported and new.get("sessionId") != reported and reported in {s["sessionId"] for s in self._live()}:
            self.complaints.append(f"{name}: reports {new.get('sessionId')} while {reported} lives")
        known = {c["type"]: c for c in old.get("conditions", ())}
        for condition in new.get("conditions", ()):
            was = known.get(condition["type"], condition)
            moved = was["lastTransitionTime"] != condition["lastTransitionTime"]
            if moved and was["status"] == condition["status"]:
                self.complaints.append(f"{name}: a transition without a change of the status: {condition}")

    def _live(self) -> list[dict[str, Any]]:
        return [session for session in self._control.sessions() if session["live"]]


def _content(body: Mapping[str, Any]) -> dict[str, Any]:
    meta = {name: value for name, value in body["metadata"].items() if name != "resourceVersion"}
    return {**body, "metadata": meta}


def _endpoint(request: httpx.Request) -> str:
    return request.url.path.rpartition("/")[2]


def _session_id(request: httpx.Request) -> str:
    body = json.loads(request.content or "{}")
    return str(body.get("sessionId") or request.url.params.get("sessionId") or "")


def _statuses(session_id: str, answer: httpx.Response) -> Iterator[tuple[str, str]]:
    """Read which session has which status, whatever the answer's shape."""
    try:
        body = _lower(json.loads(answer.content))
    except ValueError:
        return
    if not isinstance(body, dict):
        return
    data = body.get("body", body).get("data")
    for row in data if isinstance(data, list) else [data]:
        if isinstance(row, dict):
            yield str(row.get("sessionid", session_id)), str(row.get("sessionstatus", row.get("status", "")))


def _lower(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _lower(inner) for name, inner in value.items()}
    return [_lower(inner) for inner in value] if isinstance(value, list) else value
