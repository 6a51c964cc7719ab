"""`spec.override` as a typed value: a word on a session that lapses by itself."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from .states import DesiredState

_STATES: Final = {str(state): state for state in (DesiredState.RUNNING, DesiredState.PAUSED)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Override:
    """What a session is to be until a moment, whatever schedules and `spec.paused` say.

    Attributes:
        state: Running or Paused.
        until: in UTC; from this moment on the override has no effect.
        reason: for people, may be "".
    """

    state: DesiredState
    until: datetime
    reason: str = ""

    def holds(self, now: datetime) -> bool:
        """Tell whether it is in force."""
        return now < self.until


def read_override(spec: Mapping[str, Any], problems: list[str]) -> Override | None:
    """Read `spec.override`; None when there is none, or when it is wrong: `problems` then says in what."""
    value = spec.get("override")
    if value is None:
        return None
    if not isinstance(value, Mapping):
        problems.append("spec.override must have a state and an until")
        return None
    state, until, reason = _STATES.get(str(value.get("state"))), _moment(value.get("until")), value.get("reason")
    if state is None:
        problems.append("spec.override.state must be Running or Paused")
    if until is None:
        problems.append("spec.override.until must be a time with its offset, such as 2026-11-25T22:00:00Z")
    if state is None or until is None:
        return None
    return Override(state=state, until=until, reason=reason if isinstance(reason, str) else "")


def _moment(text: object) -> datetime | None:
    """Read an RFC 3339 time; the API server takes small letters in it too."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
        return moment.astimezone(UTC) if moment.tzinfo else None
    except (ValueError, OverflowError):
        return None
