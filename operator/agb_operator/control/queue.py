"""Keys that wait for a worker: deduplicated, delayed, never with two workers at once (client-go's semantics).

A key added while a worker has it waits until that worker is done. A delayed key that is added again keeps the earlier
time. Each credential has a line of its own; the lines are served in turn, and none gets more than its share of the
workers: a pass may wait long for what its API key is allowed, and others must not wait with it. In a line, what people
have changed goes before what the clock has, and among equals who came first.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from ..agb.lanes import CLOCK_EVERY
from ..model.resource import ObjectKey
from ..shares import Held, Tenant


@dataclass(slots=True, eq=False)
class _Line:
    """The waiting keys of one credential; never empty."""

    people: deque[ObjectKey] = field(default_factory=deque)
    clock: deque[ObjectKey] = field(default_factory=deque)
    turns: int = 0

    def __len__(self) -> int:
        return len(self.people) + len(self.clock)

    def push(self, key: ObjectKey, *, by_clock: bool) -> None:
        (self.clock if by_clock else self.people).append(key)

    def pop(self) -> ObjectKey:
        self.turns += 1
        if self.clock and (self.turns % CLOCK_EVERY == 0 or not self.people):
            return self.clock.popleft()
        return self.people.popleft()

    def move_up(self, key: ObjectKey) -> None:
        """Let a key that waits for the clock's turn wait for the people's."""
        with suppress(ValueError):  # it waits there already
            self.clock.remove(key)
            self.people.append(key)


@dataclass(kw_only=True, slots=True, eq=False)
class WorkQueue:
    """Owns the waiting keys and their timers; knows nothing of what is done with a key."""

    workers: int
    """How many keys may be with a worker at once."""
    tenant_of: Callable[[ObjectKey], Tenant]
    """Gives the tenant of a key, and the credential; asked when the key begins to wait."""
    by_clock: Callable[[ObjectKey], bool]
    """Tells whether the clock alone asks for a key's pass; asked whenever it is added."""
    _held: Held = field(init=False)
    _lines: dict[Tenant, _Line] = field(init=False, default_factory=dict)
    _waiting: dict[ObjectKey, Tenant | None] = field(init=False, default_factory=dict)
    """With the line that each stands in; None while a worker has it."""
    _active: dict[ObjectKey, Tenant] = field(init=False, default_factory=dict)
    _timers: dict[ObjectKey, asyncio.TimerHandle] = field(init=False, default_factory=dict)
    _wakers: deque[asyncio.Future[None]] = field(init=False, default_factory=deque)

    def __post_init__(self) -> None:
        self._held = Held(self.workers)

    @property
    def depth(self) -> int:
        """How many keys wait for a worker now; delayed ones do not count."""
        return sum(map(len, self._lines.values()))

    def is_pending(self, key: ObjectKey) -> bool:
        """Tell whether a pass for the key is under way, due, or scheduled."""
        return key in self._waiting or key in self._active or key in self._timers

    def next_pass(self, key: ObjectKey) -> str:
        """Say, for people, when the next pass for the key comes."""
        if key in self._active:
            return "under way"
        if key in self._waiting:
            return "waits for a worker"
        timer = self._timers.get(key)
        return "" if timer is None else f"in {timer.when() - asyncio.get_running_loop().time():.0f} s"

    def add(self, key: ObjectKey) -> None:
        """Ask for a pass as soon as possible."""
        self._cancel(key)
        if key in self._waiting:
            part = self._waiting[key]
            if part is not None and not self.by_clock(key):
                self._lines[part].move_up(key)
        elif key in self._active:
            self._waiting[key] = None
        else:
            self._push(key)

    def add_after(self, key: ObjectKey, seconds: float) -> None:
        """Ask for a pass after so many seconds, or earlier if one is due earlier."""
        if seconds <= 0:
            self.add(key)
            return
        if key in self._waiting:
            return
        loop = asyncio.get_running_loop()
        due = loop.time() + seconds
        scheduled = self._timers.get(key)
        if scheduled is not None:
            if scheduled.when() <= due:
                return
            scheduled.cancel()
        self._timers[key] = loop.call_at(due, self.add, key)

    async def get(self) -> ObjectKey:
        """Wait for a key; the caller owes `done` for it."""
        while (part := next(filter(self._held.may, self._lines), None)) is None:
            waker = asyncio.get_running_loop().create_future()
            self._wakers.append(waker)
            try:
                await waker
            except BaseException:
                if waker.done() and not waker.cancelled():
                    self._wake()  # the call was for us: pass it on
                else:
                    with suppress(ValueError):  # a call that came after the cancellation has dropped it already
                        self._wakers.remove(waker)
                raise
        line = self._lines.pop(part)
        key = line.pop()
        if line:
            self._lines[part] = line  # behind the others
        del self._waiting[key]
        self._active[key] = part
        self._held.add(part)
        return key

    def done(self, key: ObjectKey) -> None:
        """Hand a key back; if it was added meanwhile, it is due now."""
        self._held.remove(self._active.pop(key))
        if key in self._waiting:
            self._push(key)
        elif self._lines:
            self._wake()

    def clear(self) -> None:
        """Drop all that waits, e.g. when the lease is lost."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._lines.clear()
        self._waiting.clear()

    def _push(self, key: ObjectKey) -> None:
        part = self._waiting[key] = self.tenant_of(key)
        self._lines.setdefault(part, _Line()).push(key, by_clock=self.by_clock(key))
        self._wake()

    def _wake(self) -> None:
        while self._wakers:
            waker = self._wakers.popleft()
            if not waker.done():
                waker.set_result(None)
                return

    def _cancel(self, key: ObjectKey) -> None:
        timer = self._timers.pop(key, None)
        if timer is not None:
            timer.cancel()
