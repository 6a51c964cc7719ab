"""Build the container image with whatever engine works here.

    python hack/image.py [--tar dist/agb-operator.tar]

Docker, podman and buildah are tried in this order. Where buildah cannot pull the base image, `debian_base` makes
one out of Debian packages, so that the image is also built, and started, on machines that reach no registry.
"""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from control_plane.cache import cache_folder

ROOT = Path(__file__).resolve().parent.parent
REPOSITORY = "localhost/agb-operator"
DEBIAN_BASE = "localhost/agb-operator-base:debian-trixie"
DEBIAN_SUITE = "trixie"
"""The Debian release whose Python is 3.13, as in the Dockerfile's base image."""
DEBIAN_PACKAGES = ("buildah", "mmdebstrap")
HOST_CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


class ImageError(Exception):
    """The image cannot be built or does not run; the text says what to do."""


class Engine(StrEnum):
    """A program that builds images."""

    DOCKER = "docker"
    PODMAN = "podman"
    BUILDAH = "buildah"


@dataclass(frozen=True, kw_only=True, slots=True)
class Builder:
    """An engine together with the options that make it work on this machine."""

    engine: Engine
    options: tuple[str, ...] = ()
    build_options: tuple[str, ...] = ()
    base: str = ""
    """Replaces the Dockerfile's base image; empty for that one."""

    def command(self, *args: str) -> list[str]:
        """Return a command line of the engine."""
        return [self.engine, *self.options, *args]


def version() -> str:
    """Return the version; `agb_operator/__init__.py` is its one place."""
    source = (ROOT / "operator" / "agb_operator" / "__init__.py").read_text()
    return source.partition('__version__ = "')[2].partition('"')[0]


def image_name() -> str:
    """Return the image with its tag, as the chart's default values name it."""
    return f"{REPOSITORY}:{version()}"


def find_builder(environment: Mapping[str, str]) -> Builder:
    """Choose the engine; on Debian as root install one if there is none.

    Raises:
        ImageError: none works here, and none can be installed.
    """
    if _works("docker", "info"):
        return Builder(engine=Engine.DOCKER)
    if _works("podman", "info"):
        return Builder(engine=Engine.PODMAN)
    if shutil.which("buildah") and _works("buildah", "pull", _dockerfile_base()):
        return Builder(engine=Engine.BUILDAH)
    return debian_builder(environment)


def debian_builder(environment: Mapping[str, str]) -> Builder:
    """Return buildah without any daemon, registry or nesting rights: chroot isolation and a base of Debian packages.

    Its images live in the cache folder, apart from those of the machine.

    Raises:
        ImageError: this is no Debian, or we are not root.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise ImageError(
            "no container engine works here: start docker, or install podman or buildah (and see that it can pull "
            f"{_dockerfile_base()}). As root on Debian, `make image` needs neither an engine nor a registry"
        )
    missing = [package for package in DEBIAN_PACKAGES if not shutil.which(package)]
    if missing:
        print(f"==> no container engine here: installing the Debian packages {', '.join(missing)}", flush=True)
        _run(["apt-get", "update", "--quiet"])
        _run(["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", *missing])
    storage = cache_folder(environment) / "containers"
    certificates = (f"--volume={HOST_CERTIFICATES}:{HOST_CERTIFICATES}:ro",) if HOST_CERTIFICATES.exists() else ()
    builder = Builder(
        engine=Engine.BUILDAH,
        options=(f"--root={storage / 'images'}", f"--runroot={storage / 'run'}", "--storage-driver=vfs"),
        build_options=("--isolation=chroot", "--pull=never", *certificates),
        base=DEBIAN_BASE,
    )
    if not _works(*builder.command("inspect", "--type=image", DEBIAN_BASE)):
        _make_debian_base(builder, storage)
    return builder


def build(builder: Builder) -> None:
    """Build the image from the Dockerfile."""
    revision = subprocess.run(
        ["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    arguments = {"VERSION": version(), "REVISION": revision or "unknown"}
    if builder.base:
        arguments["BASE"] = builder.base
    _run(
        builder.command(
            "build",
            *builder.build_options,
            *(f"--build-arg={name}={value}" for name, value in arguments.items()),
            f"--tag={image_name()}",
            str(ROOT),
        )
    )


def save(builder: Builder, tar: Path) -> None:
    """Write the image as a docker archive, as `docker load`, kind and containerd read it."""
    tar.parent.mkdir(parents=True, exist_ok=True)
    tar.unlink(missing_ok=True)
    if builder.engine is Engine.BUILDAH:
        _run(builder.command("push", image_name(), f"docker-archive:{tar}:{image_name()}"))
    else:
        docker_archive = ["--format=docker-archive"] if builder.engine is Engine.PODMAN else []
        _run(builder.command("save", *docker_archive, f"--output={tar}", image_name()))


def _make_debian_base(builder: Builder, storage: Path) -> None:
    print(f"==> making a base image of Debian {DEBIAN_SUITE} packages (about 40 s)", flush=True)
    storage.mkdir(parents=True, exist_ok=True)
    tar = storage / "base.tar"
    packages = "--include=python3,python3-venv,ca-certificates"
    _run(["mmdebstrap", "--quiet", "--variant=minbase", packages, DEBIAN_SUITE, str(tar)])
    container = output(builder.command("from", "scratch"))
    _run(builder.command("add", "--quiet", container, str(tar), "/"))
    _run(builder.command("commit", "--quiet", "--rm", container, DEBIAN_BASE))
    tar.unlink(missing_ok=True)


def _dockerfile_base() -> str:
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    return next(line.removeprefix("ARG BASE=") for line in lines if line.startswith("ARG BASE="))


def _works(*command: str) -> bool:
    if not shutil.which(command[0]):
        return False
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, check=False)
    if done.returncode != 0:
        raise ImageError(f"this failed with code {done.returncode}: {' '.join(command)}")


def output(command: Sequence[str]) -> str:
    """Run a command and return what it prints.

    Raises:
        ImageError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ImageError(f"this failed with code {done.returncode}: {' '.join(command)}\n{done.stderr}")
    return done.stdout.strip()


def main() -> int:
    """Build the image, and save it if asked to."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tar", type=Path, help="also save it there, as a docker archive")
    tar = parser.parse_args().tar
    try:
        builder = find_builder(os.environ)
        build(builder)
        print(f"==> {image_name()}, built by {builder.engine}")
        if tar:
            save(builder, tar)
            print(f"==> {tar}, for `docker load`, `kind load image-archive` or `ctr images import`")
    except ImageError as exc:
        print(f"image: {exc}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
