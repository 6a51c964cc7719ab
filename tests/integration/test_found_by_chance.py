"""What the life machines of the property tests have found, each as the shortest story that shows it."""

import asyncio

import pytest

from agb_operator.agb.credentials import RECHECK
from agb_operator.policy.backoff import LABELS_SHOW
from agb_simulator.effects import LostAnswer
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime


async def test_a_settled_resource_notices_that_an_older_one_manages_its_session_again() -> None:
    async with World() as world:
        world.control.add_session(KEY, session_id="session-1")
        world.cluster.apply(
            NAMESPACE, "older", {"sessionId": "session-1", "credentials": {"secretRef": {"name": "not-there-yet"}}}
        )
        await world.ready("CredentialsMissing", "older")
        world.apply("younger", sessionId="session-1")
        await world.ready("Running", "younger")
        world.cluster.put_secret(NAMESPACE, "not-there-yet", apiKey=KEY)
        await world.ready("Running", "older")
        await world.ready("SessionConflict", "younger")
        world.assert_clean()


async def test_what_a_replica_wrote_before_it_ended_is_gone_on_with() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply(sessionId=session_id)
        await world.ready("Running")
        body = world.cluster.objects[NAMESPACE, "s"]
        conditions = [{**c, "status": "False", "reason": "CredentialsInvalid"} for c in world.status()["conditions"]]
        await world.cluster.patch_status(
            NAMESPACE,
            "s",
            resource_version=body["metadata"]["resourceVersion"],
            patch={"phase": "Unknown", "conditions": conditions},
        )
        await world.ready("Running")


async def test_resources_of_one_session_that_get_their_key_back_together_do_not_call_together() -> None:
    async with World(transition=5.0) as world:
        world.control.add_session(KEY, session_id="session-1", status="PAUSED")
        world.apply("older", sessionId="session-1", paused=True)
        await world.ready("Paused", "older")
        world.apply("younger", sessionId="session-1")
        await world.ready("SessionConflict", "younger")
        del world.cluster.secrets[NAMESPACE, SECRET]
        await world.ready("CredentialsMissing", "older", within=200)
        world.patch("older", paused=False)
        world.cluster.annotate(NAMESPACE, "younger", reconcile_requested_at="1")
        await world.ready("CredentialsMissing", "younger")
        await asyncio.sleep(RECHECK + 1.0)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        for name in ("younger", "older"):
            world.cluster.annotate(NAMESPACE, name, reconcile_requested_at="2")
        await world.ready("Running", "older")
        await world.ready("SessionConflict", "younger", within=400)
        world.assert_clean()


async def test_what_was_remembered_of_a_deleted_resource_makes_no_key_suspect() -> None:
    async with World() as world:
        for name in ("s0", "s1", "s2"):
            world.apply(name, imageId="agb-code-space-1")
            await world.ready("Running", name)
        for session in world.live():
            world.control.act(session["sessionId"], "vanish")
        await world.ready("ApiUnavailable", "s0", within=200)
        await world.ready("ApiUnavailable", "s1", within=200)
        world.cluster.delete(NAMESPACE, "s2")
        world.cluster.annotate(NAMESPACE, "s2", abandon="true")
        await world.until(lambda: not world.exists("s2"))
        await world.ready("SessionNotFound", "s0")
        await world.ready("SessionNotFound", "s1")


async def test_a_resource_that_waits_for_a_session_manages_it_as_soon_as_the_older_one_is_gone() -> None:
    async with World() as world:
        world.control.add_session(KEY, session_id="session-1")
        world.apply("older", sessionId="session-1", deletionPolicy="Delete")
        await world.ready("Running", "older")
        world.apply("younger", sessionId="session-1")
        await world.ready("SessionConflict", "younger")
        world.cluster.annotate(NAMESPACE, "older", abandon="true")
        world.cluster.delete(NAMESPACE, "older")
        await world.ready("Running", "younger", within=10)


async def test_an_observed_session_that_is_gone_is_reported_once() -> None:
    async with World() as world:
        world.control.add_session(KEY, session_id="session-1")
        world.apply(sessionId="session-1", managementPolicy="Observe")
        await world.ready("Observed")
        world.control.act("session-1", "vanish")
        await world.ready("SessionNotFound", within=200)
        said, writes = world.condition("Ready")["message"], len(world.cluster.status_writes)
        await asyncio.sleep(900)
        assert world.condition("Ready")["message"] == said
        assert len(world.cluster.status_writes) == writes


async def test_a_duplicate_that_comes_to_light_late_is_released_also_if_the_session_is_born_paused() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(late=LABELS_SHOW + 15.0), endpoint="createSession", count=1)
        world.apply(imageId="agb-code-space-1", paused=True)
        await world.until(lambda: len(world.live()) == 2)
        await world.restart()
        await world.ready("Paused")
        await world.until(lambda: len(world.live()) == 1)
        assert world.live()[0]["sessionId"] == world.session().session_id
        world.assert_clean()


async def test_a_duplicate_is_released_once_also_if_lists_are_old() -> None:
    async with World() as world:
        world.control.configure(status_lag=10.0)
        world.control.add_fault(LostAnswer(late=LABELS_SHOW + 15.0), endpoint="createSession", count=1)
        world.apply(imageId="agb-code-space-1")
        await world.until(lambda: len(world.live()) == 2)
        await world.until(lambda: len(world.live()) == 1)
        await asyncio.sleep(120)
        assert world.calls("releaseSessionAsync") == 1
        world.assert_clean()
