"""Whatever phase a resource is in, answers get lost, AGB fails, sessions vanish and keys are refused.

One row of docs/lifecycle.md is one test here or in test_matrix_asked.py.
"""

import asyncio

import pytest

from agb_operator.model.status import Phase
from agb_simulator.effects import HttpError, LostAnswer
from integration.matrix import FOREIGN_WORD, PHASES, bring, give_key, new_world, statuses
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime

GOALS = {Phase.PAUSING: "Paused", Phase.PAUSED: "Paused", Phase.LOST: "SessionNotFound"}
"""The reason of Ready that a phase ends with when nobody asks for anything else; Running in most."""
LOST_CALLS = {
    Phase.PENDING: "ListSession",
    Phase.CREATING: "createSession",
    Phase.RUNNING: "pauseSessionAsync",
    Phase.PAUSING: "getSession",
    Phase.PAUSED: "resumeSessionAsync",
    Phase.RESUMING: "getSession",
    Phase.DELETING: "releaseSessionAsync",
    Phase.LOST: "createSession",
    Phase.UNKNOWN: "getSession",
}
"""The call that a resource makes in a phase, or on its way into it."""


async def gone(world: World) -> None:
    await world.until(lambda: not world.exists(), within=600.0)
    assert world.live() == []
    world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_answer_lost(phase: Phase) -> None:
    """The call took effect, and the operator cannot know it: it looks, and does not repeat it."""
    endpoint = LOST_CALLS[phase]
    async with new_world() as world:
        if phase in (Phase.CREATING, Phase.DELETING):
            await bring(world, {Phase.CREATING: Phase.PENDING, Phase.DELETING: Phase.RUNNING}[phase])
        else:
            await bring(world, phase)
        world.control.add_fault(LostAnswer(), endpoint=endpoint, count=1)
        goal = GOALS.get(phase, "Running")
        match phase:
            case Phase.PENDING | Phase.CREATING:
                give_key(world)
            case Phase.RUNNING | Phase.PAUSED:
                goal = "Paused" if phase == Phase.RUNNING else "Running"
                world.patch(paused=phase == Phase.RUNNING)
            case Phase.DELETING:
                world.cluster.delete(NAMESPACE, "s")
            case Phase.LOST:
                goal = "Running"
                world.patch(onSessionLost="Recreate")
            case Phase.UNKNOWN:
                goal = "UnexpectedState"
        await world.until(lambda: not world.control.faults(), within=300.0)
        if phase == Phase.DELETING:
            await gone(world)
        else:
            await world.ready(goal, within=300.0)
            word = {"Paused": "PAUSED", "Running": "RUNNING", "UnexpectedState": FOREIGN_WORD}[goal]
            assert statuses(world) == [word]
        if endpoint not in ("ListSession", "getSession"):
            assert world.calls(endpoint) == (2 if phase == Phase.LOST else 1)
        world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_server_errors(phase: Phase) -> None:
    """AGB fails for ten minutes: said once, asked slowly, and all goes on where it was."""
    async with new_world() as world:
        session_id = await bring(world, phase, timeout="5m")
        world.control.add_fault(HttpError(status=503))
        if phase == Phase.PENDING:
            give_key(world)
        await world.until(lambda: world.reason() == "ApiUnavailable", within=330.0)
        ready, paused = world.condition("Ready"), world.condition("Paused")
        assert (ready["status"], paused["status"]) == ("Unknown", "Unknown")
        assert "HTTP 503" in ready["message"]
        assert "tries again" in ready["message"]
        writes, requests = len(world.cluster.status_writes), len(world.control.requests())
        await asyncio.sleep(600.0)
        assert len(world.cluster.status_writes) - writes <= 1
        assert len(world.control.requests()) - requests < 60
        assert [event.reason for event in world.cluster.events].count("ApiUnavailable") == 1
        if phase == Phase.DELETING:
            assert world.condition("Stalled")["reason"] == "DeletionBlocked"
            assert "agb.cloud/abandon" in world.condition("Stalled")["message"]
        else:
            expected = {Phase.PENDING: Phase.CREATING, Phase.DELETING: Phase.DELETING}.get(phase, Phase.UNKNOWN)
            assert world.status()["phase"] == expected
        world.control.clear_faults()
        if phase == Phase.DELETING:
            return await gone(world)
        if phase == Phase.UNKNOWN:
            world.control.set_status(session_id, "RUNNING")
        goal = GOALS.get(phase, "Running")
        await world.ready(goal, within=330.0)
        assert len(world.live()) == (0 if phase == Phase.LOST else 1)
        assert world.control.stats()["created"] == 1
        return world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_not_found(phase: Phase) -> None:
    async with new_world() as world:
        if phase == Phase.PENDING:
            world.apply(sessionId="session-nobody-knows")
        else:
            session_id = await bring(world, phase)
            calls = world.calls("getSession")
            if phase == Phase.LOST:
                await asyncio.sleep(700.0)
                assert 1 <= world.calls("getSession") - calls <= 4, "what is lost is looked at every five minutes"
            else:
                world.control.act(session_id, "vanish")
        if phase == Phase.DELETING:
            return await gone(world)
        await world.ready("SessionNotFound")
        assert world.status()["phase"] == "Lost"
        assert world.condition("Stalled")["reason"] == "SessionNotFound"
        assert "this resource" in world.condition("Ready")["message"], "it says what to do next"
        assert [event.reason for event in world.cluster.events].count("SessionLost") == 1
        assert world.calls("getSession") >= 2, "one look is not enough"
        world.control.add_session(KEY, session_id=world.status()["sessionId"], status="RUNNING")
        await world.ready("Paused" if world.session().paused else "Running", within=330.0)
        assert world.condition("Stalled") == {}
        assert world.calls("createSession") == (0 if phase == Phase.PENDING else 1)
        return world.assert_clean()


@pytest.mark.parametrize("phase", PHASES, ids=str)
async def test_key_revoked(phase: Phase) -> None:
    async with new_world() as world:
        session_id = await bring(world, phase)
        world.control.revoke_key(KEY)
        if phase == Phase.PENDING:
            give_key(world)
        await world.ready("CredentialsInvalid", within=330.0)
        requests = len(world.control.requests())
        await asyncio.sleep(600.0)
        assert len(world.control.requests()) - requests < 10
        message = world.condition("Ready")["message"]
        assert "Put a valid key into Secret agb-credentials" in message
        assert KEY not in str(world.status())
        if phase == Phase.DELETING:
            assert world.condition("Stalled")["reason"] == "DeletionBlocked"
            assert world.condition("Stalled")["message"].startswith(message)
            world.cluster.annotate(NAMESPACE, "s", abandon="true")
            await world.until(lambda: not world.exists())
            assert len(world.control.requests()) - requests < 10, "letting go needs no key"
            return
        assert world.condition("Stalled")["reason"] == "CredentialsInvalid"
        assert world.status()["phase"] == ("Creating" if phase == Phase.PENDING else "Unknown")
        world.control.add_key("simulator-key-b", shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="simulator-key-b")
        if phase == Phase.UNKNOWN:
            world.control.set_status(session_id, "RUNNING")
        goal = GOALS.get(phase, "Running")
        await world.ready(goal, within=60.0)
        assert world.condition("Stalled").get("reason") == ("SessionNotFound" if phase == Phase.LOST else None)
        assert world.calls("createSession") == 1
        world.assert_clean()
