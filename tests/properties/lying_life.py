"""The life of a few resources while AGB lies, all its lies at once: what people would notice must not happen once.

As in `CalmLife`, nobody but the operator pauses and resumes sessions, and the status in getSession's answer is true; so
an illegal call has no excuse. Sessions end of themselves, though, and others share the account.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from agb_simulator.effects import (
    Effect,
    EndlessPages,
    FieldValues,
    FilterIgnored,
    IdValue,
    StaleLabels,
    StaleList,
    StatusValue,
)
from integration.world import KEY
from properties.life_machine import CREATED, NAMES, SECONDS, SHORT, CalmLife
from properties.lying_world import OLDEST, LyingWorld
from properties.rough_world import RoughWorld

Lie = tuple[str | None, Effect]
ABSURD: Final[tuple[Any, ...]] = (10**400, -1, "many", None, [], True)
LISTS: Final = "ListSession"
LIES: st.SearchStrategy[Lie] = st.one_of(
    st.just((LISTS, FilterIgnored())),
    st.tuples(st.just(LISTS), st.builds(StaleList, seconds=st.sampled_from((3.0, OLDEST)))),
    st.tuples(st.just(LISTS), st.builds(EndlessPages, how=st.sampled_from(("circle", "same_token", "new_tokens")))),
    st.tuples(st.just(LISTS), st.builds(StatusValue, status=st.sampled_from((None, "")))),
    st.tuples(st.just("GetLabel"), st.builds(StaleLabels, seconds=st.sampled_from((3.0, OLDEST)))),
    st.tuples(
        st.none(),
        st.builds(
            FieldValues,
            fields=st.fixed_dictionaries(
                {}, optional={name: st.sampled_from(ABSURD) for name in ("count", "maxResults", "httpStatusCode")}
            ),
        ),
    ),
)
FLEET: Final = tuple(f"f{number}" for number in range(8))
"""Resources that are always there, enough for looks at them to be served by lists."""
PROBABILITIES: Final = (0.2, 0.6, 1.0)
AWAY: Final = st.sampled_from((30.0, 400.0, 1500.0))
"""Seconds for which a key opens another account: less than the hour after which it counts as its own."""


class LyingLife(CalmLife):
    """No answer but the status of one session is to be relied on: nothing irreversible may rest on it."""

    world: LyingWorld
    names = (*NAMES, *FLEET)

    def _make_world(self) -> LyingWorld:
        return LyingWorld()

    async def _begin(self) -> RoughWorld:
        world = await super()._begin()
        for number, name in enumerate(FLEET):
            if number % 2:
                world.apply(name, imageId="agb-code-space-1", pollInterval="1s")
            else:
                world.apply(name, sessionId=world.control.add_session(KEY), pollInterval="1s")
        await asyncio.sleep(3.0)
        return world

    # Lies

    @initialize(lies=st.lists(LIES, min_size=2, max_size=6), probability=st.sampled_from(PROBABILITIES))
    def begin_with_lies(self, lies: list[Lie], probability: float) -> None:
        self._do(self._tell(lies, probability))

    @rule(then=SECONDS)
    def flip_the_fleet(self, then: float) -> None:
        def flip() -> None:
            for name in filter(self.world.exists, FLEET):
                self.world.patch(name, paused=not self.world.session(name).paused)

        self._people(flip, then=then)

    @rule(lies=st.lists(LIES, min_size=1, max_size=6), probability=st.sampled_from(PROBABILITIES))
    def lie(self, lies: list[Lie], probability: float) -> None:
        self._do(self._tell(lies, probability))

    @rule(number=st.integers(0, 5), probability=st.sampled_from(PROBABILITIES), lists=st.booleans())
    def name_another_session(self, number: int, probability: float, lists: bool) -> None:
        others: list[str | None] = [None, *sorted(self.world.judge.foreign)]
        effect = IdValue(session_id=others[number % len(others)])
        self._do(self._tell([(LISTS if lists else "getSession", effect)], probability))

    async def _tell(self, lies: list[Lie], probability: float) -> None:
        if any(isinstance(effect, StaleList) for _, effect in lies):
            await self.world.until_a_list_may_be_old()
        for endpoint, effect in lies:
            self.world.control.add_fault(effect, endpoint=endpoint, probability=probability)

    # Accounts

    @rule(strangers=st.booleans(), name=st.sampled_from(("", *NAMES)), seconds=AWAY)
    def open_another_account(self, strangers: bool, name: str, seconds: float) -> None:
        # A create whose answer was lost could not be found in the account that it was sent to.
        account = self.world.stranger if strangers else "nobody"
        self._meanwhile(self.world.open_another_account(account, seconds=seconds), delete=name)

    @rule(name=st.sampled_from(("", *NAMES)), seconds=AWAY)
    def use_the_key_of_a_stranger(self, name: str, seconds: float) -> None:
        self._meanwhile(self.world.use_the_key_of_a_stranger(seconds=seconds), delete=name)

    def _meanwhile(self, trouble: Coroutine[Any, Any, None], *, delete: str) -> None:
        """Let people delete a resource, "" for none, in the middle of a trouble."""

        async def both() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(trouble)
                await asyncio.sleep(10.0)
                if delete and self.world.exists(delete) and not self.world.session(delete).deleting:
                    self.world.delete(delete)

        self._do(both())

    # What others do

    @rule(number=st.integers(0, 5), labels=st.sampled_from(({}, {"team": "z"})))
    def replace_all_labels(self, number: int, labels: dict[str, str]) -> None:
        def replace() -> None:
            if reported := self.world.reported():
                self.world.replace_labels(reported[number % len(reported)], labels)

        self._now(replace)

    @rule(number=st.integers(0, 5))
    def end_a_session(self, number: int) -> None:
        def end() -> None:
            if ours := self.world.ours():
                self.world.control.act(ours[number % len(ours)], "vanish")

        self._now(end)

    @rule()
    def end_all_sessions(self) -> None:
        def end() -> None:
            for session_id in self.world.ours():
                self.world.control.act(session_id, "vanish")

        self._now(end)

    @rule(spec=CREATED, then=SHORT)
    def apply_while_a_create_takes_long(self, spec: dict[str, Any], then: float) -> None:
        self._apply_late(spec, then=then)

    # What must hold

    def assert_flawless(self) -> None:
        super().assert_flawless()
        self.world.assert_others_untouched()

    async def _end(self) -> None:
        try:
            await super()._end()
        finally:
            self.world.count_orphans()
        assert not any(self.world.judge.counts.values()), self.world.judge.counts
