"""What an interrupted create has left is ended, and never stands in the way of what the user asked for."""

import asyncio

import pytest

from agb_simulator.effects import HttpError, LostAnswer
from integration.world import KEY, NAMESPACE, World

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"


async def with_a_late_create(world: World) -> None:
    """Create a session whose first createSession seemed lost and takes effect later, too."""
    world.control.add_fault(LostAnswer(late=50.0), endpoint="createSession", count=1)
    world.apply(imageId=IMAGE)
    await world.ready("Running")


def releases(world: World) -> list[float]:
    return [entry.time for entry in world.control.requests() if entry.endpoint == "releaseSessionAsync"]


def failures(world: World) -> float:
    return sum(sample.value for sample in world.samples("agb_reconcile_errors_total", reason="ApiUnavailable"))


def reasons(world: World) -> list[str]:
    return [event.reason for event in world.cluster.events]


async def test_a_pause_is_carried_out_while_the_look_up_of_duplicates_fails() -> None:
    async with World() as world:
        await with_a_late_create(world)
        lists = world.control.add_fault(HttpError(status=500), endpoint="ListSession")
        await asyncio.sleep(60)
        world.patch(paused=True)

        await world.ready("Paused", within=60.0)
        assert world.calls("pauseSessionAsync") == 1
        assert world.status()["mayHaveDuplicates"]

        world.control.remove_fault(lists)
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        await world.until(lambda: "mayHaveDuplicates" not in world.status(), within=60.0)
        world.assert_clean()


async def test_a_duplicate_that_cannot_be_released_is_no_failure_of_the_session(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with World() as world:
        await with_a_late_create(world)
        refused = world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
        await world.until(lambda: len(world.live()) == 2)
        before, counted = world.calls("releaseSessionAsync"), failures(world)
        await asyncio.sleep(1200)

        assert (world.condition("Ready")["status"], world.status()["phase"]) == ("True", "Running")
        assert reasons(world).count("DuplicateNotEnded") == 1
        tries = world.calls("releaseSessionAsync") - before
        assert 2 <= tries <= 15, "tried again, slowly"
        told = [record for record in caplog.records if "in addition to this one could not be ended" in record.message]
        assert len(told) == tries
        assert all("simulated fault" in record.message for record in told)
        assert failures(world) - counted == tries

        world.control.remove_fault(refused)
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        assert "DuplicateReleased" in reasons(world)
        world.assert_clean()


async def test_a_second_incident_is_told_and_tried_like_the_first() -> None:
    async with World() as world:
        await with_a_late_create(world)
        for incident in (1, 2):
            refused = world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
            await world.until(lambda: len(world.live()) == 2)
            before = len(releases(world))
            await asyncio.sleep(1800)  # another one is found by its labels, after two rounds

            first, second, *_ = releases(world)[before:]
            assert second - first < 25.0, f"incident {incident}"
            assert reasons(world).count("DuplicateNotEnded") == incident
            world.control.remove_fault(refused)
            await world.until(lambda: len(world.live()) == 1, within=400.0)
            await asyncio.sleep(60)
            world.control.add_session(KEY, labels=world.session().session_labels("test"))
        world.assert_clean()


async def test_the_next_of_two_duplicates_has_a_patience_of_its_own() -> None:
    async with World() as world:
        await with_a_late_create(world)
        world.control.add_session(KEY, labels=world.session().session_labels("test"))
        refused = world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
        await world.until(lambda: len(world.live()) == 3)
        await asyncio.sleep(1200)
        world.control.remove_fault(refused)
        await world.until(lambda: "DuplicateReleased" in reasons(world), within=400.0)

        refused = world.control.add_fault(HttpError(status=500), endpoint="releaseSessionAsync")
        before = len(releases(world))
        await world.until(lambda: len(releases(world)) == before + 2)
        assert releases(world)[-1] - releases(world)[-2] < 25.0
        assert reasons(world).count("DuplicateNotEnded") == 2

        world.control.remove_fault(refused)
        await world.until(lambda: len(world.live()) == 1, within=400.0)
        world.assert_clean()


async def test_look_ups_that_fail_once_more_are_told_once_more() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(applied=False), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        for incident in (1, 2):
            lists = world.control.add_fault(HttpError(status=500), endpoint="ListSession")
            await asyncio.sleep(700)
            assert reasons(world).count("DuplicateNotEnded") == incident

            world.control.remove_fault(lists)
            await world.until(lambda: "mayHaveDuplicates" not in world.status(), within=400.0)
            world.cluster.objects[NAMESPACE, "s"]["status"]["mayHaveDuplicates"] = True
            world.cluster.annotate(NAMESPACE, "s", reconcile_requested_at=str(incident))


async def test_a_duplicate_is_not_forgotten_over_a_pause_and_a_restart() -> None:
    async with World() as world:
        await with_a_late_create(world)
        world.patch(paused=True)
        await world.ready("Paused")
        await world.restart()

        await world.until(lambda: len(world.live()) == 2)
        await world.until(lambda: len(world.live()) == 1, within=200.0)
        assert world.live()[0]["sessionId"] == world.status()["sessionId"]
        world.assert_clean()


async def test_a_deletion_ends_the_duplicate_too() -> None:
    async with World() as world:
        await with_a_late_create(world)
        await world.until(lambda: len(world.live()) == 2)
        world.cluster.delete(NAMESPACE, "s")

        await world.until(lambda: not world.exists(), within=200.0)
        assert not world.live()
        world.assert_clean()
