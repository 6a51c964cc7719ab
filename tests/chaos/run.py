"""One run from beginning to end: settle in, trouble, calm, and the judgement."""

import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path

from chaos import verdict
from chaos.api import Refused
from chaos.journal import Journal
from chaos.planners import Planners
from chaos.provocations import Provocation
from chaos.stage import NAMESPACE, OTHERS, Stage
from chaos.tenant import SecondTenant, late
from chaos.troubles import Lanes, Troubles
from chaos.usage import Sampler, grows, growth, sample
from chaos.users import Users
from chaos.witness import Witness
from control_plane import AuditLog
from control_plane.audit import AuditEvent
from e2e.tenant import CALLS
from proxy import Mode

SETTLED_WITHIN = 330.0
"""Seconds: the longest back-off is five minutes."""
REST = 15.0
"""Seconds in which nothing may be done when nothing is to be done."""
SOCKETS_AT_REST = 12
KEPT_ALIVE = 15.0
"""Seconds for which the operator keeps an idle connection to AGB."""
LET_GO_WITHIN = 40.0
"""Seconds at rest after which idle connections must be closed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """What to run.

    Attributes:
        seconds: how long there is trouble; for the last third of that none that ends an operator, so that a long life
            can be measured.
        provocation: done again and again, instead of what chance says; for `seconds`, at least once, or until something
            has gone wrong.
        sessions: how many AgbSessions there are.
        pace: actions of the users, a second.
        lasts: seconds, least and most, that one trouble lasts.
        seed: makes the choices repeatable; what comes of them depends on the machine, too.
        bug: planted into the operators, see `planted`.
        settled_within: seconds for everything to come to rest afterwards.
    """

    seconds: float
    sessions: int
    seed: int
    provocation: Provocation | None = None
    pace: float = 10.0
    lasts: tuple[float, float] = (2.0, 10.0)
    bug: str = ""
    settled_within: float = SETTLED_WITHIN


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What came of it."""

    violations: tuple[str, ...]
    report: tuple[str, ...]


def carry_out(order: Order, *, tell: Callable[[str], None] = lambda _: None) -> Outcome:
    """Run, and judge; `tell` is given each line as it happens."""
    journal = Journal(tell)
    with tempfile.TemporaryDirectory(prefix="agb-chaos-") as name:
        folder = Path(name)
        with Stage(folder=folder, journal=journal, bug=order.bug, seed=order.seed) as stage:
            return _Run(order, journal, stage).outcome()


class _Run:
    def __init__(self, order: Order, journal: Journal, stage: Stage) -> None:
        self._order = order
        self._journal = journal
        self._stage = stage
        self._control = stage.simulator.control
        self._audit = AuditLog(stage.plane.audit_log)
        self._users = Users(
            sessions=stage.sessions(),
            control=self._control,
            journal=journal,
            count=order.sessions,
            pace=order.pace,
            seed=order.seed,
        )
        self._planners = Planners(sessions=stage.sessions(), users=self._users, journal=journal, seed=order.seed)
        self._troubles = Troubles(
            stage=stage, sessions=stage.sessions(), journal=journal, seed=order.seed, lasts=order.lasts
        )
        self._tenant = SecondTenant(stage=stage, sessions=stage.sessions(), journal=journal, seed=order.seed)
        self._witness = Witness(sessions=stage.sessions(), journal=journal)
        self._sampler = Sampler(lambda: [member.replica.pid for member in stage.members])
        self._sessions = stage.sessions()
        self._claims: list[tuple[float, str]] = []
        self._refusals: list[AuditEvent] = []
        self._harm: dict[str, int] = {}

    def outcome(self) -> Outcome:
        provocation = self._order.provocation
        settled = self._by_chance() if provocation is None else self._by_rounds(provocation)
        self._judge()
        return Outcome(violations=tuple(self._journal.violations), report=tuple(self._report(settled)))

    def _by_rounds(self, provocation: Provocation) -> float:
        until = time.monotonic() + self._order.seconds
        with self._going_on({"witness": self._witness.run}):
            while True:
                self._users.line_up()
                self._settle("before a round")
                provocation(self._users, self._control)
                self._journal.count("round")
                settled = self._settle("after a round")
                if self._journal.violations or time.monotonic() > until:
                    return settled

    def _by_chance(self) -> float:
        self._users.settle_in()
        self._tenant.settle_in()
        self._settle("at the start")
        observers = {
            "witness": self._witness.run,
            "sampler": self._sampler.run,
            "calm": self._tenant.watch_the_operators,
        }
        troubles = self._troubles
        with self._going_on(observers):
            people = {
                "users": self._users.run,
                "planners": self._planners.run,
                "second tenant": self._tenant.flip_all_the_time,
            }
            with self._going_on(people):
                for lanes, share in (
                    (troubles.first_tenants, 1 / 4),
                    (troubles.all, 5 / 12),
                    (troubles.harmless, 1 / 3),
                ):
                    with self._going_on(self._lanes(lanes)):
                        time.sleep(self._order.seconds * share)
            self._mend()
            self._planners.conclude()
            settled = self._settle("at the end")
            self._journal.note("all has come to rest", f"after {settled:.0f} s")
            if not self._journal.violations:
                self._rest()
        return settled

    def _lanes(self, lanes: Lanes) -> dict[str, Callable[[threading.Event], None]]:
        return {name: partial(self._troubles.run, name, troubles) for name, troubles in lanes.items()}

    @contextmanager
    def _going_on(self, parts: Mapping[str, Callable[[threading.Event], None]]) -> Iterator[None]:
        """Run the parts in threads while the `with` block runs; one that breaks breaks the run."""
        done = threading.Event()
        with ThreadPoolExecutor(len(parts) or 1) as pool:
            futures: list[Future[None]] = [pool.submit(part, done) for part in parts.values()]
            try:
                yield
            finally:
                done.set()
        for future in futures:
            future.result()

    def _mend(self) -> None:
        self._control.clear_faults()
        for member in self._stage.members:
            member.agb.set(Mode.PASS)
            member.api.set(Mode.PASS)

    def _settle(self, when: str) -> float:
        """Wait until everything is as asked; returns the seconds it took."""
        began = time.monotonic()
        while True:
            left = self._unsettled()
            took = time.monotonic() - began
            if self._order.provocation is not None:
                self._judge()  # what has gone wrong does not become right by waiting
                if self._journal.violations:
                    return took
            if not left or took > self._order.settled_within:
                for text in left:
                    self._journal.violated(f"{when}: {text}")
                return took
            self._do_as_told()
            time.sleep(1.0)

    def _do_as_told(self) -> None:
        """Do what the messages ask of a person."""
        with suppress(Refused):
            sessions = {session["sessionId"]: session for session in self._control.sessions()}
            for name in verdict.left_nothing(self._sessions.list()[0], sessions):
                self._sessions.abandon(name)
                self._journal.count("abandoned, as its message asks")

    def _unsettled(self) -> list[str]:
        try:
            objects, _ = self._sessions.list()
            schedules = self._sessions.schedules()
        except Refused as refused:
            return [f"the API server: {refused}"]
        everybodys = {session["sessionId"]: session for session in self._control.sessions()}
        sessions = {session_id: session for session_id, session in everybodys.items() if session_id not in OTHERS}
        leaked = list(verdict.leaked(objects, sessions))
        missing = list(verdict.missing(sessions, [*self._users.adopted, *self._tenant.adopted]))
        self._harm["alive without a resource"] = len(leaked)
        self._harm["gone that were adopted"] = len(missing)
        if self._order.provocation is not None:
            for text in leaked:
                self._journal.violated(text)
        return [
            *verdict.unsettled(objects, sessions, schedules),
            *leaked,
            *verdict.duplicates(objects, sessions),
            *missing,
        ]

    def _rest(self) -> None:
        """See that nothing is done when nothing is to be done, and that the leader lets go of its connections."""
        began = time.monotonic()
        before, asked = self._deeds(), self._control.stats()["requests"]
        time.sleep(REST)
        if self._deeds() != before:
            self._journal.violated(f"at rest, something was done: {before} became {self._deeds()}")
        leader = self._stage.leader()
        if leader is None:
            self._journal.violated("at the end nobody leads")
            return
        while (held := sample(leader.replica.pid)) is not None:
            # aiohttp takes the connection that was idle for longest, so the resync's few requests keep as many warm.
            a_second = (self._control.stats()["requests"] - asked) / (time.monotonic() - began)
            if held.sockets <= SOCKETS_AT_REST + a_second * KEPT_ALIVE:
                return
            if time.monotonic() > began + LET_GO_WITHIN:
                self._journal.violated(f"at rest the leader still holds {held.sockets} sockets")
                return
            time.sleep(1.0)

    def _deeds(self) -> tuple[int, ...]:
        versions = sorted(int(item["metadata"]["resourceVersion"]) for item in self._sessions.list()[0])
        return (*(self._control.count(endpoint) for endpoint in CALLS), versions[-1] if versions else 0)

    def _judge(self) -> None:
        entries = verdict.read_log(self._stage.request_log)
        users = {member.who.fingerprint: member.who.user for member in self._stage.members}
        events = self._audit.read_new()
        self._refusals += [event for event in events if event.subresource == "status" and event.code in (403, 422)]
        self._claims += [
            (event.finished_at.timestamp(), event.user)
            for event in events
            if (event.resource, event.namespace) == ("leases", NAMESPACE)
            and event.is_write
            and event.code < 300
            and event.user in users.values()
        ]
        harm = {
            "touched that were somebody else's": list(verdict.touched(entries, OTHERS)),
            "created that were not asked for": list(verdict.twice_created(entries)),
            "called upon in the wrong state": list(
                verdict.illegal(entries, self._journal.lives, self._journal.windows)
            ),
        }
        self._harm |= {kind: len(found) for kind, found in harm.items()}
        findings = [
            *chain.from_iterable(harm.values()),
            *verdict.hammered(self._refusals),
            *late(self._tenant.flips, self._tenant.calms, entries),
            *verdict.without_lease(entries, self._claims, users),
            *filter(None, (grows(samples) for samples in self._sampler.samples.values())),
        ]
        for text in findings:
            self._journal.violated(text)

    def _report(self, settled: float) -> Iterator[str]:
        stats = self._control.stats()
        calls = ", ".join(f"{stats['endpoints'].get(name, {}).get('requests', 0)} {name}" for name in CALLS)
        yield f"seed {self._order.seed}: {self._order.sessions} AgbSessions, trouble for {self._order.seconds:.0f} s"
        yield f"AGB: {stats['requests']} requests, of them {calls}; {stats['illegal']} did not fit the state"
        yield "sessions: " + ", ".join(f"{count} {kind}" for kind, count in self._harm.items())
        calm = sum(calm.ended - calm.began for calm in self._tenant.calms)
        yield f"the second tenant: {len(self._tenant.flips)} flips, {calm:.0f} s in which they could be served"
        starts = len(self._journal.lives)
        failures = sum(member.kubelet.probe_failures for member in self._stage.members)
        yield f"operators: {starts} processes, {failures} of them ended because /healthz failed"
        samples = self._sampler.longest()
        if samples:
            early, late = growth(samples)
            yield (
                f"the longest life: {len(samples)} s, {early:.0f} MB early and {late:.0f} MB late, "
                f"{samples[-1].sockets} sockets in the end"
            )
        yield f"settled {settled:.0f} s after the last trouble"
        for what, count in sorted(self._journal.counts.items()):
            yield f"{count:7d}  {what}"
