"""A request to the API server, and what its answer means or that there was none: JSON, or a `ClusterError`."""

import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import aiohttp

from ..model.errors import ClusterError, ClusterForbidden, ClusterRefused, ClusterUnavailable, Conflict, ObjectNotFound
from .config import one_line

_JSON: Final = "application/json"
LONGEST_WAIT: Final = 60.0
"""Seconds of a Retry-After that are obeyed: a proxy's day would leave every status as it is for that day."""
_TEXT_LIMIT: Final = 300
"""Characters of the API server's own text that enter our messages."""


class ProxyRefused(aiohttp.ClientConnectionError):
    """The proxy does not let us through. aiohttp's own error holds the request's headers, the password among them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: of HTTP.
        path: as a template, such as `/api/v1/namespaces/{namespace}/secrets/{name}`.
        names: what stands for the braces.
        query: names and values.
        body: becomes JSON; None is no body.
        content: the body's media type.
        accept: the answer's.
    """

    method: str = "GET"
    path: str
    names: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str | int]] = ()
    body: Any = None
    content: str = _JSON
    accept: str = _JSON

    @property
    def shown(self) -> str:
        """The path as people read it."""
        return self.path.format(**self.names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server replied, unread."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def why(exc: Exception) -> str:
    """Say in the words of the system why no answer came; aiohttp's own hold a tuple and the address once more."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {one_line(exc.certificate_error)}"
    if isinstance(exc, aiohttp.ClientProxyConnectionError):
        return f"the proxy {exc.host}:{exc.port}: {_in_words(exc.os_error) or one_line(exc)}"
    if isinstance(exc, aiohttp.ClientConnectorError):
        return _in_words(exc.os_error) or one_line(exc)
    return one_line(exc)


def _in_words(error: OSError) -> str:
    if not error.errno:
        return ""
    return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)


def parsed(answer: Answer) -> dict[str, Any]:
    """Read the answer's JSON object; {} when it is none."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def error_of(answer: Answer, reply: Mapping[str, Any], *, request: str) -> ClusterError:
    """Translate a refusal. A 404 counts only as the API server's own Status: a proxy's page proves nothing."""
    status = answer.status
    text = str(reply.get("message") or "")[:_TEXT_LIMIT]
    message = f"{request}: HTTP {status}" + (f": {text}" if text else "")
    match status:
        case 401 | 403:
            return ClusterForbidden(message, http_status=status)
        case 404 if reply.get("reason") == "NotFound":
            return ObjectNotFound(message, http_status=status)
        case 409:
            return Conflict(message, http_status=status)
        case 400 | 405 | 406 | 413 | 415 | 422:
            return ClusterRefused(message, http_status=status)
    return ClusterUnavailable(message, http_status=status, retry_after=seconds(answer.headers.get("Retry-After")))


def seconds(retry_after: str | None) -> float | None:
    """Read Retry-After; the API server writes whole seconds, a proxy's date is left alone."""
    if not retry_after or not retry_after.isascii() or not retry_after.isdigit():
        return None
    return min(float(retry_after), LONGEST_WAIT)


async def pages(ask: Callable[[str], Awaitable[Mapping[str, Any]]]) -> AsyncIterator[Mapping[str, Any]]:
    """Walk the pages of a list, each asked for by the token that the one before it gave; "" asks for the first.

    Raises:
        ClusterError: a page cannot be had, or a token came for the second time: such a walk would never end.
    """
    token, known = "", set[str]()
    while True:
        page = await ask(token)
        yield page
        token = str(page["metadata"].get("continue") or "")
        if not token:
            return
        if token in known:
            raise ClusterUnavailable("the API server's list comes back to itself")
        known.add(token)
