"""The kinds of fault: what can go wrong with a request or a session, as values.

Owns their names and parameters. Which requests they strike is in `faults.py`; the ones that decide or deform
an answer are carried out by `service.py`, the ones that bend moves and reads by `endpoints.py`. In JSON an
effect is an object with its `kind` and its fields in camelCase. The later ones are lies: well-formed answers,
accepted calls, and what they say is not so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from agb_simulator.limits import Limit
from agb_simulator.settings import CAMEL, Seconds

LIST_HISTORY = 3600.0
"""Seconds for which ListSession can be made to show a session that is gone."""


@dataclass(frozen=True, kw_only=True, slots=True)
class HttpError:
    """Answer with an HTTP error: JSON envelope, or an HTML page as a gateway would; `applied`: after acting."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["http_error"] = "http_error"
    status: Annotated[int, Field(ge=400, le=599)] = 500
    code: str | None = None
    message: str = "simulated fault"
    html: bool = False
    retry_after: Seconds | None = None
    applied: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class BusinessError:
    """Answer HTTP 200 with `success: false`; `applied`: after acting."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["business_error"] = "business_error"
    code: str = "InternalError"
    message: str = "simulated fault"
    applied: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RawAnswer:
    """Answer with this body, whatever it is (HTML, truncated JSON, nothing); `applied`: after acting."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["raw_answer"] = "raw_answer"
    status: Annotated[int, Field(ge=200, le=599)] = 200
    body: str = ""
    content_type: str = "text/html"
    applied: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LostAnswer:
    """Close the connection without an answer, after acting or (`applied: false`) instead of it.

    With `late` the call takes effect that many seconds after it came: the request was queued somewhere.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["lost_answer"] = "lost_answer"
    applied: bool = True
    late: Seconds = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ignored:
    """Answer success and do nothing: an accepted release or pause that never begins."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["ignored"] = "ignored"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delay:
    """Send the answer late; the action itself takes effect when the request arrives."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["delay"] = "delay"
    seconds: Seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Deform the JSON body: PascalCase keys, no `code`, `data: null`, no `requestId`, `{"body": ...}`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["shape"] = "shape"
    pascal_case: bool = False
    no_code: bool = False
    null_data: bool = False
    no_request_id: bool = False
    enveloped: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class StatusValue:
    """Show this status instead of the true one; None leaves the field out."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["status_value"] = "status_value"
    status: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleRead:
    """After an accepted pause or resume, show the old status for `reads` reads and/or `seconds`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["stale_read"] = "stale_read"
    reads: Annotated[int, Field(ge=1)] | None = None
    seconds: Seconds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class FallBack:
    """Accept the pause or resume, then return to where it began, after `seconds` (None: as usual)."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["fall_back"] = "fall_back"
    seconds: Seconds | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class NeverEnds:
    """Accept the pause, resume or release and stay in the transient status."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["never_ends"] = "never_ends"


@dataclass(frozen=True, kw_only=True, slots=True)
class TransitionTime:
    """Let this pause, resume or release take `seconds`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["transition_time"] = "transition_time"
    seconds: Seconds


@dataclass(frozen=True, kw_only=True, slots=True)
class Interference:
    """Somebody else acts on the session just before or just after the request that is struck."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["interference"] = "interference"
    action: Literal["pause", "resume", "release", "vanish"]
    when: Literal["before", "after"] = "after"


@dataclass(frozen=True, kw_only=True, slots=True)
class CreateFailed:
    """createSession answers HTTP 200 with `data.success: false` and this `errMsg`; nothing is created."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["create_failed"] = "create_failed"
    err_msg: str | None = "simulated fault"


@dataclass(frozen=True, kw_only=True, slots=True)
class BareCreate:
    """createSession succeeds with `data.sessionId` and nothing else in `data`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["bare_create"] = "bare_create"


@dataclass(frozen=True, kw_only=True, slots=True)
class InvalidToken:
    """ListSession refuses the page token it gave out; requests without a token pass."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["invalid_token"] = "invalid_token"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShortPage:
    """ListSession leaves out all but the first `items` of a page; token and count stay."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["short_page"] = "short_page"
    items: Annotated[int, Field(ge=0)] = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class FilterIgnored:
    """ListSession answers as if no `labels` had been asked for."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["filter_ignored"] = "filter_ignored"


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleList:
    """ListSession shows who was there `seconds` ago, in the status of then; its filter uses the labels of today."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["stale_list"] = "stale_list"
    seconds: Annotated[float, Field(gt=0, le=LIST_HISTORY)]


@dataclass(frozen=True, kw_only=True, slots=True)
class StaleLabels:
    """GetLabel shows the labels of `seconds` ago: none for a session that is younger."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["stale_labels"] = "stale_labels"
    seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True, kw_only=True, slots=True)
class EndlessPages:
    """ListSession has no last page.

    `circle`: the last one leads to the first. `same_token`: each page gives the token that it was asked for with.
    `new_tokens`: empty pages follow the last one, each with a token of its own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["endless_pages"] = "endless_pages"
    how: Literal["circle", "same_token", "new_tokens"] = "circle"


@dataclass(frozen=True, kw_only=True, slots=True)
class IdValue:
    """createSession, getSession and the rows of ListSession name this session; None leaves the field out."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["id_value"] = "id_value"
    session_id: str | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FieldValues:
    """Put these values into the top level of the JSON body, whatever they are: `{"count": -1}`."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["field_values"] = "field_values"
    fields: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class OtherAccount:
    """The key opens this account (a new, empty one if there is none of the name) as long as the fault is on."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["other_account"] = "other_account"
    account: str = "somebody-else"


Answering = HttpError | BusinessError | RawAnswer | LostAnswer | Ignored
"""Effects that decide the answer of a request; at most one strikes it."""

Course = FallBack | NeverEnds | TransitionTime
"""Effects that bend a transition; at most one bends it."""

Effect = (
    Answering
    | Course
    | Limit
    | Delay
    | Shape
    | StatusValue
    | StaleRead
    | Interference
    | CreateFailed
    | BareCreate
    | InvalidToken
    | ShortPage
    | FilterIgnored
    | StaleList
    | StaleLabels
    | EndlessPages
    | IdValue
    | FieldValues
    | OtherAccount
)
