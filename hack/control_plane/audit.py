"""The API server's audit log as typed values: who called which verb on what, and how it ended.

Tests count writes with it. The policy records every request at metadata level once, when its response is
complete, so a line never holds a body, and a watch shows up when it ends. The API server writes a line just
after the client has its answer: a test waits for the count it expects, with a deadline, instead of reading
once.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived", "ResponseStarted"],
    "rules": [{"level": "Metadata"}],
}
WRITE_VERBS = frozenset({"create", "update", "patch", "delete", "deletecollection"})


@dataclass(frozen=True, kw_only=True, slots=True)
class AuditEvent:
    """One request the API server answered. Texts are empty where a request has no such part."""

    user: str
    """The impersonated one, if any."""
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    """Empty for a `create`, whose name is in the body, unless the API server recorded it."""
    api_group: str
    code: int
    """HTTP status of the answer; 0 if there was none."""
    user_agent: str
    uri: str
    finished_at: datetime

    @property
    def is_write(self) -> bool:
        """Whether the verb changes something; refused calls count too, see `code`."""
        return self.verb in WRITE_VERBS

    @classmethod
    def from_json(cls, event: Mapping[str, Any]) -> "AuditEvent":
        """Read one event of `audit.k8s.io/v1`."""
        ref = event.get("objectRef", {})
        return cls(
            user=event.get("impersonatedUser", event["user"]).get("username", ""),
            verb=event["verb"],
            resource=ref.get("resource", ""),
            subresource=ref.get("subresource", ""),
            namespace=ref.get("namespace", ""),
            name=ref.get("name", ""),
            api_group=ref.get("apiGroup", ""),
            code=event.get("responseStatus", {}).get("code", 0),
            user_agent=event.get("userAgent", ""),
            uri=event["requestURI"],
            finished_at=datetime.fromisoformat(event["stageTimestamp"]),
        )


class AuditLog:
    """Reads the log from where the last read ended. Each reader has its own position."""

    def __init__(self, path: Path, *, position: int = 0) -> None:
        self.path = path
        self._position = position

    def read_new(self) -> list[AuditEvent]:
        """Return the events since the last call, oldest first; half a line is left for the next call."""
        if not self.path.exists():
            return []
        with self.path.open("rb") as log:
            log.seek(self._position)
            data = log.read()
        end = data.rfind(b"\n") + 1
        self._position += end
        return [AuditEvent.from_json(json.loads(line)) for line in data[:end].splitlines()]

    def skip(self) -> None:
        """Forget what was logged up to now."""
        self._position = self.path.stat().st_size if self.path.exists() else 0
