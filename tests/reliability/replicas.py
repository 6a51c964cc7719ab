"""Operators that share a Lease, told apart from outside: each has a ServiceAccount and an AGB key of its own.

The audit log names the one, AGB's request log the other; all keys open the same account.
"""

import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agb_simulator import Entry, SimulatorControl
from agb_simulator.accounts import fingerprint
from control_plane import AuditLog, ControlPlane
from control_plane.audit import AuditEvent
from e2e.stack import KEY, Operator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

LEASE = "agb-operator"


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """Who an operator is to the API server and to AGB; it stays when the process is replaced."""

    namespace: str
    user: str
    key: str
    kubeconfig: Path
    log: Path

    @property
    def fingerprint(self) -> str:
        """The key's name in AGB's request log."""
        return fingerprint(self.key)


def identity(
    name: str,
    *,
    namespace: str,
    kubectl: Kubectl,
    control_plane: ControlPlane,
    control: SimulatorControl,
    folder: Path,
    server: str = "",
) -> Identity:
    """Make a ServiceAccount with all rights, and a key to the tests' account; `server` replaces its address."""
    for command in (
        ("create", "serviceaccount", name, f"--namespace={namespace}"),
        (
            "create",
            "clusterrolebinding",
            f"{namespace}-{name}",
            "--clusterrole=cluster-admin",
            f"--serviceaccount={namespace}:{name}",
        ),
    ):
        made = kubectl(*command)
        assert made.succeeded, made.err
    token = kubectl("create", "token", name, f"--namespace={namespace}", "--duration=24h")
    assert token.succeeded, token.err
    kubeconfig = folder / f"{namespace}-{name}.kubeconfig"
    control_plane.kubeconfig_for_token(token.out.strip(), kubeconfig)
    if server:
        kubeconfig.write_text(kubeconfig.read_text().replace(control_plane.server_url, server))
    key = f"simulator-key-{namespace}-{name}"
    control.add_key(key, shares_with=KEY)
    return Identity(
        namespace=namespace,
        user=f"system:serviceaccount:{namespace}:{name}",
        key=key,
        kubeconfig=kubeconfig,
        log=folder / f"{namespace}-{name}.log",
    )


class Replica(Operator):
    """One of the operators of a namespace."""

    def __init__(
        self,
        who: Identity,
        *flags: str,
        endpoint: str,
        env: Mapping[str, str] | None = None,
        program: Sequence[str] = ("-m", "agb_operator"),
    ) -> None:
        """Start it; it serves its namespace, with its own key."""
        self.who = who
        super().__init__(
            f"--namespace={who.namespace}",
            f"--default-key-namespace={who.namespace}",
            f"--lease-namespace={who.namespace}",
            f"--lease-name={LEASE}",
            *flags,
            kubeconfig=who.kubeconfig,
            endpoint=endpoint,
            log=who.log,
            env={"AGB_API_KEY": who.key, **(env or {})},
            program=program,
        )

    @property
    def leads(self) -> bool:
        """What it says of itself."""
        return "agb_leader 1.0" in self.get("/metrics")[1]

    def freeze(self) -> float:
        """Stop it in the middle of whatever it does (SIGSTOP); returns the time of day."""
        os.kill(self.pid, signal.SIGSTOP)
        return time.time()

    def thaw(self) -> float:
        """Let it go on (SIGCONT); returns the time of day just before."""
        now = time.time()
        os.kill(self.pid, signal.SIGCONT)
        return now

    def terminate(self) -> float:
        """Ask it to end and do not wait; returns the time of day just before."""
        now = time.time()
        os.kill(self.pid, signal.SIGTERM)
        return now


class Deeds:
    """What the holder of an identity did, as AGB and the API server tell it. Times are seconds since the epoch."""

    def __init__(self, who: Identity, *, control: SimulatorControl, audit: AuditLog) -> None:
        self._who = who
        self._control = control
        self._audit = audit
        self._seen: list[AuditEvent] = []

    def requests(self, *, since: float = 0.0) -> Sequence[Entry]:
        """Give the requests to AGB."""
        return [e for e in self._control.requests() if e.key == self._who.fingerprint and e.wall_time >= since]

    def cluster_requests(self, *, since: float = 0.0) -> list[AuditEvent]:
        """Give the answered requests to the API server."""
        self._seen.extend(event for event in self._audit.read_new() if event.user == self._who.user)
        return [event for event in self._seen if event.finished_at.timestamp() >= since]

    def effective_writes(self, *, since: float) -> list[AuditEvent]:
        """Give the writes that the API server has carried out."""
        return [e for e in self.cluster_requests(since=since) if e.is_write and e.code < 300]

    def first_request(self, endpoint: str, *, since: float, within: float) -> float:
        """Wait for the first request to an endpoint of AGB; returns the seconds from `since` to it."""

        def probe() -> list[Entry]:
            return [e for e in self.requests(since=since) if e.endpoint == endpoint]

        return eventually(probe, within=within)[0].wall_time - since


def lease(tenant: Tenant) -> dict[str, Any]:
    """Give the Lease's spec."""
    spec: dict[str, Any] = json.loads(tenant.must("get", "lease", LEASE, "--output=json"))["spec"]
    return spec
