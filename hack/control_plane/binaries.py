"""Which programs to use: the ones the user points at, the ones at hand if they fit, else what `supply` gets.

KUBEBUILDER_ASSETS, the folder that the Kubernetes test tools know, wins for the components and for kubectl. A
kubectl on the PATH is taken if Kubernetes' own version skew rule allows it for our server: one minor version
older or newer. A Helm on the PATH is taken if it is of the same major version, since majors differ in what
`--wait` means.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache, cache_folder
from .errors import NotAvailable
from .progress import say
from .supply import Supply
from .versions import HELM, KUBERNETES, Platform, minor

ASSETS = "KUBEBUILDER_ASSETS"
_VERSION_TIMEOUT = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Binaries:
    """Paths of the control plane's programs."""

    etcd: Path
    kube_apiserver: Path
    kube_controller_manager: Path | None
    """None if it was not asked for."""


class Finder:
    """Finds programs; one object remembers which servers could not be reached."""

    def __init__(self, *, environment: Mapping[str, str] | None = None, supply: Supply | None = None) -> None:
        """`environment` is that of the process and `supply` the real one unless given."""
        self._environment = os.environ if environment is None else environment
        self._supply = supply or Supply(
            cache=Cache(cache_folder(self._environment)),
            platform=Platform.here(),
            environment=self._environment,
        )

    def binaries(self, *, controller_manager: bool = True) -> Binaries:
        """Return the components.

        Raises:
            NotAvailable: KUBEBUILDER_ASSETS lacks something, or every way failed; the text says what helps.
        """
        assets = self._assets()
        if assets is None:
            manager = ["kube-controller-manager"] if controller_manager else []
            etcd, kube_apiserver, *managers = self._supply.get("etcd", "kube-apiserver", *manager)
            return Binaries(
                etcd=etcd, kube_apiserver=kube_apiserver, kube_controller_manager=managers[0] if managers else None
            )
        return Binaries(
            etcd=assets / "etcd",
            kube_apiserver=assets / "kube-apiserver",
            kube_controller_manager=self._controller_manager(assets) if controller_manager else None,
        )

    def kubectl(self) -> Path:
        """Return a kubectl that fits the API server that `binaries` returns.

        Raises:
            NotAvailable: every way failed.
        """
        assets = self._assets()
        server = KUBERNETES if assets is None else _version(assets / "kube-apiserver", "--version")
        on_path = self._on_path("kubectl")
        for candidate in [*([assets / "kubectl"] if assets else []), *([on_path] if on_path else [])]:
            if candidate.exists():
                client = _version(candidate, "version", "--client", "--output=json")
                if fits(client=client, server=server):
                    return candidate
                say(f"not using {candidate}: it is {client or 'unreadable'}, and the server is {server}")
        return self._supply.get("kubectl")[0]

    def helm(self) -> Path:
        """Return a Helm of the pinned major version.

        Raises:
            NotAvailable: every way failed.
        """
        on_path = self._on_path("helm")
        if on_path is not None:
            found = _version(on_path, "version", "--template={{.Version}}")
            if found and minor(found)[0] == minor(HELM)[0]:
                return on_path
            say(f"not using {on_path}: it is {found or 'unreadable'}, not Helm {minor(HELM)[0]}")
        return self._supply.get("helm")[0]

    def discard_leftovers(self) -> None:
        """Remove what only served to make the programs; call it when all that is needed is there."""
        self._supply.discard_leftovers()

    def _assets(self) -> Path | None:
        if not self._environment.get(ASSETS):
            return None
        assets = Path(self._environment[ASSETS]).absolute()
        missing = [name for name in ("etcd", "kube-apiserver") if not os.access(assets / name, os.X_OK)]
        if missing:
            raise NotAvailable(
                f"{ASSETS}={assets} has no executable {' and no '.join(missing)}; "
                f"complete the folder, or unset {ASSETS} to have the programs downloaded or built"
            )
        return assets

    def _controller_manager(self, assets: Path) -> Path:
        """The usual content of the folder lacks it; ours fits a server of our minor version."""
        name = "kube-controller-manager"
        if (assets / name).exists():
            return assets / name
        server = _version(assets / "kube-apiserver", "--version")
        if not server or minor(server) != minor(KUBERNETES):
            raise NotAvailable(
                f"{ASSETS}={assets} has no {name}, and ours is {KUBERNETES} while its kube-apiserver is {server}; "
                f"put a {name} of that version beside it"
            )
        return self._supply.get(name)[0]

    def _on_path(self, program: str) -> Path | None:
        found = shutil.which(program, path=self._environment.get("PATH"))
        return Path(found) if found else None


def find_binaries(*, controller_manager: bool = True) -> Binaries:
    """Return the components; see `Finder.binaries`."""
    return Finder().binaries(controller_manager=controller_manager)


def find_kubectl() -> Path:
    """Return a fitting kubectl; see `Finder.kubectl`."""
    return Finder().kubectl()


def find_helm() -> Path:
    """Return a fitting Helm; see `Finder.helm`."""
    return Finder().helm()


def fits(*, client: str, server: str) -> bool:
    """Say whether kubectl `client` supports `server`: same major, at most one minor apart.

    https://kubernetes.io/releases/version-skew-policy/#kubectl
    """
    if not client or not server:
        return False
    (client_major, client_minor), (server_major, server_minor) = minor(client), minor(server)
    return client_major == server_major and abs(client_minor - server_minor) <= 1


def _version(program: Path, *arguments: str) -> str:
    """Return the first thing like `v1.37.2` in the program's answer; empty if it does not run or says none."""
    try:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=_VERSION_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"v\d+\.\d+\.\d+[-+.\w]*", done.stdout)
    return found.group(0) if found else ""
