"""Which of several replicas works: a Lease, with the semantics of client-go's leader election.

It owns taking, renewing and giving up the Lease, and knows for how long a renewal can be relied on; what starts and
stops with leadership is `app`'s. Two rules keep two replicas from working at once:

- A holder counts as gone only when its record has not changed for as long as it promised, measured on our own
  monotonic clock from when we saw the record. Wall clocks of replicas are never compared.
- Our own claim runs out `deadline` seconds after we *sent* the last renewal that succeeded, before anybody else can
  see it expire; so an answer that comes late, or never, makes us stop first.
"""

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from ..kube.cluster import micro_time
from ..model.clock import Clock
from ..model.errors import ClusterError, ClusterForbidden, ClusterRefused, Conflict, ObjectNotFound, StartupError

logger = logging.getLogger(__name__)

_RIGHTS_MISSING: Final = 20.0
"""Seconds of refusals after which they are taken for missing rights: a restarting API server refuses for a moment."""
_MOMENT: Final = 0.01
_FAREWELL: Final = 3.0
"""Seconds that giving up the Lease may take on the way out."""


class Leases(Protocol):
    """What the elector asks of the cluster."""

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        """Read a Lease."""

    async def create_lease(self, namespace: str, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Create a Lease, unless there is one."""

    async def update_lease(self, namespace: str, name: str, lease: Mapping[str, Any]) -> dict[str, Any]:
        """Write a Lease over the version it was read at."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timing:
    """Seconds. `duration`: a holder that shows no sign of life for so long is gone. `deadline`: a holder that could
    not renew for so long stops. `retry`: between two attempts to take or to renew.
    """

    duration: float = 15.0
    deadline: float = 10.0
    retry: float = 2.0


class LeaseLost(Exception):
    """Another replica may work from now on, so this one must not; the message says why."""


def new_identity() -> str:
    """Make a name for this process that no other has, not even the same pod after a restart."""
    return f"{socket.gethostname()}_{secrets.token_hex(4)}"


@dataclass(kw_only=True, slots=True, eq=False)
class Elector:
    """One replica's part in the election."""

    leases: Leases
    """Where the Lease is kept. A connection of its own keeps renewals out of the queue of everything else."""
    namespace: str
    """Of the Lease."""
    name: str
    """Of the Lease."""
    identity: str
    """This replica; unique, see `new_identity`."""
    clock: Clock
    """Its time of day is written into the Lease for people only; by its jitter replicas do not knock in step."""
    on_change: Callable[[bool], None] = lambda _: None
    """Told whether this replica leads, when that changes."""
    timing: Timing = field(default_factory=Timing)
    _ours: dict[str, Any] | None = field(init=False, default=None)
    """The Lease as we wrote it last, while nobody is known to have written since."""
    _leading: bool = field(init=False, default=False)
    _may_hold: bool = field(init=False, default=False)
    _claim_ends: float = field(init=False, default=0.0)
    _seen: dict[str, Any] = field(init=False, default_factory=dict)
    _seen_at: float | None = field(init=False, default=None)
    _contact_at: float = field(init=False)
    _refused_since: float | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._contact_at = self.clock.now()

    @property
    def leads(self) -> bool:
        """Whether this replica may work at this very moment; false as soon as the claim has run out."""
        return self._leading and self.clock.now() < self._claim_ends

    @property
    def holder(self) -> str:
        """Who held the Lease when it was last looked at; "" for nobody."""
        return str(self._seen.get("holderIdentity") or "")

    def problem(self) -> str:
        """Say what is wrong with this replica's part in the election, leading or standing by; "" when nothing is."""
        silence = self.clock.now() - self._contact_at
        if silence <= 2 * self.timing.duration:
            return ""
        return f"the lease {self.namespace}/{self.name} could not be looked at for {silence:.0f} s"

    async def acquire(self) -> None:
        """Stand by until this replica leads.

        Raises:
            StartupError: the API server keeps refusing, so that this will never be.
        """
        told = None
        while not await self._attempt(self.timing.deadline / 2):
            if self.holder not in (told, self.identity):
                logger.info("standing by: %s leads", self.holder)
                told = self.holder
            await asyncio.sleep(self._standby_pause())
        logger.info("leading as %s", self.identity)

    async def keep(self) -> None:
        """Renew the claim for as long as possible; returns never.

        Raises:
            LeaseLost: at the latest when the claim has run out.
        """
        while True:
            await asyncio.sleep(min(self._pause(), self._rest()))
            # Half of the time for one attempt: a connection that is dead without a word leaves time for a fresh one.
            if self._rest() > 0:
                await self._attempt(min(self.timing.deadline / 2, self._rest()))
            if not self.leads:
                reason = (
                    f"{self.holder} holds it" if self.holder != self.identity else "it could not be renewed in time"
                )
                self._change(False)
                raise LeaseLost(f"lost the lease {self.namespace}/{self.name}: {reason}")

    async def step_down(self) -> None:
        """Give the Lease up, so that a standby takes over at once; to be called when all work has stopped."""
        self._change(False)
        if not self._may_hold:
            return
        self._may_hold = False
        try:
            async with asyncio.timeout(_FAREWELL):
                await self._give_up()
        except (ClusterError, TimeoutError) as exc:
            reason = str(exc) or f"no answer in {_FAREWELL:g} s"
            logger.warning("the lease could not be given up and runs out by itself: %s", reason)

    async def _give_up(self) -> None:
        for _ in range(2):  # a renewal whose answer was lost leaves us with an old version
            lease = self._ours or await self.leases.read_lease(self.namespace, self.name)
            if lease["spec"].get("holderIdentity") != self.identity:
                return
            now = micro_time(self.clock.wall())
            spec = {
                **lease["spec"],
                "holderIdentity": "",
                "leaseDurationSeconds": 1,
                "renewTime": now,
                "acquireTime": now,
            }
            try:
                await self.leases.update_lease(self.namespace, self.name, {**lease, "spec": spec})
            except Conflict:
                self._ours = None
            else:
                logger.info("gave up the lease")
                return

    async def _attempt(self, timeout: float) -> bool:
        """Try once to take or renew the Lease, within `timeout` seconds; returns whether this replica leads now."""
        try:
            async with asyncio.timeout(timeout):
                taken = await self._take()
            self._refused_since = None
            self._contact_at = self.clock.now()
        except (ClusterForbidden, ClusterRefused, ObjectNotFound) as exc:
            self._ours = None
            logger.warning("lease %s/%s: %s", self.namespace, self.name, exc)
            self._refused_since = self.clock.now() if self._refused_since is None else self._refused_since
            if self.clock.now() - self._refused_since >= _RIGHTS_MISSING:
                raise StartupError(
                    f"cannot use the lease {self.namespace}/{self.name}: {exc}: grant the operator its RBAC rules, "
                    "name another --lease-namespace, or run one replica with --no-leader-election"
                ) from exc
            return False
        except (ClusterError, TimeoutError) as exc:
            # The write may have happened all the same, so what we know of the version is void.
            self._ours = None
            reason = str(exc) or f"no answer in {timeout:.1f} s"
            logger.warning("lease %s/%s: %s", self.namespace, self.name, reason)
            return False
        return taken

    async def _take(self) -> bool:
        for _ in range(2):
            lease = self._ours
            try:
                if lease is None:
                    lease = await self.leases.read_lease(self.namespace, self.name)
                    self._see(lease)
                    if self._is_held_by_other():
                        self._change(False)
                        return False
            except ObjectNotFound:
                pass
            self._may_hold = True  # from here on, even if no answer comes
            sent_at = self.clock.now()
            try:
                if lease is None:
                    spec = self._claim({})
                    written = await self.leases.create_lease(self.namespace, self.name, spec)
                else:
                    spec = self._claim(lease["spec"])
                    written = await self.leases.update_lease(self.namespace, self.name, {**lease, "spec": spec})
            except Conflict:
                self._ours = None  # somebody was faster: see who
                continue
            self._ours = written
            self._see(written)
            self._claim_ends = sent_at + self.timing.deadline
            self._change(True)
            return True
        return False

    def _claim(self, spec: Mapping[str, Any]) -> dict[str, Any]:
        """Write the record that says we lead; fields of other parties stay."""
        now = micro_time(self.clock.wall())
        claim = {
            **spec,
            "holderIdentity": self.identity,
            "leaseDurationSeconds": int(self.timing.duration),
            "renewTime": now,
        }
        if spec.get("holderIdentity") != self.identity:
            claim["acquireTime"] = now
            claim["leaseTransitions"] = int(spec.get("leaseTransitions") or 0) + 1 if spec else 0
        return claim

    def _see(self, lease: Mapping[str, Any]) -> None:
        """Note the record, and when it was seen to change."""
        spec = dict(lease.get("spec") or {})
        if spec != self._seen or self._seen_at is None:
            self._seen, self._seen_at = spec, self.clock.now()

    def _is_held_by_other(self) -> bool:
        if self.holder in ("", self.identity) or self._seen_at is None:
            return False
        return self.clock.now() < self._free_at()

    def _free_at(self) -> float:
        """Give the time at which the holder counts as gone unless it shows another sign of life."""
        promised = float(self._seen.get("leaseDurationSeconds") or self.timing.duration)
        return (self._seen_at or 0.0) + promised

    def _change(self, leading: bool) -> None:
        if self._leading != leading:
            self._leading = leading
            self.on_change(leading)

    def _rest(self) -> float:
        return max(0.0, self._claim_ends - self.clock.now())

    def _pause(self) -> float:
        return self.timing.retry * (0.75 + self.clock.jitter() / 4)

    def _standby_pause(self) -> float:
        """Give the seconds until the next look at a Lease of somebody else's: not later than when it runs out."""
        if not self._is_held_by_other():
            return self._pause()
        return min(self._pause(), self._free_at() - self.clock.now() + _MOMENT)
