"""The request log: what every caller did, and whether it was allowed to.

Owns entries and counts. Tests judge an operator by it, so each entry says in which true state the call
met the session. A key appears as its fingerprint only.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, ClassVar

from pydantic import ConfigDict, TypeAdapter

from agb_simulator.sessions import LEGAL_FROM, RELEASED
from agb_simulator.settings import CAMEL
from agb_simulator.wire import Reply

KEPT = 200_000
"""Entries kept for reading back; the counts cover all of them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """One request below the API's own paths.

    `wall_time` is in seconds since the epoch, `time` in seconds of the simulator's clock. `endpoint` is
    the last part of the path (`pauseSessionAsync`). `state_before` is the true status when the call
    arrived, None if not found. `applied`: the call changed something. `illegal`: pause outside RUNNING,
    resume outside PAUSED, release outside RUNNING. `not_found`: the session is unknown, released or
    foreign, which is nobody's mistake. `limited`: a limit refused it, with 429. `dropped`: the connection was
    closed without an answer.
    `status` and `code` are those of the answer, also of one that was dropped or delayed.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    seq: int
    wall_time: float
    time: float
    key: str | None
    endpoint: str
    session_id: str | None
    labels: str | None
    status: int
    code: str | None
    applied: bool
    illegal: bool
    not_found: bool
    limited: bool
    state_before: str | None
    request_id: str
    dropped: bool
    delay: float


@dataclass(kw_only=True, slots=True)
class Draft:
    """An entry in the making: what is known of the request at hand so far."""

    endpoint: str
    request_id: str
    key: str | None = None
    session_id: str | None = None
    labels: str | None = None
    state_before: str | None = None
    applied: bool = False
    illegal: bool = False
    not_found: bool = False
    limited: bool = False
    code: str | None = None

    def judge(self, status: str | None) -> None:
        """Say whether the call is legal for a session in this true status; None for one that is not there."""
        self.state_before = status
        if not self.session_id:
            return
        self.not_found = status is None or status in RELEASED
        legal = LEGAL_FROM.get(self.endpoint)
        self.illegal = legal is not None and not self.not_found and status != legal

    def finish(self, *, seq: int, wall_time: float, time: float, reply: Reply) -> Entry:
        """The entry, now that the reply is known."""
        return Entry(
            seq=seq,
            wall_time=wall_time,
            time=time,
            key=self.key,
            endpoint=self.endpoint,
            session_id=self.session_id,
            labels=self.labels,
            status=reply.status,
            code=self.code,
            applied=self.applied,
            illegal=self.illegal,
            not_found=self.not_found,
            limited=self.limited,
            state_before=self.state_before,
            request_id=self.request_id,
            dropped=reply.drop,
            delay=reply.delay,
        )


ENTRIES: TypeAdapter[list[Entry]] = TypeAdapter(list[Entry])
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


def entry_json(entry: Entry) -> bytes:
    """One entry as a JSON line without the line end."""
    return _ENTRY.dump_json(entry, by_alias=True)


class RequestLog:
    """Entries in order, the last `KEPT` of them; each one also goes to `sink` when it is written."""

    def __init__(self, *, sink: Callable[[Entry], None] | None = None) -> None:
        self._sink = sink
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._counts: dict[str, Counter[str]] = {}
        self.last = 0

    def add(self, entry: Entry) -> None:
        """Append an entry, which must carry the next sequence number."""
        self.last = entry.seq
        self._entries.append(entry)
        counts = self._counts.setdefault(entry.endpoint, Counter())
        counts["requests"] += 1
        counts[f"status{entry.status}"] += 1
        for name in ("applied", "illegal", "not_found", "limited", "dropped"):
            counts[name] += bool(getattr(entry, name))
        if self._sink is not None:
            self._sink(entry)

    def amend(self, seq: int, **changes: Any) -> None:
        """Complete an entry whose call took effect later; the sink gets the line again, same number."""
        at = len(self._entries) - 1 - (self.last - seq)
        if at < 0 or seq > self.last:
            return
        before = self._entries[at]
        after = replace(before, **changes)
        self._entries[at] = after
        self._counts[after.endpoint]["applied"] += after.applied - before.applied
        if self._sink is not None:
            self._sink(after)

    def since(self, seq: int) -> list[Entry]:
        """The kept entries with a sequence number above `seq`."""
        wanted = min(max(self.last - seq, 0), len(self._entries))
        return list(islice(self._entries, len(self._entries) - wanted, None))

    def clear(self) -> None:
        """Forget entries and counts; sequence numbers go on."""
        self._entries.clear()
        self._counts.clear()

    def counts(self) -> Mapping[str, Mapping[str, Any]]:
        """Per endpoint: requests, applied, illegal, notFound, limited, dropped, and how often each HTTP status."""
        return {
            endpoint: {
                "requests": counts["requests"],
                "applied": counts["applied"],
                "illegal": counts["illegal"],
                "notFound": counts["not_found"],
                "limited": counts["limited"],
                "dropped": counts["dropped"],
                "byStatus": {name.removeprefix("status"): n for name, n in counts.items() if name.startswith("status")},
            }
            for endpoint, counts in self._counts.items()
        }
