"""Faults that are switched on: which requests each one strikes, how often, with what probability.

Owns rules and their counts; the effects are in `effects.py`. Of several faults of the same sort that match a
request the oldest strikes; limits count all of them. A fault whose sort does not apply to the request is left
for a later one: a `stale_read` waits for a pause or resume that is accepted.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from types import UnionType
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter

from agb_simulator.accounts import fingerprint
from agb_simulator.effects import Answering, Course, Effect
from agb_simulator.limits import Limit, Limits
from agb_simulator.settings import CAMEL

E = TypeVar("E", bound=Effect)


@dataclass(frozen=True, kw_only=True, slots=True)
class FaultRule:
    """Which requests are struck, and with what. None matches all; `count` None has no end.

    `probability` is the chance that a matching request is struck; only struck ones use up the count. Limits take
    neither: raises ValueError.
    """

    __pydantic_config__: ClassVar[ConfigDict] = CAMEL
    effect: Annotated[Effect, Field(discriminator="kind")]
    endpoint: str | None = None
    session_id: str | None = None
    key: str | None = None
    count: Annotated[int, Field(ge=1)] | None = None
    probability: Annotated[float, Field(gt=0, le=1)] = 1.0

    def __post_init__(self) -> None:
        if isinstance(self.effect, Limit) and (self.count is not None or self.probability < 1):
            raise ValueError("a limit takes neither count nor probability")


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

    def limits(self, target: Target) -> Limits:
        """The limits that count the request, oldest first, each with its fault's id."""
        return [
            (fault.id, fault.rule.effect)
            for fault in self._active.values()
            if isinstance(fault.rule.effect, Limit) and fault.matches(target)
        ]

    def note_limited(self, fault_id: int) -> None:
        """Count a request as struck by a limit; one that is no fault is no error."""
        if fault_id in self._active:
            self._active[fault_id].struck += 1

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
