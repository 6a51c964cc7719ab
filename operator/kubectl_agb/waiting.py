"""`--wait`: until sessions are as they are wanted, or it is known that they will not be."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.model.states import DesiredState
from agb_operator.model.status import Truth

from .chain import obstacle
from .changing import AT_ONCE
from .cluster import Cluster
from .errors import Failed
from .output import progress, say

_PAUSE: Final = 1.0
"""Seconds between two looks at a session."""


class End(Enum):
    """How the wait for one session ended."""

    THERE = auto()
    NEVER = auto()
    FAILED = auto()
    TIMED_OUT = auto()


@dataclass(kw_only=True, slots=True, eq=False)
class Wait:
    """Waits for some sessions and tells what it sees.

    Attributes:
        wanted: what each session is to become.
        quiet: nothing is told.
        many: whether there is more than one namespace.
    """

    cluster: Cluster
    wanted: Mapping[ObjectKey, DesiredState]
    generations: Mapping[ObjectKey, int]
    timeout: float
    quiet: bool = False
    many: bool = False
    ends: dict[ObjectKey, End] = field(init=False, default_factory=dict)
    _phases: dict[ObjectKey, str] = field(init=False, default_factory=dict)
    _began: float = field(init=False, default=0.0)

    async def run(self) -> Mapping[ObjectKey, End]:
        """Wait for all of them."""
        self._began = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(self.timeout):
                while waiting := [key for key in self.wanted if key not in self.ends]:
                    await self._look(waiting)
                    self._progress()
                    if len(self.ends) < len(self.wanted):
                        await asyncio.sleep(_PAUSE)
        except TimeoutError:
            for key in self.wanted:
                if key not in self.ends:
                    self._end(key, End.TIMED_OUT, f"still {self._phases.get(key, 'Pending')}")
        return self.ends

    async def _look(self, keys: Sequence[ObjectKey]) -> None:
        for first in range(0, len(keys), AT_ONCE):
            await asyncio.gather(*(self._look_at(key) for key in keys[first : first + AT_ONCE]))

    async def _look_at(self, key: ObjectKey) -> None:
        try:
            session = AgbSession.from_body(await self.cluster.session(key.namespace, key.name))
        except Failed as error:
            self._end(key, End.FAILED, error.message)
            return
        wanted, phase = self.wanted[key], str(session.status.phase or "Pending")
        if session.status.observed_generation < self.generations[key]:
            phase += ", and the operator has not looked at it since the change"
        if stuck := obstacle(session, wanted):
            self._end(key, End.NEVER, f"{phase}; {stuck}")
        elif self._is_there(session, wanted):
            self._end(key, End.THERE, f"{phase} after {self._seconds} s")
        elif phase != self._phases.get(key):
            self._phases[key] = phase
            self._tell(f"{self._name(key)}: {phase} ...")

    def _is_there(self, session: AgbSession, wanted: DesiredState) -> bool:
        ready, status = session.status.ready, session.status
        seen = ready.observed_generation >= self.generations[session.key]
        return seen and ready.status == Truth.TRUE and str(status.phase) == str(wanted)

    @property
    def _seconds(self) -> int:
        return round(asyncio.get_running_loop().time() - self._began)

    def _end(self, key: ObjectKey, end: End, said: str) -> None:
        self.ends[key] = end
        self._tell(f"{self._name(key)}: {said}")

    def _name(self, key: ObjectKey) -> str:
        return str(key) if self.many else key.name

    def _tell(self, line: str) -> None:
        if not self.quiet:
            progress("")
            say(line)

    def _progress(self) -> None:
        """Say how far it is, while more than one is waited for."""
        if not self.quiet and len(self.wanted) > 1 and len(self.ends) < len(self.wanted):
            progress(f"{len(self.ends)} of {len(self.wanted)} there, {self._seconds} s")
