"""What an answer of the AGB API means: the one parser at the boundary, and the error each refusal becomes.

It knows the envelope, the codes and the HTTP statuses of the API, and nothing of connections: `http` sends and
hands over what came back. There is no public schema of the API, so reading is tolerant: either case of a field's
first letter, a `body` envelope, absent and odd fields. Deciding is strict: success is what the API says in so many
words, and of an error the exact code decides first, the HTTP status second, its text never.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ..model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    Throttled,
)
from ..model.text import harmless


class Call(Enum):
    """The calls of the session's life; the value is the path, whose last part names the call to people."""

    CREATE = "/mcp/createSession"
    GET = "/mcp/getSession"
    LIST = "/sdk/ListSession"
    PAUSE = "/mcp/pauseSessionAsync"
    RESUME = "/mcp/resumeSessionAsync"
    RELEASE = "/mcp/releaseSessionAsync"
    SET_LABELS = "/sdk/SetLabel"
    GET_LABELS = "/sdk/GetLabel"

    def __init__(self, path: str) -> None:
        self.path: str = path
        self.label: str = path.rpartition("/")[2]


MUTATING: Final = frozenset({Call.CREATE, Call.PAUSE, Call.RESUME, Call.RELEASE, Call.SET_LABELS})
_GATED: Final = frozenset({Call.PAUSE, Call.RESUME})
"""Offered to some accounts only, and gone from later SDKs: refused there, they are unsupported, not broken."""
_NO_SESSION: Final = frozenset({Call.CREATE, Call.LIST})
"""Calls that name no session, so a "session not found" from them says nothing of one."""
_ANY_STATUS_BELOW_400: Final = frozenset({Call.GET, Call.SET_LABELS})

CODES: Final[Mapping[str, type[AgbError]]] = {
    "InvalidMcpSession.NotFound": SessionNotFound,
    "SessionNotFound": SessionNotFound,
    "InvalidSession": SessionNotFound,
    "InvalidMcpSession.Status": IllegalState,
    "InvalidAction.NotFound": NotSupported,
    "Forbidden.NotWhitelisted": NotSupported,
    "InvalidApiKey": CredentialsRejected,
    "AccessDenied": CredentialsRejected,
    "MissingParameter": RequestRefused,
    "InvalidParameter": RequestRefused,
    "InvalidImage.NotFound": RequestRefused,
    "QuotaExceeded.Session": QuotaExceeded,
    "Throttling.User": Throttled,
    "InternalError": ApiUnavailable,
    "BadGateway": ApiUnavailable,
    "ServiceUnavailable": ApiUnavailable,
}

_SENTENCES: Final[Mapping[type[AgbError], str]] = {
    SessionNotFound: "AGB knows no such session under this key",
    IllegalState: "AGB refuses {call} in the session's present state",
    NotSupported: "AGB does not offer {call} to this account",
    CredentialsRejected: "AGB refuses the API key",
    RequestRefused: "AGB refuses the request {call}",
    QuotaExceeded: "the account's limit on sessions is reached; paused sessions count towards it",
    Throttled: "AGB asks for fewer requests",
    ApiUnavailable: "AGB failed to serve {call}",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """An answer as received: its HTTP side, and its envelope where the body is one.

    Attributes:
        status: HTTP status.
        is_envelope: whether the body is a JSON object at all.
        success: the API's own word; None when it is absent or no JSON boolean.
        code: the API's code, "" when absent.
        message: its text for people, as sent: show it through `shown`.
        request_id: from the body, else from the header, "" when neither has one.
        retry_after: seconds to stay away, as the header says, None without one.
        fields: the envelope itself.
        data: its payload, of whatever type.
    """

    status: int
    is_envelope: bool
    success: bool | None
    code: str
    message: str
    request_id: str
    retry_after: float | None
    fields: Mapping[str, object]
    data: object

    @property
    def data_fields(self) -> Mapping[str, object]:
        """The payload as an object, empty when it is none."""
        return self.data if isinstance(self.data, dict) else {}


def read_reply(*, status: int, body: bytes, request_id: str = "", retry_after: float | None = None) -> Reply:
    """Read an answer whatever it holds; nothing that a server can send makes this raise."""
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        parsed = None
    fields: Mapping[str, object] = parsed if isinstance(parsed, dict) else {}
    inner = field(fields, "body")
    if isinstance(inner, dict) and field(fields, "success") is None:
        fields = inner
    success = field(fields, "success")
    return Reply(
        status=status,
        is_envelope=isinstance(parsed, dict),
        success=success if isinstance(success, bool) else None,
        code=text(fields, "code"),
        message=text(fields, "message"),
        request_id=_identifier(text(fields, "requestId")) or _identifier(request_id),
        retry_after=retry_after,
        fields=fields,
        data=field(fields, "data"),
    )


def _identifier(value: str) -> str:
    """Return an id that looks like one, "" for other text: ids are stored and logged as they are."""
    return value if re.fullmatch(r"[A-Za-z0-9._:-]{1,128}", value) else ""


def field(fields: Mapping[str, object], name: str) -> object:
    """Return the field called `name` in either case of its first letter, None when absent."""
    value = fields.get(name)
    return value if value is not None else fields.get(name[0].upper() + name[1:])


def text(fields: Mapping[str, object], name: str) -> str:
    """Return a field that is text, "" when it is absent or anything else."""
    value = field(fields, name)
    if not isinstance(value, str):
        return ""
    # JSON can carry half of a surrogate pair, which nothing after us can encode.
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def shown(message: str, *, request_id: str = "", limit: int = 200) -> str:
    """Return a remote text fit for people, on one line.

    What is no visible character is escaped. Addresses go, since `resourceUrl` may carry an authentication code, and so
    does the request id, since a condition's message has to stay the same while the same thing fails again.
    """
    if request_id:
        message = re.sub(rf"\b{re.escape(request_id)}\b", "[request id]", message)
    message = harmless(" ".join(re.sub(r"\w+://\S+", "[address]", message).split()))
    return message if len(message) <= limit else message[: limit - 3] + "..."


def accepted(call: Call, reply: Reply) -> bool:
    """Tell whether the API took the call, by the rule that its SDK applies to that endpoint."""
    if call is Call.CREATE:
        # The session id is what counts (the SDK looks at nothing else), unless the answer contradicts itself.
        return (
            reply.status < 400
            and bool(text(reply.data_fields, "sessionId"))
            and field(reply.data_fields, "success") is not False
            and field(reply.fields, "success") in (None, True)
        )
    below = 400 if call in _ANY_STATUS_BELOW_400 else 201
    return 200 <= reply.status < below and reply.success is True


def refusal(call: Call, reply: Reply, *, redact: Callable[[str], str]) -> AgbError:
    """Translate an answer that is no success into the error tree.

    Args:
        call: what was asked.
        reply: what came back.
        redact: takes the key out of a text.
    """
    # An answer that claims success and yet is none contradicts itself: its code is not to be believed either.
    by_code = None if reply.success is True else CODES.get(reply.code)
    kind = by_code or _by_status(call, reply.status)
    if kind is SessionNotFound and call in _NO_SESSION:
        kind = ApiUnavailable
    is_unknown_path = kind is NotSupported and reply.code == "InvalidAction.NotFound" and call not in _GATED
    if is_unknown_path:
        kind = ApiUnavailable  # every AGB offers the other calls, so what answers is something else
    remote = text(reply.data_fields, "errMsg") or reply.message
    code = redact(shown(reply.code, limit=80))
    request_id = redact(reply.request_id)
    said = shown(redact(remote), request_id=request_id)
    sentence = _SENTENCES[kind].format(call=call.label)
    if is_unknown_path or (kind is ApiUnavailable and (reply.status == 404 or 300 <= reply.status < 400)):
        sentence = f"the endpoint does not serve {call.label}: it looks like the wrong address"
    elif kind is ApiUnavailable and not reply.is_envelope:
        sentence = f"the endpoint answered {call.label} with something that is not AGB's JSON"
    message = f"{sentence} (HTTP {reply.status}{', ' + code if code else ''}){': ' + said if said else ''}"
    if kind is Throttled:
        return Throttled(
            message, code=code, http_status=reply.status, request_id=request_id, retry_after=reply.retry_after
        )
    if kind is RequestRefused:
        return RequestRefused(
            message,
            code=code,
            http_status=reply.status,
            request_id=request_id,
            about_image=code == "InvalidImage.NotFound",
        )
    return kind(
        message,
        code=code,
        http_status=reply.status,
        request_id=request_id,
        outcome_unknown=kind is ApiUnavailable and call in MUTATING and not _is_clear_no(call, reply),
    )


def _by_status(call: Call, status: int) -> type[AgbError]:
    match status:
        case 401:
            return CredentialsRejected
        case 403:
            return NotSupported if call in _GATED else CredentialsRejected
        case 404 if call in _GATED:
            return NotSupported
        case 429:
            return Throttled
        case _:
            return ApiUnavailable


def _is_clear_no(call: Call, reply: Reply) -> bool:
    """Whether the API itself says that it did not do it, rather than a gateway that lost sight of it."""
    said_no = reply.success is False
    if call is Call.CREATE:
        said_no = said_no or field(reply.data_fields, "success") is False
        if text(reply.data_fields, "sessionId"):
            return False
    return said_no and reply.status < 500 and CODES.get(reply.code) is not ApiUnavailable
