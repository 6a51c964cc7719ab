"""The bodies of the hooks below `/_sim/`: their fields, and how they are read from JSON."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from agb_simulator.settings import CAMEL, Seconds, Settings

T = TypeVar("T")


class HookError(Exception):
    """A hook that cannot be served: HTTP status and what is wrong."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


@dataclass(frozen=True, kw_only=True, slots=True)
class ClockBody:
    """Body of POST /_sim/clock: seconds to move ahead, and whether time stands still afterwards."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    advance: Seconds = 0.0
    frozen: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class KeyBody:
    """Body of POST /_sim/keys: register a key, on the account of another one if told; or revoke it."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    key: str
    shares_with: str | None = None
    revoked: bool = False
    pause_allowed: bool | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionsBody:
    """Body of POST /_sim/sessions: `count` new sessions in the account of `key`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    key: str
    count: int = 1
    session_id: str | None = None
    image_id: str = "agb-code-space-1"
    labels: dict[str, Any] | None = None
    status: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionBody:
    """Body of PATCH /_sim/sessions/ID: a new status (any word), new labels, or an action from outside."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    status: str | None = None
    labels: dict[str, Any] | None = None
    action: Literal["pause", "resume", "release", "vanish"] | None = None

    def __post_init__(self) -> None:
        if [self.status, self.labels, self.action].count(None) != 2:
            raise ValueError("give one of status, labels, action")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountBody(SessionBody):
    """Body of PATCH /_sim/sessions: as for one session, done to all live ones of the account of `key` at once."""

    key: str


SETTINGS: TypeAdapter[Settings] = TypeAdapter(Settings)
CLOCK: TypeAdapter[ClockBody] = TypeAdapter(ClockBody)
KEY: TypeAdapter[KeyBody] = TypeAdapter(KeyBody)
SESSIONS: TypeAdapter[SessionsBody] = TypeAdapter(SessionsBody)
SESSION: TypeAdapter[SessionBody] = TypeAdapter(SessionBody)
ACCOUNT: TypeAdapter[AccountBody] = TypeAdapter(AccountBody)


def json_object(raw: bytes) -> dict[str, Any]:
    """Parse a body; none at all is `{}`. Raises `HookError` 400 for anything but a JSON object."""
    try:
        body = json.loads(raw or b"{}")
    except (ValueError, RecursionError) as error:
        raise HookError(400, f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise HookError(400, "the body must be a JSON object")
    return body


def read(adapter: TypeAdapter[T], raw: bytes) -> T:
    """Read a body as the type of `adapter`; raises `HookError` 400 that names each wrong field."""
    return checked(adapter, json_object(raw))


def checked(adapter: TypeAdapter[T], values: dict[str, Any]) -> T:
    """As `read`, for values that are parsed already."""
    try:
        return adapter.validate_python(values)
    except ValidationError as error:
        lines = [f"{'.'.join(str(part) for part in e['loc']) or 'body'}: {e['msg']}" for e in error.errors()]
        raise HookError(400, "; ".join(lines)) from error
