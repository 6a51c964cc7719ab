"""What can go wrong with a session, as one tree; every adapter translates its failures into it.

A caller needs two answers from an error: *may the same call simply be tried later?* (`TransientError`)
or *must something change first?* (`TerminalError`); and *which reason do people read?* (`reason`).

    AgbError
    ├── TransientError            try again: after `retry_after` seconds where that is known, else with back-off
    │   ├── ApiUnavailable        network failure, 5xx, an answer that is no answer
    │   │   └── EndpointUnreachable   no request could be sent: names, connections, TLS
    │   ├── Throttled             429; that kind of call waits, or the whole key
    │   ├── NotLeading            not sent, because another replica may be at work
    │   └── IllegalState          the call does not fit the session's state: look again, then decide
    └── TerminalError             report and rest; looked at again slowly
        ├── SessionNotFound       only on the API's own code
        ├── CredentialsRejected   the API refuses the key (401, or 403 with its own code)
        ├── CredentialsMissing    no key could be had: no Secret, no entry in it, or not allowed
        ├── NotSupported          pause and resume are not offered to this account
        ├── QuotaExceeded         the account's session limit; frees itself, so it is retried in minutes
        └── RequestRefused        the API refuses the request as such, e.g. an unknown image

Two flags qualify them: `outcome_unknown` (the API may have carried the call out: look before acting again)
and `RequestRefused.about_image`. Texts of the API are shown to people and never decide anything.

The Kubernetes API has a branch of its own, because its failures are never a session's:

    ClusterError
    ├── ClusterUnavailable        network failure, timeout, 5xx, 429 (`retry_after`): try again with back-off
    ├── Conflict                  409: what we knew of the object is out of date; read it again, then decide
    ├── ObjectNotFound            404
    ├── ClusterForbidden          401 or 403: the operator's own rights
    └── ClusterRefused            any other refusal, e.g. an object that breaks the schema

`StartupError` ends the process with its one line: it says what is wrong and what to do.
"""

from typing import ClassVar


class AgbError(Exception):
    """Any failure on the way to AGB or to the key for it.

    Args:
        message: one sentence for people; it never holds a key.
        code: the API's own code, "" when it gave none.
        http_status: of the answer, None when there was none.
        request_id: the API's name for the call, "" when unknown.
        outcome_unknown: whether the call may have taken effect although it failed.
        retry_after: seconds after which the next try makes sense, None when nobody knows.
        about_image: whether it is the image that the API refuses.
    """

    reason: ClassVar[str] = "ApiUnavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        http_status: int | None = None,
        request_id: str = "",
        outcome_unknown: bool = False,
        retry_after: float | None = None,
        about_image: bool = False,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.http_status = http_status
        self.request_id = request_id
        self.outcome_unknown = outcome_unknown
        self.retry_after = retry_after
        self.about_image = about_image


class TransientError(AgbError):
    """May pass by itself: the same call is tried again."""


class ApiUnavailable(TransientError):
    """No usable answer: connect, TLS, timeout, reset, 5xx, or a body that is not the API's."""


class EndpointUnreachable(ApiUnavailable):
    """No request could be sent: the name, the connection or TLS failed. That is the same for every key."""


class Throttled(TransientError):
    """The API asked for fewer calls (HTTP 429)."""

    reason = "Throttled"


class NotLeading(TransientError):
    """This replica does not hold the lease at this moment, so nothing was sent: to AGB, or to the Kubernetes API."""


class IllegalState(TransientError):
    """The session is not in a state that allows the call, so what we knew of it is out of date."""

    reason = "UnexpectedState"


class TerminalError(AgbError):
    """Stays until somebody changes something; the operator looks again slowly."""


class SessionNotFound(TerminalError):
    """The API says, by its own code, that this key sees no such session."""

    reason = "SessionNotFound"


class CredentialsRejected(TerminalError):
    """The API refuses the key."""

    reason = "CredentialsInvalid"


class CredentialsMissing(TerminalError):
    """There is no key to call the API with."""

    reason = "CredentialsMissing"


class NotSupported(TerminalError):
    """The API does not offer this action to this account."""

    reason = "NotSupported"


class QuotaExceeded(TerminalError):
    """The account's limit on sessions is reached; paused sessions count towards it."""

    reason = "QuotaExceeded"


class RequestRefused(TerminalError):
    """The API refuses the request itself; `about_image` says that the image is what it refuses."""

    reason = "CreateFailed"


class ClusterError(Exception):
    """A request to the Kubernetes API failed.

    Args:
        message: one sentence for people; it holds no object's content.
        http_status: of the answer, None when there was none.
        retry_after: seconds after which the next try makes sense, None when nobody knows.
    """

    reason: ClassVar[str] = "ClusterError"
    """How it is counted."""
    advice: ClassVar[str] = ""
    """What a person can do about it, "" when it passes by itself."""

    def __init__(self, message: str, *, http_status: int | None = None, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.http_status = http_status
        self.retry_after = retry_after


class ClusterUnavailable(ClusterError):
    """No usable answer, or one that asks to come back later."""

    reason = "ClusterUnavailable"


class Conflict(ClusterError):
    """The object changed since it was read, was replaced by another of its name, or exists already."""

    reason = "ClusterConflict"


class ObjectNotFound(ClusterError):
    """There is no such object."""


class ClusterForbidden(ClusterError):
    """The API server refuses the operator's credentials (401) or does not allow the request (403)."""

    reason = "ClusterForbidden"
    advice = "Grant the operator its RBAC rules (the Helm chart includes them), or look for an admission policy."


class ClusterRefused(ClusterError):
    """The API server refuses the request for what it says."""

    reason = "ClusterRefused"
    advice = "Look for an admission webhook or policy, or a CRD that is older than the operator."


class StartupError(Exception):
    """The operator cannot start; the message is one line that says what is wrong and what to do."""
