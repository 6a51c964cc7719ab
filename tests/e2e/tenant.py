"""A user of the operator: a namespace, a Secret with an API key, and kubectl; and what their doings cost.

Owns how tests act and look as a user does. The processes are `stack`'s.
"""

import itertools
import json
from collections.abc import Callable, Sequence
from typing import Any

from agb_simulator import Entry, SimulatorControl
from control_plane import AuditLog
from e2e.stack import KEY, eventually, manifest, nights
from kubectl import Answer, Kubectl

SECRET = "agb-credentials"
CALLS = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync", "SetLabel")
"""What changes a session; everything else only looks."""
_numbers = itertools.count(1)


class Tenant:
    """One namespace of its own, whose Secret holds `key`."""

    def __init__(self, *, kubectl: Kubectl, control: SimulatorControl, audit: AuditLog, key: str = KEY) -> None:
        """Make the namespace and its Secret."""
        self.control = control
        self.key = key
        self.namespace = f"tenant-{next(_numbers)}"
        self._kubectl = kubectl
        self._audit = audit
        self._writes: list[str] = []
        self._since = control.stats()["last"]
        created = kubectl("create", "namespace", self.namespace)
        assert created.succeeded, created.err
        self.secret(SECRET, apiKey=key)

    def __call__(self, *args: str) -> Answer:
        """Run kubectl in the namespace."""
        return self._kubectl("--namespace", self.namespace, *args)

    def must(self, *args: str) -> str:
        """Run kubectl in the namespace, see that it succeeds, and return what it prints."""
        answer = self(*args)
        assert answer.succeeded, (args, answer.err)
        return answer.out

    def secret(self, name: str, **entries: str) -> None:
        """Create a Secret."""
        self.must("create", "secret", "generic", name, *(f"--from-literal={k}={v}" for k, v in entries.items()))

    def apply(self, name: str, **spec: Any) -> None:
        """Apply an AgbSession; it uses the tenant's Secret and is looked at every second unless `spec` says else."""
        usual = {"credentials": {"secretRef": {"name": SECRET}}, "pollInterval": "1s"}
        wanted = {field: value for field, value in {**usual, **spec}.items() if value is not None}
        answer = self._kubectl.apply(manifest(name, self.namespace, **wanted))
        assert answer.succeeded, answer.err

    def schedule(self, **spec: Any) -> None:
        """Apply an AgbPauseSchedule; `spec` says when, see `nights`."""
        answer = self._kubectl.apply(nights(self.namespace, **spec))
        assert answer.succeeded, answer.err

    def adopt(self, name: str, *, status: str | None = None, **spec: Any) -> str:
        """Apply an AgbSession for a session that exists; returns the session's id."""
        session_id = self.control.add_session(self.key, status=status)
        self.apply(name, sessionId=session_id, **spec)
        return session_id

    def patch(self, name: str, **spec: Any) -> str:
        """Change the spec as people do, by a merge patch."""
        return self.must("patch", "agbsession", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def wait(self, name: str, condition: str, *, seconds: int = 20) -> None:
        """Wait for a condition as people do."""
        self.must("wait", f"--for=condition={condition}", f"agbsession/{name}", f"--timeout={seconds}s")

    def get(self, name: str) -> dict[str, Any]:
        """Give an AgbSession as the API server has it."""
        found: dict[str, Any] = json.loads(self.must("get", "agbsession", name, "--output=json"))
        return found

    def status(self, name: str) -> dict[str, Any]:
        """Give its status."""
        status: dict[str, Any] = self.get(name)["status"]
        return status

    def condition(self, name: str, kind: str) -> dict[str, Any]:
        """Give one of its conditions; {} when it is absent."""
        conditions: list[dict[str, Any]] = self.status(name).get("conditions", [])
        return next((condition for condition in conditions if condition["type"] == kind), {})

    def ready(self, name: str) -> dict[str, Any]:
        """Give the condition that people look at first."""
        return self.condition(name, "Ready")

    def until(self, name: str, holds: Callable[[dict[str, Any]], bool], *, within: float = 30.0) -> dict[str, Any]:
        """Wait until the status is as wanted, and return it."""
        last: dict[str, Any] = {}

        def probe() -> dict[str, Any]:
            nonlocal last
            last = self.status(name)
            assert holds(last), last
            return last

        return eventually(probe, within=within)

    def until_phase(self, name: str, phase: str, *, within: float = 30.0) -> dict[str, Any]:
        """Wait until its phase is this one."""
        return self.until(name, lambda status: status.get("phase") == phase, within=within)

    def events(self, name: str) -> list[tuple[str, str, str]]:
        """Give type, reason and message of the events about it, oldest first."""
        listed = json.loads(self.must("get", "events", "--output=json", f"--field-selector=involvedObject.name={name}"))
        items = sorted(listed["items"], key=lambda event: event["eventTime"])
        return [(event["type"], event["reason"], event["message"]) for event in items]

    def reasons(self, name: str) -> list[str]:
        """Give the reasons of the events about it, oldest first."""
        return [reason for _, reason, _ in self.events(name)]

    def fresh_start(self) -> None:
        """Let `writes`, `calls` and `looks` count from here."""
        self.writes()
        self._writes.clear()
        self._since = self.control.stats()["last"]

    def writes(self) -> list[str]:
        """Give what the operator wrote to the API server in this namespace, such as `patch agbsessions/status`."""
        for event in self._audit.read_new():
            if event.is_write and event.namespace == self.namespace and event.user_agent.startswith("agb-operator"):
                what = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
                self._writes.append(f"{event.verb} {what}")
        return list(self._writes)

    def requests(self) -> Sequence[Entry]:
        """Give what reached AGB, from anybody."""
        return self.control.requests(since=self._since)

    def calls(self, session_id: str | None = None) -> list[str]:
        """Give the calls that reached AGB to change the session (all sessions of the key without one), in order."""
        return [
            entry.endpoint
            for entry in self.requests()
            if entry.endpoint in CALLS and (session_id is None or entry.session_id == session_id)
        ]

    def illegal_calls(self) -> int:
        """Count the calls of anybody that did not fit their session's state."""
        return sum(entry.illegal for entry in self.requests())

    def looks(self, session_id: str) -> int:
        """Count how often AGB was asked for the session, alone or with others."""
        return sum(
            entry.session_id == session_id or entry.endpoint == "ListSession"
            for entry in self.requests()
            if entry.endpoint in ("getSession", "ListSession")
        )

    def remove(self) -> None:
        """Leave nothing for the next test's operator: the resources go, whatever their finalizers wait for."""
        names = self.must("get", "agbsessions", "--output=name").split()
        if names:
            self.must("delete", *names, "--wait=false")
            for name in names:
                # It may be gone by now, which is as good.
                self("patch", name, "--type=merge", "--patch", '{"metadata":{"finalizers":null}}')
        self.must("delete", "namespace", self.namespace, "--wait=false", "--ignore-not-found")
