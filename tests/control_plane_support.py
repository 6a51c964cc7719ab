"""What the tests of the local control plane share: a release server on loopback, fake programs, waiting."""

import hashlib
import http.server
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from control_plane.cache import Cache
from control_plane.supply import Supply
from control_plane.versions import Platform

LINUX = Platform(system="linux", machine="amd64")


class ReleaseServer:
    """Serves what `files` holds; a path in `cut_short` promises more bytes than it sends."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.cut_short: set[str] = set()
        self.requested: list[str] = []
        release_server = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                release_server.requested.append(self.path)
                body = release_server.files.get(self.path)
                if body is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(body) + 10 * (self.path in release_server.cut_short)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_arguments: object) -> None:
                """Keep quiet."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def publish(self, path: str, body: bytes) -> None:
        """Put a file there with its checksum beside it, as dl.k8s.io does."""
        self.files[path] = body
        self.files[f"{path}.sha256"] = hashlib.sha256(body).hexdigest().encode()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def make_supply(environment: Mapping[str, str]) -> Supply:
    cache = Cache(Path(environment["AGB_OPERATOR_CACHE"]))
    return Supply(cache=cache, platform=LINUX, environment=environment)


def write_program(path: Path, script: str) -> Path:
    """Write an executable shell script."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def wait_until(condition: Callable[[], bool], *, seconds: float = 30) -> None:
    """Wait for a condition; the test fails if it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    """Say whether a process runs; one that ended and was not reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
