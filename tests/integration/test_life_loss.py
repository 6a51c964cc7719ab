"""Drift and loss: brought back within one resync, believed only on good evidence, replaced only if asked for."""

import asyncio
from functools import partial
from typing import Any

import pytest

from agb_simulator.effects import Effect, HttpError, RawAnswer, ShortPage, StatusValue
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"
RESYNC = 60.0
STRANGER = "simulator-key-stranger"


def reasons(world: World, name: str = "s") -> list[str]:
    """Give the reasons of the events about a resource."""
    return [event.reason for event in world.cluster.events if event.name == name]


def created(world: World, count: int) -> bool:
    """Tell whether so many sessions were created by now."""
    return world.calls("createSession") == count


@pytest.mark.parametrize(("paused", "action"), [(True, "resume"), (False, "pause")])
async def test_a_session_moved_elsewhere_is_found_and_brought_back_within_a_resync(paused: bool, action: str) -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY, status="PAUSED" if paused else "RUNNING")
        world.apply(sessionId=session_id, paused=paused)
        await world.ready("Paused" if paused else "Running")
        await asyncio.sleep(5 * RESYNC)
        world.control.act(session_id, action)
        await world.until(lambda: "DriftDetected" in reasons(world), within=1.2 * RESYNC)
        await world.ready("Paused" if paused else "Running")
        assert world.control.session(session_id)["status"] == ("PAUSED" if paused else "RUNNING")
        await asyncio.sleep(5 * RESYNC)
        assert reasons(world).count("DriftDetected") == 1
        assert "agb_drift_total 1.0" in world.operator.parts.metrics.page("")[0].decode()
        world.assert_clean()


async def fleet(world: World, **spec: Any) -> list[str]:
    """Create eight sessions; returns the names of their resources once they run."""
    names = [f"s{number}" for number in range(8)]
    for name in names:
        world.apply(name, imageId=IMAGE, **spec)
    for name in names:
        await world.ready("Running", name)
    return names


async def test_a_session_released_elsewhere_is_lost_within_a_resync() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.act(session_id, "release")
        await world.ready("SessionNotFound", within=1.2 * RESYNC + 10.0)
        message = world.condition("Ready")["message"]
        assert session_id in message
        assert "Delete this resource; to adopt another session, create another one." in message


NO_PROOF: dict[str, Effect] = {
    "a gateway's 404 page": HttpError(status=404, html=True),
    "a 404 with another code": HttpError(status=404, code="NotFound"),
    "a refused key": HttpError(status=401, code="InvalidApiKey"),
    "a server error": HttpError(status=500),
    "a gateway's error page": HttpError(status=502, html=True),
    "an empty answer": RawAnswer(body="", content_type="application/json"),
    "an answer that is cut off": RawAnswer(body='{"success": tr', content_type="application/json"),
    "no status": StatusValue(status=None),
}


@pytest.mark.parametrize("answer", NO_PROOF)
async def test_what_is_no_proof_never_makes_a_session_lost(answer: str) -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        session_id = world.status()["sessionId"]
        world.control.add_fault(NO_PROOF[answer])
        await world.until(lambda: world.condition("Ready")["status"] != "True", within=330.0)
        await asyncio.sleep(1200.0)
        world.control.clear_faults()
        await world.ready("Running", within=330.0)
        assert world.status()["sessionId"] == session_id
        assert "SessionLost" not in reasons(world)
        assert world.calls("createSession") == 1
        assert all(write["phase"] != "Lost" for write in world.cluster.status_writes)


async def test_a_list_without_the_sessions_makes_none_of_them_lost() -> None:
    async with World() as world:
        await fleet(world)
        writes = len(world.cluster.status_writes)
        world.control.add_fault(ShortPage(items=0), endpoint="ListSession")
        await asyncio.sleep(10 * RESYNC)
        assert len(world.cluster.status_writes) == writes


async def test_a_few_lost_sessions_among_many_are_believed() -> None:
    async with World() as world:
        names = await fleet(world)
        await asyncio.sleep(2 * RESYNC)
        for name in names[:3]:
            world.control.act(world.status(name)["sessionId"], "vanish")
        for name in names[:3]:
            await world.ready("SessionNotFound", name)
        assert [world.reason(name) for name in names[3:]] == ["Running"] * 5


async def test_a_key_of_another_account_sees_nothing_and_none_is_taken_for_lost() -> None:
    async with World() as world:
        world.control.add_key(STRANGER)
        names = await fleet(world, onSessionLost="Recreate")
        await asyncio.sleep(2 * RESYNC)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=STRANGER)
        for name in names:
            await world.ready("CredentialsInvalid", name, within=300.0)
        message = world.condition("Ready", "s0")["message"]
        assert "it seems to belong to another account" in message
        assert "Put back a key of the session's account" in message
        await asyncio.sleep(3600.0)
        assert {world.reason(name) for name in names} == {"CredentialsInvalid"}
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        for name in names:
            await world.ready("Running", name, within=180.0)
        assert world.calls("createSession") == len(names)
        assert world.control.stats()["live"] == len(names)


async def test_a_deletion_under_a_key_of_another_account_waits_and_names_the_ways_out() -> None:
    async with World() as world:
        world.control.add_key(STRANGER)
        names = [f"s{number}" for number in range(4)]
        for name in names:
            world.apply(name, imageId=IMAGE)
        for name in names:
            await world.ready("Running", name)
        await asyncio.sleep(2 * RESYNC)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=STRANGER)
        for name in names:
            await world.ready("CredentialsInvalid", name, within=300.0)
        for name in names:
            world.cluster.delete(NAMESPACE, name)
        await world.until(lambda: world.condition("Stalled", "s0").get("reason") == "DeletionBlocked", within=300.0)
        assert all(world.exists(name) for name in names), "the sessions may well live"
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        await world.until(lambda: not any(world.exists(name) for name in names), within=300.0)
        assert world.live() == []


async def test_a_lost_session_is_replaced_if_the_spec_says_so() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, labels={"project": "batch"}, onSessionLost="Recreate")
        await world.ready("Running")
        old = world.status()["sessionId"]
        world.control.act(old, "vanish")
        await world.until(lambda: world.status().get("sessionId", old) != old and world.reason() == "Running")
        new = world.status()["sessionId"]
        assert [event.message for event in world.cluster.events if old in event.message and new in event.message] == [
            f"Created session {new} from image {IMAGE}. Takes the place of {old}."
        ]
        assert world.control.session(new)["labels"]["project"] == "batch"
        assert len(world.live()) == 1


async def test_a_session_lost_right_after_its_creation_is_replaced_at_once() -> None:
    """The createSession was answered, so there is nothing to wait for; and the new session gets looks of its own."""
    async with World() as world:
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        world.control.act(world.status()["sessionId"], "vanish")
        world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at="now")
        await world.until(lambda: world.status()["phase"] == "Creating", within=10.0, every=0.001)
        not_yet = HttpError(status=400, code="InvalidMcpSession.NotFound")
        world.control.add_fault(not_yet, endpoint="getSession", count=1)
        await world.ready("Running", within=10.0)
        await asyncio.sleep(5 * RESYNC)
        assert world.calls("createSession") == 2
        assert [session["sessionId"] for session in world.live()] == [world.status()["sessionId"]]


async def test_a_lost_session_is_not_replaced_while_it_is_to_be_paused() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, onSessionLost="Recreate", paused=True)
        await world.ready("Paused")
        world.control.act(world.status()["sessionId"], "vanish")
        await world.ready("SessionNotFound")
        assert "A new one is created once spec.paused is false." in world.condition("Ready")["message"]
        await asyncio.sleep(3600.0)
        assert world.live() == []
        world.patch(paused=False)
        await world.ready("Running")
        assert len(world.live()) == 1


async def test_a_session_is_replaced_three_times_an_hour_and_no_more() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        for replaced in range(1, 4):
            world.control.act(world.status()["sessionId"], "vanish")
            await world.until(partial(created, world, 1 + replaced))
            await world.ready("Running")
        world.control.act(world.status()["sessionId"], "vanish")
        await world.ready("SessionNotFound")
        assert "replaced 3 times within an hour" in world.condition("Ready")["message"]
        await asyncio.sleep(1800.0)
        assert world.calls("createSession") == 4
        await world.restart()
        await asyncio.sleep(600.0)
        assert world.calls("createSession") == 4, "a restart does not forget the limit"
        await world.ready("Running", within=1800.0)
        assert world.calls("createSession") == 5


async def test_a_lost_session_that_shows_up_again_is_taken_back() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id, paused=True)
        await world.ready("Paused")
        world.control.act(session_id, "vanish")
        await world.ready("SessionNotFound")
        world.control.add_session(KEY, session_id=session_id, status="RUNNING")
        await world.ready("Paused", within=330.0)
        assert world.condition("Stalled") == {}


async def test_an_annotation_makes_the_operator_look_at_a_lost_session_at_once() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        world.control.act(session_id, "vanish")
        await world.ready("SessionNotFound")
        world.control.add_session(KEY, session_id=session_id, status="RUNNING")
        world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at="now")
        await world.ready("Running", within=5.0)
        assert world.status()["lastHandledReconcileAt"] == "now"
