"""AGB, the key and the status are believed only as far as they are proven.

Nothing irreversible and no second call rests on one unproven answer: each test plays one lie.
"""

import asyncio
from typing import Any

import pytest

from agb_operator.model.errors import ClusterUnavailable
from agb_simulator.effects import (
    EndlessPages,
    FieldValues,
    FilterIgnored,
    HttpError,
    IdValue,
    Ignored,
    LostAnswer,
    OtherAccount,
    ShortPage,
    StaleList,
    StatusValue,
)
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"
OTHER = "simulator-key-b"
HOUR = 3600.0


def releases(world: World) -> set[str | None]:
    """Name the sessions that a release was called for."""
    return {entry.session_id for entry in world.control.requests() if entry.endpoint == "releaseSessionAsync"}


def message(world: World, name: str = "s") -> str:
    return str(world.condition("Ready", name).get("message", ""))


async def fleet(world: World, count: int, **spec: object) -> dict[str, str]:
    """Create so many sessions; gives their ids by the resources' names."""
    names = [f"s{number}" for number in range(count)]
    for name in names:
        world.apply(name, imageId=IMAGE, **spec)
    for name in names:
        await world.ready("Running", name)
    return {name: world.status(name)["sessionId"] for name in names}


# Lists


async def test_the_deletion_of_one_resource_releases_no_session_of_others_though_the_list_ignores_its_filter() -> None:
    async with World() as world:
        sessions = await fleet(world, 7)
        lie = world.control.add_fault(FilterIgnored(), endpoint="ListSession")
        world.cluster.delete(NAMESPACE, "s0")
        await asyncio.sleep(600)

        assert releases(world) == {sessions["s0"]}
        assert "ignores its filter" in world.condition("Stalled", "s0")["message"]
        world.control.remove_fault(lie)
        await world.until(lambda: not world.exists("s0"), within=400.0)
        assert len(world.live()) == 6


async def test_a_new_resource_takes_over_no_session_of_another_though_the_list_ignores_its_filter() -> None:
    async with World() as world:
        sessions = await fleet(world, 2)
        lie = world.control.add_fault(FilterIgnored(), endpoint="ListSession")
        world.apply("new", imageId=IMAGE)
        await asyncio.sleep(300)

        assert world.status("new").get("sessionId") is None
        assert "ignores its filter" in message(world, "new")
        world.control.remove_fault(lie)
        await world.ready("Running", "new", within=400.0)
        assert world.status("new")["sessionId"] not in sessions.values()
        assert len(world.live()) == 3


async def test_a_list_that_is_behind_causes_no_second_pause_and_is_not_repeated_to_people() -> None:
    async with World(transition=2.0) as world:
        sessions = await fleet(world, 20)
        await asyncio.sleep(30)  # what the list is behind with then, is that the sessions run
        world.control.add_fault(StaleList(seconds=12.0), endpoint="ListSession")
        for name in sessions:
            world.patch(name, paused=True)
        told: set[str] = set()
        for _ in range(900):
            await asyncio.sleep(0.1)
            paused = {s["sessionId"] for s in world.live() if s["status"] == "PAUSED"}
            told |= {n for n, i in sessions.items() if i in paused and world.reason(n) == "Running"}

        assert all(world.reason(name) == "Paused" for name in sessions)
        assert world.calls("pauseSessionAsync") == 20
        assert not told, "a paused session was said to be running"
        world.assert_clean()


async def test_labels_set_after_a_pause_make_no_old_list_believed() -> None:
    async with World(transition=2.0) as world:
        sessions = await fleet(world, 20)
        await asyncio.sleep(30)
        world.control.add_fault(StaleList(seconds=12.0), endpoint="ListSession")
        for name in sessions:
            world.patch(name, paused=True, labels={"team": "a"})
        await asyncio.sleep(60)

        assert all(world.reason(name) == "Paused" for name in sessions)
        assert world.calls("SetLabel") == 20
        assert world.calls("pauseSessionAsync") == 20
        world.assert_clean()


async def test_labels_whose_write_failed_stay_in_doubt_whatever_else_is_written() -> None:
    async with World() as world:
        world.apply(imageId=IMAGE, labels={"team": "a"})
        await world.ready("Running")
        world.cluster.fail.append(ClusterUnavailable("not there"))
        world.patch(labels={})
        await world.until(lambda: world.calls("SetLabel") == 1, every=0.0005)
        world.patch(labels={"team": "a"}, paused=True)
        await world.ready("Paused")
        await asyncio.sleep(120)

        assert world.live()[0]["labels"]["team"] == "a"


async def test_an_empty_look_up_under_a_key_that_does_not_see_the_session_proves_no_duplicate_gone() -> None:
    async with World() as world:
        await fleet(world, 3)
        await asyncio.sleep(90)
        world.control.add_fault(LostAnswer(late=45.0), endpoint="createSession", count=1)
        world.apply(imageId=IMAGE)
        await world.ready("Running")
        lie = world.control.add_fault(OtherAccount())
        await asyncio.sleep(200)
        assert world.calls("createSession") == 5
        assert len(world.live()) == 5
        world.control.remove_fault(lie)
        await world.until(lambda: len(world.live()) == 4, within=150.0)


async def test_a_list_whose_rows_have_no_ids_does_not_show_that_there_is_no_session() -> None:
    async with World() as world:
        world.control.add_fault(LostAnswer(), endpoint="createSession", count=1)
        world.control.add_fault(IdValue(session_id=None), endpoint="ListSession")
        world.apply(imageId=IMAGE)
        await asyncio.sleep(600)
        assert world.calls("createSession") == 1
        assert "without an id" in str(world.condition("Ready")["message"])

        world.control.clear_faults()
        await world.ready("Running", within=400.0)
        assert len(world.live()) == 1


async def test_rows_without_a_status_stop_no_pause() -> None:
    async with World() as world:
        sessions = await fleet(world, 20)
        world.control.add_fault(StatusValue(status=None), endpoint="ListSession")
        for name in sessions:
            world.patch(name, paused=True)
        for name in sessions:
            await world.ready("Paused", name)
        world.assert_clean()


async def test_rows_without_a_status_cost_one_look_at_each_session_in_five_minutes_at_rest() -> None:
    async with World() as world:
        sessions = await fleet(world, 20)
        world.control.add_fault(StatusValue(status=None), endpoint="ListSession")
        await asyncio.sleep(120)
        world.control.clear_requests()
        await asyncio.sleep(3000)

        assert 20 * 8 <= world.calls("getSession") <= 20 * 10
        world.control.act(sessions["s0"], "pause")
        await world.until(lambda: world.calls("resumeSessionAsync") == 1, within=400.0)


async def test_a_look_that_answers_for_another_session_is_no_answer() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        lie = world.control.add_fault(IdValue(session_id="session-of-somebody"), endpoint="getSession")
        world.patch(paused=True)
        await asyncio.sleep(60)

        assert world.reason() != "Paused", "what it says is not believed"
        world.control.remove_fault(lie)
        await world.ready("Paused", within=400.0)


@pytest.mark.parametrize("how", ["circle", "same_token", "new_tokens"])
async def test_a_list_without_an_end_costs_a_bounded_number_of_calls(how: Any) -> None:
    async with World() as world:
        await fleet(world, 3)
        world.control.add_fault(EndlessPages(how=how), endpoint="ListSession")
        world.control.clear_requests()
        world.apply("new", imageId=IMAGE)
        await asyncio.sleep(900)

        assert world.calls("ListSession") < 900


async def test_absurd_numbers_crash_no_pass() -> None:
    async with World() as world:
        lie = FieldValues(fields={"count": int("9" * 400), "maxResults": -1})
        world.control.add_fault(lie, endpoint="ListSession")
        world.control.add_fault(EndlessPages(), endpoint="ListSession")
        world.control.add_fault(ShortPage(items=10), endpoint="ListSession")  # so that the count is reckoned with
        sessions = await fleet(world, 20)
        for name in sessions:
            world.patch(name, paused=True)
        for name in sessions:
            await world.ready("Paused", name)
        page = world.operator.parts.metrics.page()[0].decode()
        assert 'agb_reconcile_errors_total{reason="Unforeseen"} 0.0' in page


# Which key


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("count", [1, 2])
async def test_the_key_of_another_account_costs_no_new_session_and_none_is_forgotten(
    count: int, restarts: bool
) -> None:
    async with World() as world:
        sessions = await fleet(world, count, onSessionLost="Recreate")
        world.control.add_key(OTHER)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        await asyncio.sleep(200)
        if restarts:
            await world.restart()
        await asyncio.sleep(200)

        assert world.calls("createSession") == count
        for name, session_id in sessions.items():
            assert world.reason(name) == "CredentialsInvalid"
            assert f"agb.cloud/confirm-lost={session_id}" in message(world, name)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        for name, session_id in sessions.items():
            await world.ready("Running", name, within=200.0)
            assert world.status(name)["sessionId"] == session_id
        assert len(world.live()) == count


async def test_a_deletion_under_the_key_of_another_account_is_blocked_and_names_the_ways_out() -> None:
    async with World() as world:
        await fleet(world, 1)
        world.control.add_key(OTHER)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        await world.until(lambda: world.reason("s0") == "CredentialsInvalid", within=300.0)
        world.cluster.delete(NAMESPACE, "s0")
        await asyncio.sleep(600)

        assert world.exists("s0")
        assert "spec.deletionPolicy to Retain" in world.condition("Stalled", "s0")["message"]
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        await world.until(lambda: not world.exists("s0"), within=300.0)
        assert not world.live()


async def test_a_rotated_key_of_the_same_account_is_believed_and_costs_one_write_for_each_session() -> None:
    async with World() as world:
        sessions = await fleet(world, 3, onSessionLost="Recreate")
        await asyncio.sleep(120)
        before = dict(sessions)
        writes = len(world.cluster.status_writes)
        world.control.add_key(OTHER, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        await asyncio.sleep(300)
        assert len(world.cluster.status_writes) - writes == 3

        world.control.act(sessions["s0"], "vanish")
        await world.until(lambda: world.status("s0").get("sessionId") not in (None, before["s0"]), within=300.0)


async def test_a_session_lost_under_a_new_key_is_believed_once_that_key_sees_another_one() -> None:
    async with World() as world:
        sessions = await fleet(world, 2, onSessionLost="Recreate")
        await asyncio.sleep(120)
        world.control.add_key(OTHER, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        world.control.revoke_key(KEY)  # it cannot say so, too
        world.control.act(sessions["s0"], "vanish")

        await world.until(lambda: world.status("s0").get("sessionId") not in (None, sessions["s0"]), within=600.0)


async def test_a_key_that_was_proven_to_share_an_account_with_one_key_is_not_proven_for_others() -> None:
    async with World() as world:
        sessions = await fleet(world, 2)
        world.control.add_key(OTHER, shares_with=KEY)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        world.control.add_key("simulator-key-of-a-stranger")
        world.cluster.put_secret(NAMESPACE, "strange", apiKey="simulator-key-of-a-stranger")
        world.apply("new", imageId=IMAGE, onSessionLost="Recreate", credentials={"secretRef": {"name": "strange"}})
        await world.ready("Running", "new")
        created = world.status("new")["sessionId"]
        await asyncio.sleep(200)
        world.patch("new", credentials={"secretRef": {"name": SECRET}})
        await asyncio.sleep(400)

        assert {world.status(name)["sessionId"] for name in sessions} == set(sessions.values())
        assert world.reason("new") == "CredentialsInvalid"
        assert world.status("new")["sessionId"] == created


async def test_the_doubt_about_a_key_ends_after_an_hour_of_steady_answers() -> None:
    async with World() as world:
        await fleet(world, 5, onSessionLost="Recreate")
        world.control.act_on_all(KEY, "vanish")
        await asyncio.sleep(HOUR / 2)
        assert world.calls("createSession") == 5
        assert "agb.cloud/confirm-lost=" in message(world, "s0")

        await world.until(lambda: len(world.live()) == 5, within=HOUR)
        assert world.calls("createSession") == 10


async def test_the_doubt_about_a_key_ends_when_it_sees_another_session() -> None:
    async with World() as world:
        await fleet(world, 5, onSessionLost="Recreate")
        world.control.act_on_all(KEY, "vanish")
        await asyncio.sleep(120)
        assert not world.live()
        world.apply("seen", imageId=IMAGE)

        await world.until(lambda: len(world.live()) == 6, within=600.0)


async def test_a_person_can_say_that_a_session_is_gone_and_only_that_one() -> None:
    async with World() as world:
        sessions = await fleet(world, 4, onSessionLost="Recreate")
        world.control.act_on_all(KEY, "vanish")
        await asyncio.sleep(120)
        world.cluster.annotate(NAMESPACE, "s0", confirm_lost=sessions["s0"])
        world.cluster.annotate(NAMESPACE, "s1", confirm_lost=sessions["s0"])

        await world.until(lambda: world.status("s0").get("sessionId") not in (None, sessions["s0"]), within=60.0)
        assert world.status("s1")["sessionId"] == sessions["s1"]


async def test_a_key_that_opens_another_account_for_a_while_loses_nothing() -> None:
    async with World() as world:
        sessions = await fleet(world, 3, onSessionLost="Recreate")
        lie = world.control.add_fault(OtherAccount())
        await asyncio.sleep(900)
        world.control.remove_fault(lie)
        await asyncio.sleep(300)

        assert {world.status(name)["sessionId"] for name in sessions} == set(sessions.values())
        assert len(world.live()) == 3


async def test_a_deletion_while_the_key_opens_another_account_leaves_no_session_behind() -> None:
    async with World() as world:
        sessions = await fleet(world, 5)
        await asyncio.sleep(90)
        lie = world.control.add_fault(OtherAccount())
        world.cluster.delete(NAMESPACE, "s0")
        await asyncio.sleep(30)

        assert world.exists("s0"), "what the key sees of this session, it sees of all"
        world.control.remove_fault(lie)
        await world.until(lambda: not world.exists("s0"), within=400.0)
        assert releases(world) == {sessions["s0"]}
        assert len(world.live()) == 4


async def deletion_without_effect(world: World) -> Any:
    """Delete s0, and have AGB accept each release without ending the session; gives the fault."""
    fault = world.control.add_fault(Ignored(), endpoint="releaseSessionAsync")
    world.cluster.delete(NAMESPACE, "s0")
    await world.until(lambda: world.calls("releaseSessionAsync") == 1)
    return fault


async def test_after_a_release_without_effect_the_key_of_another_account_proves_no_session_gone() -> None:
    async with World() as world:
        await fleet(world, 1)
        ignored = await deletion_without_effect(world)
        world.control.add_key(OTHER)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=OTHER)
        await asyncio.sleep(600)

        assert world.exists("s0")
        assert "spec.deletionPolicy to Retain" in world.condition("Stalled", "s0")["message"]
        world.control.remove_fault(ignored)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        await world.until(lambda: not world.exists("s0"), within=300.0)
        assert not world.live()


@pytest.mark.parametrize("looked_at", ["first", "last"])
async def test_after_a_release_without_effect_a_key_that_sees_no_session_any_more_proves_none_gone(
    looked_at: str,
) -> None:
    async with World() as world:
        await fleet(world, 5)
        await asyncio.sleep(90)
        ignored = await deletion_without_effect(world)
        lie = world.control.add_fault(OtherAccount())
        if looked_at == "last":
            for name in ("s1", "s2", "s3", "s4"):
                world.cluster.annotate(NAMESPACE, name, reconcile_requested_at="now")
        await asyncio.sleep(300)

        assert world.exists("s0")
        world.control.remove_fault(ignored)
        world.control.remove_fault(lie)
        await world.until(lambda: not world.exists("s0"), within=400.0)
        assert len(world.live()) == 4


@pytest.mark.parametrize("others", [1, 3])
async def test_a_session_that_fails_by_itself_holds_up_no_deletion_of_others(others: int) -> None:
    async with World() as world:
        world.control.configure(finish_for=0.0)
        sessions = await fleet(world, others + 1)
        await asyncio.sleep(90)
        for name in [f"s{number}" for number in range(others)][:2]:
            world.control.add_fault(HttpError(status=500), session_id=sessions[name])
        await asyncio.sleep(300)
        world.cluster.delete(NAMESPACE, f"s{others}")

        await world.until(lambda: not world.exists(f"s{others}"), within=60.0)


# Which session


async def test_who_writes_a_status_cannot_have_another_ones_session_released() -> None:
    async with World() as world:
        sessions = await fleet(world, 2)
        world.cluster.objects[NAMESPACE, "s1"]["status"]["sessionId"] = sessions["s0"]
        world.cluster.touch(NAMESPACE, "s1")
        world.cluster.delete(NAMESPACE, "s1")
        await asyncio.sleep(600)

        assert sessions["s0"] not in releases(world)
        assert world.reason("s0") == "Running"


async def test_a_session_whose_labels_somebody_has_replaced_is_labelled_again_and_then_released() -> None:
    async with World() as world:
        sessions = await fleet(world, 1)
        await asyncio.sleep(60)
        world.control.set_labels(sessions["s0"], {"team": "a"})
        world.patch("s0", paused=True)
        await world.ready("Paused", "s0")
        world.cluster.delete(NAMESPACE, "s0")

        await world.until(lambda: not world.exists("s0"), within=120.0)
        assert "LabelsSetAgain" in [event.reason for event in world.cluster.events]
        assert not world.live()
        world.assert_clean()


async def test_a_resource_restored_with_its_status_goes_on_with_its_session() -> None:
    async with World() as world:
        sessions = await fleet(world, 1)
        body = world.cluster.objects[NAMESPACE, "s0"]
        body["metadata"]["uid"] = "uid-of-the-restored"
        await world.restart()
        world.cluster.delete(NAMESPACE, "s0")

        await world.until(lambda: not world.exists("s0"), within=120.0)
        assert releases(world) == {sessions["s0"]}
        assert not world.live()


# Resource versions


async def test_what_a_list_says_counts_although_its_numbers_have_gone_back() -> None:
    async with World() as world:
        world.apply(sessionId=world.control.add_session(KEY))
        await world.ready("Running")
        body = world.cluster.objects[NAMESPACE, "s"]
        body["metadata"]["resourceVersion"] = "7"
        body["metadata"]["generation"] += 1
        body["spec"]["paused"] = True
        world.cluster.relist()

        await world.ready("Paused", within=60.0)


async def test_a_typo_in_the_secret_blocks_no_deletion() -> None:
    async with World() as world:
        await fleet(world, 1)
        world.cluster.put_secret(NAMESPACE, SECRET, apiKey="simulator-key-with-a-typo")
        await world.until(lambda: world.reason("s0") == "CredentialsInvalid", within=300.0)
        world.cluster.delete(NAMESPACE, "s0")

        await world.until(lambda: not world.exists("s0"), within=120.0)
        assert not world.live()
