"""Faults: what can go wrong with a request or a session, switched on by tests.

Owns the kinds of fault and which requests each one strikes. What a kind does is carried out by `api.py`
(answers) and `endpoints.py` (moves and reads). A fault is a rule (endpoint, session, key, count,
probability) plus one effect; of several faults of the same sort that match, the oldest strikes.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from types import UnionType
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

from agb_simulator.accounts import fingerprint
from agb_simulator.settings import CAMEL, Seconds


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
    """Close the connection without an answer, after acting or (`applied: false`) instead of it."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    kind: Literal["lost_answer"] = "lost_answer"
    applied: bool = True


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


Answering = HttpError | BusinessError | RawAnswer | LostAnswer | Ignored
"""Effects that decide the answer of a request; at most one strikes it."""

Course = FallBack | NeverEnds | TransitionTime
"""Effects that bend a transition; at most one bends it."""

Effect = (
    Answering
    | Course
    | Delay
    | Shape
    | StatusValue
    | StaleRead
    | Interference
    | CreateFailed
    | BareCreate
    | InvalidToken
    | ShortPage
)

E = TypeVar("E", bound=Effect)


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRule:
    """Which requests are struck, and with what. None matches all; `count` None has no end.

    `probability` is the chance that a matching request is struck; only struck ones use up the count.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    effect: Annotated[Effect, Field(discriminator="kind")]
    endpoint: str | None = None
    session_id: str | None = None
    key: str | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0


FAULT_RULE: TypeAdapter[FaultRule] = TypeAdapter(FaultRule)


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """A request as faults see it. `key` is a fingerprint."""

    endpoint: str
    key: str
    session_id: str | None


@dataclass(kw_only=True, slots=True)
class _Active:
    id: int
    rule: FaultRule
    key: str | None
    left: int | None
    struck: int = 0

    def matches(self, target: Target) -> bool:
        rule = self.rule
        return (
            rule.endpoint in (None, target.endpoint)
            and rule.session_id in (None, target.session_id)
            and self.key in (None, target.key)
        )


class Faults:
    """The faults that are switched on. `random` decides where a probability is given."""

    def __init__(self, *, random: Random) -> None:
        self._random = random
        self._active: dict[int, _Active] = {}
        self._last_id = 0

    def add(self, rule: FaultRule) -> int:
        """Switch a fault on and return its id. Its key is kept as a fingerprint only."""
        self._last_id += 1
        key = None if rule.key is None else fingerprint(rule.key)
        self._active[self._last_id] = _Active(id=self._last_id, rule=rule, key=key, left=rule.count)
        return self._last_id

    def remove(self, fault_id: int) -> bool:
        """Switch a fault off; False if there is none with this id."""
        return self._active.pop(fault_id, None) is not None

    def clear(self) -> None:
        """Switch all faults off."""
        self._active.clear()

    def take(self, target: Target, kind: type[E]) -> E | None:
        """The effect of the oldest fault of this kind that strikes the request, now counted as struck."""
        effect = self._take(target, kind)
        return effect if isinstance(effect, kind) else None

    def take_answer(self, target: Target) -> Answering | None:
        """As `take`, for the effects of which only one can decide the answer."""
        effect = self._take(target, Answering)
        return effect if isinstance(effect, Answering) else None

    def take_course(self, target: Target) -> Course | None:
        """As `take`, for the effects of which only one can bend a transition."""
        effect = self._take(target, Course)
        return effect if isinstance(effect, Course) else None

    def dump(self) -> list[dict[str, Any]]:
        """The active faults with what is left of their counts, keys as fingerprints."""
        return [
            {
                **FAULT_RULE.dump_python(fault.rule, mode="json", by_alias=True),
                "id": fault.id,
                "key": fault.key,
                "left": fault.left,
                "struck": fault.struck,
            }
            for fault in self._active.values()
        ]

    def _take(self, target: Target, kinds: type | UnionType) -> Effect | None:
        for fault in list(self._active.values()):
            if isinstance(fault.rule.effect, kinds) and fault.matches(target) and self._strikes(fault):
                return fault.rule.effect
        return None

    def _strikes(self, fault: _Active) -> bool:
        if fault.rule.probability < 1 and self._random.random() >= fault.rule.probability:
            return False
        fault.struck += 1
        if fault.left is not None:
            fault.left -= 1
            if fault.left == 0:
                del self._active[fault.id]
        return True
