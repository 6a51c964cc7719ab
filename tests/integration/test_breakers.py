"""The gauge of open breakers tells of now, not of all that has ever been."""

import asyncio

import pytest

from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime


def open_breakers(world: World) -> float:
    """Read the gauge of keys that AGB refuses, as a scrape would."""
    page = world.operator.parts.metrics.page()[0].decode()
    (line,) = (line for line in page.splitlines() if line.startswith('agb_api_breaker_open{kind="credentials"}'))
    return float(line.rpartition(" ")[2])


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
