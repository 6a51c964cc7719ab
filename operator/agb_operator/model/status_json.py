"""The status as the API server holds it: written, read back, and compared; pure."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from .status import SessionStatus, Usage

_ADAPTER: Final = TypeAdapter(SessionStatus)
_USAGE: Final = TypeAdapter(Usage)


def status_to_dict(status: SessionStatus) -> dict[str, Any]:
    """Write a status as the API server holds it; empty fields are left out."""
    written: dict[str, Any] = _ADAPTER.dump_python(status, mode="json", by_alias=True)
    return written


def status_from_dict(body: object) -> SessionStatus:
    """Read a status; whatever does not fit is read as absent, because the next pass writes it anew."""
    return _ADAPTER.validate_python(body) if isinstance(body, dict) else SessionStatus()


def usage_from_dict(status: object) -> Usage | None:
    """Read the usage of a status alone, for whoever reads thousands; what does not fit is read as absent."""
    if not isinstance(status, dict) or "usage" not in status:
        return None
    try:
        return _USAGE.validate_python(status["usage"])
    except ValidationError:
        return None


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
