"""What goes wrong in a run, in lanes: each lane has one trouble at a time, and several lanes have theirs at once.

A trouble lasts while its `with` block runs; what it broke is whole again at the end.
"""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from typing import Any

from agb_simulator.effects import Effect, StaleList, StaleRead
from chaos.api import Refused, Sessions
from chaos.faults import FAULTS, LAG, LIES
from chaos.journal import Journal, Window
from chaos.stage import NAMESPACE, Member, Stage
from chaos.tenant import PREFIX
from e2e.stack import eventually
from proxy import Mode
from reliability.replicas import LEASE

Trouble = Callable[[random.Random], AbstractContextManager[None]]
Lanes = Mapping[str, Mapping[str, Trouble]]

USURPED = 11
"""Seconds promised in a Lease that is taken by force: longer than the holder before relies on its own claim."""
RESTS: Mapping[str, float] = {"operators": 1.5, "the API server": 3.0}
"""How long a lane rests after a trouble, in lengths of a trouble (others: 0.5): no work is done during theirs."""
LONG: Mapping[str, float] = {"status writes are refused": 6.0}
"""Troubles that last longer than others: so many times the longest of the others, a minute by default."""
NO_STATUS: Sequence[Mapping[str, Any]] = (
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": "no-status"},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": ["agb.cloud"],
                        "apiVersions": ["*"],
                        "operations": ["UPDATE"],
                        "resources": ["agbsessions/status"],
                    }
                ]
            },
            "validations": [
                {
                    "expression": f"object.metadata.name.startsWith('{PREFIX}')",
                    "message": "no statuses today, ask team platform",
                }
            ],
        },
    },
    {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": "no-status"},
        "spec": {
            "policyName": "no-status",
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}},
        },
    },
)
"""What refuses each write of a status but the second tenant's; the binding comes last, and goes first."""
WITHIN = 60.0
"""Seconds that the API server may take for a policy, while it is not itself in trouble."""


class Troubles:
    """The lanes of one run.

    Args:
        stage: what is broken.
        sessions: a way to the API server of its own.
        journal: told of each trouble.
        seed: makes the choices repeatable.
        lasts: seconds, least and most, that a trouble lasts.
    """

    def __init__(
        self, *, stage: Stage, sessions: Sessions, journal: Journal, seed: int, lasts: tuple[float, float]
    ) -> None:
        self._stage = stage
        self._sessions = sessions
        self._journal = journal
        self._seed = seed
        self._lasts = lasts
        agb = {f"AGB {name}": partial(self._fault, *fault) for name, fault in FAULTS.items()}
        breaks = [mode for mode in Mode if mode not in (Mode.PASS, Mode.STALL)]
        way_to_agb = {f"the way to AGB: {mode}": partial(self._network, "agb", mode) for mode in breaks}
        self.all: Lanes = {
            "operators": {
                "an operator is killed": self._kill,
                "an operator is terminated": self._terminate,
                "the leader is stopped for a while": self._freeze,
                "the lease is taken by force": self._usurp,
            },
            "AGB": {**agb, "AGB's lists lag": self._lag},
            "AGB's lies": {f"AGB {name}": partial(self._fault, *fault) for name, fault in LIES.items()},
            "the way to AGB": way_to_agb,
            "the way to the API server": {
                f"the way to the API server: {mode}": partial(self._network, "api", mode)
                for mode in (*breaks, Mode.STALL)
            },
            "the API server": {
                "the API server restarts": self._restart,
                "the API server crashes": self._crash,
                "etcd crashes": self._crash_etcd,
                "somebody changes everything all the time": self._storm,
                "status writes are refused": self._refuse_statuses,
            },
        }
        self.harmless: Lanes = {name: self.all[name] for name in ("AGB", "AGB's lies", "the way to AGB")}
        """Those that no operator process ends by."""
        self.first_tenants: Lanes = {name: self.all[name] for name in ("operators", "AGB", "AGB's lies")}
        """Those that the second tenant must not notice, as long as an operator leads."""

    def run(self, name: str, troubles: Mapping[str, Trouble], done: threading.Event) -> None:
        """Work one lane until told to stop; what is broken then is mended."""
        chance = random.Random(f"{self._seed} {name} {len(troubles)}")
        rest = RESTS.get(name, 0.5)
        while not done.wait(chance.uniform(*self._lasts) * rest):
            what = chance.choice(list(troubles))
            self._journal.note(what)
            lasts = self._lasts[1] * LONG[what] if what in LONG else chance.uniform(*self._lasts)
            with troubles[what](chance):
                done.wait(lasts)

    # Operators

    @contextmanager
    def _kill(self, chance: random.Random) -> Iterator[None]:
        chance.choice(self._stage.members).kubelet.kill()
        yield

    @contextmanager
    def _terminate(self, chance: random.Random) -> Iterator[None]:
        member = chance.choice(self._stage.members)
        try:
            member.kubelet.stop()
        except subprocess.TimeoutExpired:
            self._journal.violated(f"the {member.name} operator did not end after SIGTERM")
        yield

    @contextmanager
    def _freeze(self, chance: random.Random) -> Iterator[None]:
        replica = (self._stage.leader() or chance.choice(self._stage.members)).replica
        with suppress(ProcessLookupError):
            replica.freeze()
        try:
            yield
            if chance.random() < 0.5:
                time.sleep(16.0)  # until the other one leads
        finally:
            with suppress(ProcessLookupError):
                replica.thaw()

    @contextmanager
    def _usurp(self, _: random.Random) -> Iterator[None]:
        with suppress(Refused):
            self._sessions.take_lease(LEASE, holder="somebody-else", seconds=USURPED)
        yield

    # Networks

    @contextmanager
    def _network(self, which: str, mode: Mode, chance: random.Random) -> Iterator[None]:
        members: list[Member] = chance.choice([self._stage.members, self._stage.members[:1], self._stage.members[1:]])
        proxies = [member.agb if which == "agb" else member.api for member in members]
        for proxy in proxies:
            proxy.set(mode)
        try:
            yield
        finally:
            for proxy in proxies:
                proxy.set(Mode.PASS)

    # AGB

    @contextmanager
    def _fault(
        self, effect: Effect, endpoints: tuple[str | None, ...], probability: float, _: random.Random
    ) -> Iterator[None]:
        with self._faults([(effect, endpoint, probability) for endpoint in endpoints]):
            yield

    @contextmanager
    def _lag(self, _: random.Random) -> Iterator[None]:
        control = self._stage.simulator.control
        control.configure(label_lag=2 * LAG)
        try:
            with self._faults([(StaleList(seconds=LAG), "ListSession", 1.0)]):
                yield
        finally:
            control.configure(label_lag=0.0)

    @contextmanager
    def _faults(self, faults: Sequence[tuple[Effect, str | None, float]]) -> Iterator[None]:
        """Switch faults on for the operators' own keys; the second tenant has another one."""
        control = self._stage.simulator.control
        began = time.time()
        ids = [
            control.add_fault(effect, endpoint=endpoint, probability=probability, key=member.who.key)
            for effect, endpoint, probability in faults
            for member in self._stage.members
        ]
        try:
            yield
        finally:
            for fault_id in ids:
                control.remove_fault(fault_id)
            if any(isinstance(effect, StaleRead | StaleList) for effect, _, _ in faults):
                self._journal.stale(Window(began=began, ended=time.time(), lag=LAG))

    # The API server

    @contextmanager
    def _restart(self, _: random.Random) -> Iterator[None]:
        self._stage.plane.restart_apiserver()
        yield

    @contextmanager
    def _crash(self, _: random.Random) -> Iterator[None]:
        self._stage.plane.kill_apiserver()
        try:
            yield
        finally:
            self._stage.plane.start_apiserver()

    @contextmanager
    def _crash_etcd(self, _: random.Random) -> Iterator[None]:
        self._stage.plane.kill_etcd()
        try:
            yield
        finally:
            self._stage.plane.start_etcd()

    @contextmanager
    def _storm(self, chance: random.Random) -> Iterator[None]:
        until = time.monotonic() + self._lasts[1]
        with suppress(Refused):
            names = [item["metadata"]["name"] for item in self._sessions.list()[0]]
            while names and time.monotonic() < until:
                self._sessions.annotate(chance.choice(names), storm=str(chance.random()))
        yield

    @contextmanager
    def _refuse_statuses(self, _: random.Random) -> Iterator[None]:
        for body in NO_STATUS:
            eventually(partial(self._applied, body), within=WITHIN)
        try:
            yield
        finally:
            for body in reversed(NO_STATUS):
                eventually(partial(self._deleted, body), within=WITHIN)

    def _applied(self, body: Mapping[str, Any]) -> bool:
        return self._stage.kubectl.apply(body).succeeded

    def _deleted(self, body: Mapping[str, Any]) -> bool:
        name = f"{body['kind'].lower()}/{body['metadata']['name']}"
        return self._stage.kubectl("delete", name, "--ignore-not-found").succeeded
