"""Downloads are used when they match their published checksum, and never otherwise."""

import hashlib
import io
import socket
import tarfile
from pathlib import Path

import pytest

from control_plane import BadDownload, NotAvailable, Unreachable
from control_plane.downloads import Downloads, Release
from control_plane_support import ReleaseServer

PROGRAM = b"#!/bin/sh\necho hello\n" * 5000


def release(server: ReleaseServer, path: str = "/tool", *, member: str = "") -> Release:
    return Release(url=f"{server.url}{path}", checksum_url=f"{server.url}{path}.sha256", member=member)


def tarball(**members: bytes) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(f"folder/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def test_a_file_with_the_right_checksum_arrives_complete_and_executable(
    release_server: ReleaseServer, tmp_path: Path
) -> None:
    release_server.publish("/tool", PROGRAM)

    path = Downloads().fetch(release(release_server), name="tool", scratch=tmp_path)

    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o111 == 0o111


def test_the_checksum_is_found_among_those_of_other_files(release_server: ReleaseServer, tmp_path: Path) -> None:
    release_server.files["/tool"] = PROGRAM
    others = f"{'0' * 64}  tool.asc\n{hashlib.sha256(PROGRAM).hexdigest()}  tool\n{'1' * 64}  toolbox\n"
    release_server.files["/tool.sha256"] = others.encode()

    assert Downloads().fetch(release(release_server), name="tool", scratch=tmp_path).read_bytes() == PROGRAM


def test_the_program_is_taken_out_of_an_archive(release_server: ReleaseServer, tmp_path: Path) -> None:
    release_server.publish("/tool", tarball(README=b"read me", tool=PROGRAM))

    path = Downloads().fetch(release(release_server, member="folder/tool"), name="tool", scratch=tmp_path)

    assert path.read_bytes() == PROGRAM
    assert path.stat().st_mode & 0o111 == 0o111


def test_an_archive_without_the_program_is_refused(release_server: ReleaseServer, tmp_path: Path) -> None:
    release_server.publish("/tool", tarball(README=b"read me"))

    with pytest.raises(BadDownload, match="no folder/tool in"):
        Downloads().fetch(release(release_server, member="folder/tool"), name="tool", scratch=tmp_path)


def test_a_file_with_the_wrong_checksum_is_refused_and_both_checksums_named(
    release_server: ReleaseServer, tmp_path: Path
) -> None:
    release_server.publish("/tool", PROGRAM)
    release_server.files["/tool"] = PROGRAM + b"tampered"

    with pytest.raises(BadDownload) as caught:
        Downloads().fetch(release(release_server), name="tool", scratch=tmp_path)

    assert hashlib.sha256(PROGRAM).hexdigest() in str(caught.value)
    assert hashlib.sha256(PROGRAM + b"tampered").hexdigest() in str(caught.value)
    assert not (tmp_path / "tool").exists()


def test_a_file_that_breaks_off_is_refused(release_server: ReleaseServer, tmp_path: Path) -> None:
    release_server.publish("/tool", PROGRAM)
    release_server.cut_short.add("/tool")

    with pytest.raises(BadDownload, match=f"broke off after {len(PROGRAM)}"):
        Downloads().fetch(release(release_server), name="tool", scratch=tmp_path)


@pytest.mark.parametrize("text", ["", "<html>please log in</html>", f"{'0' * 64}  another-tool"])
def test_a_checksum_file_that_does_not_name_the_file_is_refused(
    release_server: ReleaseServer, tmp_path: Path, text: str
) -> None:
    release_server.files |= {"/tool": PROGRAM, "/tool.sha256": text.encode()}

    with pytest.raises(BadDownload, match="holds no SHA-256 of tool"):
        Downloads().fetch(release(release_server), name="tool", scratch=tmp_path)

    assert release_server.requested == ["/tool.sha256"]


def test_a_missing_file_says_404_and_leaves_the_server_usable(release_server: ReleaseServer, tmp_path: Path) -> None:
    release_server.publish("/tool", PROGRAM)
    downloads = Downloads()

    with pytest.raises(NotAvailable, match=r"/other\.sha256 answers 404"):
        downloads.fetch(release(release_server, "/other"), name="other", scratch=tmp_path)

    assert downloads.fetch(release(release_server), name="tool", scratch=tmp_path).read_bytes() == PROGRAM


def test_a_server_that_refuses_is_asked_once_per_run(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    refusing = Release(url=f"http://127.0.0.1:{port}/tool", checksum_url=f"http://127.0.0.1:{port}/tool.sha256")
    downloads = Downloads()
    with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached"):
        downloads.fetch(refusing, name="tool", scratch=tmp_path)

    with socket.create_server(("127.0.0.1", port)) as listener:
        listener.settimeout(0)
        with pytest.raises(Unreachable, match=f"127.0.0.1:{port} cannot be reached"):
            downloads.fetch(refusing, name="tool", scratch=tmp_path)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_server_that_accepts_and_says_nothing_counts_as_unreachable(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/tool"
        silent = Release(url=url, checksum_url=f"{url}.sha256")

        with pytest.raises(Unreachable, match="timed out"):
            Downloads(timeout=0.2).fetch(silent, name="tool", scratch=tmp_path)
