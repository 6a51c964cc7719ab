"""What goes wrong in a run, in lanes: each lane has one trouble at a time, and several lanes have theirs at once.

A trouble lasts while its `with` block runs; what it broke is whole again at the end.
"""

import random
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial

from agb_simulator.effects import (
    Delay,
    Effect,
    FallBack,
    HttpError,
    InvalidToken,
    LostAnswer,
    RawAnswer,
    Shape,
    ShortPage,
    StaleRead,
    TransitionTime,
)
from chaos.api import Refused, Sessions
from chaos.journal import Journal, Window
from chaos.stage import AGB_TIMEOUT, Member, Stage
from proxy import Mode
from reliability.replicas import LEASE

Trouble = Callable[[random.Random], AbstractContextManager[None]]
Lanes = Mapping[str, Mapping[str, Trouble]]

LAG = 2.0
"""Seconds for which a provoked stale read lasts: less than the operator allows an accepted call to show."""
USURPED = 11
"""Seconds promised in a Lease that is taken by force: longer than the holder before relies on its own claim."""
RESTS: Mapping[str, float] = {"operators": 1.5, "the API server": 3.0}
"""How long a lane rests after a trouble, in lengths of a trouble (others: 0.5): no work is done during theirs."""
MOVES = ("pauseSessionAsync", "resumeSessionAsync")
CALLS = (*MOVES, "releaseSessionAsync", "createSession")
ALL: tuple[str | None, ...] = (None,)
FAULTS: Mapping[str, tuple[Effect, tuple[str | None, ...], float]] = {
    "answers 503": (HttpError(status=503, html=True), ALL, 0.4),
    "answers 500 after acting": (HttpError(status=500, applied=True), CALLS, 0.4),
    "answers 429 with Retry-After": (HttpError(status=429, retry_after=1.0), ALL, 0.2),
    "answers 429 without Retry-After": (HttpError(status=429), ALL, 0.2),
    "answers with a page": (RawAnswer(body="<html>maintenance</html>"), ALL, 0.3),
    "acts, and its answer is lost": (LostAnswer(), CALLS, 0.4),
    "hangs up without acting": (LostAnswer(applied=False), CALLS, 0.4),
    "creates late, and its answer is lost": (LostAnswer(late=3.0), ("createSession",), 0.5),
    "acts, and answers too late": (Delay(seconds=AGB_TIMEOUT + 3.0), CALLS, 0.3),
    "takes long": (TransitionTime(seconds=6.0), CALLS[:3], 0.5),
    "falls back": (FallBack(), MOVES, 0.4),
    "deforms its answers": (Shape(pascal_case=True, no_code=True, no_request_id=True), ALL, 0.5),
    "forgets its page tokens": (InvalidToken(), ("ListSession",), 0.5),
    "leaves sessions out of its list": (ShortPage(items=3), ("ListSession",), 0.5),
    "reads stale": (StaleRead(seconds=LAG), MOVES, 0.5),
}


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
        agb = {f"AGB {name}": partial(self._fault, *FAULTS[name]) for name in FAULTS}
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
            },
        }
        self.harmless: Lanes = {name: self.all[name] for name in ("AGB", "the way to AGB")}
        """Those that no operator process ends by."""

    def run(self, name: str, troubles: Mapping[str, Trouble], done: threading.Event) -> None:
        """Work one lane until told to stop; what is broken then is mended."""
        chance = random.Random(f"{self._seed} {name} {len(troubles)}")
        rest = RESTS.get(name, 0.5)
        while not done.wait(chance.uniform(*self._lasts) * rest):
            what = chance.choice(list(troubles))
            self._journal.note(what)
            with troubles[what](chance):
                done.wait(chance.uniform(*self._lasts))

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
        control = self._stage.simulator.control
        began = time.time()
        faults = [control.add_fault(effect, endpoint=endpoint, probability=probability) for endpoint in endpoints]
        try:
            yield
        finally:
            for fault in faults:
                control.remove_fault(fault)
            if isinstance(effect, StaleRead):
                self._journal.stale(Window(began=began, ended=time.time(), lag=LAG))

    @contextmanager
    def _lag(self, _: random.Random) -> Iterator[None]:
        control = self._stage.simulator.control
        began = time.time()
        control.configure(status_lag=LAG, label_lag=2 * LAG)
        try:
            yield
        finally:
            control.configure(status_lag=0.0, label_lag=0.0)
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
