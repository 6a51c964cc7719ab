"""The gauge of open breakers tells of now, not of all that has ever been."""

import asyncio
from math import inf

import pytest

from agb_simulator.effects import HttpError
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime


def open_breakers(world: World, kind: str = "credentials") -> float:
    """Read the gauge of keys that AGB refuses, or of another kind, as a scrape would."""
    (sample,) = world.samples("agb_api_breaker_open", kind=kind)
    return sample.value


def rate_limit(world: World) -> float:
    """Read the gauge of the rate that bounds calls."""
    (sample,) = world.samples("agb_api_rate_limit")
    return sample.value


async def test_the_gauge_of_refused_keys_falls_again_each_time_a_key_is_replaced() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        used = KEY
        for number in range(3):
            world.control.revoke_key(used)
            await world.until(lambda: open_breakers(world) == 1.0, within=300.0)
            used = f"simulator-key-{number}"
            world.control.add_key(used, shares_with=KEY)
            world.cluster.put_secret(NAMESPACE, SECRET, apiKey=used)
            await world.ready("Running", within=300.0)
            await asyncio.sleep(200.0)
            assert open_breakers(world) == 0.0


async def test_a_key_that_is_kept_for_deletions_alone_holds_nothing_back_once_another_one_serves() -> None:
    first, second, third = KEY, "simulator-key-2", "simulator-key-3"
    async with World() as world:
        for key in (second, third):
            world.control.add_key(key, shares_with=KEY)
        for name in ("goes", "stays"):
            world.apply(name, imageId="agb-code-space-1")
            await world.ready("Running", name)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=second)
        await asyncio.sleep(200.0)
        for key in (first, second):
            world.control.revoke_key(key)
        await world.until(lambda: open_breakers(world) == 1.0, within=300.0)
        world.cluster.delete(NAMESPACE, "goes")  # tries the first key, too
        await asyncio.sleep(120.0)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=third)
        await world.until(lambda: not world.exists("goes"), within=300.0)
        await world.ready("Running", "stays", within=300.0)

        assert open_breakers(world) == 0.0


async def test_a_rate_that_was_found_for_a_key_that_is_no_longer_used_bounds_nothing() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        throttled = world.control.add_fault(HttpError(status=429))
        world.patch(paused=True)
        await world.until(lambda: rate_limit(world) < inf, within=300.0)
        world.control.remove_fault(throttled)
        await world.ready("Paused", within=600.0)
        world.control.add_key("simulator-key-2", shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="simulator-key-2")
        await asyncio.sleep(200.0)

        assert rate_limit(world) == inf


async def test_what_fails_for_nobody_any_more_is_not_told_as_open() -> None:
    async with World(own_key=KEY, own_key_namespaces=("*",)) as world:
        for namespace in ("one", "two"):
            world.cluster.apply(namespace, "s", {"sessionId": world.control.add_session(KEY)})
        await asyncio.sleep(10.0)
        world.control.add_fault(HttpError(status=503))
        await world.until(lambda: open_breakers(world, "endpoint") == open_breakers(world, "account") == 1.0)
        for namespace in ("one", "two"):
            world.cluster.delete(namespace, "s")
        await asyncio.sleep(200.0)

        assert (open_breakers(world, "endpoint"), open_breakers(world, "account")) == (0.0, 0.0)
