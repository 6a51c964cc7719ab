"""The API as its callers meet it: authentication, limits, routing, faults, answer, request log.

Owns the way of one request from its bytes to its reply, and the parts it passes through. `endpoints.py`
knows what each call does, `hooks.py` is the door for tests beside it.
"""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Literal, assert_never

from agb_simulator.clock import Clock
from agb_simulator.effects import (
    Answering,
    BusinessError,
    Delay,
    FieldValues,
    HttpError,
    Ignored,
    Interference,
    LostAnswer,
    OtherAccount,
    RawAnswer,
    Shape,
)
from agb_simulator.endpoints import QUERY_SESSION, ROUTES, Call, Endpoints, Outcome
from agb_simulator.faults import Faults, Target
from agb_simulator.limits import Limited, Limits, RateLimit, Throttle
from agb_simulator.requestlog import Draft, Entry, RequestLog
from agb_simulator.settings import Settings
from agb_simulator.shapes import shaped
from agb_simulator.wire import ApiError, Reply, Request, envelope, invalid_parameter, json_reply
from agb_simulator.world import World

CODES = {
    401: "InvalidApiKey",
    403: "AccessDenied",
    429: "Throttling.User",
    500: "InternalError",
    502: "BadGateway",
    503: "ServiceUnavailable",
    504: "ServiceUnavailable",
}
"""The code an injected HTTP error carries when the fault names none."""

Deformed = Sequence[FieldValues | Shape]
"""What is done to a body before it is sent."""

FOR_EVERY_KEY = 0
"""The limit of the settings, beside those of faults, which are numbered from 1."""

READS = frozenset({"getSession", "getSessionInfo", "GetLabel"})
"""Calls that do not count for the idle timeout unless the settings say so."""


class Service:
    """The simulated service. `clock` and `wall_clock` give seconds; `keys` empty means any key is accepted.

    `seed` makes ids and probabilities repeatable. `sink` receives each log entry as it is written.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        settings: Settings,
        keys: Sequence[str] = (),
        seed: int | None = None,
        sink: Callable[[Entry], None] | None = None,
    ) -> None:
        self._start_settings = replace(settings, accept_any_key=settings.accept_any_key and not keys)
        self._start_keys = tuple(keys)
        self._random = Random(seed)
        self._wall_clock = wall_clock
        self.clock = Clock(clock)
        self.log = RequestLog(sink=sink)
        self.reset()

    def reset(self) -> None:
        """Go back to the start: no sessions, no faults, no log, the settings and keys of the start."""
        self.clock.thaw()
        self.log.clear()
        self.faults = Faults(random=self._random)
        self.world = World(settings=self._start_settings, random=self._random)
        for key in self._start_keys:
            self.world.keys.add(key)
        self._throttle = Throttle()
        self._endpoints = Endpoints(world=self.world, faults=self.faults)

    def answer(self, request: Request) -> Reply:
        """Answer one request of the lifecycle API. Never raises for what a client sends."""
        now = self.clock.now()
        self.world.run(now)
        path = "/" + request.path.lstrip("/")
        method, endpoint = ROUTES.get(path, ("", path))
        draft = Draft(endpoint=endpoint, request_id=self._request_id())
        try:
            reply = self._admit(request, draft, method=method, now=now)
        except Limited as error:
            draft.limited = True
            self.faults.note_limited(error.limit_id)
            reply = self._refusal(draft, error)
        except ApiError as error:
            reply = self._refusal(draft, error)
        reply = replace(reply, delay=reply.delay + self.world.settings.latency)
        self.log.add(draft.finish(seq=self.log.last + 1, wall_time=self._wall_clock(), time=now, reply=reply))
        return reply

    def _admit(self, request: Request, draft: Draft, *, method: str, now: float) -> Reply:
        settings = self.world.settings
        mark, account = self.world.keys.authenticate(
            request.headers.get("authorization"), accept_any=settings.accept_any_key
        )
        draft.key = mark
        body = _read_body(request.body)
        fields: Any = request.query if draft.endpoint in QUERY_SESSION else body
        session_id = fields.get("sessionId") if fields is not None and draft.endpoint != "createSession" else None
        labels = request.query.get("labels", request.query.get("Labels")) or (body or {}).get("labels")
        draft.labels = _text(labels)
        draft.session_id = _text(session_id)
        target = Target(endpoint=draft.endpoint, key=mark, session_id=draft.session_id)
        if other := self.faults.take(target, OtherAccount):
            account = self.world.keys.account(other.account)
        session = self.world.find(draft.session_id, account)
        draft.judge(None if session is None else session.status)
        limits = self._limits(target)
        self._throttle.admit(limits, mark, now)
        wrong = _wrong(request, endpoint=draft.endpoint, method=method, body=body, session_id=session_id)
        if wrong is None:
            if session is not None and (settings.reads_keep_alive or draft.endpoint not in READS):
                self.world.touch(session, now)
            call = Call(
                target=target,
                account=account,
                session=session,
                query=request.query,
                body=body or {},
                now=now,
                may_pause=self.world.keys.may_pause(mark),
            )
            reply = self._respond(call, draft)
        else:
            reply = self._refusal(draft, wrong)
        delay = reply.delay + self._throttle.wait(limits, now)
        self._throttle.answered(limits, mark, now + delay + settings.latency)
        return replace(reply, delay=delay)

    def _limits(self, target: Target) -> Limits:
        settings, limits = self.world.settings, self.faults.limits(target)
        if settings.rate_limit is None:
            return limits
        told: Literal["wait"] | None = "wait" if settings.send_retry_after else None
        return [(FOR_EVERY_KEY, RateLimit(per_second=settings.rate_limit, retry_after=told)), *limits]

    def _respond(self, call: Call, draft: Draft) -> Reply:
        target = call.target
        effect = self.faults.take_answer(target)
        late = self.faults.take(target, Delay)
        fields, shape = self.faults.take(target, FieldValues), self.faults.take(target, Shape)
        deformed = [effect for effect in (fields, shape) if effect is not None]
        interference = self.faults.take(target, Interference)
        if interference is not None and interference.when == "before":
            call = self._interfere(call, interference)
        reply = self._struck(call, draft, effect, deformed) if effect else self._perform(call, draft, deformed)
        if interference is not None and interference.when == "after":
            self._interfere(call, interference)
        return replace(reply, delay=late.seconds) if late is not None else reply

    def _interfere(self, call: Call, interference: Interference) -> Call:
        if call.session is None:
            return call
        self.world.act(call.session, interference.action, call.now)
        return replace(call, session=None if call.session.gone else call.session)

    def _perform(self, call: Call, draft: Draft, deformed: Deformed) -> Reply:
        try:
            outcome = self._endpoints.carry_out(call)
        except ApiError as error:
            return self._refusal(draft, error, deformed)
        draft.applied = outcome.applied
        draft.session_id = outcome.created or draft.session_id
        return self._success(draft, outcome, deformed)

    def _struck(self, call: Call, draft: Draft, effect: Answering, deformed: Deformed) -> Reply:
        if isinstance(effect, Ignored):
            return self._success(draft, Outcome(), deformed)
        reply = Reply(status=0, body=b"", headers={})
        if isinstance(effect, LostAnswer) and effect.applied and effect.late:
            self._perform_late(call, call.now + effect.late)
        elif effect.applied:
            reply = self._perform(call, draft, deformed)
        match effect:
            case LostAnswer():
                return replace(reply, drop=True)
            case BusinessError(code=code, message=message):
                return self._refusal(draft, ApiError(200, code, message), deformed)
            case RawAnswer(status=status, body=body, content_type=content_type):
                draft.code = None
                return Reply(status=status, body=body.encode(), headers={"content-type": content_type})
            case HttpError(html=True, status=status, retry_after=retry_after):
                draft.code = None
                page = f"<html><body><h1>{status}</h1></body></html>"
                headers = {"content-type": "text/html", **_retry_header(retry_after)}
                return Reply(status=status, body=page.encode(), headers=headers)
            case HttpError(status=status, code=code, message=message, retry_after=retry_after):
                code = code or CODES.get(status, "SimulatedFault")
                return self._refusal(draft, ApiError(status, code, message, retry_after=retry_after), deformed)
            case _:
                assert_never(effect)

    def _perform_late(self, call: Call, when: float) -> None:
        seq = self.log.last + 1

        def act(at: float) -> None:
            session = self.world.find(call.target.session_id, call.account)
            try:
                outcome = self._endpoints.carry_out(replace(call, session=session, now=at))
            except ApiError:
                return
            self.log.amend(seq, applied=outcome.applied, session_id=outcome.created or call.target.session_id)

        self.world.later(when, act)

    def _success(self, draft: Draft, outcome: Outcome, deformed: Deformed) -> Reply:
        draft.code = "ok"
        body = envelope(request_id=draft.request_id, data=outcome.data, extra=outcome.extra)
        return json_reply(200, shaped(body, deformed), headers={"x-request-id": draft.request_id})

    def _refusal(self, draft: Draft, error: ApiError, deformed: Deformed = ()) -> Reply:
        draft.code = error.code
        body = envelope(request_id=draft.request_id, status=error.status, code=error.code, message=error.message)
        headers = {"x-request-id": draft.request_id, **_retry_header(error.retry_after)}
        return json_reply(error.status, shaped(body | {"success": False}, deformed), headers=headers)

    def _request_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4)).upper()


def _wrong(request: Request, *, endpoint: str, method: str, body: Any, session_id: Any) -> ApiError | None:
    if not method:
        return ApiError(404, "InvalidAction.NotFound", f"Path {endpoint} is not found.")
    if request.method != method:
        return ApiError(405, "InvalidMethod", f"{endpoint} takes {method}.")
    if body is None:
        return invalid_parameter("The body must be a JSON object.")
    if session_id is not None and not isinstance(session_id, str):
        return invalid_parameter("sessionId must be a string.")
    return None


def _read_body(raw: bytes) -> dict[str, Any] | None:
    if not raw:
        return {}
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _text(value: Any) -> str | None:
    # JSON can smuggle in lone surrogates, which no log line could be encoded with.
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else None


def _retry_header(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"retry-after": str(math.ceil(seconds))}
