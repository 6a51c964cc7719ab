"""What is told to people beside the status: an Event, and what becomes known of it when it is recorded."""

from dataclasses import dataclass
from datetime import datetime

from .resource import ObjectKey


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """An Event for people: sent once the status that goes with it has been written."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedEvent:
    """An Event that has happened to an object.

    Attributes:
        event: what has happened.
        key: the object that it is about.
        uid: of that object.
        at: when it happened.
        event_id: unique for the object, so that a repeated attempt creates no second one.
    """

    event: Event
    key: ObjectKey
    uid: str
    at: datetime
    event_id: str
