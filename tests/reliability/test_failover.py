"""Two replicas: one works, one stands by, and whatever happens to the one, they never work both.

Judged from outside: AGB's request log and the API server's audit log say who did what, and when.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agb_simulator.effects import Delay
from control_plane import ControlPlane
from e2e.stack import Simulator, eventually
from e2e.tenant import CALLS, Tenant
from kubectl import Kubectl
from proxy import Mode, Proxy
from reliability.replicas import LEASE, Deeds, Replica, identity, lease

HAND_OVER = 3.0
"""Seconds from SIGTERM until the standby must be at work."""
TAKE_OVER = 20.0
"""Seconds from SIGKILL until the standby must be at work."""
FROZEN = 30.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pair:
    """A tenant with a settled session `s`, and its two operators."""

    tenant: Tenant
    session_id: str
    leader: Replica
    leaders: Deeds
    standby: Replica
    standbys: Deeds
    network: Proxy
    """Between the leader and the API server."""

    def at_work_after(self, since: float, *, within: float) -> float:
        """Ask for a pause, and see how long after `since` the standby asks AGB for it."""
        self.tenant.patch("s", paused=True)
        took = self.standbys.first_request("pauseSessionAsync", since=since, within=within + 30)
        self.tenant.until_phase("s", "Paused")
        return took

    def pausing(self) -> None:
        """Ask for a pause, and wait until AGB is asked for it."""
        self.tenant.patch("s", paused=True)
        eventually(lambda: calls(self.leaders, since=0), every=0.02)


def calls(deeds: Deeds, *, since: float) -> list[str]:
    """Name what was done to sessions."""
    return [e.endpoint for e in deeds.requests(since=since) if e.endpoint in CALLS]


@pytest.fixture
def pair(
    control_plane: ControlPlane,
    kubectl: Kubectl,
    simulator: Simulator,
    new_tenant: Callable[[], Tenant],
    tmp_path: Path,
) -> Iterator[Pair]:
    tenant = new_tenant()
    with ExitStack() as stack:
        network = stack.enter_context(Proxy(urlsplit(control_plane.server_url).port or 0))

        def start(name: str, *, server: str = "") -> tuple[Replica, Deeds]:
            who = identity(
                name,
                namespace=tenant.namespace,
                kubectl=kubectl,
                control_plane=control_plane,
                control=simulator.control,
                folder=tmp_path,
                server=server,
            )
            deeds = Deeds(who, control=simulator.control, audit=control_plane.audit_events())
            return stack.enter_context(Replica(who, "--resync=1s", endpoint=simulator.endpoint)), deeds

        leader, leaders = start("first", server=f"https://127.0.0.1:{network.port}")
        eventually(lambda: leader.leads, within=60)
        standby, standbys = start("second")
        standby.ready()
        session_id = tenant.adopt("s", credentials=None)
        tenant.wait("s", "Ready", seconds=60)
        yield Pair(
            tenant=tenant,
            session_id=session_id,
            leader=leader,
            leaders=leaders,
            standby=standby,
            standbys=standbys,
            network=network,
        )
        assert tenant.illegal_calls() == 0


def test_the_standby_is_ready_and_does_nothing_but_look_at_the_lease(pair: Pair) -> None:
    since = time.time()
    pair.tenant.patch("s", paused=True)
    pair.tenant.until_phase("s", "Paused")
    eventually(lambda: len(pair.standbys.cluster_requests(since=since)) >= 3)
    assert pair.standby.get("/readyz") == (200, "event loop: ok\nwatch: ok\nlease: ok\n")
    assert pair.standby.get("/healthz")[0] == 200
    assert not pair.standby.leads
    assert {(e.verb, e.resource) for e in pair.standbys.cluster_requests(since=since)} == {("get", "leases")}
    assert not pair.standbys.requests(since=0)
    assert pair.leader.get("/readyz")[0] == 200


def test_after_sigterm_the_standby_is_at_work_within_three_seconds(pair: Pair) -> None:
    since = pair.leader.terminate()
    took = pair.at_work_after(since, within=HAND_OVER)
    assert pair.leader.wait(15) == 0
    assert took < HAND_OVER, pair.leader.text() + pair.standby.text()


def test_after_sigkill_the_standby_is_at_work_within_twenty_seconds(pair: Pair) -> None:
    since = time.time()
    pair.leader.kill()
    took = pair.at_work_after(since, within=TAKE_OVER)
    assert took < TAKE_OVER, pair.standby.text()


def test_a_leader_that_loses_the_lease_stops_all_calls_and_ends(pair: Pair) -> None:
    claim = {"holderIdentity": "somebody-else", "leaseDurationSeconds": 3600}
    patch = json.dumps({"spec": claim})
    pair.tenant.must("patch", "lease", LEASE, "--type=merge", "--patch", patch)
    taken = time.time()
    pair.tenant.patch("s", paused=True)
    assert pair.leader.wait(15) == 1
    ended = time.time()
    assert "lost the lease" in pair.leader.text()
    assert "Traceback" not in pair.leader.text()
    # It finds out at its next renewal, which is two seconds away, and does nothing from then on.
    assert ended - taken < 10
    calls = [e for e in pair.leaders.requests(since=taken) if e.endpoint in CALLS]
    renewal = [e for e in pair.leaders.cluster_requests(since=taken) if e.resource == "leases"]
    lost_at = renewal[0].finished_at.timestamp()
    assert [e for e in calls if e.wall_time > lost_at + 0.5] == []
    assert not pair.standbys.requests(since=0), "somebody else holds the lease"
    assert lease(pair.tenant)["holderIdentity"] == "somebody-else", "it gave up a lease that was not its own"


def test_a_leader_that_was_frozen_wakes_up_and_does_nothing(pair: Pair) -> None:
    # It is stopped in the middle of a pause, and what it wants to do next is out of date when it goes on.
    pair.pausing()
    frozen = pair.leader.freeze()
    took = pair.standbys.first_request("getSession", since=frozen, within=TAKE_OVER + 30)
    assert took < TAKE_OVER, pair.standby.text()
    pair.tenant.until_phase("s", "Paused")
    pair.tenant.patch("s", paused=False)
    time.sleep(max(0.0, frozen + FROZEN - time.time()))
    pair.tenant.until_phase("s", "Running")
    pair.tenant.patch("s", paused=True)
    thawed = pair.leader.thaw()
    assert pair.leader.wait(15) == 1
    pair.tenant.until_phase("s", "Paused")
    assert pair.leaders.requests(since=thawed) == []
    assert pair.leaders.effective_writes(since=thawed) == []
    assert "lost the lease" in pair.leader.text()


def test_a_status_that_a_dead_leader_has_sent_arrives_late_and_is_refused(pair: Pair, simulator: Simulator) -> None:
    # AGB takes its time to answer, so that the way to the API server is held up before the status is sent; but not so
    # long that the leader could not rely on its claim any more.
    slow = Delay(seconds=4.0)
    simulator.control.add_fault(slow, endpoint="pauseSessionAsync", session_id=pair.session_id, count=1)
    pair.pausing()
    since = time.time()
    pair.network.set(Mode.STALL)
    assert pair.leader.wait(30) == 1
    assert "lost the lease" in pair.leader.text()
    pair.tenant.until_phase("s", "Paused")
    before = pair.tenant.get("s")
    pair.network.set(Mode.PASS)
    arrived = eventually(lambda: [e for e in pair.leaders.cluster_requests(since=since) if e.subresource == "status"])
    assert [e.code for e in arrived] == [409]
    assert pair.tenant.get("s") == before
    assert pair.leaders.effective_writes(since=since) == []
    assert calls(pair.standbys, since=since) == []
