"""The rate that the service allows is found by itself, whatever kind of limit it has. In virtual time.

Passes are as the reconciler makes them: look, act if there is something to do, come back after the poll interval.
Each test is a way in which limiters of others are known to fail.
"""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.batching import BatchedObserver
from agb_operator.agb.client import SessionClient
from agb_operator.agb.guard import Guard, Guards
from agb_operator.agb.http import AgbApi
from agb_operator.model.clock import Clock
from agb_operator.model.errors import AgbError, TransientError
from agb_operator.model.states import SessionState
from agb_simulator import Api, Settings, SimulatorControl
from agb_simulator.effects import HttpError
from agb_simulator.limits import AtOnceLimit, Capacity, RateLimit
from simulated import SimulatedTransport, loop_clock, loop_time

pytestmark = [pytest.mark.looptime, pytest.mark.fleet]

KEY = "simulator-key-a"
OURS = {"agb-operator-cluster": "test"}
IMAGE = "agb-code-space-1"
POLL = 2.0
TRANSITION = 3.0


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What became of one call, and when."""

    at: float
    code: str
    seconds: float


@dataclass(kw_only=True)
class Tenant:
    """One key's calls, with all that the operator puts around them, and the answers that came."""

    control: SimulatorControl
    key: str
    client: SessionClient
    guard: Guard
    answers: list[Answer]
    began: float
    observer: BatchedObserver = field(default_factory=lambda: BatchedObserver(own_labels=OURS, clock=loop_clock()))
    workers: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(256))

    async def flips(self, number: int, *, paused: bool = True) -> float:
        """Flip so many sessions at once; returns the seconds until the last one was seen to be there."""
        status = "RUNNING" if paused else "PAUSED"
        ids = self.control.add_sessions(self.key, count=number, labels=OURS, status=status)
        began = loop_time()
        await asyncio.gather(*(self._flip(each, paused=paused) for each in ids))
        return loop_time() - began

    async def _flip(self, session_id: str, *, paused: bool) -> None:
        start, end = SessionState.RUNNING, SessionState.PAUSED
        act = self.client.pause
        if not paused:
            start, end, act = end, start, self.client.resume
        called_at = float("-inf")
        while True:
            rest = POLL
            async with self.workers:
                try:
                    seen = await self.observer.observe(self.client, session_id, not_before=called_at, labelled=True)
                    if seen.state is end:
                        return
                    if seen.state is start:
                        await act(session_id)
                        called_at = loop_time()
                except TransientError as error:
                    rest = error.retry_after if error.retry_after is not None else 1.0
            await asyncio.sleep(rest)

    async def create(self) -> None:
        """Create a session, as often as it takes."""
        while True:
            try:
                await self.client.create(image_id=IMAGE, labels={})
            except AgbError as error:
                await asyncio.sleep(error.retry_after or 1.0)
            else:
                return

    def refused(self, *, after: float = 0.0) -> float:
        """Give the part of the calls that were refused, of those answered from so many seconds on."""
        late = [answer for answer in self.answers if answer.at >= self.began + after]
        return sum(answer.code == "429" for answer in late) / max(1, len(late))

    def served(self, since: float, until: float) -> float:
        """Give how many calls a second were let through in a time."""
        return sum(since < answer.at <= until and answer.code != "429" for answer in self.answers) / (until - since)

    def begin(self) -> None:
        """Forget the answers that came."""
        self.answers.clear()
        self.began = loop_time()


class Service:
    """A simulated AGB, and the keys that use it from one operator."""

    def __init__(self, *, latency: float = 0.02) -> None:
        self.api = Api(clock=loop_time, settings=Settings(transition=TRANSITION, latency=latency), seed=1)
        self.transport = SimulatedTransport(self.api)
        self.control = self.transport.control
        clock = Clock(now=loop_time, wall=lambda: datetime.now(UTC), jitter=random.Random(1).random)
        self.guards = Guards(clock=clock, on_throttled=lambda: None)

    def tenant(self, key: str = KEY) -> Tenant:
        """Use the service with a key."""
        answers: list[Answer] = []
        api = AgbApi(
            endpoint="http://simulator",
            on_call=lambda _, code, seconds: answers.append(Answer(at=loop_time(), code=code, seconds=seconds)),
            transport=self.transport,
        )
        guard = self.guards.new(key)
        client = api.client_of(ApiKey(key), within=guard.around, allows=guard.allows)
        return Tenant(control=self.control, key=key, client=client, guard=guard, answers=answers, began=loop_time())

    def limit(self, per_second: float, *, retry_after: float | None = None, key: str = KEY) -> int:
        """Limit the calls of a key; returns the fault's id."""
        return self.control.add_fault(RateLimit(per_second=per_second, retry_after=retry_after), key=key)


@asynccontextmanager
async def in_the_background(*tasks: asyncio.Task[None]) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("retry_after", [1.0, None], ids=["Retry-After: 1", "without Retry-After"])
@pytest.mark.parametrize(("limit", "number"), [(10, 300), (50, 2000), (200, 2000)])
async def test_a_limit_is_found_and_nearly_all_of_it_used(limit: float, number: int, retry_after: float | None) -> None:
    service = Service()
    service.limit(limit, retry_after=retry_after)
    tenant = service.tenant()
    assert await tenant.flips(number) <= 1.15 * number / limit + 5
    assert tenant.refused(after=10) <= 0.02


async def test_without_a_limit_the_start_takes_less_than_a_second() -> None:
    tenant = Service().tenant()
    assert await tenant.flips(2000) <= TRANSITION + POLL + 1
    assert tenant.refused() == 0


@pytest.mark.parametrize("wait", [60.0, 120.0])
async def test_a_long_wait_is_paid_twice_at_most(wait: float) -> None:
    service = Service()
    service.limit(20, retry_after=wait)
    assert await service.tenant().flips(300) <= 2 * wait + 1.15 * 300 / 20 + 5


async def test_refusals_without_a_time_slow_the_calls_down() -> None:
    service = Service()
    service.limit(5)
    tenant = service.tenant()
    await tenant.flips(150)
    assert tenant.refused(after=10) <= 0.02


async def test_an_hour_of_rest_neither_raises_nor_lowers_the_rate() -> None:
    service = Service()
    service.limit(50)
    tenant = service.tenant()
    await tenant.flips(500)
    found = tenant.guard.bucket.bound
    await asyncio.sleep(3600)
    assert tenant.guard.bucket.bound == found
    tenant.begin()
    assert await tenant.flips(2000) <= 1.15 * 2000 / 50 + 5
    assert tenant.refused() <= 0.02


@pytest.mark.parametrize(("capacity", "number", "slowest"), [(100, 3000, 1.0), (20, 500, 3.0)])
async def test_an_endpoint_that_queues_is_used_and_its_queue_does_not_grow(
    capacity: float, number: int, slowest: float
) -> None:
    service = Service()
    service.control.add_fault(Capacity(per_second=capacity))
    tenant = service.tenant()
    await tenant.flips(number)
    assert {answer.code for answer in tenant.answers} == {"200"}
    assert max(answer.seconds for answer in tenant.answers) < slowest
    end = tenant.began + number / capacity - 2
    assert tenant.served(tenant.began + 2, end) >= 0.95 * capacity


async def test_a_queue_of_ours_is_never_learnt_as_normal() -> None:
    """Slight, lasting overload: minutes of it change nothing."""
    service = Service(latency=0.05)
    service.control.add_fault(Capacity(per_second=20))
    tenant = service.tenant()
    [session] = service.control.add_sessions(KEY)

    async def call() -> None:
        while loop_time() < 360:
            await tenant.client.observe(session)

    await asyncio.gather(*(call() for _ in range(100)))
    late = [answer for answer in tenant.answers if answer.at > tenant.began + 60]
    assert max(answer.seconds for answer in late) < 2.0
    assert len(late) > 0.95 * 20 * 300


async def test_an_endpoint_that_has_become_slower_by_nature_is_used_all_the_same() -> None:
    service = Service()
    tenant = service.tenant()
    await tenant.flips(200)
    service.control.configure(latency=1.0)
    fleet = asyncio.create_task(tenant.flips(4000))
    await asyncio.sleep(60)
    tenant.begin()
    await asyncio.sleep(10)
    assert tenant.served(tenant.began, loop_time()) > 0.4 * 64, "64 are under way at once, a second each"
    await fleet


async def test_a_limit_on_calls_at_once_does_not_sink_the_rate() -> None:
    service = Service(latency=0.1)
    service.control.add_fault(AtOnceLimit(requests=8), key=KEY)
    tenant = service.tenant()
    assert await tenant.flips(1000) <= 3 * 1000 / 80
    assert tenant.refused(after=10) <= 0.02


async def test_a_limit_on_creates_slows_nothing_but_creates() -> None:
    service = Service()
    service.control.add_fault(RateLimit(per_second=2, retry_after=None), endpoint="createSession")
    tenant = service.tenant()
    creates = [asyncio.create_task(tenant.create()) for _ in range(100)]
    async with in_the_background(*creates):
        await asyncio.sleep(1)
        assert await tenant.flips(200, paused=False) <= TRANSITION + POLL + 1
        await asyncio.gather(*creates)
        assert loop_time() - tenant.began <= 1.5 * 100 / 2


@pytest.mark.parametrize("endpoint", ["pauseSessionAsync", "ListSession"])
async def test_a_single_refusal_among_thousands_costs_next_to_nothing(endpoint: str) -> None:
    calm = await Service(latency=0.2).tenant().flips(2000)
    service = Service(latency=0.2)
    fleet = asyncio.create_task(service.tenant().flips(2000))
    await asyncio.sleep(3)
    service.control.add_fault(HttpError(status=429), endpoint=endpoint, count=1)
    assert await fleet <= calm + 3
    assert not service.control.faults(), "it was refused"


async def test_a_limit_that_changes_is_found_within_half_a_minute_each_way() -> None:
    service = Service()
    tenant = service.tenant()
    limit = service.limit(200)
    fleet = asyncio.create_task(tenant.flips(14_000))
    await asyncio.sleep(20)
    for per_second in (20, 200):
        service.control.remove_fault(limit)
        limit = service.limit(per_second)
        await asyncio.sleep(30)
        since = loop_time()
        await asyncio.sleep(10)
        assert tenant.served(since, loop_time()) >= 0.85 * per_second
    await fleet
    assert tenant.refused(after=10) <= 0.02


async def test_a_key_that_is_refused_all_the_time_slows_no_other() -> None:
    service = Service()
    service.control.add_fault(HttpError(status=429), key="simulator-key-b")
    mine, theirs = service.tenant(), service.tenant("simulator-key-b")
    async with in_the_background(*(asyncio.create_task(theirs.create()) for _ in range(500))):
        await asyncio.sleep(1)
        assert await mine.flips(2000) <= TRANSITION + POLL + 1
    assert {answer.code for answer in theirs.answers} == {"429"}
    assert len(theirs.answers) < 30
