"""promtool and Prometheus are found, downloaded with their checksum, or taken out of a Debian package."""

import hashlib
import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import prometheus
from control_plane import NotAvailable
from control_plane.versions import Platform
from control_plane_support import ReleaseServer

PROGRAM = b"#!/bin/sh\necho promtool\n"


@pytest.fixture
def server() -> Iterator[ReleaseServer]:
    running = ReleaseServer()
    yield running
    running.stop()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An empty PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "AGB_OPERATOR_CACHE": str(tmp_path / "cache")}


def publish(server: ReleaseServer, *, checksum: str = "") -> None:
    """Put a release where the official one would be."""
    name = f"prometheus-{prometheus.VERSION}.{Platform.here()}"
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        info = tarfile.TarInfo(f"{name}/promtool")
        info.size = len(PROGRAM)
        tar.addfile(info, io.BytesIO(PROGRAM))
    archive = data.getvalue()
    digest = checksum or hashlib.sha256(archive).hexdigest()
    server.files[f"/v{prometheus.VERSION}/{name}.tar.gz"] = archive
    server.files[f"/v{prometheus.VERSION}/sha256sums.txt"] = f"{digest}  {name}.tar.gz\n".encode()


def test_a_promtool_on_the_path_is_taken(environment: dict[str, str], tmp_path: Path) -> None:
    program = tmp_path / "bin" / "promtool"
    program.write_bytes(PROGRAM)
    program.chmod(0o755)
    assert prometheus.find("promtool", environment=environment, url="http://127.0.0.1:1") == program


def test_the_official_release_is_downloaded_once(environment: dict[str, str], server: ReleaseServer) -> None:
    publish(server)
    first = prometheus.find("promtool", environment=environment, url=server.url)
    assert first.read_bytes() == PROGRAM
    asked = len(server.requested)
    assert prometheus.find("promtool", environment=environment, url=server.url) == first
    assert len(server.requested) == asked


def test_without_any_way_the_error_names_each(
    environment: dict[str, str], server: ReleaseServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(server, checksum="0" * 64)
    monkeypatch.setenv("PATH", environment["PATH"])  # no apt-get either
    with pytest.raises(NotAvailable, match="Put it on the PATH") as refused:
        prometheus.find("promtool", environment=environment, url=server.url)
    assert "its server says 0000" in str(refused.value)
    assert "no apt-get" in str(refused.value)


def test_a_package_that_cannot_be_downloaded_says_what_apt_says(
    environment: dict[str, str], server: ReleaseServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    apt = tmp_path / "bin" / "apt-get"
    apt.write_text("#!/bin/sh\necho 'E: Unable to locate package prometheus' >&2\nexit 100\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", environment["PATH"])
    with pytest.raises(NotAvailable, match="E: Unable to locate package prometheus"):
        prometheus.find("promtool", environment=environment, url=server.url)
