"""The door for tests: everything below `/_sim/`. It needs no key; docs/simulator.md has a curl line for each.

Owns the hooks' paths, bodies and answers. Every answer is JSON; a wrong request gets 4xx with
`{"error": text}` and changes nothing. `control.py` is the client.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote

from agb_simulator.endpoints import ROUTES
from agb_simulator.faults import FAULT_RULE
from agb_simulator.hook_bodies import (
    ACCOUNT,
    CLOCK,
    KEY,
    SESSION,
    SESSIONS,
    SETTINGS,
    HookError,
    SessionBody,
    checked,
    json_object,
    read,
)
from agb_simulator.requestlog import ENTRIES
from agb_simulator.service import Service
from agb_simulator.sessions import RELEASED, Session
from agb_simulator.wire import Reply, Request, json_reply

PREFIX = "/_sim/"

Handler = Callable[[Request, dict[str, str]], Any]


class Hooks:
    """Serves the hooks of one `Service`."""

    def __init__(self, service: Service) -> None:
        self._service = service
        one = r"(?P<id>[^/]+)"
        self._routes: Mapping[tuple[str, str], Handler] = {
            ("GET", "health"): lambda _, __: {"ok": True},
            ("GET", "clock"): lambda _, __: self._clock(),
            ("POST", "clock"): self._move_clock,
            ("GET", "settings"): lambda _, __: self._settings(),
            ("PATCH", "settings"): self._change_settings,
            ("GET", "faults"): lambda _, __: {"faults": service.faults.dump()},
            ("POST", "faults"): self._add_fault,
            ("DELETE", "faults"): self._clear_faults,
            ("DELETE", f"faults/{one}"): self._remove_fault,
            ("GET", "requests"): self._requests,
            ("DELETE", "requests"): self._clear_requests,
            ("GET", "stats"): lambda _, __: self._stats(),
            ("GET", "state"): lambda _, __: self._state(),
            ("POST", "reset"): self._reset,
            ("POST", "keys"): self._key,
            ("POST", "sessions"): self._add_sessions,
            ("PATCH", "sessions"): self._change_sessions,
            ("GET", f"sessions/{one}"): lambda _, named: self._dump(self._find(named)),
            ("PATCH", f"sessions/{one}"): self._change_session,
        }

    def handle(self, request: Request) -> Reply:
        """Serve one request below `/_sim/`. Never raises for what a client sends."""
        self._service.world.run(self._service.clock.now())
        try:
            handler, named = self._route(request)
            return json_reply(200, handler(request, named))
        except HookError as error:
            return json_reply(error.status, {"error": str(error)})

    def _route(self, request: Request) -> tuple[Handler, dict[str, str]]:
        path = request.path.removeprefix(PREFIX).rstrip("/")
        known = False
        for (method, pattern), handler in self._routes.items():
            if found := re.fullmatch(pattern, path):
                known = True
                if method == request.method:
                    return handler, found.groupdict()
        if known:
            raise HookError(405, f"{request.path} does not take {request.method}")
        raise HookError(404, f"there is no hook {request.path}")

    def _clock(self) -> Any:
        return {"now": self._service.clock.now(), "frozen": self._service.clock.frozen}

    def _move_clock(self, request: Request, _: dict[str, str]) -> Any:
        body = read(CLOCK, request.body)
        clock = self._service.clock
        clock.advance(body.advance)
        if body.frozen is not None:
            (clock.freeze if body.frozen else clock.thaw)()
        self._service.world.run(clock.now())
        return self._clock()

    def _settings(self) -> Any:
        return SETTINGS.dump_python(self._service.world.settings, mode="json", by_alias=True)

    def _change_settings(self, request: Request, _: dict[str, str]) -> Any:
        changed = checked(SETTINGS, {**self._settings(), **json_object(request.body)})
        self._service.world.configure(changed, self._service.clock.now())
        return self._settings()

    def _add_fault(self, request: Request, _: dict[str, str]) -> Any:
        rule = read(FAULT_RULE, request.body)
        names = sorted(name for _, name in ROUTES.values())
        if rule.endpoint is not None and rule.endpoint not in names:
            raise HookError(400, f"endpoint: must be one of {', '.join(names)}")
        return {"id": self._service.faults.add(rule)}

    def _clear_faults(self, _: Request, __: dict[str, str]) -> Any:
        self._service.faults.clear()
        return {}

    def _remove_fault(self, _: Request, named: dict[str, str]) -> Any:
        if not named["id"].isdecimal() or not self._service.faults.remove(int(named["id"])):
            raise HookError(404, f"there is no fault {named['id']}")
        return {}

    def _requests(self, request: Request, _: dict[str, str]) -> Any:
        since = request.query.get("since", "0")
        if not since.isdecimal():
            raise HookError(400, "since: must be a sequence number")
        entries = self._service.log.since(int(since))
        return {
            "last": self._service.log.last,
            "requests": ENTRIES.dump_python(entries, mode="json", by_alias=True),
        }

    def _clear_requests(self, _: Request, __: dict[str, str]) -> Any:
        self._service.log.clear()
        return {}

    def _stats(self) -> Any:
        world = self._service.world
        endpoints = self._service.log.counts()
        return {
            "last": self._service.log.last,
            "requests": sum(counts["requests"] for counts in endpoints.values()),
            "illegal": sum(counts["illegal"] for counts in endpoints.values()),
            "endpoints": endpoints,
            "created": world.created,
            "live": sum(account.live for account in world.keys.accounts.values()),
            "sessions": world.statuses(),
        }

    def _state(self) -> Any:
        world = self._service.world
        return {
            "clock": self._clock(),
            "settings": self._settings(),
            "keys": world.keys.dump(),
            "faults": self._service.faults.dump(),
            "sessions": [self._dump(session) for session in world.sessions.values()],
        }

    def _reset(self, _: Request, __: dict[str, str]) -> Any:
        self._service.reset()
        return {}

    def _key(self, request: Request, _: dict[str, str]) -> Any:
        body = read(KEY, request.body)
        keys = self._service.world.keys
        account = keys.add(body.key, shares_with=body.shares_with)
        if body.revoked:
            keys.revoke(body.key)
        if body.pause_allowed is not None:
            keys.allow_pause(body.key, body.pause_allowed)
        return {"account": account.name}

    def _add_sessions(self, request: Request, _: dict[str, str]) -> Any:
        body = read(SESSIONS, request.body)
        if body.count < 1 or (body.session_id is not None and body.count != 1):
            raise HookError(400, "count: must be 1 or more, and 1 if there is a sessionId")
        world, now = self._service.world, self._service.clock.now()
        account = world.keys.add(body.key)
        try:
            added = [
                world.create(
                    account,
                    now,
                    image_id=body.image_id,
                    labels=dict(body.labels or {}),
                    status=body.status,
                    session_id=body.session_id,
                )
                for _ in range(body.count)
            ]
        except ValueError as error:
            raise HookError(409, str(error)) from error
        return {"sessionIds": [session.session_id for session in added]}

    def _change_session(self, request: Request, named: dict[str, str]) -> Any:
        body = read(SESSION, request.body)
        session = self._find(named)
        if not self._change(session, body):
            raise HookError(409, f"cannot {body.action} a session in status {session.status}")
        self._service.world.run(self._service.clock.now())
        return self._dump(session)

    def _change_sessions(self, request: Request, _: dict[str, str]) -> Any:
        body = read(ACCOUNT, request.body)
        world = self._service.world
        account = world.keys.opened_by(body.key)
        there = [session for session in world.sessions.values() if session.account == account.name and session.live]
        changed = [session.session_id for session in there if self._change(session, body)]
        world.run(self._service.clock.now())
        return {"sessionIds": changed}

    def _change(self, session: Session, body: SessionBody) -> bool:
        world, now = self._service.world, self._service.clock.now()
        if body.action is not None:
            return world.act(session, body.action, now)
        if body.labels is not None:
            world.set_labels(session, body.labels, now)
        elif body.status is not None:
            session.stale = None
            world.move(session, body.status, now)
            if body.status in RELEASED:
                world.forget(session, now)
        return True

    def _find(self, named: dict[str, str]) -> Session:
        session_id = unquote(named["id"])
        session = self._service.world.sessions.get(session_id)
        if session is None:
            raise HookError(404, f"there is no session {session_id}")
        return session

    def _dump(self, session: Session) -> dict[str, Any]:
        return {
            "sessionId": session.session_id,
            "account": session.account,
            "status": None if session.gone else session.status,
            "imageId": session.image_id,
            "labels": dict(session.labels),
            "createdAt": session.created_at,
            "live": session.live,
        }
