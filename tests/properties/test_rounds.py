"""A thousand lives of resources, with lost answers and an operator killed all the time: nothing leaks or hangs."""

import asyncio
from random import Random

import pytest

from agb_operator.policy.backoff import LABELS_SHOW
from agb_simulator.effects import HttpError, LostAnswer
from properties.rough_world import RoughWorld, Strike

pytestmark = pytest.mark.looptime

RESOURCES = 50
ROUNDS = 20
"""Lives of each resource."""


async def test_after_a_thousand_rounds_there_is_a_session_for_each_resource_and_no_other() -> None:
    chance = Random(4)
    async with RoughWorld(transition=2.0) as world, asyncio.TaskGroup() as group:
        with world.judge.listening():
            lose_answers(world)
            trouble = [
                group.create_task(keep_killing(world, Random(5))),
                group.create_task(keep_striking(world, Random(6))),
            ]
            lives = [live(world, f"s{number}", Random(chance.random())) for number in range(RESOURCES)]
            await asyncio.gather(*lives)
            for task in trouble:
                task.cancel()
            assert world.control.count("createSession", "applied") >= RESOURCES * ROUNDS
            await world.put_in_order()
            await world.assert_settles()
            assert len(world.live()) == RESOURCES
            for number in range(RESOURCES):
                world.delete(f"s{number}")
            await world.assert_settles()
            assert world.live() == []
            world.judge.assert_content()
            world.judge.assert_flawless()


async def live(world: RoughWorld, name: str, chance: Random) -> None:
    """Create and delete a resource again and again, at any moment of its life; the last one stays."""
    for _ in range(ROUNDS):
        if world.exists(name):
            world.delete(name)
            await world.until(lambda: not world.exists(name), within=3600.0, every=1.0)
        paused = chance.random() < 0.5
        world.apply(name, imageId="agb-code-space-1", paused=paused)
        if chance.random() < 0.3:
            await asyncio.sleep(chance.random() * 10.0)
            world.patch(name, paused=not paused)
        session_id = ""
        while not session_id or chance.random() < 0.5:
            await asyncio.sleep(chance.random() * 5.0)
            session_id = world.status(name).get("sessionId", "")


def lose_answers(world: RoughWorld) -> None:
    """Let one answer in ten get lost, half of them after the call took effect."""
    for applied in (True, False):
        world.control.add_fault(LostAnswer(applied=applied), probability=0.05)
    world.control.add_fault(HttpError(status=503, applied=True), probability=0.02)
    world.control.configure(label_lag=LABELS_SHOW / 3)


async def keep_killing(world: RoughWorld, chance: Random) -> None:
    """Kill the operator every half a minute or so, wherever it is."""
    while True:
        await asyncio.sleep(chance.random() * 60.0)
        await world.kill_operator(down=chance.random())


async def keep_striking(world: RoughWorld, chance: Random) -> None:
    """Let one write fail every few seconds."""
    while True:
        await asyncio.sleep(chance.random() * 4.0)
        world.rough.strikes.append(chance.choice(list(Strike)))
