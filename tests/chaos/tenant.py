"""A second tenant, with a key and an account of its own: what happens to the first must not be its trouble.

Nothing goes wrong in its account, so its flips reach AGB within `PROMISE` seconds of any stretch of time in which an
operator led, the API server answered, and the operator's ways to both were whole and known to be.
"""

import random
import threading
import time
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from agb_operator.kube.kopf_watch import WATCH_SECONDS
from agb_simulator import Entry
from agb_simulator.accounts import fingerprint
from chaos.api import Refused, Sessions
from chaos.journal import Journal
from chaos.stage import NAMESPACE, Stage
from proxy import Mode

KEY = "simulator-key-of-the-second-tenant"
SECRET = "second-tenant"
PREFIX = "tenant-"
COUNT = 20
PROMISE = 5.0
AFTERMATH: Mapping[str, float] = {"agb": 10.0, "api": WATCH_SECONDS + 10.0}
"""Seconds after a way was broken in which an operator may not know yet that it is whole.

A watch whose connection went silent says nothing until it is begun anew.
"""
EVERY = 0.5
"""Seconds between two looks at who leads."""
SLACK = 1.0
"""Seconds by which such looks, clocks and a busy machine may be out."""
CALLED_BY: Mapping[bool, str] = {True: "pauseSessionAsync", False: "resumeSessionAsync"}
TRUE: Mapping[str, bool] = {"RUNNING": False, "PAUSED": True}


@dataclass(frozen=True, kw_only=True, slots=True)
class Flip:
    """What the tenant asked for, and when the API server had said yes; in seconds since the epoch."""

    session_id: str
    paused: bool
    at: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Calm:
    """A stretch of time in which the operator could serve."""

    began: float
    ended: float


class SecondTenant:
    """Its AgbSessions, which adopt sessions of its own account, and what it does with them."""

    def __init__(self, *, stage: Stage, sessions: Sessions, journal: Journal, seed: int) -> None:
        self._stage = stage
        self._control = stage.simulator.control
        self._sessions = sessions
        self._journal = journal
        self._random = random.Random(f"{seed} second tenant")
        self._ids: dict[str, str] = {}
        self._asked: dict[str, bool] = {}
        self.flips: list[Flip] = []
        self.calms: list[Calm] = []

    @property
    def adopted(self) -> Iterable[str]:
        """Its sessions."""
        return self._ids.values()

    def settle_in(self) -> None:
        """Make its Secret and its AgbSessions."""
        made = self._stage.kubectl(
            "create", "secret", "generic", SECRET, f"--namespace={NAMESPACE}", f"--from-literal=apiKey={KEY}"
        )
        assert made.succeeded, made.err
        for number in range(COUNT):
            name = f"{PREFIX}{number:02}"
            self._ids[name] = self._control.add_session(KEY)
            spec = {
                "sessionId": self._ids[name],
                "pollInterval": "1s",
                "paused": False,
                "credentials": {"secretRef": {"name": SECRET}},
            }
            self._sessions.create(name, spec)

    def flip_all_the_time(self, done: threading.Event) -> None:
        """Flip one after the other, each once what was asked before is so."""
        while not done.wait(self._random.uniform(0.2, 0.8)):
            name = self._random.choice(list(self._ids))
            paused = TRUE.get(self._control.session(self._ids[name])["status"])
            if paused is None or self._asked.get(name, paused) != paused:
                continue
            try:
                self._sessions.patch(name, paused=not paused)
            except Refused:
                self._asked.pop(name, None)  # it may have been carried out, and then comes to be so unmeasured
                continue
            self._asked[name] = not paused
            self.flips.append(Flip(session_id=self._ids[name], paused=not paused, at=time.time()))
            self._journal.count("flipped by the second tenant")

    def watch_the_operators(self, done: threading.Event) -> None:
        """Note when an operator could serve: it leads, the API server answers, and its ways have been whole."""
        began: float | None = None
        last = time.time()
        serves_from: dict[int, float] = defaultdict(float)  # by process: a new one begins with watches of its own
        while not done.wait(EVERY):
            now = time.time()
            for member in self._stage.members:
                pid = member.replica.pid
                for way, proxy in (("agb", member.agb), ("api", member.api)):
                    if proxy.mode != Mode.PASS:
                        serves_from[pid] = max(serves_from[pid], now + AFTERMATH[way])
            leader = self._stage.leader() if self._sessions.answers() else None
            in_time = now - last < 2 * EVERY + SLACK
            serves = leader is not None and now > serves_from[leader.replica.pid] and in_time
            if serves and began is None:
                began = now
            elif not serves and began is not None:
                self.calms.append(Calm(began=began, ended=last))
                began = None
            last = now
        if began is not None:
            self.calms.append(Calm(began=began, ended=last))


def late(flips: Sequence[Flip], calms: Sequence[Calm], entries: Iterable[Entry]) -> Iterator[str]:
    """Name each flip that did not reach AGB though an operator could have served it for long enough."""
    called: dict[tuple[str, str], list[float]] = {}
    for entry in entries:
        if entry.key == fingerprint(KEY) and entry.session_id:
            called.setdefault((entry.session_id, entry.endpoint), []).append(entry.wall_time)
    for flip in flips:
        times = called.get((flip.session_id, CALLED_BY[flip.paused]), [])
        first = bisect_left(times, flip.at - SLACK)
        reached = times[first] if first < len(times) else float("inf")
        waited = max((min(calm.ended, reached) - max(calm.began, flip.at) for calm in calms), default=0.0)
        if waited > PROMISE + SLACK:
            took = f"{reached - flip.at:.1f} s" if reached < float("inf") else "never"
            call = f"{CALLED_BY[flip.paused]} of {flip.session_id}"
            yield f"the second tenant's {call} waited {waited:.1f} s in calm, until it came: {took}"
