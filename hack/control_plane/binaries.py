"""Where the programs of the control plane come from."""

import os
from dataclasses import dataclass
from pathlib import Path

from .errors import NotAvailable


@dataclass(frozen=True, kw_only=True, slots=True)
class Binaries:
    """Paths of the control plane's programs."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path | None


def find_binaries(*, controller_manager: bool = True) -> Binaries:
    """Find the programs in the folder KUBEBUILDER_ASSETS."""
    folder = os.environ.get("KUBEBUILDER_ASSETS")
    if not folder:
        raise NotAvailable("set KUBEBUILDER_ASSETS")
    assets = Path(folder)
    return Binaries(
        etcd=assets / "etcd",
        kube_apiserver=assets / "kube-apiserver",
        kube_controller_manager=assets / "kube-controller-manager" if controller_manager else None,
    )
