"""What crosses the wire, without sockets: a request, a reply, the API's envelope and its errors.

Owns the shape every answer has (envelope, `x-request-id`, content type). Knows neither sessions nor
aiohttp: `server.py` carries replies over HTTP, tests carry them over nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

JSON_TYPE = "application/json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One HTTP request: `path` without the query, `headers` looked up by lower-case name."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def to(cls, method: str, target: str, *, headers: Mapping[str, str], body: bytes = b"") -> Request:
        """Build a request from a raw target such as `/sdk/ListSession?maxResults=2`."""
        path, _, raw = target.partition("?")
        query = dict(parse_qsl(raw, keep_blank_values=True)) if raw else {}
        return cls(method=method, path=path, query=query, headers=headers, body=body)


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer. The adapter waits `delay` seconds, then sends it, or closes the connection if `drop`."""

    status: int
    body: bytes
    headers: Mapping[str, str]
    delay: float = 0.0
    drop: bool = False

    def json(self) -> Any:
        """Parse the body; raises `json.JSONDecodeError` for a body that is not JSON."""
        return json.loads(self.body)


class ApiError(Exception):
    """A refusal as the API words it: HTTP status, `code` and `message` of the envelope.

    `retry_after` is in seconds; None sends no `Retry-After` header.
    """

    def __init__(self, status: int, code: str, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(f"[{code}] {message}")
        self.status = status
        self.code = code
        self.message = message
        self.retry_after = retry_after


def not_found() -> ApiError:
    """The answer for an unknown, released or foreign session: HTTP 400, never 404."""
    return ApiError(400, "InvalidMcpSession.NotFound", "Resource [McpSession] is not found.")


def illegal_state(action: str, status: str) -> ApiError:
    """The answer for a call that is illegal in this state. The code is assumed; none is public."""
    return ApiError(400, "InvalidMcpSession.Status", f"Cannot {action} a session in status {status}.")


def invalid_parameter(message: str) -> ApiError:
    """The answer for a parameter that cannot be read. The code is assumed."""
    return ApiError(400, "InvalidParameter", message)


def missing_parameter(name: str) -> ApiError:
    """The answer for a required parameter that is absent. The code is assumed."""
    return ApiError(400, "MissingParameter", f"{name} is required.")


def envelope(
    *,
    request_id: str,
    status: int = 200,
    code: str = "ok",
    message: str = "",
    data: Any = None,
    extra: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Build the body all calls share. `success` follows from `code`; `extra` adds top-level fields."""
    return {
        "requestId": request_id,
        "success": code == "ok",
        "code": code,
        "message": message,
        "httpStatusCode": status,
        "data": data,
        **(extra or {}),
    }


def json_reply(status: int, body: Any, *, headers: Mapping[str, str] | None = None, delay: float = 0.0) -> Reply:
    """Serialise `body` compactly with the content type the SDK insists on."""
    return Reply(
        status=status,
        body=json.dumps(body, separators=(",", ":")).encode(),
        headers={"content-type": JSON_TYPE, **(headers or {})},
        delay=delay,
    )
