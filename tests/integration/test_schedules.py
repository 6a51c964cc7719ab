"""Sleep by the clock, lived through: edges, restarts over them, edits, and schedules that cannot be used or read.

The world begins on a Thursday at 00:00 UTC; the schedule of most tests asks for a pause from 00:10 to 00:40.
"""

import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from agb_operator.model.status import timestamp
from agb_simulator.effects import Delay, HttpError
from integration.world import KEY, NAMESPACE, SchedulesCome, World
from simulated import EPOCH, loop_time, wall

pytestmark = pytest.mark.looptime

BEGIN, END = 600.0, 2400.0
NIGHT = {"pauseAt": "10 0 * * *", "resumeAt": "40 0 * * *"}
PAUSE, RESUME = "pauseSessionAsync", "resumeSessionAsync"
ML = {"team": "ml"}


def at(seconds: float) -> str:
    return timestamp(EPOCH + timedelta(seconds=seconds))


async def until(seconds: float) -> None:
    await asyncio.sleep(seconds - loop_time())


async def sessions(world: World, *names: str, labels: dict[str, str] = ML, **spec: Any) -> None:
    """Adopt running sessions and wait until they are settled."""
    for name in names:
        session_id = world.control.add_session(KEY)
        manifest = {"credentials": {"secretRef": {"name": "agb-credentials"}}, "sessionId": session_id, **spec}
        world.cluster.apply(NAMESPACE, name, manifest, labels=labels)
    for name in names:
        await world.ready(
            "Observed" if spec.get("managementPolicy") else "Paused" if spec.get("paused") else "Running", name
        )


def wanted(world: World, name: str = "s") -> tuple[Any, Any, Any]:
    status = world.status(name)
    return status.get("desiredState"), status.get("why"), (status.get("nextChange") or {}).get("at")


def asleep(world: World, name: str = "s") -> bool:
    return bool(world.condition("Paused", name).get("status") == "True")


def reasons(world: World) -> Sequence[str]:
    return [event.reason for event in world.cluster.events]


def call_times(world: World, endpoint: str) -> list[float]:
    return [entry.time for entry in world.control.requests() if entry.endpoint == endpoint]


class TestEdges:
    async def test_an_edge_over_twenty_sessions_is_one_call_each_none_early_and_the_first_within_two_seconds(
        self,
    ) -> None:
        names = [f"s-{number}" for number in range(20)]
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, *names)
            await sessions(world, "other", labels={"team": "web"})
            specs = {key: body["spec"] for key, body in world.cluster.objects.items()}
            await until(BEGIN - 0.5)
            assert world.calls(PAUSE) == 0

            await until(BEGIN + 2)
            assert world.calls(PAUSE) >= 1
            await until(BEGIN + 30)
            assert world.calls(PAUSE) == 20
            assert all(asleep(world, name) for name in names)
            assert wanted(world, "s-3") == ("Paused", "Schedule/nights", at(END))
            assert wanted(world, "other") == ("Running", "Default", None)

            await until(END + 30)
            assert (world.calls(PAUSE), world.calls(RESUME)) == (20, 20)
            assert not any(asleep(world, name) for name in names)
            assert wanted(world, "s-3") == ("Running", "Default", at(86_400 + BEGIN))
            assert {key: body["spec"] for key, body in world.cluster.objects.items()} == specs
            assert {body["metadata"]["generation"] for body in world.cluster.objects.values()} == {1}
            assert "DriftDetected" not in reasons(world)
            world.assert_clean()

    async def test_an_edge_costs_a_session_two_writes_and_an_event_and_the_schedule_few(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN - 60)
            world.cluster.status_writes.clear()
            world.cluster.schedule_writes.clear()
            world.cluster.events.clear()

            await until(BEGIN + 120)

            assert len(world.cluster.status_writes) == 2
            assert len(world.cluster.schedule_writes) <= 2
            assert sorted(reasons(world)) == ["PauseAsked", "Paused"]

    async def test_at_rest_nothing_is_written(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s", "t")
            await until(60)
            world.cluster.status_writes.clear()
            world.cluster.schedule_writes.clear()

            await until(BEGIN - 60)

            assert (world.cluster.status_writes, world.cluster.schedule_writes) == ([], [])

    async def test_each_session_follows_late_by_its_share_of_the_spread(self) -> None:
        names = [f"s-{number}" for number in range(30)]
        async with World() as world:
            world.schedule(**NIGHT, spread="5m")
            await sessions(world, *names)
            await until(BEGIN + 400)

            times = call_times(world, PAUSE)
            assert len(times) == 30
            assert min(times) >= BEGIN
            assert max(times) - min(times) > 120
            assert world.schedule_status()["settled"] == 30

    async def test_one_that_still_moves_at_the_edge_is_waited_for_and_turned_round(self) -> None:
        async with World(transition=90.0) as world:
            world.schedule(pauseAt="10 0 * * *", resumeAt="11 0 * * *", enabled=True)
            world.schedule("short", windows=[{"from": "2026-01-01T00:20", "to": "2026-01-01T00:21"}])
            await sessions(world, "s")
            await until(BEGIN + 75)
            assert (world.calls(RESUME), world.status()["sessionStatus"]) == (0, "PAUSING")
            await until(1500)

            assert (world.calls(PAUSE), world.calls(RESUME)) == (2, 2)
            assert not asleep(world)
            world.assert_clean()

    async def test_one_resumed_in_the_console_inside_the_window_is_paused_again_and_that_is_drift(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.control.set_status(world.status()["sessionId"], "RUNNING")

            await until(BEGIN + 240)

            assert asleep(world)
            drift = next(event for event in world.cluster.events if event.reason == "DriftDetected")
            assert "AgbPauseSchedule nights" in drift.message
            assert "spec.override" in drift.message

    async def test_a_session_created_inside_a_window_is_created_and_then_paused(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await until(BEGIN + 60)
            manifest = {"credentials": {"secretRef": {"name": "agb-credentials"}}, "imageId": "agb-code-space-1"}
            world.cluster.apply(NAMESPACE, "s", manifest, labels=ML)

            await world.until(lambda: asleep(world))
            assert wanted(world) == ("Paused", "Schedule/nights", at(END))

    async def test_a_lost_session_is_not_replaced_before_running_is_wanted(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            manifest = {
                "credentials": {"secretRef": {"name": "agb-credentials"}},
                "imageId": "agb-code-space-1",
                "onSessionLost": "Recreate",
            }
            world.cluster.apply(NAMESPACE, "s", manifest, labels=ML)
            await until(BEGIN + 60)
            world.control.set_status(world.status()["sessionId"], "FINISH")
            await until(END - 60)
            assert world.calls("createSession") == 1
            assert "AgbPauseSchedule nights" in world.condition("Ready")["message"]

            await until(END + 400)
            assert world.calls("createSession") == 2

    async def test_an_observed_session_shows_what_would_be_wanted_and_is_left_alone(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s", managementPolicy="Observe")
            await until(BEGIN + 60)

            assert wanted(world) == ("Paused", "Schedule/nights", at(END))
            assert (world.calls(PAUSE), world.schedule_status()["sessions"]) == (0, 0)


class TestPeopleBeforeTheClock:
    async def test_in_the_middle_of_a_wave_of_2000_each_of_ten_flips_reaches_agb_within_two_seconds(self) -> None:
        async with World(qps=20.0, workers=256, resync=300.0) as world:
            others = [f"other-{number}" for number in range(10)]
            await sessions(world, *(f"s-{number}" for number in range(2000)))
            await sessions(world, *others, labels={"team": "web"})
            world.schedule(**NIGHT)
            await until(BEGIN + 40)
            assert 100 < world.calls(PAUSE) < 1900
            flipped = loop_time()
            for name in others:
                world.patch(name, paused=True)
            ids = {world.status(name)["sessionId"] for name in others}
            await until(BEGIN + 60)

            times = {entry.session_id: entry.time for entry in world.control.requests() if entry.endpoint == PAUSE}
            assert max(times[session_id] for session_id in ids) - flipped < 2.0
            await until(BEGIN + 400)
            assert world.calls(PAUSE) == 2010
            assert world.schedule_status()["settled"] == 2000
            world.assert_clean()


class TestRestarts:
    async def test_an_operator_down_over_an_edge_makes_up_for_it_once(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN - 10)
            await world.restart(after=60)
            await until(BEGIN + 120)

            assert (world.calls(PAUSE), asleep(world)) == (1, True)

    async def test_an_operator_down_over_the_whole_window_does_nothing(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN - 10)
            await world.restart(after=END - BEGIN + 60)
            await until(END + 300)

            assert (world.calls(PAUSE), world.calls(RESUME)) == (0, 0)
            assert wanted(world) == ("Running", "Default", at(86_400 + BEGIN))

    async def test_a_start_with_2000_sleepers_inside_a_window_neither_calls_nor_writes(self) -> None:
        names = [f"s-{number}" for number in range(2000)]
        async with World(workers=256) as world:
            world.schedule(**NIGHT)
            await sessions(world, *names)
            await until(BEGIN + 300)
            assert world.schedule_status()["settled"] == 2000
            world.cluster.status_writes.clear()
            world.cluster.schedule_writes.clear()
            begun = world.control.stats()["last"]
            await world.restart(schedules=SchedulesCome.NOT_YET)
            await asyncio.sleep(5.0)  # the list of sessions comes first
            world.operator.schedules_come(SchedulesCome.LISTED)
            await until(BEGIN + 500)

            since = world.control.requests(since=begun)
            assert {entry.endpoint for entry in since} == {"ListSession"}, "it has looked, and done no more"
            assert (world.cluster.status_writes, world.cluster.schedule_writes) == ([], [])
            assert all(asleep(world, name) for name in names)

    async def test_nobody_is_woken_or_put_to_sleep_before_the_first_list_and_deletions_do_not_wait(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await sessions(world, "t", labels={"team": "web"}, deletionPolicy="Delete")
            await until(BEGIN + 60)
            await world.restart(schedules=SchedulesCome.NOT_YET)
            world.patch("s", paused=False, timeout="5m")
            world.cluster.delete(NAMESPACE, "t")
            assert world.exists("t"), "its session is ended first"
            await until(BEGIN + 200)
            assert (world.calls(RESUME), world.calls("releaseSessionAsync"), world.exists("t")) == (0, 1, False)

            world.operator.schedules_come(SchedulesCome.LISTED)
            await until(BEGIN + 220)
            assert (world.calls(RESUME), asleep(world), world.reason()) == (0, True, "Paused")
            assert world.condition("Ready")["observedGeneration"] == 2

    async def test_what_fell_due_before_the_first_list_is_done_after_it(self) -> None:
        async with World(schedules=SchedulesCome.NOT_YET) as world:
            session_id = world.control.add_session(KEY)
            world.apply(sessionId=session_id, paused=True)
            await until(30)
            assert world.calls(PAUSE) == 0

            world.operator.schedules_come(SchedulesCome.LISTED)
            await world.until(lambda: asleep(world), within=10)


class TestFailStatic:
    @pytest.mark.parametrize(
        "broken", [{"pauseAt": "0 8 * * 5-1", "resumeAt": "0 7 * * *"}, {**NIGHT, "timeZone": "Europe/Berln"}]
    )
    async def test_a_schedule_made_unusable_inside_its_window_wakes_nobody(self, broken: dict[str, Any]) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.schedule(**broken)
            await until(END + 600)

            assert (world.calls(RESUME), asleep(world)) == (0, True)
            assert wanted(world) == ("Paused", "Schedule/nights", None)
            conditions = [(each["type"], each["status"]) for each in world.schedule_status()["conditions"]]
            assert conditions == [("Ready", "False"), ("Stalled", "True")]
            assert {each["reason"] for each in world.schedule_status()["conditions"]} == {"InvalidSchedule"}
            assert "asks" not in world.schedule_status()
            assert reasons(world).count("InvalidSchedule") == 1

            world.schedule(**NIGHT)
            await world.until(lambda: not asleep(world))

    @pytest.mark.parametrize("how", [SchedulesCome.REFUSED, SchedulesCome.UNAVAILABLE])
    async def test_schedules_that_cannot_be_read_at_a_restart_wake_nobody(self, how: SchedulesCome) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s", "by-hand")
            world.patch("by-hand", paused=True)
            await until(BEGIN + 60)
            await world.restart(schedules=how)
            await until(END + 60)
            assert (world.calls(RESUME), asleep(world)) == (0, True)
            assert "cannot be used or read" in world.condition("Ready")["message"]

            world.patch("by-hand", paused=False)
            world.patch("s", override={"state": "Running", "until": at(END + 300)})
            await world.until(lambda: not asleep(world) and not asleep(world, "by-hand"))
            world.operator.schedules_come(SchedulesCome.LISTED)
            await until(END + 400)
            assert not asleep(world)

    async def test_a_list_that_fails_later_on_takes_nothing_away_from_what_is_known(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            world.operator.schedules_come(SchedulesCome.UNAVAILABLE)
            await until(BEGIN + 60)
            assert asleep(world)
            await until(END + 60)
            assert not asleep(world)

    async def test_without_the_resource_all_works_as_before_and_overrides_too(self) -> None:
        async with World(schedules=SchedulesCome.ABSENT) as world:
            await sessions(world, "s")
            world.patch(override={"state": "Paused", "until": at(300)})
            await world.until(lambda: asleep(world))
            await until(330)
            assert not asleep(world)

            world.schedule(**NIGHT)
            world.operator.schedules_come(SchedulesCome.LISTED)
            await until(BEGIN + 60)
            assert asleep(world)

    async def test_that_there_is_no_such_resource_is_told_once(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        async with World(schedules=SchedulesCome.ABSENT) as world:
            await sessions(world, "s")
            for _ in range(3):
                world.operator.schedules_come(SchedulesCome.ABSENT)
        told = [record for record in caplog.records if "no AgbPauseSchedule resource" in record.getMessage()]
        assert [record.levelname for record in told] == ["INFO"]

    async def test_a_resource_that_is_removed_wakes_nobody(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.operator.schedules_come(SchedulesCome.ABSENT)
            await until(END + 60)
            assert (world.calls(RESUME), asleep(world)) == (0, True)

            await world.restart(schedules=SchedulesCome.ABSENT)
            await until(END + 300)
            assert (world.calls(RESUME), asleep(world)) == (0, True)

    async def test_a_resource_that_is_removed_puts_nobody_to_sleep_either(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            world.operator.schedules_come(SchedulesCome.ABSENT)
            await until(BEGIN + 60)

            assert (world.calls(PAUSE), wanted(world)) == (0, ("Running", "Default", None))


class TestEdits:
    async def test_an_edit_is_followed_within_two_seconds_and_no_old_plan_survives(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(60)
            world.schedule(pauseAt="20 0 * * *", resumeAt="40 0 * * *")
            await until(62)
            assert wanted(world) == ("Running", "Default", at(1200))
            await until(1190)
            assert world.calls(PAUSE) == 0
            await until(1230)
            assert world.calls(PAUSE) == 1

    @pytest.mark.parametrize("end", ["disabled", "selector", "label"])
    async def test_one_that_no_longer_speaks_for_a_session_wakes_it(self, end: str) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            if end == "disabled":
                world.schedule(**NIGHT, enabled=False)
            elif end == "selector":
                world.schedule(**NIGHT, selector={"matchLabels": {"team": "web"}})
            else:
                world.cluster.label(NAMESPACE, "s", team="web")

            await world.until(lambda: not asleep(world), within=10)
            assert wanted(world)[:2] == ("Running", "Default")

    async def test_a_change_of_labels_is_followed_at_once_by_one_that_waits_for_its_next_try(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            world.control.add_fault(HttpError(status=422), endpoint=PAUSE)
            await world.until(lambda: world.calls(PAUSE) == 8, within=2000)
            await asyncio.sleep(1)
            world.cluster.label(NAMESPACE, "s", team="web")

            await world.until(lambda: world.reason() == "Running", within=2)
            assert wanted(world) == ("Running", "Default", None)

    async def test_a_schedule_that_ends_during_the_look_pauses_nobody(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN - 1)
            world.control.add_fault(Delay(seconds=5.0), count=1)
            await until(BEGIN + 3)
            world.schedule(**NIGHT, enabled=False)
            await until(BEGIN + 120)

            assert (world.calls(PAUSE), wanted(world)) == (0, ("Running", "Default", None))

    async def test_a_deleted_schedule_is_heard_for_ten_seconds_and_then_its_sessions_wake(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.cluster.delete_schedule(NAMESPACE, "nights")
            await until(BEGIN + 69)
            assert world.calls(RESUME) == 0
            await until(BEGIN + 80)
            assert (world.calls(RESUME), asleep(world)) == (1, False)

    @pytest.mark.parametrize("hours", [-2, 2])
    async def test_a_clock_that_is_set_changes_nothing_of_the_ten_seconds(self, hours: int) -> None:
        jump = timedelta()
        # The night is long enough that it is night by either clock.
        async with World(wall=lambda: wall() + jump) as world:
            world.schedule(pauseAt="0 1 * * *", resumeAt="0 12 * * *")
            await sessions(world, "s")
            await until(5 * 3600)
            world.cluster.delete_schedule(NAMESPACE, "nights")
            await asyncio.sleep(2)
            jump = timedelta(hours=hours)
            await asyncio.sleep(6)
            assert (world.calls(RESUME), asleep(world)) == (0, True)
            await asyncio.sleep(10)
            assert (world.calls(RESUME), asleep(world)) == (1, False)

    async def test_one_replaced_by_force_inside_its_window_wakes_nobody(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.cluster.delete_schedule(NAMESPACE, "nights")
            await asyncio.sleep(3)
            world.schedule(**NIGHT)
            await until(BEGIN + 300)

            assert (world.calls(RESUME), world.calls(PAUSE), asleep(world)) == (0, 1, True)

    async def test_a_namespace_on_its_way_out_wakes_none_of_its_sleepers(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.cluster.delete_schedule(NAMESPACE, "nights")
            await asyncio.sleep(1)
            world.cluster.delete(NAMESPACE, "s")
            await until(BEGIN + 300)

            assert (world.calls(RESUME), world.exists()) == (0, False)

    async def test_a_second_schedule_that_ends_no_later_writes_nothing(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.cluster.status_writes.clear()
            world.schedule("b", pauseAt="5 0 * * *", resumeAt="30 0 * * *")
            await until(END - 60)

            assert world.cluster.status_writes == []
            await until(END + 30)
            assert not asleep(world)


class TestOverrides:
    async def test_an_override_wakes_a_sleeper_and_lapses_by_itself(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.patch(override={"state": "Running", "until": at(1200), "reason": "release night"})
            await world.ready("Running")
            assert wanted(world) == ("Running", "Override", at(1200))
            assert world.condition("Ready")["message"] == (
                f"The session is running because of spec.override until {at(1200)} (release night)."
            )

            await until(1230)
            assert asleep(world)
            assert wanted(world) == ("Paused", "Schedule/nights", at(END))

    async def test_one_that_lapses_during_the_look_wakes_nobody(self) -> None:
        async with World() as world:
            world.schedule(**NIGHT)
            await sessions(world, "s")
            await until(BEGIN + 60)
            world.control.add_fault(Delay(seconds=5.0), count=1)
            world.patch(override={"state": "Running", "until": at(BEGIN + 63)})
            await until(BEGIN + 120)

            assert (world.calls(RESUME), wanted(world)) == (0, ("Paused", "Schedule/nights", at(END)))

    async def test_paused_that_turns_true_under_an_override_is_answered_once(self) -> None:
        async with World() as world:
            await sessions(world, "s")
            world.patch(override={"state": "Running", "until": at(600)})
            await until(60)
            world.patch(paused=True)
            await until(90)
            for more in (700, 800):
                world.patch(override={"state": "Running", "until": at(more)})
                await asyncio.sleep(30)

            assert reasons(world).count("OverrideInForce") == 1
            assert "remove spec.override" in world.condition("Ready")["message"]
            assert world.calls(PAUSE) == 0
            await until(830)
            assert asleep(world)

    async def test_a_lease_that_is_renewed_costs_one_write_each_time_and_no_event(self) -> None:
        async with World() as world:
            await sessions(world, "s", paused=True)
            world.patch(override={"state": "Running", "until": at(400)})
            await until(100)
            world.cluster.status_writes.clear()
            world.cluster.events.clear()
            world.patch(override={"state": "Running", "until": at(700)})
            await until(200)

            assert (len(world.cluster.status_writes), world.cluster.events) == (1, [])
            await until(730)
            assert asleep(world)


async def test_a_clock_that_jumps_over_an_edge_is_followed() -> None:
    ahead = timedelta()
    async with World(wall=lambda: wall() + ahead) as world:
        world.schedule(**NIGHT)
        await sessions(world, "s")
        await until(60)
        ahead = timedelta(seconds=BEGIN)
        await until(75)

        assert asleep(world)


@pytest.mark.parametrize("step", [-3600.0, -BEGIN])
async def test_a_clock_that_is_set_back_over_an_edge_is_followed(step: float) -> None:
    """It is a minute after the end of the window, and then again before its begin, or in it."""
    hour = 3600.0
    steps = 0.0
    async with World(wall=lambda: EPOCH + timedelta(seconds=loop_time() + hour + steps)) as world:
        world.schedule(pauseAt="10 1 * * *", resumeAt="40 1 * * *")
        await sessions(world, "s")
        await until(BEGIN + 60)
        assert asleep(world)
        await until(END + 60)
        assert not asleep(world)
        steps = step
        in_it = END + 60 + step > BEGIN
        await asyncio.sleep(60)
        assert (asleep(world), wanted(world)[1]) == (in_it, "Schedule/nights" if in_it else "Default")
        assert wanted(world)[2] == at(hour + (END if in_it else BEGIN))
        assert world.schedule_status()["asks"] == ("Paused" if in_it else "Nothing")


async def test_the_status_of_a_schedule_tells_what_it_asks_for_and_how_far_that_is() -> None:
    async with World() as world:
        world.schedule(**NIGHT)
        await asyncio.sleep(1)
        (ready,) = world.schedule_status()["conditions"]
        assert (ready["type"], ready["status"], world.schedule_status()["sessions"]) == ("Ready", "True", 0)
        assert ready["message"] == "No AgbSession in this namespace has these labels."
        await sessions(world, "s", "t")
        await until(60)
        status = world.schedule_status()
        assert (status["asks"], status["next"]) == ("Nothing", {"at": at(BEGIN), "asks": "Paused"})
        assert (status["sessions"], status["settled"], status["observedGeneration"]) == (2, 2, 1)

        await until(BEGIN + 60)
        status = world.schedule_status()
        assert (status["asks"], status["next"]) == ("Paused", {"at": at(END), "asks": "Nothing"})
        assert (status["sessions"], status["settled"]) == (2, 2)
        await until(END + 60)
        assert reasons(world).count("PauseAsked") == reasons(world).count("PauseEnded") == 1
