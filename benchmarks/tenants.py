"""What one tenant's trouble costs another: B's slowest flip while A, on the same operator, is in each kind of it.

    make tenants
    TENANTS_N=200 TENANTS_SECONDS=10 make tenants

A has 2,000 AgbSessions, B 20 that are well; both have keys of their own. Operator, API server and simulator are the
real programs. For each trouble A's key is struck and half of A is flipped, while B's sessions are flipped one after the
other; the figure is the time from the patch of B's slowest until AGB had the call. A trouble begins once A can pause
and resume again after the one before, and each says how long that took; troubles that leave A's sessions broken come
last. Not played, as they need an API server that misbehaves: reads of Secrets that hang, Events refused.
`tests/integration/test_tenants.py` plays those in virtual time.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final

import yaml

from agb_simulator.accounts import fingerprint
from agb_simulator.control import SimulatorControl
from agb_simulator.effects import Delay, Effect, FallBack, HttpError, IdValue, Interference, OtherAccount
from bench.fleet import Fleet
from bench.kube import IMAGE, User, credentials
from bench.stage import CRDS
from control_plane import AuditLog, ControlPlane
from e2e.stack import KEY, Operator, Simulator
from each_fault import FAULTS

SIZE: Final = int(os.environ.get("TENANTS_N", "2000"))
SECONDS: Final = float(os.environ.get("TENANTS_SECONDS", "20"))
"""How long each trouble is played."""
PROMISE: Final = 5.0
"""Seconds until AGB has the call that a flip of B asks for."""
GIVEN_UP: Final = 60.0
RECOVERED: Final = 900.0
"""Seconds that A may take until it is well again; more is an error of the benchmark."""
HEALTHY: Final = "s-00003"
"""A session of A that no trouble flips."""
B_KEY: Final = "simulator-key-b"
SECRET: Final = "agb-credentials"
WORDS: Final = {True: ("PAUSING", "PAUSED"), False: ("RESUMING", "RUNNING")}
LASTING: Final = (FallBack, IdValue, OtherAccount, Interference)
"""What leaves sessions broken, the worst last."""

Trouble = Callable[[], Awaitable[None]]


class Tenants:
    """A and B, on one operator."""

    def __init__(self, a: User, b: User, control: SimulatorControl, audit: AuditLog) -> None:
        self.a, self.b, self.control, self._audit = a, b, control, audit
        self._made = 0
        self._turn = 0
        self._paused: set[str] = set()

    async def settle(self) -> None:
        """Create what both have, and wait until all are settled."""
        for user, key, count in ((self.a, KEY, SIZE), (self.b, B_KEY, 20)):
            self.control.add_key(key)
            await user.create_namespace()
            await user.create_secrets({SECRET: key})
            ids = self.control.add_sessions(key, count=count)
            sessions = {f"s-{number:05}": id_ for number, id_ in enumerate(ids)}
            async with Fleet(user) as fleet:
                await user.create(sessions, secret=SECRET)
                if not await fleet.all_settled(count, within=600.0):
                    raise RuntimeError(f"{len(fleet.settled_at)} of {count} settled")
            if user is self.b:
                self._b_ids = sessions
            else:
                self._a_ids = sessions

    async def flip_a(self, paused: bool) -> None:
        """Flip half of A."""
        await self.a.pause_all([f"s-{number:05}" for number in range(0, SIZE, 2)], paused)

    async def create(self, count: int) -> None:
        """Have A create sessions."""
        names = [f"new-{self._made + number:05}" for number in range(count)]
        self._made += count
        await self.a.create(dict.fromkeys(names, ""), secret=SECRET)

    async def slowest_flip_of_b(self) -> tuple[float, int]:
        """Flip one of B after the other; returns the seconds until AGB had the call of the slowest, and how many."""
        slowest, flips, end = 0.0, 0, time.monotonic() + SECONDS
        while time.monotonic() < end:
            name = f"s-{self._turn % 20:05}"
            paused = name not in self._paused
            self._paused ^= {name}
            began = time.monotonic()
            await self.b.pause(name, paused)
            await self._called(self._b_ids[name], paused, within=GIVEN_UP)
            slowest, flips, self._turn = max(slowest, time.monotonic() - began), flips + 1, self._turn + 1
            await asyncio.sleep(0.5)
        return slowest, flips

    async def recovered(self) -> float:
        """Wait until A can pause and resume; returns the seconds that took."""
        began = time.monotonic()
        for paused in (True, False):
            await self.a.pause(HEALTHY, paused)
            if not await self._called(self._a_ids[HEALTHY], paused, within=RECOVERED):
                raise RuntimeError(f"A has not recovered in {RECOVERED:g} s")
        return time.monotonic() - began

    async def _called(self, session_id: str, paused: bool, *, within: float) -> bool:
        """Wait until AGB has the call; tells whether it came in time."""
        end = time.monotonic() + within
        while time.monotonic() < end:
            told = await asyncio.to_thread(self.control.session, session_id)
            if told["status"] in WORDS[paused]:
                return True
            await asyncio.sleep(0.02)
        return False

    async def play(self, title: str, trouble: Trouble) -> bool:
        """Let A be in trouble, and print what B notices; tells whether the promise was kept."""
        rest = await self.recovered()
        seen = self.control.stats()["last"]
        self._audit.skip()
        playing = asyncio.create_task(trouble())
        try:
            slowest, flips = await self.slowest_flip_of_b()
        finally:
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            self.control.clear_faults()
        kinds = Counter(
            "Events" if event.resource == "events" else "status"
            for event in self._audit.read_new()
            if event.is_write and event.namespace == self.a.namespace and event.user_agent.startswith("agb-operator")
        )
        requests = len([entry for entry in self.control.requests(since=seen) if entry.key != fingerprint(B_KEY)])
        kept = "" if slowest <= PROMISE else "  BROKEN"
        counts = f"A: {requests:6,} requests, {kinds['status']:6,} status writes, {kinds['Events']:5,} Events"
        print(f"{rest:6.1f} s to recover, then {slowest:5.2f} s  {flips:3} flips  {counts}  {title}{kept}", flush=True)
        return slowest <= PROMISE

    async def struck(self, fault: Effect) -> None:
        """Strike A's key, and flip half of A to and fro, some new ones among them."""
        self.control.add_fault(fault, key=KEY)
        await self.create(5)
        paused = True
        while True:
            await self.flip_a(paused)
            paused = not paused
            await asyncio.sleep(10.0)

    async def creates(self) -> None:
        """Ask for as many sessions again as A has."""
        await self.create(SIZE)

    async def creates_that_hang(self) -> None:
        """Ask for sessions of which none comes."""
        self.control.add_fault(Delay(seconds=1000.0), endpoint="createSession", key=KEY)
        await self.create(SIZE // 2)

    async def one_forbidden(self) -> None:
        """Have AGB refuse one session, and flip the others."""
        self.control.add_fault(HttpError(status=403, code="AccessDenied"), session_id=self._a_ids["s-00000"])
        await self.flip_a(True)
        await asyncio.sleep(SECONDS / 2)
        await self.flip_a(False)

    async def bogus_keys(self) -> None:
        """Give half as many resources as A has a key each that is none."""
        self.control.configure(accept_any_key=False)
        keys = {f"bogus-{number:05}": f"bogus-key-{number}" for number in range(SIZE // 2)}
        await self.a.create_secrets(keys)
        await self.a.create_all({name: {"imageId": IMAGE, **credentials(name)} for name in keys})

    async def slow_looks(self) -> None:
        """Answer A's lists late."""
        self.control.add_fault(Delay(seconds=15.0), endpoint="ListSession", key=KEY)
        await self.flip_a(True)

    async def endless(self, specs: Sequence[dict[str, Any]]) -> None:
        """Edit one resource every ten milliseconds."""
        number = 0
        while True:
            await self.a.patch("s-00001", specs[number % len(specs)])
            number += 1
            await asyncio.sleep(0.01)


@asynccontextmanager
async def tenants() -> AsyncIterator[Tenants]:
    """Start the programs."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="agb-tenants-")))
        plane = stack.enter_context(ControlPlane())
        simulator = stack.enter_context(Simulator("--latency=20ms", "--transition=1s", log=folder / "simulator.log"))
        a = await stack.enter_async_context(User(plane.kubeconfig, "a"))
        b = await stack.enter_async_context(User(plane.kubeconfig, "b"))
        for crd in sorted(CRDS.glob("*.yaml")):
            await a.install(yaml.safe_load(crd.read_text()))
        operator = Operator(
            "--no-leader-election",
            kubeconfig=plane.kubeconfig,
            endpoint=simulator.endpoint,
            log=folder / "operator.log",
        )
        stack.enter_context(operator).ready()
        yield Tenants(a, b, simulator.control, plane.audit_events())


async def main() -> int:
    """Measure; returns the exit code."""
    print(f"A has {SIZE:,} AgbSessions, B 20; B's slowest flip until AGB had the call:", flush=True)
    async with tenants() as both:
        await both.settle()
        rows: list[tuple[str, Trouble]] = [
            ("nothing", lambda: asyncio.sleep(0)),
            ("one session of A is flipped every 10 ms", lambda: both.endless(({"paused": True}, {"paused": False}))),
            (
                "one session of A changes its credentials every 10 ms",
                lambda: both.endless((credentials("missing"), credentials(SECRET))),
            ),
            ("one session of A answers 403", both.one_forbidden),
            ("looks at A's sessions take 15 s", both.slow_looks),
            (f"{SIZE:,} creates", both.creates),
            (f"{SIZE // 2:,} creates that hang", both.creates_that_hang),
            (f"{SIZE // 2:,} keys that are none", both.bogus_keys),
            ("A's account answers 500", lambda: both.struck(HttpError(status=500))),
        ]
        faults = [fault for fault in FAULTS if not isinstance(fault, LASTING)]
        faults += [fault for kind in LASTING for fault in FAULTS if isinstance(fault, kind)]
        rows += [(str(fault), lambda fault=fault: both.struck(fault)) for fault in faults]  # type: ignore[misc]
        kept = [await both.play(title, trouble) for title, trouble in rows]
    print(f"{sum(kept)} of {len(kept)} within {PROMISE:g} s")
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
