"""What an operator tells of one resource: enough to see why it is stuck, and no secret."""

import asyncio
import json
from typing import Any

import pytest

from agb_simulator.effects import HttpError
from integration.world import KEY, NAMESPACE, World

pytestmark = pytest.mark.looptime


def told(world: World, name: str = "s") -> dict[str, Any]:
    found = world.operator.parts.inspection.of(NAMESPACE, name)
    assert found is not None
    assert KEY not in json.dumps(found)
    return dict(found)


async def test_a_settled_resource_has_no_next_pass_and_tells_its_last_look_and_call() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY), paused=True)
        await world.ready("Paused")
        await asyncio.sleep(10)

        found = told(world)

    assert found["wanted"] == {"state": "Paused", "why": "Spec"}
    assert found["nextPass"].startswith("none")
    assert found["lastLook"]["saw"] == "Paused"
    assert found["lastCall"]["call"] == "Pause"
    assert found["managedBy"] == "ml/s"
    assert found["key"]["from"] == "Secret agb-credentials, entry apiKey"
    assert (found["key"]["accepted"], found["key"]["refusedForSeconds"], found["key"]["problem"]) == (True, None, "")


async def test_one_that_fails_tells_how_often_since_when_and_when_it_is_tried_again() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        world.control.add_fault(HttpError(status=500), endpoint="pauseSessionAsync")
        world.patch(paused=True)
        await asyncio.sleep(60)

        found = told(world)

    assert found["failures"]["AGB"]["inARow"] > 1
    assert found["failures"]["AGB"]["forSeconds"] > 10
    assert found["nextPass"].startswith("in ")


async def test_the_loser_of_a_conflict_names_the_one_that_manages_the_session() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply("older", sessionId=session_id)
        await world.ready("Running", "older")
        await asyncio.sleep(2)
        world.apply("younger", sessionId=session_id)
        await world.ready("SessionConflict", "younger")

        assert told(world, "younger")["managedBy"] == "ml/older"


async def test_a_missing_secret_is_told_as_the_keys_problem_and_an_unknown_resource_is_none() -> None:
    async with World() as world:
        world.cluster.apply(NAMESPACE, "s", {"sessionId": "session-1", "credentials": {"secretRef": {"name": "none"}}})
        await world.ready("CredentialsMissing")

        assert "Secret none does not exist" in told(world)["key"]["problem"]
        assert world.operator.parts.inspection.of(NAMESPACE, "other") is None
