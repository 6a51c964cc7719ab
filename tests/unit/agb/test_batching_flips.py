"""What thousands of flips at once cost in calls: client, guard and observer together, against the simulator.

Passes are as the reconciler makes them: look, act if there is something to do, come back after the poll interval.
Time is virtual, calls take 20 ms and transitions 3 s.
"""

import asyncio
from math import inf

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.batching import BatchedObserver
from agb_operator.agb.client import SessionClient
from agb_operator.agb.guard import Guards
from agb_operator.agb.http import AgbApi
from agb_operator.model.states import SessionState
from agb_simulator import Api, Settings, SimulatorControl
from simulated import SimulatedTransport, loop_clock, loop_time

pytestmark = [pytest.mark.looptime, pytest.mark.fleet]

KEY = "simulator-key-a"
OURS = {"agb-operator-cluster": "test"}
POLL = 2.0


async def pause(
    session_id: str, *, client: SessionClient, observer: BatchedObserver, workers: asyncio.Semaphore
) -> float:
    """Pass after pass until the session is paused; returns when it was seen to be."""
    called_at = float("-inf")
    while True:
        async with workers:
            seen = await observer.observe(client, session_id, not_before=called_at, labelled=True)
            assert seen.taken_at >= called_at
            if seen.state == SessionState.PAUSED:
                return loop_time()
            if seen.state == SessionState.RUNNING:
                await client.pause(session_id)
                called_at = loop_time()
        await asyncio.sleep(POLL)


async def pause_at_once(
    number: int, *, settings: Settings, most: float = inf, workers: int = 256
) -> tuple[SimulatorControl, list[float]]:
    transport = SimulatedTransport(Api(clock=loop_time, settings=settings, seed=1))
    api = AgbApi(endpoint="http://simulator", on_call=lambda *_: None, transport=transport)
    clock = loop_clock()
    guards = Guards(most=most, clock=clock, on_throttled=lambda: None)
    guard = guards.new("test")
    client = api.client_of(ApiKey(KEY), within=guard.around, allows=guard.allows)
    observer = BatchedObserver(own_labels=OURS, clock=clock)
    session_ids = transport.control.add_sessions(KEY, count=number, labels=OURS)
    limit = asyncio.Semaphore(workers)
    ended = await asyncio.gather(
        *(pause(each, client=client, observer=observer, workers=limit) for each in session_ids)
    )
    return transport.control, sorted(ended)


@pytest.mark.parametrize("workers", [256, 32])
async def test_two_thousand_flips_at_once_cost_at_most_eleven_calls_for_ten(workers: int) -> None:
    settings = Settings(transition=3.0, latency=0.02)
    control, _ = await pause_at_once(2000, settings=settings, workers=workers)
    stats = control.stats()
    assert stats["endpoints"]["pauseSessionAsync"]["requests"] == 2000
    assert stats["illegal"] == 0
    assert stats["requests"] <= 2200


# One turn in 32 is for pages, so that nobody waits for the last pause. A bound above the limit hides for longer that
# pages and pauses share it: more of it goes to pages.
@pytest.mark.parametrize(("most", "requests", "longer"), [(50.0, 2250, 1.25), (inf, 2250, 1.25), (100.0, 2400, 1.35)])
async def test_under_a_rate_limit_of_the_service_the_limit_is_what_takes_the_time(
    most: float, requests: int, longer: float
) -> None:
    """Fifty calls a second are forty seconds for two thousand; throttled calls are sent again, and no pass fails."""
    settings = Settings(transition=3.0, latency=0.02, rate_limit=50.0)
    control, ended = await pause_at_once(2000, most=most, settings=settings)
    assert control.stats()["illegal"] == 0
    assert control.stats()["requests"] <= requests
    assert control.count("pauseSessionAsync", "applied") == 2000
    assert ended[-1] <= longer * 2000 / 50


async def test_the_slowest_of_five_hundred_flips_waits_less_than_three_times_the_median() -> None:
    settings = Settings(transition=3.0, latency=0.02)
    _, ended = await pause_at_once(500, most=50.0, settings=settings)
    assert ended[-1] < 3 * ended[250]
