"""One replica at a time holds the Lease, whatever happens to the others, the network and the clocks."""

import asyncio
import copy
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from agb_operator.model.clock import Clock
from agb_operator.model.errors import ClusterForbidden, ClusterUnavailable, Conflict, ObjectNotFound, StartupError
from agb_operator.process.leader import Elector, LeaseLost, Timing, new_identity

pytestmark = pytest.mark.looptime

TIMING = Timing()


class LeaseStore:
    """The API server's part: one Lease, written only over the version that was read."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.reads = 0
        self.writes = 0

    def read(self) -> dict[str, Any]:
        self.reads += 1
        if self.lease is None:
            raise ObjectNotFound("no lease")
        return copy.deepcopy(self.lease)

    def write(self, lease: Mapping[str, Any] | None, spec: Mapping[str, Any]) -> dict[str, Any]:
        if (lease is None) != (self.lease is None):
            raise Conflict("exists already") if lease is None else ObjectNotFound("no lease")
        if lease is not None and self.lease is not None and lease["metadata"] != self.lease["metadata"]:
            raise Conflict("changed since it was read")
        self.writes += 1
        self.version += 1
        self.lease = {"metadata": {"resourceVersion": str(self.version)}, "spec": dict(spec)}
        return copy.deepcopy(self.lease)

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec = self.lease["spec"]
        assert isinstance(spec, dict)
        return spec


class Network:
    """One replica's way to the store; requests take time, hang, fail, or lose their answer."""

    def __init__(self, store: LeaseStore) -> None:
        self.store = store
        self.delay: Callable[[], float] = lambda: 0.01
        self.black_hole = False
        self.loses_answers = False
        self.error: Exception | None = None
        self.requests = 0

    async def _send(self, action: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        self.requests += 1
        if self.black_hole:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        await asyncio.sleep(self.delay())
        answer = action()
        if self.loses_answers:
            await asyncio.Event().wait()
        await asyncio.sleep(self.delay())
        return answer

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        return await self._send(self.store.read)

    async def create_lease(self, namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        return await self._send(lambda: self.store.write(None, spec))

    async def update_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        return await self._send(lambda: self.store.write(lease, lease["spec"]))


def clock(
    wall: Callable[[], datetime] = lambda: datetime.now(UTC), jitter: Callable[[], float] = random.random
) -> Clock:
    return Clock(now=now, wall=wall, jitter=jitter)


def elector(network: Network, identity: str, clock_is_off_by: timedelta = timedelta(0), seed: int = 7) -> Elector:
    return Elector(
        leases=network,
        namespace="ops",
        name="agb-operator",
        identity=identity,
        timing=TIMING,
        clock=clock(lambda: datetime.now(UTC) + clock_is_off_by, random.Random(seed).random),
    )


def now() -> float:
    return asyncio.get_running_loop().time()


async def seconds_until(task: asyncio.Task[Any]) -> float:
    start = now()
    await asyncio.wait([task], timeout=3600)
    assert task.done()
    return now() - start


async def leading(network: Network, identity: str) -> tuple[Elector, asyncio.Task[None]]:
    """Start a replica that leads and renews."""
    elected = elector(network, identity)
    await elected.acquire()
    return elected, asyncio.create_task(elected.keep())


async def standing_by(network: Network, identity: str) -> tuple[Elector, asyncio.Task[None]]:
    standby = elector(network, identity, seed=11)
    waiting = asyncio.create_task(standby.acquire())
    await asyncio.sleep(5)
    assert not waiting.done()
    return standby, waiting


async def stop(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_replica_takes_the_lease_at_once_and_keeps_it() -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    assert now() < 0.1
    await asyncio.sleep(600)
    assert first.leads
    assert not holding.done()
    assert store.spec["holderIdentity"] == "a"
    assert store.spec["leaseTransitions"] == 0
    await stop(holding)


async def test_the_record_is_what_kubernetes_clients_expect() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    acquired = store.spec["acquireTime"]
    await asyncio.sleep(5)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", store.spec["renewTime"])
    assert store.spec["acquireTime"] == acquired, "it tells since when the holder holds"
    assert store.spec["leaseDurationSeconds"] == 15
    await stop(holding)


async def test_holding_costs_one_write_and_no_read_every_two_seconds() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    reads, writes = store.reads, store.writes
    await asyncio.sleep(100)
    assert store.reads == reads
    assert 50 <= store.writes - writes <= 67
    await stop(holding)


async def test_a_standby_writes_nothing() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    standby, waiting = await standing_by(Network(store), "b")
    writes = store.writes
    await stop(holding)
    await asyncio.sleep(2)
    assert store.writes == writes
    assert standby.holder == "a"
    assert not standby.leads
    await stop(waiting)


async def test_a_standby_takes_over_within_one_retry_when_the_lease_is_given_up() -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    standby, waiting = await standing_by(Network(store), "b")
    await stop(holding)
    await first.step_down()
    assert store.spec["holderIdentity"] == ""
    assert store.spec["leaseDurationSeconds"] == 1
    assert await seconds_until(waiting) <= TIMING.retry + 0.1
    assert (first.leads, standby.leads) == (False, True)
    assert store.spec["leaseTransitions"] == 1


async def test_a_standby_takes_over_after_a_crash_when_the_lease_has_run_out_and_not_before() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    standby, waiting = await standing_by(Network(store), "b")
    await stop(holding)
    took = await seconds_until(waiting)
    assert TIMING.duration - TIMING.retry - 0.1 <= took <= TIMING.duration + TIMING.retry + 0.1
    assert standby.leads


async def test_a_standby_waits_as_long_as_the_holder_s_own_record_promises() -> None:
    """While an upgrade changes the timing, the two replicas differ."""
    store = LeaseStore()
    first = elector(Network(store), "a")
    first.timing = replace(TIMING, duration=3 * TIMING.duration)
    await first.acquire()
    standby, waiting = await standing_by(Network(store), "b")
    took = 5 + await seconds_until(waiting)
    assert 3 * TIMING.duration - 0.1 <= took <= 3 * TIMING.duration + TIMING.retry + 0.1
    assert standby.leads


async def test_a_standby_looks_just_when_the_lease_runs_out_and_not_a_retry_later() -> None:
    """The worst case: it saw the last renewal almost a retry late, and the holder crashed just after that renewal."""
    store = LeaseStore()
    first, standby = (
        Elector(
            leases=Network(store),
            namespace="ops",
            name="agb-operator",
            identity=name,
            clock=clock(jitter=lambda: 1.0),
        )
        for name in ("a", "b")
    )
    await first.acquire()
    holding = asyncio.create_task(first.keep())
    await asyncio.sleep(0.95 * TIMING.retry)
    waiting = asyncio.create_task(standby.acquire())
    renewals = store.writes + 3
    for _ in range(1000):
        if store.writes == renewals:
            break
        await asyncio.sleep(0.01)
    assert store.writes == renewals
    await stop(holding)
    assert await seconds_until(waiting) <= TIMING.duration + TIMING.retry


async def test_a_leader_whose_requests_hang_stops_before_anybody_can_take_over() -> None:
    store = LeaseStore()
    network = Network(store)
    first, holding = await leading(network, "a")
    standby, waiting = await standing_by(Network(store), "b")
    network.black_hole = True
    assert await seconds_until(holding) <= TIMING.deadline + 0.1
    with pytest.raises(LeaseLost, match="could not be renewed in time"):
        holding.result()
    assert (first.leads, standby.leads) == (False, False)
    await seconds_until(waiting)
    assert standby.leads


async def test_a_leader_survives_a_connection_that_hangs_once() -> None:
    network = Network(LeaseStore())
    first, holding = await leading(network, "a")
    network.black_hole = True
    await asyncio.sleep(4)
    network.black_hole = False
    await asyncio.sleep(60)
    assert first.leads
    await stop(holding)


async def test_a_leader_survives_an_api_server_that_is_away_for_some_seconds() -> None:
    network = Network(LeaseStore())
    first, holding = await leading(network, "a")
    network.error = ClusterUnavailable("connection refused")
    await asyncio.sleep(7)
    network.error = None
    await asyncio.sleep(60)
    assert first.leads
    await stop(holding)


async def test_a_claim_counts_from_when_the_renewal_was_sent_not_from_when_it_was_answered() -> None:
    network = Network(LeaseStore())
    network.delay = lambda: 1.0
    first = elector(network, "a")
    await first.acquire()  # it takes 2 s to read, then 2 s to write
    await asyncio.sleep(7.9)
    assert first.leads
    await asyncio.sleep(0.2)
    assert not first.leads, "ten seconds after the write was sent"


async def test_a_process_that_was_frozen_knows_at_once_that_it_leads_no_more() -> None:
    first = elector(Network(LeaseStore()), "a")
    await first.acquire()
    await asyncio.sleep(11)  # and nobody renewed meanwhile
    assert not first.leads


async def test_a_leader_that_finds_another_holder_stops_at_once() -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    store.write(store.read(), {**store.spec, "holderIdentity": "b", "renewTime": "later"})
    assert await seconds_until(holding) <= TIMING.retry + 0.1
    with pytest.raises(LeaseLost, match="b holds it"):
        holding.result()
    assert not first.leads


async def test_a_deleted_lease_is_made_again_by_its_leader() -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    store.lease = None
    await asyncio.sleep(5)
    assert first.leads
    assert store.spec["holderIdentity"] == "a"
    await stop(holding)


async def test_lost_answers_do_not_keep_a_replica_from_leading() -> None:
    store = LeaseStore()
    network = Network(store)
    first = elector(network, "a")
    network.loses_answers = True
    acquiring = asyncio.create_task(first.acquire())
    await asyncio.sleep(8)
    assert not first.leads, "it cannot know"
    network.loses_answers = False
    await seconds_until(acquiring)
    assert first.leads


async def test_the_lease_is_given_up_even_when_the_last_renewal_s_answer_was_lost() -> None:
    store = LeaseStore()
    network = Network(store)
    first, holding = await leading(network, "a")
    network.loses_answers = True
    await asyncio.sleep(3)
    network.loses_answers = False
    await stop(holding)
    await first.step_down()
    assert store.spec["holderIdentity"] == ""


async def test_giving_up_never_touches_the_lease_of_another() -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    store.write(store.read(), {**store.spec, "holderIdentity": "b"})
    await stop(holding)
    await first.step_down()
    assert store.spec["holderIdentity"] == "b"


async def test_giving_up_ends_within_seconds_when_nobody_answers() -> None:
    network = Network(LeaseStore())
    first, holding = await leading(network, "a")
    await stop(holding)
    network.black_hole = True
    start = now()
    await first.step_down()
    assert now() - start <= 3.1
    assert not first.leads


async def test_a_standby_that_never_led_has_nothing_to_give_up() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    network = Network(store)
    standby, waiting = await standing_by(network, "b")
    await stop(waiting)
    requests = network.requests
    await standby.step_down()
    assert network.requests == requests
    await stop(holding)


@pytest.mark.parametrize("off", [timedelta(hours=-7), timedelta(hours=7), timedelta(days=4000)], ids=str)
async def test_clocks_that_differ_by_hours_are_harmless(off: timedelta) -> None:
    store = LeaseStore()
    first, holding = await leading(Network(store), "a")
    standby = elector(Network(store), "b", clock_is_off_by=off)
    waiting = asyncio.create_task(standby.acquire())
    await asyncio.sleep(300)
    assert (first.leads, standby.leads) == (True, False)
    await stop(holding)
    assert await seconds_until(waiting) <= TIMING.duration + TIMING.retry + 0.1
    assert standby.leads
    await stop(waiting)


async def test_fields_of_other_parties_stay_in_the_record() -> None:
    store = LeaseStore()
    store.write(None, {"holderIdentity": "", "strategy": "OldestEmulationVersion", "leaseTransitions": 4})
    _, holding = await leading(Network(store), "a")
    assert store.spec["strategy"] == "OldestEmulationVersion"
    assert store.spec["leaseTransitions"] == 5
    await stop(holding)


async def test_missing_rights_end_the_wait_with_what_to_do() -> None:
    network = Network(LeaseStore())
    network.error = ClusterForbidden("leases is forbidden", http_status=403)
    acquiring = asyncio.create_task(elector(network, "a").acquire())
    assert await seconds_until(acquiring) <= 25
    with pytest.raises(StartupError, match=r"ops/agb-operator: leases is forbidden.*--no-leader-election"):
        acquiring.result()


async def test_a_moment_of_refusals_is_waited_out() -> None:
    network = Network(LeaseStore())
    network.error = ClusterForbidden("not yet", http_status=403)
    first = elector(network, "a")
    acquiring = asyncio.create_task(first.acquire())
    await asyncio.sleep(10)
    network.error = None
    await seconds_until(acquiring)
    assert first.leads


async def test_a_change_of_leadership_is_told() -> None:
    told: list[bool] = []
    first = Elector(
        leases=Network(LeaseStore()), namespace="ops", name="x", identity="a", on_change=told.append, clock=clock()
    )
    await first.acquire()
    await first.step_down()
    assert told == [True, False]


async def test_readiness_holds_for_a_standby_until_the_lease_cannot_be_looked_at() -> None:
    store = LeaseStore()
    _, holding = await leading(Network(store), "a")
    network = Network(store)
    standby, waiting = await standing_by(network, "b")
    assert standby.problem() == ""
    network.black_hole = True
    await asyncio.sleep(40)
    assert "ops/agb-operator could not be looked at" in standby.problem()
    await stop(waiting, holding)


async def test_an_identity_is_never_used_twice() -> None:
    assert new_identity() != new_identity()


@pytest.mark.fleet
@pytest.mark.parametrize("seed", range(12))
async def test_two_replicas_never_lead_at_once_under_random_trouble(seed: int) -> None:
    """Slow, hanging, failing and answer-losing requests, crashes and restarts: at no moment are there two leaders."""
    chance = random.Random(seed)
    store = LeaseStore()
    networks = [Network(store) for _ in range(3)]
    present: list[Elector | None] = [None, None, None]
    terms = 0

    async def replica(number: int) -> None:
        nonlocal terms
        while True:
            own = present[number] = Elector(
                leases=networks[number],
                namespace="ops",
                name="agb-operator",
                identity=f"{number}-{chance.random()}",
                clock=clock(lambda: datetime.now(UTC) + timedelta(seconds=chance.uniform(-9999, 9999)), chance.random),
            )
            try:
                async with asyncio.timeout(chance.uniform(5, 200)):  # then it crashes, or ends in order
                    await own.acquire()
                    terms += 1
                    await own.keep()
            except (TimeoutError, LeaseLost):
                if chance.random() < 0.5:
                    await own.step_down()
            present[number] = None
            await asyncio.sleep(chance.uniform(0, 5))

    replicas = [asyncio.create_task(replica(number)) for number in range(len(networks))]
    for _ in range(1600):
        await asyncio.sleep(0.5)
        assert sum(elected is not None and elected.leads for elected in present) <= 1
        if chance.random() < 0.05:
            network = chance.choice(networks)
            network.black_hole = chance.random() < 0.2
            network.loses_answers = chance.random() < 0.2
            network.error = ClusterUnavailable("away") if chance.random() < 0.2 else None
            network.delay = partial(chance.uniform, 0, chance.choice([0.01, 0.5, 3.0, 6.0]))
    assert not any(task.done() for task in replicas)
    assert terms > 5, "there was somebody to lead"
    await stop(*replicas)
