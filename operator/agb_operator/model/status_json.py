"""The status as the API server holds it: written, read back, and compared; pure."""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter

from .status import SessionStatus

_ADAPTER: Final = TypeAdapter(SessionStatus)


def status_to_dict(status: SessionStatus) -> dict[str, Any]:
    """Write a status as the API server holds it; empty fields are left out."""
    written: dict[str, Any] = _ADAPTER.dump_python(status, mode="json", by_alias=True)
    return written


def status_from_dict(body: object) -> SessionStatus:
    """Read a status; whatever does not fit is read as absent, because the next pass writes it anew."""
    return _ADAPTER.validate_python(body) if isinstance(body, dict) else SessionStatus()


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
