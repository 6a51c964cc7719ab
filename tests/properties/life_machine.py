"""The life of a few resources as hypothesis state machines: whatever people, AGB and the API server do.

`CalmLife` holds what an operator must get through without one illegal call: nobody but the operator moves sessions,
and no answer lies. `RoughLife` adds all that can make an operator call in the wrong state without its fault.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import ExitStack, suppress
from functools import partial
from typing import Any, Final

import looptime
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from agb_operator.policy.backoff import LABELS_SHOW
from agb_simulator import HookRefused
from agb_simulator.effects import (
    BareCreate,
    BusinessError,
    CreateFailed,
    Delay,
    Effect,
    FallBack,
    HttpError,
    Ignored,
    Interference,
    InvalidToken,
    LostAnswer,
    NeverEnds,
    RawAnswer,
    Shape,
    ShortPage,
    StaleRead,
    StatusValue,
    TransitionTime,
)
from integration.restart_points import Moment, Point
from integration.world import KEY, NAMESPACE, SECRET
from properties.rough_world import RoughWorld, Strike

NAMES: Final = ("s0", "s1", "s2")
ADOPTABLE: Final = ("session-1", "session-2")
ROTATED: Final = "simulator-key-rotated"
MOVES: Final = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync")
ENDPOINTS: Final = (*MOVES, "SetLabel", "getSession", "ListSession")

SECONDS = st.sampled_from((0.0, 0.004, 0.05, 0.7, 2.5, 11.0, 40.0, 400.0))
SHORT = st.sampled_from((0.0, 0.3, 3.0, 30.0))
LABELS = st.sampled_from(({}, {"team": "a"}, {"team": "b", "stage": "test"}))
WISHES: dict[str, st.SearchStrategy[Any]] = {
    "paused": st.booleans(),
    "deletionPolicy": st.sampled_from(("Delete", "Retain")),
    "managementPolicy": st.sampled_from(("Manage", "Manage", "Observe")),
    "timeout": st.sampled_from(("3s", "1m", "10m")),
    "pollInterval": st.sampled_from(("1s", "2s", "30s")),
}
OF_CREATED: dict[str, st.SearchStrategy[Any]] = {
    "labels": LABELS,
    "onSessionLost": st.sampled_from(("Fail", "Recreate")),
}
CREATED = st.fixed_dictionaries({"imageId": st.just("agb-code-space-1")}, optional=WISHES | OF_CREATED)
ADOPTED = st.fixed_dictionaries({"sessionId": st.sampled_from((*ADOPTABLE, "session-none"))}, optional=WISHES)
CHANGES = st.fixed_dictionaries({}, optional={**WISHES, "paused": st.booleans(), **OF_CREATED})

FAULTS: st.SearchStrategy[Effect] = st.one_of(
    st.builds(LostAnswer, applied=st.booleans()),
    st.builds(LostAnswer, applied=st.booleans()),
    st.builds(
        HttpError,
        status=st.sampled_from((500, 502, 503, 504)),
        html=st.booleans(),
        retry_after=st.sampled_from((None, 1.0, 20.0)),
        applied=st.booleans(),
    ),
    st.builds(HttpError, status=st.just(429), html=st.booleans(), retry_after=st.sampled_from((None, 0.0, 2.0, 60.0))),
    st.builds(HttpError, status=st.sampled_from((400, 401, 403, 404, 409)), html=st.booleans()),
    st.builds(BusinessError, applied=st.booleans()),
    st.builds(
        RawAnswer,
        status=st.sampled_from((200, 200, 502)),
        body=st.sampled_from(("", "<html>", "null", "[]", '{"success": true}', '{"success": true, "data": []}')),
        content_type=st.sampled_from(("application/json", "text/html")),
        applied=st.booleans(),
    ),
    st.builds(Delay, seconds=st.sampled_from((0.5, 15.0, 90.0))),
    st.builds(Shape, pascal_case=st.booleans(), no_code=st.booleans(), no_request_id=st.booleans()),
    st.builds(Shape, null_data=st.booleans(), enveloped=st.booleans()),
    st.builds(FallBack, seconds=st.sampled_from((None, 5.0))),
    st.builds(NeverEnds),
    st.builds(TransitionTime, seconds=st.sampled_from((0.0, 8.0, 900.0))),
    st.builds(CreateFailed),
    st.builds(BareCreate),
    st.builds(InvalidToken),
)
LIES: st.SearchStrategy[Effect] = st.one_of(
    st.builds(LostAnswer, late=st.sampled_from((2.0, 12.0))),
    st.builds(StaleRead, reads=st.sampled_from((None, 1, 8)), seconds=st.sampled_from((3.0, 20.0))),
    st.builds(StatusValue, status=st.sampled_from((None, "", "RUNNING", "PAUSED", "PAUSING", "DELETING", "ASLEEP"))),
    st.builds(ShortPage, items=st.integers(0, 1)),
    st.builds(
        Interference,
        action=st.sampled_from(("pause", "resume", "release", "vanish")),
        when=st.sampled_from(("before", "after")),
    ),
)
HABITS = st.fixed_dictionaries(
    {},
    optional={
        "transition": st.sampled_from((0.0, 1.0, 20.0)),
        "create_transition": st.sampled_from((0.0, 5.0)),
        "release_transition": st.sampled_from((None, 0.0, 30.0)),
        "finish_for": st.sampled_from((0.0, 60.0, None)),
        "released_status": st.sampled_from(("FINISH", "DELETED")),
        "latency": st.sampled_from((0.0, 0.02, 3.0)),
        "label_lag": st.sampled_from((0.0, 5.0, 20.0)),
        "session_limit": st.sampled_from((None, 3)),
        "limit_on_resume": st.booleans(),
        "repeat_policy": st.sampled_from(("error", "accept")),
        "paging": st.sampled_from(("cursor", "offset")),
        "max_page_size": st.sampled_from((1, 100)),
        "rate_limit": st.sampled_from((None, 2.0)),
    },
)


class CalmLife(RuleBasedStateMachine):
    """Nobody but the operator moves sessions, and no answer lies: no call may be illegal."""

    names: tuple[str, ...] = NAMES
    """All resources that there may be."""

    def __init__(self) -> None:
        super().__init__()
        self._stack = ExitStack()
        self._loop = looptime.new_event_loop(start=0.0, noop_cycles=0)
        self._stack.callback(self._loop.close)
        self._loop.set_exception_handler(self._uncaught)
        self._uncaught_errors: list[str] = []
        self._content = True
        self.world = self._do(self._begin())
        self._stack.enter_context(self.world.judge.listening())

    def _make_world(self) -> RoughWorld:
        return RoughWorld()

    async def _begin(self) -> RoughWorld:
        world = self._make_world()
        for session_id in ADOPTABLE:
            world.control.add_session(KEY, session_id=session_id)
        await world.__aenter__()
        return world

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run_until_complete(work)

    def _now(self, do: Callable[[], Any]) -> None:
        async def work() -> None:
            do()

        self._do(work())

    def _uncaught(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._uncaught_errors.append(f"{context.get('message')}: {context.get('exception')!r}")

    @initialize(specs=st.lists(CREATED | ADOPTED, min_size=1, max_size=3))
    def begin(self, specs: list[dict[str, Any]]) -> None:
        for name, spec in zip(NAMES, specs, strict=False):
            self._people(partial(self.world.apply, name, **spec), then=3.0)

    # What people do

    @rule(name=st.sampled_from(NAMES), spec=CREATED | ADOPTED, then=SECONDS)
    def apply(self, name: str, spec: dict[str, Any], then: float) -> None:
        if not self.world.exists(name):
            self._people(lambda: self.world.apply(name, **spec), then=then)

    @rule(spec=CREATED, lag=st.sampled_from((0.0, 2.0, 20.0)), applied=st.booleans(), then=SECONDS)
    def apply_while_the_answer_gets_lost(self, spec: dict[str, Any], lag: float, applied: bool, then: float) -> None:
        self._now(lambda: self.world.control.configure(label_lag=lag))
        self._apply_with(LostAnswer(applied=applied), spec, then=then)

    def _apply_with(self, fault: Effect, spec: dict[str, Any], *, then: float) -> None:
        self._now(lambda: self.world.control.add_fault(fault, endpoint="createSession", count=1))
        free = [name for name in NAMES if not self.world.exists(name)]
        if free:
            self._people(lambda: self.world.apply(free[0], **spec), then=then)

    def _apply_late(self, spec: dict[str, Any], *, then: float) -> None:
        """Have a create take effect later than its grace period, so that a second one is sent.

        Much later, several such creates at a time, one and other failures, or a deletion meanwhile are not promised.
        """
        late = LABELS_SHOW + 15.0
        self._now(self.world.control.clear_faults)
        self._now(lambda: self.world.control.configure(label_lag=0.0))
        self._apply_with(LostAnswer(late=late), spec | {"managementPolicy": "Manage"}, then=late + then)
        self._now(self.world.control.clear_faults)  # a create that has not been sent by now is like any other
        self.wait(late)  # one that was sent just now is still on its way

    @rule(name=st.sampled_from(NAMES), change=CHANGES, then=SECONDS)
    def patch(self, name: str, change: dict[str, Any], then: float) -> None:
        if not self.world.exists(name):
            return
        spec = self.world.cluster.objects[NAMESPACE, name]["spec"]
        if "sessionId" in spec:
            change = {field: value for field, value in change.items() if field not in OF_CREATED}
        if {**spec, **change} != spec:
            self._people(lambda: self.world.patch(name, **change), then=then)

    @rule(name=st.sampled_from(NAMES), then=SECONDS)
    def flip(self, name: str, then: float) -> None:
        if self.world.exists(name):
            paused = self.world.cluster.objects[NAMESPACE, name]["spec"].get("paused", False)
            self._people(lambda: self.world.patch(name, paused=not paused), then=then)

    @rule(then=SECONDS)
    def flip_all(self, then: float) -> None:
        for name in self.names:
            self.flip(name, then=0.0)
        self.wait(then)

    @rule(name=st.sampled_from(NAMES), then=SECONDS)
    def delete(self, name: str, then: float) -> None:
        if self.world.exists(name) and not self.world.session(name).deleting:
            self._people(lambda: self.world.delete(name), then=then)

    @rule(name=st.sampled_from(NAMES), then=SECONDS)
    def abandon(self, name: str, then: float) -> None:
        if self.world.exists(name) and not self.world.session(name).abandoned:
            self._people(lambda: self.world.cluster.annotate(NAMESPACE, name, abandon="true"), then=then)

    @rule(seconds=SECONDS)
    def wait(self, seconds: float) -> None:
        self._do(asyncio.sleep(seconds))

    def _people(self, do: Callable[[], Any], *, then: float) -> None:
        """Let people do something, and let some time go by."""

        async def work() -> None:
            do()
            self.world.note_policies()
            await asyncio.sleep(then)

        self._do(work())

    # What AGB does

    @rule(effect=FAULTS, endpoint=st.sampled_from((None, *ENDPOINTS)), count=st.integers(1, 4))
    def fail_at_agb(self, effect: Effect, endpoint: str | None, count: int) -> None:
        self._now(lambda: self.world.control.add_fault(effect, endpoint=endpoint, count=count))

    @rule(effect=FAULTS, probability=st.sampled_from((0.1, 0.4)))
    def fail_now_and_then_at_agb(self, effect: Effect, probability: float) -> None:
        self._now(lambda: self.world.control.add_fault(effect, probability=probability, count=20))

    @rule(endpoint=st.sampled_from(MOVES), count=st.integers(1, 3))
    def ignore(self, endpoint: str, count: int) -> None:
        # Not SetLabel: what was set is not read back.
        self._now(lambda: self.world.control.add_fault(Ignored(), endpoint=endpoint, count=count))

    @rule(habits=HABITS)
    def change_the_habits_of_agb(self, habits: dict[str, Any]) -> None:
        self._now(lambda: self.world.control.configure(**habits))

    @rule()
    def end_all_faults(self) -> None:
        self._now(lambda: self.world.control.clear_faults())

    @rule(allowed=st.booleans())
    def allow_pause(self, allowed: bool) -> None:
        self._now(lambda: self.world.control.allow_pause(KEY, allowed))

    # Keys

    @rule()
    def revoke_the_key(self) -> None:
        self._now(lambda: self.world.control.revoke_key(KEY))

    @rule(kept=st.booleans())
    def rotate_the_key(self, kept: bool) -> None:
        self._now(lambda: self.world.control.add_key(ROTATED, shares_with=KEY))
        self.world.cluster.put_secret(NAMESPACE, SECRET, apiKey=ROTATED)
        if not kept:
            self._now(lambda: self.world.control.revoke_key(KEY))

    @rule()
    def lose_the_secret(self) -> None:
        self.world.cluster.secrets.pop((NAMESPACE, SECRET), None)

    @rule()
    def repair_the_key(self) -> None:
        self._now(lambda: self.world.control.add_key(KEY))
        self.world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)

    # What the API server does

    @rule(strikes=st.lists(st.sampled_from(Strike), min_size=1, max_size=4))
    def strike_writes(self, strikes: list[Strike]) -> None:
        self.world.rough.strikes.extend(strikes)

    @rule(seconds=st.sampled_from((0.0, 0.002, 3.0, 30.0)))
    def delay_the_watch(self, seconds: float) -> None:
        self.world.cluster.watch_delay = seconds

    # What happens to the operator

    @rule(number=st.integers(0, 12), moment=st.sampled_from(Moment), down=SHORT)
    def kill_at_a_request(self, number: int, moment: Moment, down: float) -> None:
        async def kill() -> None:
            self.world.gate.hold(Point(number=number, request="", moment=moment))
            try:
                async with asyncio.timeout(100):
                    await self.world.gate.reached()
            except TimeoutError:
                self.world.gate.let_go()
            else:
                await self.world.kill_operator(down=down)

        self._do(kill())

    @rule(steps=st.integers(0, 60), down=SHORT)
    def kill_at_an_await(self, steps: int, down: float) -> None:
        async def kill() -> None:
            for _ in range(steps):
                await asyncio.sleep(0)
            await self.world.kill_operator(down=down)

        self._do(kill())

    # What must hold

    @invariant()
    def nothing_to_complain_about(self) -> None:
        self._content = False
        self.world.note_policies()
        self.world.judge.assert_content()
        assert not self._uncaught_errors, self._uncaught_errors
        self._now(self.assert_flawless)
        self._content = True

    def assert_flawless(self) -> None:
        self.world.judge.assert_flawless()

    def teardown(self) -> None:
        with self._stack:
            try:
                if self._content:
                    self._do(self._end())
                    self.nothing_to_complain_about()
            finally:
                self._do(self.world.operator.kill())

    async def _end(self) -> None:
        """Once nothing goes wrong any more all is as it should be; then all is deleted, and nothing is left."""
        await self.world.put_in_order()
        await self.world.assert_settles()
        for name in self.names:
            if self.world.exists(name):
                self.world.delete(name)
        await self.world.assert_settles()
        assert not self.world.cluster.objects


class RoughLife(CalmLife):
    """Others move sessions, answers lie, clocks jump, two operators run at once: each call must still be justified."""

    @rule(effect=LIES, endpoint=st.sampled_from((None, *ENDPOINTS)), count=st.integers(1, 3))
    def lie(self, effect: Effect, endpoint: str | None, count: int) -> None:
        self._now(lambda: self.world.control.add_fault(effect, endpoint=endpoint, count=count))

    @rule(spec=CREATED)
    def apply_while_a_create_takes_long(self, spec: dict[str, Any]) -> None:
        self._apply_late(spec, then=45.0)

    @rule(seconds=st.sampled_from((0.0, 3.0, 15.0)))
    def let_lists_be_old(self, seconds: float) -> None:
        self._now(lambda: self.world.control.configure(status_lag=seconds))

    @rule(number=st.integers(0, 5), action=st.sampled_from(("pause", "resume", "release", "vanish")))
    def act_at_the_console(self, number: int, action: str) -> None:
        def act() -> None:
            live = self.world.live()
            if live:
                session_id = live[number % len(live)]["sessionId"]
                with suppress(HookRefused):  # it is not in the state for that
                    self.world.control.act(session_id, action)

        self._now(act)

    @rule(number=st.integers(0, 5), status=st.sampled_from(("RUNNING", "PAUSED", "PAUSING", "HIBERNATED", "CREATING")))
    def find_a_session_in_another_state(self, number: int, status: str) -> None:
        def change() -> None:
            live = self.world.live()
            if live:
                self.world.control.set_status(live[number % len(live)]["sessionId"], status)

        self._now(change)

    @rule(seconds=st.sampled_from((-7200.0, -3.0, 3.0, 3600.0)))
    def set_the_clock(self, seconds: float) -> None:
        self.world.set_forward += seconds

    @rule(overlap=st.sampled_from((0.0, 0.01, 3.0, 45.0)))
    def replace_the_operator(self, overlap: float) -> None:
        self._do(self.world.replace_operator(overlap=overlap))

    @rule(seconds=st.sampled_from((None, 60.0)))
    def end_idle_sessions(self, seconds: float | None) -> None:
        self._now(lambda: self.world.control.configure(idle_timeout=seconds))

    def assert_flawless(self) -> None:
        """An illegal call may be nobody's fault here; that each one is justified is the judge's to say."""
