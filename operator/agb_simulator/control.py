"""A client for the hooks below `/_sim/`, for tests and demos: `SimulatorControl`.

One set of methods over two roads: `over_http(address)` talks to a running `agb-simulator` (blocking, one
connection per call), `in_process(api)` calls an `Api` directly. Durations are seconds.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

from pydantic.alias_generators import to_camel

from agb_simulator.api import Api
from agb_simulator.effects import Effect
from agb_simulator.faults import FAULT_RULE, FaultRule
from agb_simulator.requestlog import ENTRIES, Entry
from agb_simulator.wire import JSON_TYPE, Request

TIMEOUT = 30.0
"""Seconds one hook may take over HTTP."""

Send = Callable[[str, str, bytes], tuple[int, bytes]]


class HookRefused(Exception):
    """The simulator refused a hook; the text says why."""


class SimulatorControl:
    """Clock, faults, sessions, keys, settings and request log of a simulator."""

    def __init__(self, send: Send) -> None:
        self._send = send

    @classmethod
    def over_http(cls, address: str) -> SimulatorControl:
        """Control the simulator at `address`, such as `http://127.0.0.1:8090`."""
        host = urlsplit(address).netloc

        def send(method: str, path: str, body: bytes) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
            try:
                connection.request(method, path, body, {"content-type": JSON_TYPE})
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        return cls(send)

    @classmethod
    def in_process(cls, api: Api) -> SimulatorControl:
        """Control an `Api` of this process."""

        def send(method: str, path: str, body: bytes) -> tuple[int, bytes]:
            reply = api.handle(Request.to(method, path, headers={}, body=body))
            return reply.status, reply.body

        return cls(send)

    def hook(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call any hook by its path below `/_sim/`; raises `HookRefused` for an error."""
        data = b"" if body is None else json.dumps(body).encode()
        status, answer = self._send(method, f"/_sim/{path}", data)
        parsed = json.loads(answer)
        if status != 200:
            raise HookRefused(parsed["error"])
        return parsed

    def reset(self) -> None:
        """Back to the start: no sessions, faults or log; settings and keys as at the start."""
        self.hook("POST", "reset")

    def configure(self, **settings: Any) -> None:
        """Change settings by the names of `agb_simulator.settings.Settings`, e.g. `transition=0.2`."""
        plain = {to_camel(k): sorted(v) if isinstance(v, set | frozenset) else v for k, v in settings.items()}
        self.hook("PATCH", "settings", plain)

    def advance(self, seconds: float) -> None:
        """Move the simulator's clock ahead."""
        self.hook("POST", "clock", {"advance": seconds})

    def freeze(self) -> None:
        """Hold the simulator's clock; `advance` still moves it."""
        self.hook("POST", "clock", {"frozen": True})

    def thaw(self) -> None:
        """Let the simulator's clock run on."""
        self.hook("POST", "clock", {"frozen": False})

    def add_fault(
        self,
        effect: Effect,
        *,
        endpoint: str | None = None,
        session_id: str | None = None,
        key: str | None = None,
        count: int | None = None,
        probability: float = 1.0,
    ) -> int:
        """Switch a fault on for the requests that match; returns its id."""
        rule = FaultRule(
            effect=effect,
            endpoint=endpoint,
            session_id=session_id,
            key=key,
            count=count,
            probability=probability,
        )
        added: int = self.hook("POST", "faults", FAULT_RULE.dump_python(rule, mode="json"))["id"]
        return added

    def faults(self) -> list[dict[str, Any]]:
        """The faults that are on, with `left` and `struck`."""
        faults: list[dict[str, Any]] = self.hook("GET", "faults")["faults"]
        return faults

    def remove_fault(self, fault_id: int) -> None:
        """Switch one fault off."""
        self.hook("DELETE", f"faults/{fault_id}")

    def clear_faults(self) -> None:
        """Switch all faults off."""
        self.hook("DELETE", "faults")

    def requests(self, *, since: int = 0) -> Sequence[Entry]:
        """The request log after sequence number `since`."""
        return ENTRIES.validate_python(self.hook("GET", f"requests?since={since}")["requests"])

    def clear_requests(self) -> None:
        """Forget log and counts; sequence numbers go on."""
        self.hook("DELETE", "requests")

    def stats(self) -> dict[str, Any]:
        """Counts: requests, illegal, live, created, sessions by status, endpoints by name."""
        stats: dict[str, Any] = self.hook("GET", "stats")
        return stats

    def count(self, endpoint: str, of: str = "requests") -> int:
        """How many requests an endpoint had; `of`: requests, applied, illegal, notFound, limited or dropped."""
        counts: int = self.stats()["endpoints"].get(endpoint, {}).get(of, 0)
        return counts

    def state(self) -> dict[str, Any]:
        """Everything: clock, settings, keys, faults, sessions."""
        state: dict[str, Any] = self.hook("GET", "state")
        return state

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions the simulator knows, in order of creation; released ones have `live` false."""
        sessions: list[dict[str, Any]] = self.state()["sessions"]
        return sessions

    def add_sessions(
        self,
        key: str,
        *,
        count: int = 1,
        session_id: str | None = None,
        image_id: str = "agb-code-space-1",
        labels: Mapping[str, Any] | None = None,
        status: str | None = None,
    ) -> list[str]:
        """Add sessions under a key, as if made elsewhere; returns their ids."""
        body = {
            "key": key,
            "count": count,
            "sessionId": session_id,
            "imageId": image_id,
            "labels": None if labels is None else dict(labels),
            "status": status,
        }
        added: list[str] = self.hook("POST", "sessions", body)["sessionIds"]
        return added

    def add_session(
        self,
        key: str,
        *,
        session_id: str | None = None,
        labels: Mapping[str, Any] | None = None,
        status: str | None = None,
    ) -> str:
        """Add one session under a key; returns its id."""
        return self.add_sessions(key, session_id=session_id, labels=labels, status=status)[0]

    def session(self, session_id: str) -> dict[str, Any]:
        """One session: sessionId, account, status, imageId, labels, createdAt, live."""
        session: dict[str, Any] = self.hook("GET", f"sessions/{quote(session_id, safe='')}")
        return session

    def act(self, session_id: str, action: str) -> None:
        """Do `pause`, `resume`, `release` or `vanish` to a session from outside."""
        self.hook("PATCH", f"sessions/{quote(session_id, safe='')}", {"action": action})

    def set_status(self, session_id: str, status: str) -> None:
        """Put a session into a status at once; any word will do."""
        self.hook("PATCH", f"sessions/{quote(session_id, safe='')}", {"status": status})

    def set_labels(self, session_id: str, labels: Mapping[str, Any]) -> None:
        """Replace a session's labels from outside."""
        self.hook("PATCH", f"sessions/{quote(session_id, safe='')}", {"labels": dict(labels)})

    def act_on_all(self, key: str, action: str) -> list[str]:
        """As `act`, on all sessions of the key's account at once; returns the ids of those it was possible for."""
        changed: list[str] = self.hook("PATCH", "sessions", {"key": key, "action": action})["sessionIds"]
        return changed

    def label_all(self, key: str, labels: Mapping[str, Any]) -> list[str]:
        """As `set_labels`, on all sessions of the key's account at once; returns their ids."""
        changed: list[str] = self.hook("PATCH", "sessions", {"key": key, "labels": dict(labels)})["sessionIds"]
        return changed

    def add_key(self, key: str, *, shares_with: str | None = None) -> str:
        """Accept a key (again), on its own account or on that of another key; returns the account's name."""
        account: str = self.hook("POST", "keys", {"key": key, "sharesWith": shares_with})["account"]
        return account

    def revoke_key(self, key: str) -> None:
        """Answer 401 to a key from now on; its sessions stay."""
        self.hook("POST", "keys", {"key": key, "revoked": True})

    def allow_pause(self, key: str, allowed: bool) -> None:
        """Switch pause and resume on or off for a key (403 when off)."""
        self.hook("POST", "keys", {"key": key, "pauseAllowed": allowed})
