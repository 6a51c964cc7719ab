"""The states a session can be in, the states one can be wanted in, and what a look at one brings back."""

from dataclasses import dataclass
from enum import StrEnum


class DesiredState(StrEnum):
    """What the spec asks for; `GONE` once the resource is being deleted and its session goes with it."""

    RUNNING = "Running"
    PAUSED = "Paused"
    GONE = "Gone"


class SessionState(StrEnum):
    """What the API says of a session, folded to the cases in which we act differently."""

    STARTING = "Starting"
    RUNNING = "Running"
    PAUSING = "Pausing"
    PAUSED = "Paused"
    RESUMING = "Resuming"
    DELETING = "Deleting"
    RELEASED = "Released"
    """The API still knows the session and says that it is over; its id never works again."""
    NOT_FOUND = "NotFound"
    """The API says by its own code that it knows no such session under this key."""
    UNKNOWN = "Unknown"
    """A word we do not know, or none: never taken for success."""


_STATES = {
    "CREATING": SessionState.STARTING,
    "STARTING": SessionState.STARTING,
    "RUNNING": SessionState.RUNNING,
    "PAUSING": SessionState.PAUSING,
    "PAUSED": SessionState.PAUSED,
    "RESUMING": SessionState.RESUMING,
    "DELETING": SessionState.DELETING,
    "DELETED": SessionState.RELEASED,
    "FINISH": SessionState.RELEASED,
}


def state_of(status: str) -> SessionState:
    """Fold the API's word for a status; unknown and empty words become `UNKNOWN`."""
    return _STATES.get(status, SessionState.UNKNOWN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Observation:
    """One look at one session.

    Attributes:
        session_id: the session looked at.
        status: the API's word, verbatim; "" when it gave none or does not know the session.
        state: that word, folded.
        taken_at: when the question was sent, in seconds of the monotonic clock: an answer tells nothing
            about calls made after that.
        listed: whether a list said it: lists may be old.
    """

    session_id: str
    status: str
    state: SessionState
    taken_at: float
    listed: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Created:
    """The API has created a session: its id, the API's name for the call, and the name of the key that sent it."""

    session_id: str
    request_id: str
    seen_with: str
