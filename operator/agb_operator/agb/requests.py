"""The port's calls as requests of the AGB API, and its answers as the port's values.

One function sends whatever is asked, so limits and breakers are put around that function and know nothing of the calls
above it. What an answer means is in `replies`, how it travels in `http`.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from typing import Final

from ..model.errors import ApiUnavailable, SessionNotFound
from ..model.states import Created, Observation, SessionState, state_of
from .client import Accepted, Listed, SessionClient
from .replies import Call, Reply, field, shown, text

_MOST_SESSIONS: Final = 10**9
"""Sessions that an account may have; more is a number gone wrong."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request; it goes as POST if it has a body, as GET without one."""

    call: Call
    session_id: str = ""
    """The session it is about, "" for a list or a create."""
    body: Mapping[str, object] | None = None
    query: Mapping[str, str] | None = None


Send = Callable[[Request], Awaitable[Reply]]
"""Sends a request and gives its accepted answer; raises any `AgbError`."""


def client_over(
    send: Send, witness: Callable[[str], str] = lambda _: "", allows: Callable[[], float] = lambda: inf
) -> SessionClient:
    """Give the calls of the key that `send` sends with, that `witness` names, and that so many are allowed of."""
    return _Client(send=send, name_key=witness, allows=allows)


@dataclass(kw_only=True, slots=True, eq=False, weakref_slot=True)
class _Client:
    """The calls of one key, as `SessionClient` describes them."""

    send: Send
    """Sends a request of this key, within its limits."""
    name_key: Callable[[str], str]
    allows: Callable[[], float]

    def witness(self, subject: str) -> str:
        return self.name_key(subject)

    async def observe(self, session_id: str) -> Observation:
        taken_at = asyncio.get_running_loop().time()
        try:
            reply = await self.send(Request(call=Call.GET, session_id=session_id, body={"sessionId": session_id}))
        except SessionNotFound:
            return Observation(session_id=session_id, status="", state=SessionState.NOT_FOUND, taken_at=taken_at)
        told = text(reply.data_fields, "sessionId")
        if told and told != session_id:
            raise ApiUnavailable(
                "AGB answered getSession with another session than the one asked for",
                http_status=reply.status,
                request_id=reply.request_id,
            )
        return _observation(session_id, text(reply.data_fields, "status"), taken_at=taken_at)

    async def list_page(self, *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100) -> Listed:
        query = {"labels": json.dumps(dict(labels or {})), "maxResults": str(size)}
        if token:
            query["nextToken"] = token
        taken_at = asyncio.get_running_loop().time()
        reply = await self.send(Request(call=Call.LIST, query=query))
        count = field(reply.fields, "count")
        total = None  # also for a number that no account can mean: it would only be reckoned with
        if isinstance(count, int) and not isinstance(count, bool) and 0 <= count <= _MOST_SESSIONS:
            total = count
        next_token = field(reply.fields, "nextToken")
        rows = reply.data
        if rows is None and not total:
            rows = []  # an empty answer may leave the array out
        if not isinstance(rows, list) or not isinstance(next_token, str | None):
            raise ApiUnavailable(
                "AGB answered ListSession with something that is not a list of sessions",
                http_status=reply.status,
                request_id=reply.request_id,
            )
        sessions = [
            _observation(text(row, "sessionId"), text(row, "sessionStatus"), taken_at=taken_at, listed=True)
            for row in rows
            if isinstance(row, dict) and text(row, "sessionId") and text(row, "sessionId").isprintable()
        ]
        return Listed(sessions=sessions, next_token=next_token or "", total=total, nameless=len(sessions) < len(rows))

    async def create(self, *, image_id: str, labels: Mapping[str, str]) -> Created:
        body = {"labels": json.dumps(dict(labels))} if labels else {}
        reply = await self.send(Request(call=Call.CREATE, body=body, query={"imageId": image_id}))
        session_id = text(reply.data_fields, "sessionId")
        if not session_id.isprintable():
            # It would go into the status as it is, and it must be the same there as at AGB.
            raise ApiUnavailable(
                "AGB answered createSession with a session id that holds control characters",
                http_status=reply.status,
                request_id=reply.request_id,
                outcome_unknown=True,
            )
        return Created(session_id=session_id, request_id=reply.request_id, seen_with=self.witness(session_id))

    async def pause(self, session_id: str) -> Accepted:
        return await self._act(Call.PAUSE, session_id)

    async def resume(self, session_id: str) -> Accepted:
        return await self._act(Call.RESUME, session_id)

    async def release(self, session_id: str) -> Accepted:
        return await self._act(Call.RELEASE, session_id)

    async def _act(self, call: Call, session_id: str) -> Accepted:
        reply = await self.send(Request(call=call, session_id=session_id, body={"sessionId": session_id}))
        return Accepted(request_id=reply.request_id)

    async def set_labels(self, session_id: str, labels: Mapping[str, str]) -> Accepted:
        query = {"sessionId": session_id, "Labels": json.dumps(dict(labels))}
        reply = await self.send(Request(call=Call.SET_LABELS, session_id=session_id, body={}, query=query))
        return Accepted(request_id=reply.request_id)

    async def get_labels(self, session_id: str) -> Mapping[str, str]:
        reply = await self.send(Request(call=Call.GET_LABELS, session_id=session_id, query={"sessionId": session_id}))
        labels = field(reply.data_fields, "labels")
        if isinstance(labels, str) and labels:
            try:
                labels = json.loads(labels)
            except (ValueError, RecursionError):
                labels = []
        if not labels and not isinstance(labels, list):
            return {}
        if not isinstance(labels, dict):
            raise ApiUnavailable(
                "AGB answered GetLabel with something that is not a set of labels",
                http_status=reply.status,
                request_id=reply.request_id,
            )
        return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in labels.items()}


def _observation(session_id: str, status: str, *, taken_at: float, listed: bool = False) -> Observation:
    status = status if state_of(status) is not SessionState.UNKNOWN else shown(status, limit=64)
    return Observation(session_id=session_id, status=status, state=state_of(status), taken_at=taken_at, listed=listed)
