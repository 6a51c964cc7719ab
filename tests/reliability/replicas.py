"""Two operators that share a Lease, told apart from outside: each has a ServiceAccount and an AGB key of its own.

The audit log names the one, AGB's request log the other; both keys open the same account.
"""

import json
import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agb_simulator import Entry
from agb_simulator.accounts import fingerprint
from control_plane import ControlPlane
from control_plane.audit import AuditEvent
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

LEASE = "agb-operator"


class Replica(Operator):
    """One of the operators, with its name on everything that it does."""

    def __init__(
        self,
        name: str,
        *,
        tenant: Tenant,
        control_plane: ControlPlane,
        kubectl: Kubectl,
        simulator: Simulator,
        folder: Path,
        key: str,
        server: str = "",
    ) -> None:
        """Make its ServiceAccount, and start it; `server` is another address of the API server's."""
        self.name = name
        namespace = tenant.namespace
        self.user = f"system:serviceaccount:{namespace}:{name}"
        self.fingerprint = fingerprint(key)
        self._control = simulator.control
        self._audit = control_plane.audit_events()
        self._seen: list[AuditEvent] = []
        tenant.must("create", "serviceaccount", name)
        binding = f"{namespace}-{name}"
        account = f"--serviceaccount={namespace}:{name}"
        bound = kubectl("create", "clusterrolebinding", binding, "--clusterrole=cluster-admin", account)
        assert bound.succeeded, bound.err
        kubeconfig = folder / f"{binding}.kubeconfig"
        control_plane.kubeconfig_for_token(tenant.must("create", "token", name).strip(), kubeconfig)
        if server:
            kubeconfig.write_text(kubeconfig.read_text().replace(control_plane.server_url, server))
        super().__init__(
            f"--namespace={namespace}",
            f"--default-key-namespace={namespace}",
            f"--lease-namespace={namespace}",
            f"--lease-name={LEASE}",
            "--resync=1s",
            kubeconfig=kubeconfig,
            endpoint=simulator.endpoint,
            log=folder / f"{binding}.log",
            env={"AGB_API_KEY": key},
        )

    @property
    def leads(self) -> bool:
        """What it says of itself."""
        return "agb_leader 1.0" in self.get("/metrics")[1]

    def requests(self, *, since: float) -> Sequence[Entry]:
        """Give its requests to AGB since a time of day, in seconds since the epoch."""
        return [e for e in self._control.requests() if e.key == self.fingerprint and e.wall_time >= since]

    def cluster_requests(self, *, since: float) -> list[AuditEvent]:
        """Give its answered requests to the API server since a time of day, in seconds since the epoch."""
        self._seen.extend(event for event in self._audit.read_new() if event.user == self.user)
        return [event for event in self._seen if event.finished_at.timestamp() >= since]

    def effective_writes(self, *, since: float) -> list[AuditEvent]:
        """Give its writes that the API server has carried out."""
        return [e for e in self.cluster_requests(since=since) if e.is_write and e.code < 300]

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


def lease(tenant: Tenant) -> dict[str, Any]:
    """Give the Lease's spec."""
    spec: dict[str, Any] = json.loads(tenant.must("get", "lease", LEASE, "--output=json"))["spec"]
    return spec


def first_call(replica: Replica, endpoint: str, *, since: float, within: float) -> float:
    """Wait for a replica's first request to an endpoint of AGB; returns the seconds from `since` to it."""

    def probe() -> list[Entry]:
        return [e for e in replica.requests(since=since) if e.endpoint == endpoint]

    return eventually(probe, within=within)[0].wall_time - since
