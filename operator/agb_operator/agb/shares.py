"""Places that tenants share, so that one who is in trouble never holds them all.

A tenant is given one more place while more are free than it holds already, the places of the part that asks for it
counted twice. One that hangs alone ends up with a third of all, and each further one with a third of what is left, so
that ten of them leave something of a hundred places for the next who comes. Nobody has a place reserved, so no number
of tenants has to be known. (In switches this is known as a dynamic threshold.) Who has to wait is served in the order
they came, one part after the other.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager, suppress
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)

Tenant = tuple[str, str]
"""A tenant, and what of it asks: the tenant's name and the name of one of its parts."""


class Held:
    """Who holds how many of the places; it knows the rule, and nothing of waiting."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._by_tenant: Counter[str] = Counter()
        self._by_part: Counter[Tenant] = Counter()

    def may(self, part: Tenant) -> bool:
        """Tell whether it may have one more."""
        return self._by_tenant[part[0]] + self._by_part[part] < self._free

    def add(self, part: Tenant) -> None:
        """Give it one."""
        self._free -= 1
        self._by_tenant[part[0]] += 1
        self._by_part[part] += 1

    def remove(self, part: Tenant) -> None:
        """Take one back."""
        self._free += 1
        _less(self._by_tenant, part[0])
        _less(self._by_part, part)


def _less(held: Counter[Name], name: Name) -> None:
    held[name] -= 1
    if not held[name]:
        del held[name]


class Shares:
    """Owns places that are waited for."""

    def __init__(self, places: int) -> None:
        self._held = Held(places)
        self._waiting: dict[Tenant, deque[asyncio.Future[None]]] = {}

    def busy(self, tenant: str, part: str = "") -> bool:
        """Tell whether the next one would have to wait."""
        return (tenant, part) in self._waiting or not self._held.may((tenant, part))

    @asynccontextmanager
    async def turn(self, tenant: str, part: str = "") -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        await self._take((tenant, part))
        try:
            yield
        finally:
            self._give_back((tenant, part))

    async def _take(self, part: Tenant) -> None:
        if not self.busy(*part):
            self._held.add(part)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(part, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._give_back(part)  # it had its turn and cannot use it
            else:
                self._drop(part, turn)
            raise

    def _drop(self, part: Tenant, turn: asyncio.Future[None]) -> None:
        turns = self._waiting.get(part, deque())
        with suppress(ValueError):  # whoever gave a place back has dropped it already
            turns.remove(turn)
        if not turns:
            self._waiting.pop(part, None)

    def _give_back(self, part: Tenant) -> None:
        self._held.remove(part)
        while (next_one := next(filter(self._held.may, self._waiting), None)) is not None:
            turns = self._waiting.pop(next_one)
            turn = turns.popleft()
            if turns:
                self._waiting[next_one] = turns  # behind the others
            if not turn.done():
                self._held.add(next_one)
                turn.set_result(None)
