"""A ListSession that never ends: whoever walks its pages comes to an end all the same."""

from typing import Literal

import pytest

from agb_simulator.effects import EndlessPages
from integration.world import NAMESPACE, World

How = Literal["circle", "same_token", "new_tokens"]

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"


@pytest.mark.parametrize("how", ["circle", "same_token", "new_tokens"])
async def test_the_look_up_before_a_create_ends(how: How) -> None:
    async with World() as world:
        world.control.add_fault(EndlessPages(how=how))
        world.apply(imageId=IMAGE)
        await world.ready("Running", within=60.0)
        assert len(world.live()) == 1
        assert world.calls("ListSession") < 20


@pytest.mark.parametrize("how", ["circle", "same_token", "new_tokens"])
async def test_a_deletion_ends(how: How) -> None:
    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        world.control.add_fault(EndlessPages(how=how))
        before = world.calls("ListSession")
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists(), within=60.0)
        assert world.live() == []
        assert world.calls("ListSession") - before < 20
