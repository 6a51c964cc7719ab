"""Which engine builds the image, and with which commands; `make image` itself builds and runs it."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import image
from chart_rbac import CHART
from image import Engine, ImageError

DOCKERFILE = (image.ROOT / "Dockerfile").read_text()
Install = Callable[[str, str], None]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The only folder on the PATH; it holds git and a shell, and no engine."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("git", "sh"):
        found = next(
            Path(place) / program for place in os.environ["PATH"].split(":") if (Path(place) / program).exists()
        )
        (folder / program).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def install(path: Path, tmp_path: Path) -> Install:
    """Put a program on the PATH that notes its arguments and fails for those that match a shell pattern."""

    def put(name: str, fails_for: str = "nothing") -> None:
        program = path / name
        script = f'#!/bin/sh\necho "{name} $*" >> {tmp_path}/calls\ncase "$*" in {fails_for}) exit 1;; esac\n'
        program.write_text(script)
        program.chmod(0o755)

    return put


@pytest.fixture
def calls(tmp_path: Path) -> Callable[[], list[str]]:
    """What the programs were called with."""
    return lambda: (tmp_path / "calls").read_text().splitlines()


def test_docker_comes_first_if_its_daemon_answers(install: Install) -> None:
    install("docker", "nothing")
    install("podman", "nothing")
    assert image.find_builder({}).engine is Engine.DOCKER


def test_a_docker_without_daemon_is_passed_over(install: Install) -> None:
    install("docker", "info*")
    install("podman", "nothing")
    assert image.find_builder({}).engine is Engine.PODMAN


def test_buildah_is_taken_if_it_can_pull_the_base(install: Install, calls: Callable[[], list[str]]) -> None:
    install("buildah", "nothing")
    builder = image.find_builder({})
    assert (builder.engine, builder.base) == (Engine.BUILDAH, "")
    assert calls() == ["buildah pull docker.io/library/python:3.13-slim"]


def test_without_an_engine_the_error_names_what_helps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(ImageError, match="start docker, or install podman or buildah"):
        image.find_builder({})


def test_on_debian_root_gets_buildah_and_a_base_of_packages(
    install: Install, calls: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    install("apt-get", "nothing")
    install("buildah", "pull*|*inspect*")
    install("mmdebstrap", "nothing")
    builder = image.find_builder({"AGB_OPERATOR_CACHE": str(tmp_path / "cache")})
    assert (builder.engine, builder.base) == (Engine.BUILDAH, image.DEBIAN_BASE)
    assert "--isolation=chroot" in builder.build_options
    (made,) = [call for call in calls() if call.startswith("mmdebstrap")]
    assert made.endswith(f" trixie {tmp_path}/cache/containers/base.tar")
    assert not [call for call in calls() if call.startswith("apt-get")], "both packages are there"


@pytest.mark.parametrize(
    ("engine", "saves"),
    [
        (Engine.DOCKER, "docker save --output={tar} {image}"),
        (Engine.PODMAN, "podman save --format=docker-archive --output={tar} {image}"),
        (Engine.BUILDAH, "buildah push {image} docker-archive:{tar}:{image}"),
    ],
)
def test_every_engine_builds_with_version_and_revision_and_saves_a_docker_archive(
    install: Install, calls: Callable[[], list[str]], tmp_path: Path, engine: Engine, saves: str
) -> None:
    install(engine, "nothing")
    builder = image.Builder(engine=engine)
    tar = tmp_path / "dist" / "image.tar"
    image.build(builder)
    image.save(builder, tar)
    build, save = calls()
    assert f"--build-arg=VERSION={image.version()} --build-arg=REVISION=" in build
    assert f"--tag={image.image_name()} {image.ROOT}" in build
    assert "BASE=" not in build, "the Dockerfile's own"
    assert save == saves.format(tar=tar, image=image.image_name())


def test_a_build_that_fails_says_which_command(install: Install) -> None:
    install("podman", "build*")
    with pytest.raises(ImageError, match="failed with code 1: podman build"):
        image.build(image.Builder(engine=Engine.PODMAN))


def test_the_name_is_the_one_that_the_chart_runs() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["image"]["repository"] == image.REPOSITORY
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == image.version()


def test_the_dockerfile_installs_locked_packages_only_and_ends_without_root() -> None:
    installs = re.findall(r"-m pip [^&\n]*install[^&\n]*", DOCKERFILE.replace("\\\n", " "))
    assert len(installs) == 3
    assert all("--require-hashes" in command or "--no-index" in command for command in installs)
    final = DOCKERFILE[DOCKERFILE.rindex("FROM ${BASE}") :]
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["65532:65532"]
    assert "pip install" not in final
