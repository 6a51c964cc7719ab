"""Deformed bodies: what the SDK is known to tolerate, or to trip over, done to a sound envelope."""

from __future__ import annotations

from typing import Any

from agb_simulator.effects import Shape


def shaped(body: dict[str, Any], shape: Shape | None) -> Any:
    """The body as the fault wants it; the body itself without a fault."""
    if shape is None:
        return body
    if shape.null_data:
        body = body | {"data": None}
    left_out = {"code"} if shape.no_code else set()
    if shape.no_request_id:
        left_out.add("requestId")
    body = {name: value for name, value in body.items() if name not in left_out}
    shaped: Any = _pascal(body) if shape.pascal_case else body
    return {"body": shaped} if shape.enveloped else shaped


def _pascal(value: Any) -> Any:
    if isinstance(value, dict):
        return {name[:1].upper() + name[1:]: _pascal(inner) for name, inner in value.items()}
    return [_pascal(inner) for inner in value] if isinstance(value, list) else value
