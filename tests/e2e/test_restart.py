"""kill -9 at any moment of a pause or resume, then a restart: the same end, one call, none that is illegal."""

import json
import os
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from agb_simulator.effects import Delay, Effect, NeverEnds
from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually, manifest
from e2e.tenant import CALLS, SECRET, Tenant
from kubectl import Kubectl

FLEET = 16
LONG = 60.0
"""Seconds that outlast a test."""


class Operators:
    """Starts one operator after the other; all of them write to one log."""

    def __init__(self, *, kubeconfig: Path, endpoint: str, log: Path, stack: ExitStack) -> None:
        self._kubeconfig = kubeconfig
        self._endpoint = endpoint
        self._log = log
        self._stack = stack

    def start(self, *flags: str) -> Operator:
        """Start one and wait for it; a resync would blur at which moment a test is."""
        operator = Operator(
            *flags,
            "--resync=1h",
            "--no-leader-election",
            "--log-level=debug",
            kubeconfig=self._kubeconfig,
            endpoint=self._endpoint,
            log=self._log,
        )
        return self._stack.enter_context(operator).ready()


@pytest.fixture
def operators(
    control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, tmp_path: Path
) -> Iterator[Operators]:
    with ExitStack() as stack:
        yield Operators(
            kubeconfig=control_plane.kubeconfig,
            endpoint=simulator.endpoint,
            log=tmp_path / "operator.log",
            stack=stack,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Move:
    """One of the two sessions of a test: one is to be paused, the other one to be resumed."""

    name: str
    session_id: str
    pauses: bool

    @property
    def endpoint(self) -> str:
        return "pauseSessionAsync" if self.pauses else "resumeSessionAsync"

    @property
    def end(self) -> str:
        return "PAUSED" if self.pauses else "RUNNING"

    @property
    def phases(self) -> tuple[str, str]:
        return ("Pausing", "Paused") if self.pauses else ("Resuming", "Running")


def asked(tenant: Tenant, move: Move, endpoint: str) -> bool:
    """Say whether a request about the session has reached AGB."""
    return any(e.session_id == move.session_id and e.endpoint == endpoint for e in tenant.requests())


def ended(tenant: Tenant, move: Move) -> bool:
    """Say whether AGB has brought the session where it should be."""
    return bool(tenant.control.session(move.session_id)["status"] == move.end)


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """When the operator is killed.

    Attributes:
        reached: whether a session is there.
        effect: a fault that holds the session there.
        struck: the request that the fault strikes; "" for the call.
        meanwhile: what happens before the restart.
        spec: more of the resource's spec.
    """

    reached: Callable[[Tenant, Move], bool]
    effect: Effect | None = None
    struck: str = ""
    meanwhile: Callable[[Tenant, Move], object] = lambda _tenant, _move: None
    spec: tuple[tuple[str, str], ...] = ()


MOMENTS = {
    "while it looks at the session": Moment(
        effect=Delay(seconds=LONG),
        struck="getSession",
        reached=lambda tenant, move: asked(tenant, move, "getSession"),
    ),
    "while the call is under way": Moment(
        effect=Delay(seconds=LONG), reached=lambda tenant, move: asked(tenant, move, move.endpoint)
    ),
    "while AGB moves the session": Moment(
        reached=lambda tenant, move: tenant.status(move.name)["phase"] == move.phases[0]
    ),
    "before it sees the end": Moment(
        reached=lambda tenant, move: tenant.status(move.name)["phase"] == move.phases[0],
        meanwhile=lambda tenant, move: eventually(
            lambda: tenant.control.session(move.session_id)["status"] == move.end
        ),
    ),
    "after it told the end": Moment(reached=lambda tenant, move: tenant.status(move.name)["phase"] == move.phases[1]),
    "after the timeout": Moment(
        effect=NeverEnds(),
        spec=(("timeout", "1s"),),
        reached=lambda tenant, move: tenant.condition(move.name, "Ready")["reason"].endswith("TimedOut"),
        meanwhile=lambda tenant, move: tenant.control.set_status(move.session_id, move.end),
    ),
}


@pytest.fixture
def moves(operators: Operators, new_tenant: Callable[..., Tenant]) -> Callable[..., tuple[Tenant, tuple[Move, Move]]]:
    """Make a tenant with two sessions that are settled, one running and one paused."""

    def make(**spec: str) -> tuple[Tenant, tuple[Move, Move]]:
        tenant = new_tenant()
        made = tuple(
            Move(
                name="pauses" if pauses else "resumes",
                session_id=tenant.control.add_session(tenant.key, status="RUNNING" if pauses else "PAUSED"),
                pauses=pauses,
            )
            for pauses in (True, False)
        )
        for move in made:
            tenant.apply(move.name, sessionId=move.session_id, paused=not move.pauses, **spec)
        for move in made:
            tenant.wait(move.name, "Ready")
        tenant.fresh_start()
        return tenant, (made[0], made[1])

    return make


def moved_with_one_call(tenant: Tenant, move: Move) -> None:
    """See that the session got where it should, by one call and no illegal one."""
    tenant.wait(move.name, "Ready")
    assert ended(tenant, move)
    assert tenant.calls(move.session_id) == [move.endpoint]
    assert tenant.illegal_calls() == 0
    status = tenant.status(move.name)
    assert status["phase"] == move.phases[1]
    # None when the whole move fell into the time without an operator: there is no telling whose it was.
    operation = status.get("lastOperation")
    assert operation is None or (operation["state"], operation["attempts"]) == ("Succeeded", 1)


Moves = Callable[..., tuple[Tenant, tuple[Move, Move]]]


@pytest.mark.parametrize("when", MOMENTS)
def test_an_operator_killed_in_a_move_goes_on_where_it_was(when: str, operators: Operators, moves: Moves) -> None:
    moment = MOMENTS[when]
    first = operators.start()
    tenant, pair = moves(**dict(moment.spec))
    if moment.effect is not None:
        for move in pair:
            struck = moment.struck or move.endpoint
            tenant.control.add_fault(moment.effect, endpoint=struck, session_id=move.session_id, count=1)

    for move in pair:
        tenant.patch(move.name, paused=move.pauses)
    eventually(lambda: all(moment.reached(tenant, move) for move in pair))
    first.kill()
    for move in pair:
        moment.meanwhile(tenant, move)
    operators.start()

    for move in pair:
        moved_with_one_call(tenant, move)


def test_what_is_asked_while_no_operator_runs_is_done_by_the_next_one(operators: Operators, moves: Moves) -> None:
    first = operators.start()
    tenant, pair = moves()
    first.kill()

    for move in pair:
        tenant.patch(move.name, paused=move.pauses)
    operators.start()

    for move in pair:
        tenant.wait(move.name, "Ready")
        moved_with_one_call(tenant, move)


@contextmanager
def frozen(control_plane: ControlPlane) -> Iterator[None]:
    """Hold the API server: what is sent to it waits."""
    os.kill(control_plane.apiserver.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(control_plane.apiserver.pid, signal.SIGCONT)


def test_an_operator_killed_while_it_tells_of_its_call_does_not_call_again(
    operators: Operators, moves: Moves, control_plane: ControlPlane
) -> None:
    first = operators.start()
    tenant, pair = moves()
    for move in pair:
        tenant.control.add_fault(Delay(seconds=4.0), endpoint=move.endpoint, session_id=move.session_id, count=1)
        tenant.patch(move.name, paused=move.pauses)
    eventually(lambda: all(asked(tenant, move, move.endpoint) for move in pair))

    with frozen(control_plane):
        eventually(lambda: all(f"{move.endpoint}: 200" in first.text() for move in pair))
        first.kill()  # the API server may still find the write in its socket, and take it or not
    operators.start()

    for move in pair:
        moved_with_one_call(tenant, move)


def test_a_flip_made_while_no_operator_runs_is_followed_after_the_move(operators: Operators, moves: Moves) -> None:
    first = operators.start()
    tenant, (pauses, _) = moves()
    tenant.patch(pauses.name, paused=True)
    tenant.until_phase(pauses.name, "Pausing")

    first.kill()
    tenant.patch(pauses.name, paused=False)
    operators.start()
    tenant.wait(pauses.name, "Ready")

    assert tenant.control.session(pauses.session_id)["status"] == "RUNNING"
    assert tenant.calls(pauses.session_id) == ["pauseSessionAsync", "resumeSessionAsync"]
    assert tenant.illegal_calls() == 0


@pytest.mark.parametrize("pausing", [True, False], ids=["paused", "resumed"])
def test_a_fleet_is_moved_by_one_call_each_however_often_the_operator_is_killed(
    operators: Operators, new_tenant: Callable[..., Tenant], kubectl: Kubectl, pausing: bool
) -> None:
    # Few calls a second, so that each kill finds resources before, in and after their moves.
    pace = ("--api-qps=8",)
    tenant = new_tenant("simulator-key-fleet")
    before, after = ("RUNNING", "PAUSED") if pausing else ("PAUSED", "RUNNING")
    sessions = tenant.control.add_sessions(tenant.key, count=FLEET, status=before)
    spec = {"paused": not pausing, "pollInterval": "1s", "credentials": {"secretRef": {"name": SECRET}}}
    items = [manifest(f"s{n}", tenant.namespace, sessionId=s, **spec) for n, s in enumerate(sessions)]
    kubectl.apply({"apiVersion": "v1", "kind": "List", "items": items})
    running = operators.start(*pace)
    names = [f"agbsession/s{n}" for n in range(FLEET)]
    tenant.must("wait", "--for=condition=Ready", *names, "--timeout=25s")
    tenant.fresh_start()

    tenant.must("patch", *names, "--type=merge", "--patch", json.dumps({"spec": {"paused": pausing}}))
    for done in (1, FLEET // 3, 2 * FLEET // 3):
        eventually(partial(lambda least: len(tenant.calls()) >= least, done))
        running.kill()
        running = operators.start(*pace)
    tenant.must("wait", "--for=condition=Ready", *names, "--timeout=25s")

    calls = Counter(entry.session_id for entry in tenant.requests() if entry.endpoint in CALLS)
    assert calls == dict.fromkeys(sessions, 1)
    assert {s["status"] for s in tenant.control.sessions() if s["sessionId"] in sessions} == {after}
    assert tenant.illegal_calls() == 0
