"""A real Kubernetes control plane on this machine, without Docker: for demo, tests, benchmarks and chaos.

    with ControlPlane(controller_manager=True) as cluster:
        env = {**os.environ, "KUBECONFIG": str(cluster.kubeconfig)}
        log = cluster.audit_events()
        ...
        writes = [event for event in log.read_new() if event.is_write and event.resource == "agbsessions"]
        cluster.restart_apiserver()     # also kill_, stop_ and start_; the same for etcd

It uses the standard library only, as it also runs before the project's packages are installed. Put `hack` on
the import path. `python -m control_plane` starts one for people. `cluster` holds the control plane, `audit`
the typed audit log, `binaries` and `tools` the ways to the programs, `guard` the promise that no process is
left behind.
"""

from .audit import AuditEvent, AuditLog
from .binaries import Binaries, Finder, find_binaries, find_helm, find_kubectl
from .cluster import ADMIN, ControlPlane
from .credentials import User
from .errors import BadDownload, ControlPlaneError, NotAvailable, StartFailed, Unreachable

__all__ = [
    "ADMIN",
    "AuditEvent",
    "AuditLog",
    "BadDownload",
    "Binaries",
    "ControlPlane",
    "ControlPlaneError",
    "Finder",
    "NotAvailable",
    "StartFailed",
    "Unreachable",
    "User",
    "find_binaries",
    "find_helm",
    "find_kubectl",
]
