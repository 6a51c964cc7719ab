"""Reading the fields of an object as the API server gives it: what is of another type counts as absent; pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def mapping_in(body: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """Give an object, {} if there is none."""
    value = body.get(key)
    return value if isinstance(value, dict) else {}


def text_in(body: Mapping[str, Any], key: str) -> str:
    """Give a text, "" if there is none."""
    value = body.get(key)
    return value if isinstance(value, str) else ""


def number_in(body: Mapping[str, Any], key: str) -> int:
    """Give a whole number, 0 if there is none."""
    value = body.get(key)
    return value if isinstance(value, int) else 0


def seconds_in(text: str, part: re.Pattern[str]) -> float | None:
    """Add up a duration such as `1h30m`, in seconds; None when it is none.

    `part` takes one number and its unit (h, m, s or ms) out; the whole text must be such parts.
    """
    parts = part.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)
