"""What the life machines of the property tests have found, each as the shortest story that shows it."""

import pytest

from integration.world import KEY, NAMESPACE, World

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
