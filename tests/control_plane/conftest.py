"""A machine with nothing on it but a mirror of the release servers."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from control_plane.supply import Supply
from control_plane_support import ReleaseServer, make_supply


@pytest.fixture
def release_server() -> Iterator[ReleaseServer]:
    server = ReleaseServer()
    yield server
    server.stop()


@pytest.fixture
def environment(tmp_path: Path, release_server: ReleaseServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A machine with its own cache, a mirror of all release servers, no Go, no kubectl and no package index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    programs = tmp_path / "path"
    programs.mkdir()
    return {
        "AGB_OPERATOR_CACHE": str(tmp_path / "cache"),
        "AGB_OPERATOR_KUBERNETES_URL": f"{release_server.url}/kubernetes",
        "AGB_OPERATOR_ETCD_URL": f"{release_server.url}/etcd",
        "AGB_OPERATOR_HELM_URL": f"{release_server.url}/helm/",
        "HOME": str(tmp_path),
        "PATH": str(programs),
    }


@pytest.fixture
def supply(environment: Mapping[str, str]) -> Supply:
    return make_supply(environment)
