"""The judgement of a run, from outside: by what AGB and the API server say, and by nothing that an operator says."""

import json
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from operator import itemgetter
from pathlib import Path
from typing import Any

from agb_simulator import Entry
from agb_simulator.requestlog import ENTRIES
from chaos.journal import Life, Window
from control_plane.audit import AuditEvent
from e2e.tenant import CALLS

ALLOWANCE = 1.0
"""Seconds between a look and the call that follows from it, when the machine is busy and the network is slow."""
UID = "agb-operator-uid"
REFUSED_A_MINUTE = 20
"""Writes of one resource's status that may be refused within a minute."""


def wanted(body: Mapping[str, Any], schedules: Iterable[Mapping[str, Any]], now: datetime) -> str:
    """Say which state of a session is wanted, where the schedules are windows in UTC."""
    spec, labels = body["spec"], body["metadata"].get("labels", {})
    override = spec.get("override")
    if override and now < datetime.fromisoformat(override["until"]):
        return str(override["state"]).upper()
    minute = now.strftime("%Y-%m-%dT%H:%M")
    asked = spec.get("paused") or any(
        schedule["spec"].get("enabled", True)
        and schedule["spec"]["selector"]["matchLabels"].items() <= labels.items()
        and any(window["from"] <= minute < window["to"] for window in schedule["spec"].get("windows", ()))
        for schedule in schedules
    )
    return "PAUSED" if asked else "RUNNING"


def unsettled(
    objects: Iterable[Mapping[str, Any]],
    sessions: Mapping[str, Mapping[str, Any]],
    schedules: Sequence[Mapping[str, Any]] = (),
) -> Iterator[str]:
    """Say of each AgbSession what is not as asked, or not as its status says."""
    now = datetime.now(UTC)
    for body in objects:
        name, spec, status = body["metadata"]["name"], body["spec"], body.get("status", {})
        session_id = status.get("sessionId", "")
        session = sessions.get(session_id, {})
        state = wanted(body, schedules, now)
        ready: Mapping[str, Any] = next((c for c in status.get("conditions", ()) if c["type"] == "Ready"), {})
        generation = body["metadata"]["generation"]
        if "deletionTimestamp" in body["metadata"]:
            yield f"{name}: its deletion is stuck: {ready.get('message')}"
        elif not session.get("live"):
            yield f"{name}: there is no session {session_id!r}"
        elif session["status"] != state:
            yield f"{name}: the session is {session['status']}, and {state} is asked for: {ready.get('message')}"
        elif {str(status.get(field)).upper() for field in ("sessionStatus", "desiredState", "phase")} != {state}:
            yield f"{name}: the session is {state}, and the status says {status.get('phase')}"
        elif ready.get("status") != "True" or not (
            ready.get("observedGeneration") == status.get("observedGeneration") == generation
        ):
            yield f"{name}: it is as asked, and the status does not say so: {ready}"
        elif "sessionId" in spec:
            if spec["sessionId"] != session_id:
                yield f"{name}: it adopted another session than the one it names"
        elif session["labels"].get(UID) != body["metadata"]["uid"]:
            yield f"{name}: its session {session_id} was created for another resource"
        elif {k: v for k, v in session["labels"].items() if not k.startswith("agb-operator")} != spec.get("labels"):
            yield f"{name}: the session's labels are not those of the spec"


def leaked(objects: Iterable[Mapping[str, Any]], sessions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which sessions have lost their resource; they stay so, if `objects` were listed before `sessions`."""
    owners = {body["metadata"]["uid"] for body in objects}
    for uid, session_ids in _by_owner(sessions).items():
        if uid not in owners:
            yield f"leaked: {session_ids}, whose resource is gone"


def duplicates(objects: Iterable[Mapping[str, Any]], sessions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Say which resources have more than one session."""
    owners = {body["metadata"]["uid"]: body["metadata"]["name"] for body in objects}
    held = _by_owner(sessions)
    for uid, session_ids in held.items():
        if uid in owners and len(session_ids) > 1:
            yield f"{owners[uid]}: has {len(session_ids)} sessions: {session_ids}"


def missing(sessions: Mapping[str, Mapping[str, Any]], adopted: Iterable[str]) -> Iterator[str]:
    """Say which adopted sessions are missing."""
    for session_id in adopted:
        if not sessions.get(session_id, {}).get("live"):
            yield f"{session_id}: was adopted, and is gone although nobody asked for its end"


def read_log(path: Path) -> list[Entry]:
    """Read the simulator's request log; an entry that was completed later stands there twice."""
    whole, _, _ = path.read_text().rpartition("\n")  # the last line may be in the making
    lines = [json.loads(line) for line in whole.splitlines()]
    return ENTRIES.validate_python(list({line["seq"]: line for line in lines}.values()))


def twice_created(entries: Iterable[Entry]) -> Iterator[str]:
    """Say for which resources more than one session was ever created."""
    created = Counter(
        json.loads(e.labels or "{}").get(UID) for e in entries if e.endpoint == "createSession" and e.applied
    )
    for uid, count in created.items():
        if uid and count > 1:
            yield f"{count} sessions were created for the resource with uid {uid}"


def touched(entries: Iterable[Entry], others: Collection[str]) -> Iterator[str]:
    """Name each call for a session that is somebody else's."""
    for entry in entries:
        if entry.endpoint in CALLS and entry.session_id in others:
            yield f"{entry.endpoint} of {entry.session_id}, which is somebody else's"


def hammered(events: Iterable[AuditEvent]) -> Iterator[str]:
    """Say of which resource the status was written too often while that was refused."""
    refused: dict[str, list[float]] = defaultdict(list)
    for event in events:
        if event.subresource == "status" and event.is_write and event.code in (403, 422):
            refused[event.name].append(event.finished_at.timestamp())
    for name, times in refused.items():
        most = max(bisect_right(times, at + 60.0) - number for number, at in enumerate(times))
        if most > REFUSED_A_MINUTE:
            yield f"{name}: {most} refused writes of its status in a minute"


def illegal(entries: Sequence[Entry], lives: Sequence[Life], windows: Sequence[Window]) -> Iterator[str]:
    """Name each call that did not fit the session's state, unless the simulator's lie is the whole reason.

    The one thing that excuses such a call: an earlier call for the session had been accepted, its process was gone (so
    that nobody knew of the call), and a provoked stale read hid what the call had led to.
    """
    accepted: dict[str, tuple[float, Life | None]] = {}
    for entry in entries:
        if entry.endpoint not in CALLS or not entry.session_id:
            continue
        life = _life(entry, lives)
        if entry.illegal:
            at, by = accepted.get(entry.session_id, (0.0, None))
            hidden = any(
                window.began <= at <= window.ended and entry.wall_time <= at + window.lag + ALLOWANCE
                for window in windows
            )
            if not hidden or by == life:
                last = f"{entry.wall_time - at:.1f} s after the last call" if at else "the first call"
                yield f"{entry.endpoint} of {entry.session_id} while {entry.state_before}, {last}"
        if entry.applied:
            accepted[entry.session_id] = (entry.wall_time, life)


def without_lease(
    entries: Iterable[Entry], claims: Sequence[tuple[float, str]], users: Mapping[str, str]
) -> Iterator[str]:
    """Name each call of an operator that somebody else's claim to the Lease forbade.

    Args:
        entries: AGB's request log.
        claims: who wrote the Lease when, in order.
        users: who calls with which key, by its fingerprint.
    """
    for entry in entries:
        user = users.get(entry.key or "")
        if entry.endpoint not in CALLS or user is None:
            continue
        until = bisect_right(claims, entry.wall_time, key=itemgetter(0))
        since = bisect_right(claims, entry.wall_time - ALLOWANCE, key=itemgetter(0))
        if user not in (who for _, who in claims[max(0, since - 1) : until]):
            yield f"{user} called {entry.endpoint} while another one held the lease"


def left_nothing(objects: Iterable[Mapping[str, Any]], sessions: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Name those whose deletion waits for a person to look for a session by its label, and there is none.

    Each operator has a key of its own here, so that its calls can be told from the other's. One that takes over has not
    the key that sent a create whose answer was lost.
    """
    held = _by_owner(sessions)
    for body in objects:
        status = body.get("status", {})
        stalled: Mapping[str, Any] = next((c for c in status.get("conditions", ()) if c["type"] == "Stalled"), {})
        uid = body["metadata"]["uid"]
        if stalled.get("reason") == "DeletionBlocked" and "sessionId" not in status and not held.get(uid):
            yield body["metadata"]["name"]


def _by_owner(sessions: Mapping[str, Mapping[str, Any]]) -> Mapping[str, list[str]]:
    """Give the live sessions that were created for a resource, by its uid."""
    held: dict[str, list[str]] = defaultdict(list)
    for session_id, session in sessions.items():
        if session["live"] and UID in session["labels"]:
            held[session["labels"][UID]].append(session_id)
    return held


def _life(entry: Entry, lives: Sequence[Life]) -> Life | None:
    """Find the process that made a call: the last of its key that had started by then."""
    started = [life for life in lives if life.fingerprint == entry.key and life.started <= entry.wall_time]
    return started[-1] if started else None
