"""The knobs of a simulator: every value the real API keeps to itself is a setting here.

Owns names, defaults and checks. Settings are set at start by flags and changed while running by
`PATCH /_sim/settings`; faults that strike single requests are in `faults.py`. All durations are seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

CAMEL = ConfigDict(alias_generator=to_camel, populate_by_name=True, extra="forbid")

Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""A duration in seconds, 0 or more."""

DEFAULT_PAGE_SIZE = 10


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """How this simulator behaves towards every request. Defaults are those of a well-behaved AGB."""

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL

    transition: Seconds = 1.0
    """How long a pause or a resume takes."""
    create_transition: Seconds = 0.0
    """How long a new session is CREATING; 0 makes it RUNNING at once."""
    release_transition: Seconds | None = None
    """How long a release is DELETING; None takes `transition`."""
    finish_for: Seconds | None = 60.0
    """How long a released session answers FINISH before it is not found; 0: never FINISH, None: for ever."""
    released_status: Literal["FINISH", "DELETED"] = "FINISH"
    """The word for a released session."""

    latency: Seconds = 0.0
    """Added to every answer."""
    rate_limit: Annotated[float, Field(gt=0)] | None = None
    """Requests a second for each key, with a burst of one second's worth; more get 429. One key's is a fault."""
    send_retry_after: bool = True
    """Whether a 429 of the rate limit carries `Retry-After`."""

    accept_any_key: bool = True
    """Whether a key nobody registered opens an account of its own."""
    session_limit: Annotated[int, Field(ge=0)] | None = None
    """Sessions an account may have, paused ones included; createSession beyond it is refused."""
    limit_on_resume: bool = False
    """Whether a resume is refused too while the account is over the limit."""
    refused_images: frozenset[str] = frozenset()
    """Image ids createSession refuses; every other one is accepted."""

    repeat_policy: Literal["error", "accept"] = "error"
    """What pause and resume in an illegal state do: an error, or success with no change."""
    label_lag: Seconds = 0.0
    """How late ListSession's filter sees labels that were set."""
    status_lag: Seconds = 0.0
    """How old the statuses in ListSession are."""
    paging: Literal["cursor", "offset"] = "cursor"
    """What a page token counts: sessions seen (stable), or positions, which shift when sessions go."""
    max_page_size: Annotated[int, Field(ge=1)] = 100
    """The largest `maxResults` ListSession accepts."""

    idle_timeout: Seconds | None = None
    """Releases a RUNNING session that saw no call for so long; None: never."""
    max_lifetime: Seconds | None = None
    """Releases a session that is RUNNING for so long; None: never. It starts anew at each resume."""
    timeout_lag: Seconds = 0.0
    """How late the two timeouts strike."""
    reads_keep_alive: bool = False
    """Whether getSession counts as a call for the idle timeout."""

    @property
    def release_seconds(self) -> float:
        """How long a release takes."""
        return self.transition if self.release_transition is None else self.release_transition
