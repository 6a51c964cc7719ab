"""Looks at many sessions of an account at once, with as few calls as that can be had for.

`getSession` costs a call for each session, `ListSession` a call for each page of a hundred. Looks that are asked for
within a few milliseconds are served together, by whichever is fewer calls. A walk over the pages tells more than it
was started for, so its answers are kept for a moment, the longer the more pages it took: looks that trickle in cost
no more than many at once, while a look at one session among ten thousand is still one call.

An answer is good when its question was sent (`taken_at`) after the last call that was made for the session. A list
only ever says what a session is like: that one is missing from it is confirmed by `getSession`. Nothing is decided
and nothing repeated here; a failed look is the caller's to try again.

People's looks and the clock's are collected apart: a few of the ones never wait for a walk that is made for the others.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from ..model.clock import Clock
from ..model.states import Observation
from .client import SessionClient
from .lanes import Lane, caller_lane
from .listing import Waiter
from .walks import Batcher

_WINDOW: Final = 0.005


@dataclass(kw_only=True, slots=True, eq=False)
class BatchedObserver:
    """Serves the looks at all accounts' sessions."""

    own_labels: Mapping[str, str]
    """Labels that the sessions created by this operator carry; they narrow the list."""
    clock: Clock
    window: float = _WINDOW
    """Seconds for which looks are collected."""
    _batchers: WeakKeyDictionary[SessionClient, dict[Lane, Batcher]] = field(
        init=False, default_factory=WeakKeyDictionary
    )

    async def observe(
        self, client: SessionClient, session_id: str, *, not_before: float, labelled: bool
    ) -> Observation:
        """Look at one session, together with whoever else looks at this time.

        The answer was taken after `not_before`. While so many look that walking the list is cheaper, it may be
        a tenth of a second old for each page of that list, five seconds at most.

        Args:
            client: the account's calls, within their limits.
            session_id: the session.
            not_before: when the last call for this session ended, in seconds of the loop's clock.
            labelled: whether the session was created by this operator, and so carries `own_labels`.

        Raises:
            AgbError: the look failed, in whichever way it was made.
        """
        looks = self._of(client)
        seen = looks.remembered(session_id, not_before=not_before, labelled=labelled)
        if seen is not None:
            return seen
        look = looks.ask(client, session_id, not_before=not_before, labelled=labelled)
        try:
            return await look.answer
        finally:
            looks.drop(look)

    async def observe_all(self, client: SessionClient, sessions: Mapping[str, bool]) -> dict[str, Observation]:
        """Look at many settled sessions; every answer is taken after this call began.

        Where the list says no status, getSession is asked, once in five minutes for each session.

        Args:
            client: the account's calls, within their limits.
            sessions: ids, each with whether the session was created by this operator.

        Returns:
            What was seen; sessions whose look failed are left out.

        Raises:
            AgbError: most looks failed.
        """
        looks = self._of(client)
        now = self.clock.now()
        asked = [
            looks.ask(client, session_id, not_before=now, labelled=labelled, at_rest=True)
            for session_id, labelled in sessions.items()
        ]
        try:
            if asked:
                await asyncio.wait([look.answer for look in asked])
        finally:
            for look in asked:
                looks.drop(look)
        return _results(asked)

    def _of(self, client: SessionClient) -> Batcher:
        """Return the looks of the caller's lane at an account; they go when it goes, e.g. with a replaced key."""
        lanes = self._batchers.setdefault(client, {})
        lane = caller_lane.get()
        if lane not in lanes:
            before = next(iter(lanes.values()), None)
            lanes[lane] = Batcher(
                own_labels=self.own_labels,
                window=self.window,
                allows=client.allows,
                clock=self.clock,
                like=before,
            )
        return lanes[lane]


def _results(asked: list[Waiter]) -> dict[str, Observation]:
    seen: dict[str, Observation] = {}
    failures: list[BaseException] = []
    for look in asked:
        error = look.answer.exception()
        if error is None:
            seen[look.session_id] = look.answer.result()
        else:
            failures.append(error)
    if len(failures) > len(seen):
        raise failures[0]
    return seen
