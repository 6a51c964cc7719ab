"""Events are sent in their order, once, at most two at a time, and never by a replica that does not lead."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import pytest

from agb_operator.control.event_recorder import BURST, GIVEN_UP_AFTER, REFILL, ROOM, TRIES, EventRecorder
from agb_operator.model.errors import ClusterError, ClusterForbidden, ClusterUnavailable
from agb_operator.model.event import Event, RecordedEvent
from fakes import FakeCluster
from simulated import EPOCH, loop_clock, loop_time
from unit.builders import a_session

pytestmark = pytest.mark.looptime

SESSION = a_session()
PAUSED = Event(reason="Paused", message="Paused has happened.")


@dataclass
class Desk:
    """A recorder and its cluster."""

    cluster: FakeCluster = field(default_factory=FakeCluster)
    leads: bool = True

    def __post_init__(self) -> None:
        self.event_recorder = EventRecorder(
            cluster=self.cluster,
            leads=lambda: self.leads,
            clock=loop_clock(),
        )

    def record(self, *reasons: str) -> None:
        for reason in reasons:
            self.event_recorder.record(SESSION, Event(reason=reason, message=f"{reason} has happened."))

    @property
    def sent(self) -> list[str]:
        return [event.reason for event in self.cluster.events]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.event_recorder.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_events_are_sent_in_their_order_with_the_time_at_which_they_happened() -> None:
    desk = Desk(FakeCluster(latency=1.0))
    async with desk.running():
        for reason in ("Created", "Running", "Paused", "Running"):
            desk.record(reason)
            await asyncio.sleep(0.1)
        await asyncio.sleep(10)
    assert desk.sent == ["Created", "Running", "Paused", "Running"]
    happened = [(event.at - EPOCH).total_seconds() for event in desk.cluster.events]
    assert happened == pytest.approx([0.0, 0.1, 0.2, 0.3], abs=0.01)
    assert {event.severity for event in desk.cluster.events} == {"Normal"}


async def test_by_name_events_of_the_same_moment_stand_in_their_order() -> None:
    desk = Desk()
    async with desk.running():
        desk.record("Created", "Running", "Paused")
        await asyncio.sleep(10)
    by_name = sorted(desk.cluster.events, key=lambda event: event.event_id)
    assert [event.reason for event in by_name] == ["Created", "Running", "Paused"]


async def test_at_most_two_are_under_way() -> None:
    under_way: list[int] = [0]

    class Counting(FakeCluster):
        async def record_event(self, recorded: RecordedEvent) -> None:
            under_way.append(under_way[-1] + 1)
            await super().record_event(recorded)
            under_way.append(under_way[-1] - 1)

    desk = Desk(Counting(latency=1.0))
    async with desk.running():
        desk.record(*["Paused"] * 9)
        await asyncio.sleep(60)
    assert len(desk.sent) == 9
    assert max(under_way) == 2


async def test_while_requests_wait_for_their_turn_events_wait_too_but_not_for_ever() -> None:
    desk = Desk(FakeCluster(is_busy=True))
    async with desk.running():
        desk.record("Created", "Running")
        await asyncio.sleep(GIVEN_UP_AFTER - 1)
        assert desk.sent == []
        await asyncio.sleep(2)
        assert desk.sent == ["Created", "Running"]
        desk.record("Paused")
        await asyncio.sleep(1)
        desk.cluster.is_busy = False
        await asyncio.sleep(1)
        assert desk.sent == ["Created", "Running", "Paused"]


async def test_while_the_api_server_is_away_an_event_waits() -> None:
    desk = Desk()
    desk.cluster.fail = [ClusterUnavailable("cannot be reached")] * (TRIES - 1)
    async with desk.running():
        desk.record("Paused")
        await asyncio.sleep(60)
    assert desk.sent == ["Paused"]


async def test_an_event_whose_answer_was_lost_is_there_once() -> None:
    class Forgetful(FakeCluster):
        async def record_event(self, recorded: RecordedEvent) -> None:
            await super().record_event(recorded)
            raise ClusterUnavailable("the connection broke")

    desk = Desk(Forgetful())
    async with desk.running():
        desk.record("Paused")
        await asyncio.sleep(60)
    assert desk.sent == ["Paused"]


@pytest.mark.parametrize(
    ("failures", "why"),
    [
        ([ClusterUnavailable("cannot be reached")] * TRIES, "cannot be reached"),
        ([ClusterForbidden("not allowed", http_status=403)], "not allowed"),
    ],
    ids=["away for too long", "refused"],
)
async def test_an_event_that_cannot_be_sent_is_logged_and_holds_up_no_other(
    failures: list[ClusterError], why: str, caplog: pytest.LogCaptureFixture
) -> None:
    desk = Desk()
    desk.cluster.fail = list(failures)
    async with desk.running():
        desk.record("Paused")
        await asyncio.sleep(60)
        desk.record("Running")
        await asyncio.sleep(60)
    assert desk.sent == ["Running"]
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{SESSION.key}: event Paused could not be sent: {why}"
    ]


async def test_an_object_has_the_events_that_client_go_gives_it(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    async with desk.running():
        for _ in range(3000):
            desk.record("Paused")
            await asyncio.sleep(0.02)
        assert len(desk.sent) == BURST
        await asyncio.sleep(REFILL)
        desk.record("Running", "Paused")
        await asyncio.sleep(1)
        assert desk.sent[BURST:] == ["Running"]
    assert "the object had 25 at once, and has one more every 5 minutes" in caplog.text


async def test_a_namespace_whose_events_are_refused_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    async def refuse(namespace: str) -> None:
        if namespace == "a":
            await asyncio.sleep(10)
            raise ClusterUnavailable("busy", retry_after=86400.0)

    desk = Desk()
    desk.cluster.on_event = refuse
    async with desk.running():
        for number in range(100):
            desk.event_recorder.record(a_session(namespace="a", uid=f"uid-{number}"), PAUSED)
        await asyncio.sleep(5)
        desk.event_recorder.record(a_session(namespace="b"), PAUSED)
        await asyncio.sleep(1)
        assert desk.sent == ["Paused"]
        desk.cluster.on_event = None
        await asyncio.sleep(200)
        assert len(desk.sent) == 101, "nor is its own held up for a day"


async def test_more_events_of_a_namespace_than_there_is_room_for_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk()
    for number in range(ROOM // 3 + 1):
        desk.event_recorder.record(replace(SESSION, uid=f"uid-{number}"), PAUSED)
    assert [record.getMessage() for record in caplog.records] == [
        f"{SESSION.key}: event Paused could not be sent: too many others of the namespace wait"
    ]


async def test_without_the_lease_nothing_is_sent() -> None:
    desk = Desk(leads=False)
    async with desk.running():
        desk.record("Paused")
        await asyncio.sleep(60)
    await desk.event_recorder.flush()
    assert desk.sent == []


async def test_at_the_end_of_the_process_what_waits_is_sent_the_interrupted_ones_included() -> None:
    desk = Desk(FakeCluster(latency=0.1))
    async with desk.running():
        desk.record("Created", "Running", "Paused")
        await asyncio.sleep(0.05)
    await desk.event_recorder.flush()
    assert sorted(desk.sent) == ["Created", "Paused", "Running"]


async def test_the_end_of_the_process_waits_a_second_at_most(caplog: pytest.LogCaptureFixture) -> None:
    desk = Desk(FakeCluster(latency=60.0))
    desk.record("Created", "Running")
    began = loop_time()
    await desk.event_recorder.flush()
    assert loop_time() - began <= 1.1
    assert len(caplog.records) == 2
