"""The looks at one account's sessions that wait for an answer, and the calls that bring it; see `observer`.

It owns the choice between `getSession` and walking `ListSession`, the walks, and the answers they leave behind.
"""

import asyncio
import copy
from collections.abc import Callable, Coroutine, Iterable, Mapping
from math import ceil
from typing import Any, Final

from ..model.clock import Clock
from ..model.errors import AgbError, TransientError
from ..model.states import Observation
from .client import Listed, SessionClient
from .listing import LONGEST_GOOD, Listing, Waiter
from .pages import PageWalk

WORDLESS_FOR: Final = 300.0
"""Seconds between looks by getSession at a session at rest whose row in the list says no status."""
_CONCURRENT_GETS: Final = 16


class Batcher:
    """The looks at one account's sessions.

    Args:
        own_labels: labels that the sessions created by this operator carry.
        window: seconds for which looks are collected before the cheapest way is chosen for them.
        allows: says how many calls a second the account allows.
        clock: time.
        like: the looks of another lane at the same account, which know how long its lists are.
    """

    def __init__(
        self,
        *,
        own_labels: Mapping[str, str],
        window: float,
        allows: Callable[[], float],
        clock: Clock,
        like: "Batcher | None" = None,
    ) -> None:
        self._window = window
        self._clock = clock
        self._own: Listing = Listing(own_labels, allows, clock, pages=like._own.pages if like else 1)
        self._all: Listing = Listing({}, allows, clock, pages=like._all.pages if like else 1)
        self._seen: dict[str, Observation] = {}
        self._wordless: dict[str, Observation | None] = {}
        """What getSession said of sessions whose rows come without a status, None before it was asked."""
        self._batch: list[Waiter] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._gets = asyncio.Semaphore(_CONCURRENT_GETS)

    def remembered(self, session_id: str, *, not_before: float, labelled: bool) -> Observation | None:
        """Return what a walk has just told of the session, if that is good enough; counts as demand for walks."""
        roll = self._own if labelled else self._all
        roll.asked_at.append(self._clock.now())
        return self._good(session_id, roll.good_from(not_before))

    def ask(
        self, client: SessionClient, session_id: str, *, not_before: float, labelled: bool, at_rest: bool = False
    ) -> Waiter:
        """Collect a look; its answer comes, or fails with an `AgbError`.

        One `at_rest` is content with an answer of up to `WORDLESS_FOR` if the list has no word on the session.
        """
        loop = asyncio.get_running_loop()
        if not self._batch:
            loop.call_later(self._window, self._serve_batch, client)
        roll = self._own if labelled else self._all
        look = Waiter(session_id, roll.good_from(not_before), labelled, at_rest, loop.create_future())
        self._batch.append(look)
        return look

    def drop(self, look: Waiter) -> None:
        """Wait no longer for an answer; whoever else waits is not affected."""
        if not look.answer.cancel() and not look.answer.cancelled():
            look.answer.exception()  # read, so that asyncio does not report it as overlooked
        self._own.drop(look)
        self._all.drop(look)

    def _good(self, session_id: str, good_from: float) -> Observation | None:
        seen = self._seen.get(session_id)
        return seen if seen is not None and seen.taken_at > good_from else None

    def _serve_batch(self, client: SessionClient) -> None:
        """Choose the cheapest for what was collected: a walk over all, a walk over ours, or one by one."""
        batch, self._batch = self._batch, []
        ours: list[Waiter] = []
        others: list[Waiter] = []
        for look in batch:
            seen = self._good(look.session_id, look.good_from)  # its page may have come while looks were collected
            if seen is not None:
                _answer(look, seen)
            elif not look.answer.done():
                (ours if look.labelled else others).append(look)
        if others and self._all.pages < self._own.cost(len(ours)) + self._all.cost(len(others)):
            self._join(client, self._all, ours + others)
            return
        for roll, looks in ((self._own, ours), (self._all, others)):
            # What counts is how many ask now: a few do not wait behind a long walk that others are waiting for.
            if roll.deserves_walk(len(looks)):
                self._join(client, roll, looks)
            else:
                self._get(client, looks)

    def _join(self, client: SessionClient, roll: Listing, looks: Iterable[Waiter]) -> None:
        for look in looks:
            roll.waiting.setdefault(look.session_id, []).append(look)
        if roll.waiting and not roll.walking:
            roll.walking = True
            self._spawn(self._walk(client, roll))

    async def _walk(self, client: SessionClient, roll: Listing) -> None:
        """Walk while somebody waits; who comes in the middle is served by the pages asked for from then on."""
        try:
            while roll.waiting:
                await self._lap(client, roll)
        except TransientError as error:
            _fail(roll.take_out(), error)
        except AgbError:
            # The list is refused, or a token went bad on the way: neither says anything of the sessions. If it is the
            # key that is refused, its guard says so without a call.
            self._get(client, roll.take_out())
        except Exception as bug:
            _fail(roll.take_out(), bug)
            raise
        finally:
            roll.walking = False
            for look in roll.take_out():  # the process ends
                look.answer.cancel()

    async def _lap(self, client: SessionClient, roll: Listing) -> None:
        """Walk from the first page to the last, or until the rest is cheaper to have one by one."""
        started = self._clock.now()
        walk = PageWalk(client=client, labels=roll.labels)
        while True:
            page = await walk.next_page()
            self._note(page)
            if walk.ended:
                break
            roll.pages = max(walk.walked + 1, ceil((page.total or 0) * walk.walked / max(1, len(walk.listed))))
            if roll.demand(len(roll.waiting)) <= roll.pages - walk.walked:
                self._get(client, roll.take_out())
                return
        roll.pages = walk.walked
        self._forget_old(walk.listed)
        # Those who could have been served by every page of this lap, and were by none, are not in the list.
        self._get(client, roll.take_out(asked_by=started))
        if not roll.deserves_walk(len(roll.waiting)):
            self._get(client, roll.take_out())

    def _note(self, page: Listed) -> None:
        """Keep what a page tells, and serve those for whom it is good enough, whichever list they wait for."""
        for seen in page.sessions:
            if not seen.status:
                self._note_wordless(seen.session_id)
                continue
            self._wordless.pop(seen.session_id, None)
            self._seen[seen.session_id] = seen
            for roll in (self._own, self._all):
                for look in list(roll.waiting.get(seen.session_id, ())):
                    if seen.taken_at > look.good_from:
                        roll.drop(look)
                        _answer(look, seen)

    def _note_wordless(self, session_id: str) -> None:
        """Serve those at rest by what the session itself has said lately; all others ask it."""
        said = self._wordless.setdefault(session_id, None)
        for roll in (self._own, self._all):
            for look in list(roll.waiting.get(session_id, ())):
                if look.at_rest and said is not None and said.taken_at > self._clock.now() - WORDLESS_FOR:
                    roll.drop(look)
                    _answer(look, said)

    def _forget_old(self, listed: set[str]) -> None:
        since = self._clock.now() - LONGEST_GOOD
        self._seen = {session_id: seen for session_id, seen in self._seen.items() if seen.taken_at >= since}
        since = self._clock.now() - WORDLESS_FOR
        self._wordless = {
            session_id: said
            for session_id, said in self._wordless.items()
            if session_id in listed or (said is not None and said.taken_at >= since)
        }

    def _get(self, client: SessionClient, looks: Iterable[Waiter]) -> None:
        """Look by getSession: once for each session, however many ask."""
        by_session: dict[str, list[Waiter]] = {}
        for look in looks:
            by_session.setdefault(look.session_id, []).append(look)
        for session_id, askers in by_session.items():
            self._spawn(self._get_one(client, session_id, askers))

    async def _get_one(self, client: SessionClient, session_id: str, askers: list[Waiter]) -> None:
        try:
            async with self._gets:
                if all(look.answer.done() for look in askers):
                    return
                seen = await client.observe(session_id)
            if session_id in self._wordless:
                self._wordless[session_id] = seen
            for look in askers:
                _answer(look, seen)
        except AgbError as error:
            _fail(askers, error)
        except Exception as bug:
            _fail(askers, bug)
            raise
        finally:
            for look in askers:  # the process ends
                look.answer.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answer(look: Waiter, seen: Observation) -> None:
    if not look.answer.done():
        look.answer.set_result(seen)


def _fail(looks: Iterable[Waiter], error: Exception) -> None:
    """Fail them, each with an exception of its own: one that many raise collects the tracebacks of all."""
    for look in looks:
        if not look.answer.done():
            look.answer.set_exception(copy.copy(error))
