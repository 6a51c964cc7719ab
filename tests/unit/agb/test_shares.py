"""Places that tenants share: nobody holds them all, nobody starves, and none is lost. In virtual time."""

import asyncio
from collections import Counter

import pytest

from agb_operator.agb.shares import Shares
from simulated import loop_time

pytestmark = pytest.mark.looptime


class Desk:
    """Places, and who holds them."""

    def __init__(self, places: int) -> None:
        self.shares = Shares(places)
        self.held: Counter[str] = Counter()
        self.order: list[str] = []

    async def hold(self, tenant: str, part: str = "", *, seconds: float = 1000.0) -> None:
        async with self.shares.turn(tenant, part):
            self.order.append(tenant + part)
            self.held[tenant] += 1
            await asyncio.sleep(seconds)
            self.held[tenant] -= 1

    def many(self, number: int, tenant: str, part: str = "", *, seconds: float = 1000.0) -> list[asyncio.Task[None]]:
        return [asyncio.create_task(self.hold(tenant, part, seconds=seconds)) for _ in range(number)]


async def dropped(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_tenant_that_hangs_holds_a_third_and_the_next_one_comes_in_at_once() -> None:
    desk = Desk(96)
    hung = desk.many(1000, "a")
    await asyncio.sleep(1)
    assert desk.held == {"a": 32}
    assert desk.shares.busy("a")
    assert not desk.shares.busy("b")
    started = loop_time()
    await desk.hold("b", seconds=1.0)
    assert loop_time() - started == pytest.approx(1.0)
    await dropped(hung)


@pytest.mark.parametrize("tenants", [2, 5, 10])
async def test_many_that_hang_leave_a_place_for_the_next(tenants: int) -> None:
    desk = Desk(96)
    hung = [task for number in range(tenants) for task in desk.many(100, f"a{number}")]
    await asyncio.sleep(1)
    assert min(desk.held.values()) >= 1
    assert not desk.shares.busy("b")
    await dropped(hung)


async def test_a_part_that_hangs_leaves_places_for_the_other_parts_of_its_tenant() -> None:
    desk = Desk(96)
    hung = desk.many(1000, "a", "secret 1")
    await asyncio.sleep(1)
    assert not desk.shares.busy("a", "secret 2")
    await dropped(hung)


async def test_a_thousand_parts_are_still_one_tenant() -> None:
    desk = Desk(96)
    hung = [task for number in range(1000) for task in desk.many(1, "a", str(number))]
    await asyncio.sleep(1)
    assert desk.held["a"] <= 96 / 2
    assert not desk.shares.busy("b")
    await dropped(hung)


async def test_those_who_wait_are_served_in_their_order_and_part_after_part() -> None:
    desk = Desk(3)
    first = desk.many(1, "a", "0")
    await asyncio.sleep(0)
    waiting = [*desk.many(2, "a", "1"), *desk.many(2, "a", "2")]
    await asyncio.sleep(1)
    await dropped(first)
    for task in waiting:
        await asyncio.sleep(0.1)
        task.cancel()
    assert desk.order[1:3] == ["a1", "a2"]
    await dropped(waiting)


async def test_no_place_is_lost_whoever_gives_up_and_when() -> None:
    desk = Desk(3)
    for moment in (0.5, 1.0, 1.0 + 1e-10):
        holder = desk.many(1, "a", seconds=1.0)
        await asyncio.sleep(0)
        waiters = desk.many(3, "a", seconds=1.0)
        asyncio.get_running_loop().call_later(moment, waiters[0].cancel)
        await asyncio.gather(*holder, *waiters, return_exceptions=True)
    assert not desk.shares.busy("a")
    assert not desk.shares.busy("a")
    assert desk.shares._waiting == {}
    assert desk.shares._held._free == 3
