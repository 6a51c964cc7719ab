"""promtool and Prometheus for tests of alerts, metrics and dashboard: found, downloaded, or out of a Debian package.

Neither needs root: the package is downloaded and unpacked into our cache, not installed.
"""

import os
import shutil
import subprocess
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path

from control_plane.cache import Cache, cache_folder
from control_plane.downloads import Downloads, Release
from control_plane.errors import NotAvailable
from control_plane.progress import Progress, say
from control_plane.versions import Platform

VERSION = "3.5.0"
"""Of the official release, a long-term one."""
URL = "https://github.com/prometheus/prometheus/releases/download"
PROGRAMS = ("prometheus", "promtool")


def find(program: str, *, environment: Mapping[str, str] | None = None, url: str = URL) -> Path:
    """Return the path of `prometheus` or `promtool`.

    Raises:
        NotAvailable: every way failed; the text says what helps.
    """
    environment = os.environ if environment is None else environment
    on_path = shutil.which(program, path=environment.get("PATH"))
    if on_path:
        return Path(on_path)
    cache = Cache(cache_folder(environment))
    ways: dict[str, Callable[[Path], Path]] = {
        f"prometheus-{VERSION}-{Platform.here()}": lambda scratch: _download(program, scratch, url),
        f"prometheus-debian-{Platform.here()}": lambda scratch: _from_debian(program, scratch),
    }
    for folder in ways:
        if (cache.folder / folder / program).exists():
            return cache.folder / folder / program
    failures = []
    for folder, make in ways.items():
        try:
            return cache.provide(cache.folder / folder / program, make)
        except NotAvailable as exc:
            say(f"{program}: {exc}")
            failures.append(f"  - {exc}")
    raise NotAvailable(
        "\n".join(
            [f"{program} cannot be had:", *failures, "Put it on the PATH, or let this machine reach one of these."]
        )
    )


def _download(program: str, scratch: Path, url: str) -> Path:
    name = f"prometheus-{VERSION}.{Platform.here()}"
    base = f"{url}/v{VERSION}"
    release = Release(url=f"{base}/{name}.tar.gz", checksum_url=f"{base}/sha256sums.txt", member=f"{name}/{program}")
    return Downloads().fetch(release, name=program, scratch=scratch)


def _from_debian(program: str, scratch: Path) -> Path:
    """Take a program out of Debian's package `prometheus`; apt verifies its signature."""
    if not shutil.which("apt-get"):
        raise NotAvailable("this machine has no apt-get to fetch Debian's package prometheus with")
    private = [f"-oDir::State::lists={scratch}/lists", f"-oDir::Cache={scratch}/cache"]
    for folder in ("lists/partial", "cache/archives/partial"):
        (scratch / folder).mkdir(parents=True)
    with Progress("fetching Debian's package prometheus", expect="seconds to a minute"):
        # The machine's own package lists may be absent or old; private ones need no right to renew.
        if _fails(["apt-get", "download", "prometheus"], scratch):
            for command in (["update"], ["download", "prometheus"]):
                error = _fails(["apt-get", *private, *command], scratch)
                if error:
                    raise NotAvailable(f"apt-get cannot download the package prometheus: {error}")
    (package,) = scratch.glob("prometheus_*.deb")
    if error := _fails(["dpkg-deb", "--fsys-tarfile", str(package)], scratch, output=scratch / "files.tar"):
        raise NotAvailable(f"the package {package.name} cannot be unpacked: {error}")
    path = scratch / program
    with tarfile.open(scratch / "files.tar") as files, path.open("wb") as file:
        content = files.extractfile(f"./usr/bin/{program}")
        assert content is not None
        shutil.copyfileobj(content, file)
    path.chmod(0o755)
    return path


def _fails(command: list[str], folder: Path, *, output: Path | None = None) -> str:
    """Run a command; return "" if it succeeds, else what it said."""
    with (output or folder / "output.log").open("wb") as out:
        done = subprocess.run(command, cwd=folder, stdout=out, stderr=subprocess.PIPE, check=False)
    return "" if done.returncode == 0 else done.stderr.decode(errors="replace").strip() or "it failed"
