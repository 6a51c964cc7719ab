"""A whole operator behind proxies that want a password: it works, and its log does not tell the password."""

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import yaml

from control_plane import ControlPlane
from e2e.stack import Operator, eventually, manifest
from kubectl import Kubectl
from tunnel import Tunnel

CLUSTER_PASSWORD = "cluster/proxy-password"
AGB_PASSWORD = "agb-proxy-password"


def credentials(password: str) -> str:
    return base64.b64encode(f"me:{password}".encode()).decode()


class Talkative(Tunnel):
    """Makes tunnels, and refuses other requests by telling what it was told."""

    protocol_version = "HTTP/1.1"
    told: ClassVar[set[tuple[str, str]]] = set()

    def do_CONNECT(self) -> None:  # noqa: N802
        self._note()
        super().do_CONNECT()

    def do_POST(self) -> None:  # noqa: N802
        self.rfile.read(int(self.headers["Content-Length"]))
        said = self._note()
        password = base64.b64decode(said.removeprefix("Basic ")).decode()
        body = json.dumps({"success": False, "message": f"nothing for {said}, which is {password}"}).encode()
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _note(self) -> str:
        said = self.headers["Proxy-Authorization"]
        self.told.add((self.command, said))
        return said


@contextmanager
def proxy() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Talkative)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_no_password_of_a_proxy_gets_into_the_log(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path: Path
) -> None:
    assert kubectl("create", "namespace", "proxied").succeeded
    config = yaml.safe_load(control_plane.kubeconfig.read_text())
    kubeconfig = tmp_path / "kubeconfig"
    with proxy() as address:
        quoted = CLUSTER_PASSWORD.replace("/", "%2F")
        config["clusters"][0]["cluster"]["proxy-url"] = f"http://me:{quoted}@{address}"
        kubeconfig.write_text(yaml.safe_dump(config))
        with Operator(
            "--namespace=proxied",
            "--default-key-namespace=proxied",
            "--log-level=debug",
            "--no-leader-election",
            kubeconfig=kubeconfig,
            endpoint="http://agb.example.invalid",
            log=tmp_path / "operator.log",
            env={"AGB_API_KEY": "simulator-key-a", "HTTP_PROXY": f"http://me:{AGB_PASSWORD}@{address}"},
        ) as operator:
            operator.ready()
            assert kubectl.apply(manifest("s", "proxied", sessionId="session-1")).succeeded
            eventually(lambda: "nothing for Basic " in operator.text())
            assert operator.stop() == 0
            said = operator.text()
    assert kubectl("delete", "namespace", "proxied", "--wait=false").succeeded
    assert Talkative.told == {
        ("CONNECT", f"Basic {credentials(CLUSTER_PASSWORD)}"),
        ("POST", f"Basic {credentials(AGB_PASSWORD)}"),
    }
    secrets = (CLUSTER_PASSWORD, quoted, AGB_PASSWORD, credentials(CLUSTER_PASSWORD), credentials(AGB_PASSWORD))
    assert [secret for secret in secrets if secret in said] == []
    assert "nothing for Basic [redacted], which is me:[redacted]" in said
