"""What became of an order, in words for the person who gave it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta, tzinfo
from typing import Any

from agb_operator.model.resource import AgbSession
from agb_operator.policy.intent import DEFAULT, Intent, Schedules, Subject, decide

from .chain import obstacle, wanted_object
from .changing import Outcome
from .orders import Order, Verb
from .times import brief, shown


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What one session will be now.

    Attributes:
        refused: why schedules cannot be read, "" if they can.
        many: whether there is more than one namespace.
    """

    outcome: Outcome
    session: AgbSession
    order: Order
    schedules: Schedules
    refused: str
    now: datetime
    zone: tzinfo
    many: bool = False
    intent: Intent = field(init=False)
    """What the operator will want; what was wanted until now counts only where schedules cannot be used."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "intent", decide(Subject.of(self.session), self.schedules, self.now))

    @property
    def in_effect(self) -> bool:
        """Whether the session becomes what was asked for."""
        wanted = self.order.state
        return (wanted is None or self.intent.state == wanted) and not self.stuck

    @property
    def stuck(self) -> str:
        """Why nothing will be done; "" if something will."""
        return obstacle(self.session, self.intent.state)

    def line(self) -> str:
        """Say it in one line."""
        name, intent = str(self.session.key) if self.many else self.session.key.name, self.intent
        if self.stuck:
            return f"{name}: {self._fields()}, but {self.stuck}"
        if self.order.state is not None and intent.state != self.order.state:
            change = intent.shown
            until = f" until {brief(change.at, self.zone, self.now)}" if change else ""
            sooner = " To wake it now: --for 2h" if self.order.verb == Verb.RESUME else ""
            return f"{name}: {self._fields()}, but {intent.why} keeps it asleep{until}.{sooner}"
        return f"{name}: {intent.state}{self._decided(intent)}{self._doubt()}"

    def _fields(self) -> str:
        if self.order.until is not None:
            return f"override {self.order.state} until {shown(self.order.until, self.zone)}"
        return {Verb.PAUSE: "paused=true", Verb.RESUME: "paused=false", Verb.AUTO: "left to the clock"}[self.order.verb]

    def _decided(self, intent: Intent) -> str:
        change = intent.shown
        until = f" until {brief(change.at, self.zone, self.now)}" if change else ""
        if self.order.until is None:
            why = "" if intent.why == DEFAULT else f" ({intent.why})"
            return f"{why}{until}" + (f", then {change.state}" if change else "")
        end = brief(self.order.until, self.zone, self.now)
        following = self._after()
        goes_on = following.state == intent.state
        return f" until {end}, then " + ("still " if goes_on else "") + _by(following)

    def _after(self) -> Intent:
        """What is wanted when the override has ended."""
        assert self.order.until is not None
        return decide(Subject.of(self.session), self.schedules, self.order.until + timedelta(seconds=1))

    def _doubt(self) -> str:
        return f" (schedules cannot be read: {self.refused})" if self.refused and self.order.verb != Verb.PAUSE else ""

    def as_object(self) -> dict[str, Any]:
        """Give it for programs."""
        key = self.session.key
        return {
            "namespace": key.namespace,
            "name": key.name,
            "changed": True,
            "inEffect": self.in_effect,
            **wanted_object(self.intent),
            **({"obstacle": self.stuck} if self.stuck else {}),
        }


def _by(intent: Intent) -> str:
    return str(intent.state) + ("" if intent.why == DEFAULT else f" by {intent.why}")


def failed_object(outcome: Outcome) -> dict[str, Any]:
    """Give a failure for programs."""
    return {"namespace": outcome.key.namespace, "name": outcome.key.name, "changed": False, "error": outcome.failure}


def summary(done: int, failures: Sequence[str]) -> Iterator[str]:
    """Say how many were done, and name those that were not."""
    yield f"{done} of {done + len(failures)} done, {len(failures)} failed" if failures else f"{done} of {done} done"
    yield from (f"  failed: {failure}" for failure in failures)
