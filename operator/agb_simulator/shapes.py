"""Deformed bodies: what the SDK is known to tolerate, or to trip over, done to a sound envelope."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agb_simulator.effects import FieldValues, Shape


def shaped(body: dict[str, Any], deformed: Sequence[Shape | FieldValues]) -> Any:
    """The body as the faults want it, one after the other; the body itself without a fault."""
    result: Any = body
    for effect in deformed:
        result = result | effect.fields if isinstance(effect, FieldValues) else _shaped(result, effect)
    return result


def _shaped(body: dict[str, Any], shape: Shape) -> Any:
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
