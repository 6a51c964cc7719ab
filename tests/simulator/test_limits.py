"""Limits of the service: what they let through, what the refusals say, and that all of it stands in the log."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from agb_simulator import Api, HookRefused, Settings
from agb_simulator.effects import Delay, HttpError, LostAnswer
from agb_simulator.faults import FaultRule
from agb_simulator.limits import AtOnceLimit, Capacity, RateLimit
from simulated import SimulatedTransport, loop_time
from simulator.caller import KEY, OTHER_KEY, Caller


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """What a refusal of the rate limit says."""

    limit: RateLimit
    header: str | None


@pytest.mark.parametrize(
    "told",
    [
        Told(limit=RateLimit(per_second=2), header="1"),
        Told(limit=RateLimit(per_second=0.1), header="10"),
        Told(limit=RateLimit(per_second=2, retry_after=60), header="60"),
        Told(limit=RateLimit(per_second=2, retry_after=0), header="0"),
        Told(limit=RateLimit(per_second=2, retry_after=86_400), header="86400"),
        Told(limit=RateLimit(per_second=2, retry_after=None), header=None),
    ],
    ids=lambda told: f"{told.limit.per_second} a second, {told.limit.retry_after}",
)
def test_a_refusal_says_when_to_retry_as_it_was_told_to(told: Told) -> None:
    caller = Caller()
    caller.control.add_fault(told.limit)
    while (answer := caller.page()).ok:
        pass
    assert (answer.status, answer.code) == (429, "Throttling.User")
    assert answer.reply.headers.get("retry-after") == told.header


def test_a_rate_limit_is_for_its_key_and_its_endpoint() -> None:
    caller = Caller()
    caller.control.add_fault(RateLimit(per_second=2), key=KEY, endpoint="createSession")
    assert [caller.try_create().status for _ in range(3)] == [200, 200, 429]
    assert [caller.page().status for _ in range(5)] == [200] * 5, "lists are free"
    caller.key = OTHER_KEY
    assert [caller.try_create().status for _ in range(5)] == [200] * 5
    assert caller.control.stats()["created"] == 7, "nothing was done for the refused one"


def test_a_rate_limit_without_a_key_counts_each_key_by_itself() -> None:
    caller = Caller()
    caller.control.add_fault(RateLimit(per_second=1))
    assert [caller.page().status for _ in range(2)] == [200, 429]
    caller.key = OTHER_KEY
    assert [caller.page().status for _ in range(2)] == [200, 429]


def test_a_rate_limit_refills_and_does_not_save_up() -> None:
    caller = Caller()
    caller.control.add_fault(RateLimit(per_second=2))
    assert [caller.page().status for _ in range(3)] == [200, 200, 429]
    caller.wait(0.5)
    assert [caller.page().status for _ in range(2)] == [200, 429]
    caller.wait(3600)
    assert [caller.page().status for _ in range(3)] == [200, 200, 429]


def test_a_rate_limit_can_be_changed_while_running() -> None:
    caller = Caller()
    let_through = []
    for limit in (200, 20, 200):
        caller.control.clear_faults()
        caller.control.add_fault(RateLimit(per_second=limit), key=KEY)
        while caller.page().ok:
            pass
        passed = 0
        for _ in range(80):
            caller.wait(0.125)
            passed += sum(caller.page().ok for _ in range(30))
        let_through.append(passed)
    assert let_through == [2000, 200, 2000], "in ten seconds each"


def test_several_limits_hold_at_once_and_a_refused_call_uses_up_none_of_them() -> None:
    caller = Caller(settings=Settings(rate_limit=5))
    caller.control.add_fault(RateLimit(per_second=2), endpoint="createSession")
    assert [caller.try_create().status for _ in range(10)] == [200, 200] + [429] * 8
    assert [caller.page().status for _ in range(4)] == [200, 200, 200, 429]


def test_the_log_counts_what_was_refused_each_second() -> None:
    caller = Caller()
    fault = caller.control.add_fault(RateLimit(per_second=3))
    caller.control.add_fault(HttpError(status=429), count=1)
    for _ in range(3):
        for _ in range(5):
            caller.page()
        caller.wait(1)
    entries = caller.control.requests()
    assert Counter(int(entry.time) for entry in entries if entry.limited) == {1000: 2, 1001: 2, 1002: 2}
    assert not entries[0].limited, "a 429 that is a fault is no limit"
    assert caller.control.count("ListSession", "limited") == 6
    assert caller.control.stats()["endpoints"]["ListSession"]["byStatus"] == {"429": 7, "200": 8}
    assert {shown["id"]: shown["struck"] for shown in caller.control.faults()} == {fault: 6}


def test_the_limit_of_the_settings_is_counted_too() -> None:
    caller = Caller(settings=Settings(rate_limit=1))
    caller.page()
    caller.page()
    assert [entry.limited for entry in caller.control.requests()] == [False, True]


def test_a_limit_of_requests_at_once_refuses_one_more_until_an_answer_is_out() -> None:
    caller = Caller(settings=Settings(latency=0.5))
    caller.control.add_fault(AtOnceLimit(requests=2), key=KEY)
    assert [caller.page().status for _ in range(3)] == [200, 200, 429]
    caller.key = OTHER_KEY
    assert caller.page().ok
    caller.key = KEY
    caller.wait(0.4)
    assert caller.page().status == 429
    caller.wait(0.1)
    assert [caller.page().status for _ in range(3)] == [200, 200, 429]
    assert [entry.limited for entry in caller.control.requests()].count(True) == 3


def test_a_request_at_once_lasts_as_long_as_whatever_delays_its_answer() -> None:
    caller = Caller()
    caller.control.add_fault(AtOnceLimit(requests=1, retry_after=7))
    caller.control.add_fault(Delay(seconds=30), count=1)
    assert caller.page().ok
    caller.wait(29)
    refused = caller.page()
    assert (refused.status, refused.reply.headers["retry-after"]) == (429, "7")
    caller.wait(1)
    assert caller.page().ok
    assert caller.page().ok, "without a delay it is over at once"


def test_an_endpoint_of_fixed_capacity_answers_in_turn() -> None:
    caller = Caller()
    caller.control.add_fault(Capacity(per_second=10))
    assert [round(caller.page().reply.delay, 6) for _ in range(3)] == [0.1, 0.2, 0.3]
    caller.key = OTHER_KEY
    assert round(caller.page().reply.delay, 6) == 0.4, "all keys stand in one queue"
    caller.wait(0.25)
    assert round(caller.page().reply.delay, 6) == 0.25
    caller.wait(60)
    assert round(caller.page().reply.delay, 6) == 0.1, "what was idle is not saved up"
    assert [round(entry.delay, 6) for entry in caller.control.requests()] == [0.1, 0.2, 0.3, 0.4, 0.25, 0.1]


def test_a_queue_holds_all_answers_and_the_action_is_done_when_it_is_asked_for() -> None:
    caller = Caller(settings=Settings(transition=0, latency=1))
    session = caller.create()
    caller.control.add_fault(Capacity(per_second=2))
    assert caller.pause(session).reply.delay == 1.5
    assert caller.pause(session).reply.delay == 2.0, "a refusal for the state, too"
    assert caller.control.session(session)["status"] == "PAUSED"
    caller.control.add_fault(LostAnswer(), count=1)
    lost = caller.send("GET", "/sdk/ListSession")
    assert (lost.drop, lost.delay) == (True, 2.5)


def test_what_a_limit_refuses_stands_in_no_queue() -> None:
    caller = Caller()
    caller.control.add_fault(Capacity(per_second=1))
    caller.control.add_fault(RateLimit(per_second=1))
    assert [(answer.status, answer.reply.delay) for answer in (caller.page(), caller.page())] == [(200, 1.0), (429, 0)]
    caller.key = OTHER_KEY
    assert caller.page().reply.delay == 2.0


def test_what_has_no_key_meets_no_limit() -> None:
    caller = Caller(keys=(KEY,))
    caller.control.add_fault(RateLimit(per_second=1))
    caller.control.add_fault(Capacity(per_second=1))
    caller.key = OTHER_KEY
    assert [(answer.status, answer.reply.delay) for answer in (caller.page(), caller.page())] == [(401, 0), (401, 0)]


@pytest.mark.parametrize("more", [{"count": 3}, {"probability": 0.5}])
def test_a_limit_takes_neither_count_nor_probability(more: dict[str, Any]) -> None:
    caller = Caller()
    with pytest.raises(HookRefused, match="a limit takes neither count nor probability"):
        caller.control.hook("POST", "faults", {"effect": {"kind": "rate_limit", "perSecond": 1}, **more})
    with pytest.raises(ValueError, match="a limit takes neither"):
        FaultRule(effect=Capacity(per_second=1), **more)
    assert caller.control.faults() == []


@pytest.mark.parametrize(
    ("effect", "text"),
    [
        ({"kind": "rate_limit", "perSecond": 0}, "perSecond: Input should be greater than 0"),
        ({"kind": "rate_limit", "perSecond": 1, "retryAfter": "soon"}, "retryAfter"),
        ({"kind": "at_once_limit", "requests": 0}, "requests: Input should be greater than or equal to 1"),
        ({"kind": "capacity"}, "perSecond: Field required"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(effect: dict[str, Any], text: str) -> None:
    caller = Caller()
    with pytest.raises(HookRefused) as refused:
        caller.control.hook("POST", "faults", {"effect": effect})
    assert text in str(refused.value)


class Virtual:
    """A client of the simulator in the event loop's virtual time."""

    def __init__(self, settings: Settings) -> None:
        self.transport = SimulatedTransport(Api(clock=loop_time, settings=settings))
        headers = {"Authorization": f"Bearer {KEY}"}
        self.http = httpx.AsyncClient(
            transport=self.transport, base_url="http://simulator", headers=headers, timeout=60.0
        )

    async def ask(self) -> tuple[int, float]:
        """List once; the status, and the time at which it was there."""
        answer = await self.http.get("/sdk/ListSession")
        return answer.status_code, loop_time()


@pytest.mark.looptime
async def test_in_virtual_time_a_hundred_at_once_are_served_in_order_at_the_endpoints_pace() -> None:
    virtual = Virtual(Settings(latency=0.02))
    virtual.transport.control.add_fault(Capacity(per_second=100))
    before = loop_time()
    answers = await asyncio.gather(*(virtual.ask() for _ in range(100)))
    times = [round(at - before, 3) for _, at in answers]
    assert times == [round(0.02 + 0.01 * (n + 1), 3) for n in range(100)]


@pytest.mark.looptime
async def test_in_virtual_time_as_many_workers_as_are_allowed_at_once_meet_no_refusal_and_one_more_does() -> None:
    virtual = Virtual(Settings(latency=0.1))
    virtual.transport.control.add_fault(AtOnceLimit(requests=8))

    async def work() -> None:
        for _ in range(50):
            await virtual.ask()

    await asyncio.gather(*(work() for _ in range(8)))
    assert virtual.transport.control.count("ListSession", "limited") == 0
    await asyncio.gather(*(work() for _ in range(9)))
    assert virtual.transport.control.count("ListSession", "limited") > 0


@pytest.mark.looptime
async def test_in_virtual_time_a_client_at_the_rate_meets_no_refusal_and_a_faster_one_does() -> None:
    virtual = Virtual(Settings())
    virtual.transport.control.add_fault(RateLimit(per_second=50))

    async def refused(pace: int) -> int:
        before = virtual.transport.control.count("ListSession", "limited")
        for _ in range(10 * pace):
            await virtual.ask()
            await asyncio.sleep(1 / pace)
        return virtual.transport.control.count("ListSession", "limited") - before

    assert await refused(50) == 0
    assert await refused(60) == pytest.approx(50, abs=2), "of 600 calls 500 are let through, and a burst of 50"
