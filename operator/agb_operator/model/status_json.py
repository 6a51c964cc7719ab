"""The status as the API server holds it: written, read back, and compared; pure."""

from collections.abc import Mapping
from typing import Any, Final

from .status import (
    Condition,
    Operation,
    OperationState,
    OperationType,
    Phase,
    SessionStatus,
    Truth,
    parse_timestamp,
    timestamp,
)

_TRUTHS: Final = frozenset(str(truth) for truth in Truth)


def status_to_dict(status: SessionStatus) -> dict[str, Any]:
    """Write a status as the API server holds it; empty fields are left out."""
    body: dict[str, Any] = {"observedGeneration": status.observed_generation}
    for key, value in (
        ("phase", status.phase),
        ("sessionId", status.session_id),
        ("sessionStatus", status.session_status),
        ("desiredState", status.desired_state),
        ("lastHandledReconcileAt", status.last_handled_reconcile_at),
    ):
        if value:
            body[key] = str(value)
    if status.operation is not None:
        body["lastOperation"] = _operation_to_dict(status.operation)
    if status.labels is not None:
        body["labels"] = dict(status.labels)
    if status.recreations:
        body["recreations"] = list(status.recreations)
    if status.conditions:
        body["conditions"] = [
            {
                "type": c.type,
                "status": str(c.status),
                "reason": str(c.reason),
                "message": c.message,
                "observedGeneration": c.observed_generation,
                "lastTransitionTime": c.last_transition_time,
            }
            for c in status.conditions
        ]
    return body


def _operation_to_dict(operation: Operation) -> dict[str, Any]:
    body: dict[str, Any] = {
        "type": str(operation.type),
        "state": str(operation.state),
        "startedAt": timestamp(operation.started_at),
        "attempts": operation.attempts,
    }
    if operation.finished_at is not None:
        body["finishedAt"] = timestamp(operation.finished_at)
    if operation.request_id:
        body["requestId"] = operation.request_id
    if operation.message:
        body["message"] = operation.message
    return body


_PHASES: Final = {str(phase): phase for phase in Phase}


def status_from_dict(body: object) -> SessionStatus:
    """Read a status; whatever does not fit is read as absent, because the next pass writes it anew."""
    if not isinstance(body, dict):
        return SessionStatus()
    generation = body.get("observedGeneration")
    labels = body.get("labels")
    recreations = body.get("recreations")
    conditions = body.get("conditions")
    return SessionStatus(
        observed_generation=generation if isinstance(generation, int) else -1,
        phase=_PHASES.get(_text(body, "phase")),
        session_id=_text(body, "sessionId"),
        session_status=_text(body, "sessionStatus"),
        desired_state=_text(body, "desiredState"),
        operation=_operation_from_dict(body.get("lastOperation")),
        labels={str(k): str(v) for k, v in labels.items()} if isinstance(labels, dict) else None,
        recreations=tuple(str(t) for t in recreations) if isinstance(recreations, list) else (),
        last_handled_reconcile_at=_text(body, "lastHandledReconcileAt"),
        conditions=tuple(
            _condition_from_dict(c)
            for c in (conditions if isinstance(conditions, list) else ())
            if isinstance(c, dict) and _text(c, "status") in _TRUTHS and _text(c, "type")
        ),
    )


def _operation_from_dict(body: object) -> Operation | None:
    if not isinstance(body, dict):
        return None
    started = parse_timestamp(body.get("startedAt"))
    try:
        kind, state = OperationType(_text(body, "type")), OperationState(_text(body, "state"))
    except ValueError:
        return None
    if started is None:
        return None
    attempts = body.get("attempts")
    return Operation(
        type=kind,
        state=state,
        started_at=started,
        finished_at=parse_timestamp(body.get("finishedAt")),
        request_id=_text(body, "requestId"),
        attempts=attempts if isinstance(attempts, int) else 0,
        message=_text(body, "message"),
    )


def _condition_from_dict(body: Mapping[str, Any]) -> Condition:
    generation = body.get("observedGeneration")
    return Condition(
        type=_text(body, "type"),
        status=Truth(body["status"]),
        reason=_text(body, "reason"),
        message=_text(body, "message"),
        observed_generation=generation if isinstance(generation, int) else 0,
        last_transition_time=_text(body, "lastTransitionTime"),
    )


def _text(body: Mapping[str, Any], key: str) -> str:
    value = body.get(key)
    return value if isinstance(value, str) else ""


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Give the JSON merge patch (RFC 7386) that turns one object into the other; {} when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            if inner := merge_patch(before, value):
                patch[key] = inner
        elif key not in old or before != value:
            patch[key] = value
    return patch
