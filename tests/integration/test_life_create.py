"""A session comes into being once, whatever is lost, late or interrupted on the way."""

import asyncio
import itertools
import json

import pytest

from agb_operator.agb.http import AgbApi
from agb_simulator.effects import CreateFailed, LostAnswer
from integration.world import KEY, NAMESPACE, RunningOperator, World

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"


def endpoints(world: World) -> list[str]:
    """Give the requests to AGB in order, repetitions of one left out."""
    return [endpoint for endpoint, _ in itertools.groupby(entry.endpoint for entry in world.control.requests())]


async def test_intent_and_look_up_come_before_the_call_and_the_id_right_after() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        intent, with_id = world.cluster.status_writes[:2]
        assert intent["lastOperation"]["type"] == "Create"
        assert intent["lastOperation"]["attempts"] == 1
        assert "sessionId" not in intent
        assert with_id["sessionId"] == world.live()[0]["sessionId"]
        assert endpoints(world)[:2] == ["ListSession", "createSession"]
        looked_up = next(entry for entry in world.control.requests() if entry.endpoint == "ListSession")
        assert json.loads(looked_up.labels or "") == {"agb-operator-uid": world.session().uid}


async def test_the_session_carries_the_user_s_labels_and_ours() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, labels={"project": "batch", "team": "ml"})
        await world.ready("Running")
        ours = {
            "agb-operator-uid": world.session().uid,
            "agb-operator-namespace": NAMESPACE,
            "agb-operator-name": "s",
            "agb-operator-cluster": "test",
        }
        assert world.live()[0]["labels"] == {"project": "batch", "team": "ml", **ours}
        world.patch(labels={"project": "other"}, paused=True)
        await world.ready("Paused")
        await world.until(lambda: world.live()[0]["labels"] == {"project": "other", **ours})
        world.patch(labels=None)
        await world.until(lambda: world.live()[0]["labels"] == ours)
        await asyncio.sleep(300.0)
        assert world.calls("SetLabel") == 2


@pytest.mark.parametrize("lag", [0.0, 5.0], ids=["labels at once", "labels late"])
async def test_a_create_without_an_answer_is_found_by_its_label(lag: float) -> None:
    async with World() as world:
        world.control.configure(label_lag=lag)
        world.control.add_fault(LostAnswer(), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        await asyncio.sleep(300.0)
        assert (len(world.live()), world.calls("createSession")) == (1, 1)
        assert any("Took over session" in event.message for event in world.cluster.events)


async def test_a_create_that_takes_effect_late_is_waited_for() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(late=20.0), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        await asyncio.sleep(300.0)
        assert (len(world.live()), world.calls("createSession")) == (1, 1)


async def test_a_create_that_came_to_nothing_is_sent_again_after_the_grace_period() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(applied=False), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        first, second = (entry.time for entry in world.control.requests() if entry.endpoint == "createSession")
        assert second - first >= 30.0
        between = [e.endpoint for e in world.control.requests() if first < e.time < second]
        assert between.count("ListSession") >= 5, "look-ups stayed empty meanwhile"
        assert len(world.live()) == 1


async def test_a_duplicate_that_appears_later_is_released_and_the_reported_one_stays() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        session_id = world.status()["sessionId"]
        await world.until(lambda: len(world.live()) == 2)
        await world.until(lambda: [s["sessionId"] for s in world.live()] == [session_id])
        world.assert_clean()


@pytest.mark.parametrize("status", ["PAUSED", "CREATING"])
async def test_a_duplicate_in_another_state_is_released_once_that_can_be(status: str) -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE, paused=True)
        await world.until(lambda: world.status().get("sessionId"))
        session_id = world.status()["sessionId"]
        await world.until(lambda: len(world.live()) == 2)
        (other,) = [s["sessionId"] for s in world.live() if s["sessionId"] != session_id]
        world.control.set_status(other, status)
        await world.ready("Paused", within=300)
        await asyncio.sleep(300)
        if status == "CREATING":
            world.control.set_status(other, "RUNNING")
        await world.until(lambda: [s["sessionId"] for s in world.live()] == [session_id])
        assert world.reason() == "Paused"
        world.assert_clean()


async def test_labels_that_change_while_the_session_is_created_are_set_afterwards() -> None:
    async with World() as world:
        world.control.configure(latency=5.0)
        world.apply(imageId=IMAGE, labels={"team": "a"})
        await world.until(lambda: world.calls("createSession") == 1)
        world.patch(labels={"team": "b"})
        await world.ready("Running", within=300)
        await world.until(lambda: world.live()[0]["labels"].get("team") == "b", within=300)
        world.assert_clean()


async def test_a_crash_between_the_call_and_the_write_of_the_id_leaves_one_session() -> None:
    async with World() as world:
        world.control.configure(label_lag=5.0)
        world.apply(imageId=IMAGE)
        await world.until(lambda: world.calls("createSession") == 1, every=0.0001)
        assert "sessionId" not in world.status()
        await world.restart()
        await world.ready("Running")
        await asyncio.sleep(300.0)
        assert (len(world.live()), world.calls("createSession")) == (1, 1)


async def test_two_operators_at_once_create_one_session() -> None:
    """The lease forbids it; should it fail, the resourceVersion of the intent decides."""
    async with World() as world:
        api = AgbApi(endpoint="http://simulator", timeout=60.0, on_call=lambda *_: None, transport=world.transport())
        other = RunningOperator(cluster=world.cluster, api=api, seed=2)
        other.start()
        try:
            for number in range(5):
                world.apply(f"s{number}", imageId=IMAGE)
            for number in range(5):
                await world.ready("Running", f"s{number}")
            await asyncio.sleep(300.0)
        finally:
            await other.kill()
        owners = [session["labels"]["agb-operator-name"] for session in world.live()]
        assert sorted(owners) == [f"s{number}" for number in range(5)]


@pytest.mark.parametrize("late", [0.0, 20.0], ids=["found at once", "found late"])
async def test_a_deletion_in_the_middle_of_a_create_leaks_nothing(late: float) -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(late=late), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.until(lambda: world.calls("createSession") == 1)
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        await asyncio.sleep(60.0)
        assert world.live() == []
        assert world.control.stats()["created"] == 1
        world.assert_clean()


async def test_a_deletion_before_the_call_asks_agb_for_nothing() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE)
        await world.until(lambda: bool(world.cluster.status_writes), every=0.0001)
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists())
        assert world.live() == []


async def test_a_full_account_says_so_and_is_asked_again_every_minute() -> None:
    async with World() as world:
        world.control.configure(session_limit=1)
        other = world.control.add_session(KEY)
        world.apply(imageId=IMAGE)
        await world.ready("QuotaExceeded")
        message = world.condition("Ready")["message"]
        assert "Delete sessions (paused ones count) or raise the limit" in message
        assert world.condition("Reconciling")["reason"] == "QuotaExceeded"
        writes = len(world.cluster.status_writes)
        await asyncio.sleep(600.0)
        assert len(world.cluster.status_writes) == writes, "what is known is not written again"
        assert 5 <= world.calls("createSession") <= 12
        assert [event.reason for event in world.cluster.events].count("QuotaExceeded") == 1
        world.control.act(other, "vanish")
        await world.ready("Running", within=70.0)
        assert len(world.live()) == 1


async def test_an_image_that_agb_does_not_know_waits_for_a_person() -> None:
    async with World() as world:
        world.control.configure(refused_images={"agb-no-such-image"})
        world.apply(imageId="agb-no-such-image")
        await world.ready("CreateFailed")
        message = world.condition("Ready")["message"]
        assert "agb-no-such-image" in message
        assert "delete the resource and apply it with the right image" in message
        assert world.condition("Stalled")["reason"] == "CreateFailed"
        await asyncio.sleep(600.0)
        assert world.calls("createSession") <= 4
        world.cluster.delete(NAMESPACE, "s")
        await world.until(lambda: not world.exists(), within=10.0)


async def test_a_create_that_agb_gives_up_on_is_reported_in_its_words() -> None:
    async with World() as world:
        world.control.add_fault(CreateFailed(err_msg="no machine is free"), endpoint="createSession")
        world.apply(imageId=IMAGE)
        await world.until(lambda: "no machine is free" in world.condition("Ready").get("message", ""))
        world.control.clear_faults()
        await world.ready("Running", within=330.0)
        assert len(world.live()) == 1
