"""A key that is replaced while a session comes into being, or is lost: what the key from before knows counts.

A create whose answer was lost is looked for with the key that sent it, as long as that is in memory; a session that the
present key does not see is gone once the key that saw it says so, too.
"""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from agb_simulator.effects import BusinessError, HttpError, LostAnswer
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"
OTHER = "simulator-key-b"
MOVED = "moved"
HOUR = 3600.0


def moves_the_reference(world: World, *, back: bool = False) -> None:
    """Have the resource name another Secret."""
    world.cluster.put_secret(NAMESPACE, MOVED, apiKey=OTHER)
    world.patch(credentials={"secretRef": {"name": SECRET if back else MOVED}})


def replaces_the_key(world: World, *, back: bool = False) -> None:
    """Put another key into the Secret that the resource names."""
    world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY if back else OTHER)


MOVES = pytest.mark.parametrize("move", [moves_the_reference, replaces_the_key])
Move = Callable[..., None]


def told(world: World, reason: str = "SessionMayBeLeft") -> list[str]:
    """Give the messages of the events with a reason."""
    return [event.message for event in world.cluster.events if event.reason == reason]


async def a_lost_create(world: World, *, shares_with: str | None = None, effect: Any = None, **spec: Any) -> None:
    """Have AGB create a session, and the operator not hear of it; lists fail, so nothing is looked up yet."""
    world.control.add_key(OTHER, shares_with=shares_with)
    world.control.add_fault(effect or LostAnswer(), endpoint="createSession", count=1)
    world.apply(imageId=IMAGE, **spec)
    await world.until(lambda: world.calls("createSession") == 1, every=0.002, within=5.0)
    world.control.add_fault(HttpError(status=503), endpoint="ListSession")


@MOVES
async def test_what_an_ambiguous_create_left_is_looked_for_with_the_key_that_sent_it(move: Move) -> None:
    async with World() as world:
        await a_lost_create(world, onSessionLost="Recreate")
        move(world)
        await asyncio.sleep(90)
        world.control.clear_faults()
        await world.ready("CredentialsInvalid", within=600.0)
        await asyncio.sleep(600)

        (left,) = world.live()
        assert world.status()["sessionId"] == left["sessionId"]
        assert world.calls("createSession") == 1
        assert "Put back a key of the session's account" in str(world.condition("Ready")["message"])
        move(world, back=True)
        await world.ready("Running", within=200.0)
        assert len(world.live()) == 1


@MOVES
async def test_the_deletion_after_an_ambiguous_create_and_a_moved_key_leaves_no_session_behind(move: Move) -> None:
    async with World() as world:
        await a_lost_create(world)
        move(world)
        world.cluster.delete(NAMESPACE, "s")
        await asyncio.sleep(90)
        world.control.clear_faults()
        await asyncio.sleep(600)

        assert world.exists()
        assert "spec.deletionPolicy to Retain" in world.condition("Stalled")["message"]
        move(world, back=True)
        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()


@MOVES
async def test_a_create_without_effect_costs_nothing_but_a_look_with_the_key_that_sent_it(move: Move) -> None:
    async with World() as world:
        await a_lost_create(world, effect=LostAnswer(applied=False))
        move(world)
        await asyncio.sleep(90)
        world.control.clear_faults()
        await world.ready("Running", within=600.0)

        (session,) = world.live()
        assert session["sessionId"] == world.status()["sessionId"]
        assert not told(world)


@MOVES
async def test_a_key_that_was_rotated_within_its_account_finds_what_an_ambiguous_create_left(move: Move) -> None:
    async with World() as world:
        await a_lost_create(world, shares_with=KEY)
        move(world)
        world.control.clear_faults()
        await world.ready("Running", within=600.0)

        assert world.calls("createSession") == 1
        assert len(world.live()) == 1


@pytest.mark.parametrize("gone", ["restart", "revoked"])
async def test_what_may_be_left_is_said_where_the_key_that_sent_the_create_cannot_look(gone: str) -> None:
    async with World() as world:
        await a_lost_create(world)
        moves_the_reference(world)
        if gone == "restart":
            await world.restart()
        else:
            world.control.revoke_key(KEY)
        world.control.clear_faults()
        await world.ready("Running", within=600.0)

        ours = world.status()["sessionId"]
        left = [s["sessionId"] for s in world.live() if s["sessionId"] != ours]
        assert len(left) == 1
        (text,) = told(world)
        assert f"agb-operator-uid={world.session().uid}" in text
        (created,) = told(world, "Created")
        assert world.session().uid in created, "it is said where the session is told of, too"


async def test_a_deletion_is_blocked_where_the_key_that_sent_a_create_cannot_look() -> None:
    async with World() as world:
        await a_lost_create(world)
        moves_the_reference(world)
        await world.restart()
        world.cluster.delete(NAMESPACE, "s")
        world.control.clear_faults()
        await asyncio.sleep(600)

        assert world.exists()
        stalled = world.condition("Stalled")
        assert stalled["reason"] == "DeletionBlocked"
        assert f"agb-operator-uid={world.session().uid}" in stalled["message"]
        assert "spec.deletionPolicy to Retain" in stalled["message"]
        moves_the_reference(world, back=True)
        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()


@pytest.mark.parametrize("answer", ["heard", "unwritten"])
async def test_a_session_that_another_key_created_is_not_lost_before_its_first_look(answer: str) -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        if answer == "unwritten":
            await world.until(lambda: world.calls("createSession") == 1, every=0.002, within=5.0)
        else:
            await world.until(lambda: world.status().get("sessionId"), every=0.002, within=5.0)
        moves_the_reference(world)
        await asyncio.sleep(300)

        assert world.calls("createSession") == 1
        assert world.reason() == "CredentialsInvalid"
        world.cluster.delete(NAMESPACE, "s")
        await asyncio.sleep(300)
        assert world.exists()
        moves_the_reference(world, back=True)
        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()


@MOVES
async def test_a_session_is_gone_once_the_key_that_saw_it_says_so_too(move: Move) -> None:
    async with World() as world:
        world.control.add_key(OTHER, shares_with=KEY)
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        lost = world.status()["sessionId"]
        move(world)
        world.control.act(lost, "vanish")

        await world.until(lambda: world.status().get("sessionId") not in (None, "", lost), within=600.0)
        assert len(world.live()) == 1


async def test_a_key_that_is_refused_says_nothing_of_a_session() -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        moves_the_reference(world)
        world.control.revoke_key(KEY)
        await asyncio.sleep(900)

        assert world.reason() == "CredentialsInvalid"
        assert world.calls("createSession") == 1


async def test_a_key_from_before_that_was_refused_for_a_while_is_asked_again() -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        lost = world.status()["sessionId"]
        refusal = world.control.add_fault(HttpError(status=401), key=KEY)
        moves_the_reference(world)
        await asyncio.sleep(300)
        world.control.act(lost, "vanish")
        await asyncio.sleep(300)
        assert world.status()["sessionId"] == lost
        assert world.reason() == "CredentialsInvalid"
        world.control.remove_fault(refusal)

        await world.until(lambda: world.status().get("sessionId") not in (None, "", lost), within=900.0)
        assert len(world.live()) == 1


async def test_what_a_create_left_is_found_once_the_key_that_sent_it_is_no_longer_refused() -> None:
    async with World() as world:
        await a_lost_create(world)
        moves_the_reference(world)
        world.cluster.delete(NAMESPACE, "s")
        world.control.clear_faults()
        refusal = world.control.add_fault(HttpError(status=401), key=KEY)
        await asyncio.sleep(300)
        assert "operator no longer has that key, or AGB refuses it" in world.condition("Stalled")["message"]
        world.control.remove_fault(refusal)

        (left,) = world.live()
        await world.until(lambda: world.status().get("sessionId") == left["sessionId"], within=900.0)
        moves_the_reference(world, back=True)
        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()


async def test_one_refusal_of_the_key_that_sent_a_create_is_no_reason_to_create_again() -> None:
    async with World() as world:
        await a_lost_create(world)
        moves_the_reference(world)
        world.control.clear_faults()
        refusal = world.control.add_fault(HttpError(status=401), key=KEY)
        await asyncio.sleep(60)
        assert (
            "The API key with which the session was asked for cannot look for it" in world.condition("Ready")["message"]
        )
        world.control.remove_fault(refusal)
        await world.ready("CredentialsInvalid", within=600.0)

        (left,) = world.live()
        assert world.status()["sessionId"] == left["sessionId"]
        assert not told(world)


@MOVES
async def test_a_create_that_was_refused_with_its_key_has_left_nothing(move: Move) -> None:
    """A typo in a key is mended: nobody asks that key again, and nothing is said of a session that may be left."""
    async with World() as world:
        world.control.add_key(OTHER)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="no-such-key")
        world.apply(imageId=IMAGE)
        await world.ready("CredentialsInvalid")
        move(world)
        await world.ready("Running", within=61.0)

        assert not told(world)
        assert len(world.live()) == 1


async def test_a_resource_whose_create_was_refused_with_its_key_is_deleted_at_once() -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="no-such-key")
        world.apply(imageId=IMAGE)
        await world.ready("CredentialsInvalid")
        moves_the_reference(world)
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists(), within=61.0)


async def test_a_key_from_before_that_is_refused_is_tried_every_few_minutes_at_most() -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        names = ("a", "b", "c")
        for name in names:
            world.apply(name, imageId=IMAGE)
        for name in names:
            await world.ready("Running", name)
        world.control.revoke_key(KEY)
        world.cluster.put_secret(NAMESPACE, MOVED, apiKey=OTHER)
        for name in names:
            world.patch(name, credentials={"secretRef": {"name": MOVED}})
        await asyncio.sleep(600)
        world.control.clear_requests()
        await asyncio.sleep(HOUR)

        refused = [entry for entry in world.control.requests() if entry.status == 401]
        assert 0 < len(refused) <= HOUR / 150


async def test_one_look_of_the_key_from_before_that_finds_nothing_proves_nothing() -> None:
    async with World() as world:
        world.control.add_key(OTHER)
        world.apply(imageId=IMAGE, onSessionLost="Recreate")
        await world.ready("Running")
        session_id = world.status()["sessionId"]
        moves_the_reference(world)
        await world.ready("CredentialsInvalid")
        for _ in range(5):
            lie = BusinessError(code="InvalidMcpSession.NotFound")
            world.control.add_fault(lie, key=KEY, session_id=session_id, count=1)
            await world.until(lambda: not world.control.faults())
            await asyncio.sleep(60)

        assert world.calls("createSession") == 1
        assert world.reason() == "CredentialsInvalid"
