"""What each endpoint of the lifecycle API does, once a request is known to be authentic and readable.

Owns the rules of the calls: parameters, states a call is legal in, the data it answers. How sessions move is
in `world.py`; keys, rate limit, faults that replace the answer and the log are in `service.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agb_simulator.accounts import Account
from agb_simulator.effects import (
    BareCreate,
    CreateFailed,
    EndlessPages,
    FallBack,
    FilterIgnored,
    IdValue,
    InvalidToken,
    NeverEnds,
    ShortPage,
    StaleLabels,
    StaleList,
    StaleRead,
    StatusValue,
    TransitionTime,
)
from agb_simulator.faults import Faults, Target
from agb_simulator.paging import cut_page, page_size
from agb_simulator.sessions import RELEASED, Session, Stale, Status
from agb_simulator.wire import ApiError, illegal_state, invalid_parameter, missing_parameter, not_found
from agb_simulator.world import World

ROUTES: Mapping[str, tuple[str, str]] = {
    "/mcp/createSession": ("POST", "createSession"),
    "/mcp/getSession": ("POST", "getSession"),
    "/mcp/getSessionInfo": ("POST", "getSessionInfo"),
    "/mcp/pauseSessionAsync": ("POST", "pauseSessionAsync"),
    "/mcp/resumeSessionAsync": ("POST", "resumeSessionAsync"),
    "/mcp/releaseSessionAsync": ("POST", "releaseSessionAsync"),
    "/mcp/releaseSession": ("POST", "releaseSession"),
    "/mcp/refreshSessionIdleTime": ("POST", "refreshSessionIdleTime"),
    "/sdk/ListSession": ("GET", "ListSession"),
    "/sdk/SetLabel": ("POST", "SetLabel"),
    "/sdk/GetLabel": ("GET", "GetLabel"),
}
"""Method and endpoint name of every path; paths are case-sensitive."""

QUERY_SESSION = frozenset({"SetLabel", "GetLabel", "refreshSessionIdleTime"})
"""Endpoints that take `sessionId` from the query; the others take it from the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request the service let through. `session` is the one named, if the account may see it."""

    target: Target
    account: Account
    session: Session | None
    query: Mapping[str, str]
    body: Mapping[str, Any]
    now: float
    may_pause: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What a call came to: `data`, more top-level fields, and whether anything changed."""

    data: Any = None
    extra: Mapping[str, Any] | None = None
    applied: bool = False
    created: str | None = None


class Endpoints:
    """Carries out calls on the `world`, bent by `faults` where they concern moves and reads."""

    def __init__(self, *, world: World, faults: Faults) -> None:
        self._world = world
        self._faults = faults
        self._handlers: Mapping[str, Callable[[Call], Outcome]] = {
            "createSession": self._create,
            "getSession": self._get,
            "getSessionInfo": self._get_info,
            "ListSession": self._list,
            "pauseSessionAsync": self._pause,
            "resumeSessionAsync": self._resume,
            "releaseSessionAsync": self._release,
            "releaseSession": self._release,
            "SetLabel": self._set_label,
            "GetLabel": self._get_label,
            "refreshSessionIdleTime": self._refresh,
        }

    def carry_out(self, call: Call) -> Outcome:
        """Do what the call asks; raises `ApiError` when the API refuses it."""
        return self._handlers[call.target.endpoint](call)

    def _create(self, call: Call) -> Outcome:
        settings = self._world.settings
        image_id = call.query.get("imageId", "")
        labels = parse_labels(call.body.get("labels"))
        idle = call.body.get("timeout")
        if not image_id:
            raise missing_parameter("imageId")
        if idle is not None and (isinstance(idle, bool) or not isinstance(idle, int) or idle <= 0):
            raise invalid_parameter("timeout must be a positive number of seconds.")
        if image_id in settings.refused_images:
            raise ApiError(400, "InvalidImage.NotFound", f"Image [{image_id}] is not found.")
        if settings.session_limit is not None and call.account.live >= settings.session_limit:
            raise _quota_exceeded()
        if failed := self._faults.take(call.target, CreateFailed):
            return Outcome(data={"success": False, "errMsg": failed.err_msg})
        session = self._world.create(call.account, call.now, image_id=image_id, labels=labels, idle_timeout=idle)
        data: dict[str, Any] = self._id(call, session)
        if not self._faults.take(call.target, BareCreate):
            data = {"success": True, "errMsg": None, **data, **self._resource(session)}
        return Outcome(data=data, applied=True, created=session.session_id)

    def _get(self, call: Call) -> Outcome:
        session = self._known(call)
        data = {**self._id(call, session), **self._resource(session)}
        return Outcome(data=data | self._status(call, session, "status"))

    def _get_info(self, call: Call) -> Outcome:
        return Outcome(data=self._status(call, self._known(call), "status"))

    def _list(self, call: Call) -> Outcome:
        settings = self._world.settings
        labels = parse_labels(call.query.get("labels"))
        size = page_size(call.query.get("maxResults"), largest=settings.max_page_size)
        token = call.query.get("nextToken")
        if token and self._faults.take(call.target, InvalidToken):
            raise invalid_parameter("nextToken is not valid.")
        if labels and self._faults.take(call.target, FilterIgnored):
            labels = {}
        matching, lag = self._matching(call, labels)
        endless = self._faults.take(call.target, EndlessPages)
        page = cut_page(
            matching, token=token, size=size, paging=settings.paging, endless=None if endless is None else endless.how
        )
        short = self._faults.take(call.target, ShortPage)
        shown = page.sessions if short is None else page.sessions[: short.items]
        data = [self._id(call, session) | self._status(call, session, "sessionStatus", lag=lag) for session in shown]
        extra = {"nextToken": page.next_token, "maxResults": size, "count": len(matching)}
        return Outcome(data=data, extra=extra)

    def _matching(self, call: Call, labels: Mapping[str, Any]) -> tuple[Sequence[Session], float]:
        """The sessions that a list holds, and how old the statuses are that it shows of them."""
        lag = self._world.settings.status_lag
        if stale := self._faults.take(call.target, StaleList):
            since = call.now - stale.seconds
            listed = call.account.still_matching(labels, since=since)
            return [session for session in listed if session.created_at <= since], stale.seconds
        if lag:
            return call.account.still_matching(labels, since=call.now - lag), lag
        return call.account.matching(labels), lag

    def _pause(self, call: Call) -> Outcome:
        return self._switch(call, "pause", start=Status.RUNNING, via=Status.PAUSING, to=Status.PAUSED)

    def _resume(self, call: Call) -> Outcome:
        settings = self._world.settings
        if (
            settings.limit_on_resume
            and settings.session_limit is not None
            and call.account.live > settings.session_limit
        ):
            raise _quota_exceeded()
        return self._switch(call, "resume", start=Status.PAUSED, via=Status.RESUMING, to=Status.RUNNING)

    def _switch(self, call: Call, action: str, *, start: Status, via: Status, to: Status) -> Outcome:
        if not call.may_pause:
            raise ApiError(403, "Forbidden.NotWhitelisted", f"{action} is not enabled for this account.")
        session = self._unreleased(call)
        if session.status != start:
            if self._world.settings.repeat_policy == "accept":
                return Outcome()
            raise illegal_state(action, session.status)
        seconds, end = self._world.settings.transition, str(to)
        match self._faults.take_course(call.target):
            case FallBack(seconds=after):
                end = str(start)
                seconds = seconds if after is None else after
            case NeverEnds():
                end = ""
            case TransitionTime(seconds=after):
                seconds = after
            case None:
                pass
        self._world.transit(session, via, end or None, seconds=seconds, now=call.now)
        if stale := self._faults.take(call.target, StaleRead):
            until = None if stale.seconds is None else call.now + stale.seconds
            session.stale = Stale(status=start, reads=stale.reads, until=until)
        return Outcome(applied=True)

    def _release(self, call: Call) -> Outcome:
        session = self._unreleased(call)
        if session.status == Status.DELETING:
            return Outcome()
        if session.status in (Status.PAUSED, Status.PAUSING, Status.RESUMING):
            raise illegal_state("release", session.status)
        course = self._faults.take_course(call.target)
        self._world.release(
            session,
            call.now,
            seconds=course.seconds if isinstance(course, TransitionTime) else None,
            ends=not isinstance(course, NeverEnds),
        )
        return Outcome(applied=True)

    def _set_label(self, call: Call) -> Outcome:
        text = call.query.get("Labels")
        if text is None:
            raise missing_parameter("Labels")
        labels = parse_labels(text)
        self._world.set_labels(self._unreleased(call), labels, call.now)
        return Outcome(applied=True)

    def _get_label(self, call: Call) -> Outcome:
        session = self._unreleased(call)
        stale = self._faults.take(call.target, StaleLabels)
        labels = session.labels if stale is None else session.labels_at(call.now - stale.seconds)
        return Outcome(data={"labels": json.dumps(labels)})

    def _refresh(self, call: Call) -> Outcome:
        self._unreleased(call)
        return Outcome(applied=True)

    def _known(self, call: Call) -> Session:
        if not call.target.session_id:
            raise missing_parameter("sessionId")
        if call.session is None:
            raise not_found()
        return call.session

    def _unreleased(self, call: Call) -> Session:
        session = self._known(call)
        if session.status in RELEASED:
            raise not_found()
        return session

    def _id(self, call: Call, session: Session) -> dict[str, str]:
        shown: str | None = session.session_id
        if effect := self._faults.take(_about(call, session), IdValue):
            shown = effect.session_id
        return {} if shown is None else {"sessionId": shown}

    def _status(self, call: Call, session: Session, name: str, *, lag: float = 0.0) -> dict[str, str]:
        shown: str | None = session.read_status(call.now, lag=lag)
        if effect := self._faults.take(_about(call, session), StatusValue):
            shown = effect.status
        return {} if shown is None else {name: shown}

    def _resource(self, session: Session) -> dict[str, str]:
        authcode = self._world.token()
        return {
            "appInstanceId": session.app_instance_id,
            "resourceId": session.resource_id,
            "resourceUrl": f"https://viewer.example/?authcode={authcode}&resourceId={session.resource_id}",
        }


def _about(call: Call, session: Session) -> Target:
    """The target for what an answer says of one session, which a list does not name when it is asked for."""
    return Target(endpoint=call.target.endpoint, key=call.target.key, session_id=session.session_id)


def parse_labels(text: Any) -> dict[str, Any]:
    """Read a label set from its JSON text; absent, null and `""` mean none. Raises `ApiError` 400."""
    if text is None or text == "":
        return {}
    try:
        labels = json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, dict):
        raise invalid_parameter("labels must be a string that holds a JSON object.")
    return labels


def _quota_exceeded() -> ApiError:
    return ApiError(400, "QuotaExceeded.Session", "The session limit of the account is reached.")
