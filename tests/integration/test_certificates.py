"""A server's certificate that kubectl takes is taken, under the oldest and the newest Python: kubectl is the judge."""

import asyncio
import http.server
import logging
import os
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvloop

import agb_operator
from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.http import AgbApi
from agb_operator.kube.cluster import Cluster, connect_cluster
from agb_operator.kube.config import find_cluster
from agb_operator.model.errors import ApiUnavailable, ClusterError
from tunnel import Tunnel

OPERATOR = Path(agb_operator.__file__).parents[1]
HANDSHAKE = """
import socket, sys
from pathlib import Path
from agb_operator.model.trust import client_context, trust
port, name, bundle = sys.argv[1:]
context = client_context()
trust(context, Path(bundle).read_bytes())
with socket.create_connection(("127.0.0.1", int(port))) as plain:
    context.wrap_socket(plain, server_hostname=name).close()
"""
PROPER = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash")


def pythons() -> list[str]:
    """The oldest and the newest Python that are supported and at hand."""
    folders = [*os.environ["PATH"].split(os.pathsep), *map(str, Path("~/.pyenv/versions").expanduser().glob("3.*/bin"))]
    found = {(sys.version_info.minor, sys.executable)}
    for minor in range(11, 20):
        programs = (shutil.which(f"python3.{minor}", path=folder) for folder in folders)
        # A version manager's shim may stand for a version that is not there.
        runs = (it for it in programs if it and subprocess.run([it, "-c", ""], capture_output=True).returncode == 0)
        found.update((minor, program) for program in runs)
    return list(dict.fromkeys([min(found)[1], max(found)[1]]))


@dataclass(frozen=True, kw_only=True)
class Case:
    """A chain, and what the client trusts of it.

    Attributes:
        root: extensions of the authority; none at all makes a certificate of version 1.
        intermediate: whether one stands between the two, and is all that the client trusts.
        taken: whether kubectl takes it.
        name: of the host.
        before, after: more text in the bundle.
        trusts: "own" authority or "other".
        says: why it is refused, in OpenSSL's or Python's words.
        broken: the numbers of the bundle's blocks that hold no certificate.
    """

    root: tuple[str, ...] = PROPER
    intermediate: bool = False
    taken: bool = True
    name: str = "localhost"
    before: str = ""
    trusts: str = "own"
    says: str = ""
    broken: tuple[int, ...] = ()


BROKEN = "-----BEGIN CERTIFICATE-----\nTUlJQg==\n-----END CERTIFICATE-----\n"
CASES = {
    "a proper authority": Case(),
    "no key usage": Case(root=(PROPER[0], PROPER[2])),
    "no key identifiers": Case(root=(*PROPER[:2], "subjectKeyIdentifier=none")),
    "basic constraints that are not critical": Case(root=("basicConstraints=CA:TRUE", *PROPER[1:])),
    "version 1": Case(root=()),
    "an intermediate authority alone": Case(intermediate=True),
    "a broken block before a good one": Case(before=BROKEN, broken=(1,)),
    "an end that is missing before a good one": Case(before="-----BEGIN CERTIFICATE-----\nTUlJQg==\n", broken=(1,)),
    "comments": Case(before="# für uns\n"),
    "another authority": Case(trusts="other", taken=False, says="unable to get local issuer certificate"),
    "another name": Case(name="ip6-localhost", taken=False, says="IP address mismatch"),
    "an authority that may sign nothing": Case(
        root=("basicConstraints=critical,CA:FALSE",), taken=False, says="invalid CA certificate"
    ),
}


class Workshop:
    """Makes keys and certificates with OpenSSL."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True, cwd=self._folder)

    def authority(self, name: str, extensions: tuple[str, ...]) -> None:
        if extensions:
            self._signed(name, extensions, by=None)
            return
        self._request(name)
        self._run("x509", "-req", "-in", f"{name}.csr", "-signkey", f"{name}.key", "-out", f"{name}.pem", "-days", "9")

    def issued(self, name: str, extensions: tuple[str, ...], *, by: str) -> None:
        self._signed(name, extensions, by=by)

    def path(self, name: str) -> Path:
        return self._folder / name

    def _request(self, name: str) -> None:
        key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key"]
        self._run("req", "-new", *key, "-subj", f"/CN={name}", "-out", f"{name}.csr")

    def _signed(self, name: str, extensions: tuple[str, ...], *, by: str | None) -> None:
        self._request(name)
        self.path(f"{name}.ext").write_text("\n".join(extensions) + "\n")
        self._number += 1
        signer = ["-CA", f"{by}.pem", "-CAkey", f"{by}.key"] if by else ["-signkey", f"{name}.key"]
        serial = ["-set_serial", str(self._number), "-days", "9", "-extfile", f"{name}.ext"]
        self._run("x509", "-req", "-in", f"{name}.csr", *signer, *serial, "-out", f"{name}.pem")


@dataclass(frozen=True, kw_only=True)
class Served:
    """A server that shows a case's certificate, and the bundle of the client."""

    port: int
    bundle: Path


class Quiet(http.server.BaseHTTPRequestHandler):
    """Answers everything with a small JSON object."""

    def do_GET(self) -> None:
        body = b'{"major": "1", "minor": "37", "gitVersion": "v1.37.0", "kind": "Simulated"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


class Picky(Quiet):
    """Knows one client, by the name in its certificate; keeps connections, as the API server does."""

    protocol_version = "HTTP/1.1"
    knows = "old"

    def do_GET(self) -> None:
        assert isinstance(self.connection, ssl.SSLSocket)
        certificate = self.connection.getpeercert() or {}
        if certificate.get("subject") == ((("commonName", self.knows),),):
            super().do_GET()
            return
        self.send_response(401)
        self.send_header("Content-Length", "0")
        self.end_headers()


class TlsServer(http.server.ThreadingHTTPServer):
    """Says nothing of handshakes that its client breaks off."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def listening(context: ssl.SSLContext, handler: type[http.server.BaseHTTPRequestHandler]) -> Iterator[int]:
    server = TlsServer(("127.0.0.1", 0), handler)
    # The handshake takes place in the connection's thread.
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def serving(case: Case, folder: Path) -> Iterator[Served]:
    workshop = Workshop(folder)
    workshop.authority("root", case.root)
    workshop.authority("other", PROPER)
    signer = "root"
    if case.intermediate:
        workshop.issued("middle", (*PROPER, "authorityKeyIdentifier=keyid"), by="root")
        signer = "middle"
    # The authority alone is odd, so that nothing else in the chain is what strict checks refuse.
    server = ("subjectAltName=DNS:localhost", "extendedKeyUsage=serverAuth", "authorityKeyIdentifier=keyid,issuer")
    workshop.issued("server", server, by=signer)
    bundle = folder / "bundle.pem"
    bundle.write_text(
        case.before + workshop.path("other.pem" if case.trusts == "other" else f"{signer}.pem").read_text()
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(workshop.path("server.pem"), workshop.path("server.key"))
    with listening(context, Quiet) as port:
        yield Served(port=port, bundle=bundle)


@pytest.fixture(scope="module", params=CASES)
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Case, Served]]:
    case = CASES[request.param]
    with serving(case, tmp_path_factory.mktemp("certificates")) as running:
        yield case, running


def judge(program: Path, *flags: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Ask kubectl for the server's version."""
    command = [str(program), *flags, "get", "--raw", "/version"]
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_kubectl_judges_so(served: tuple[Case, Served], kubectl_program: Path, tmp_path: Path) -> None:
    case, at = served
    flags = [f"--server=https://127.0.0.1:{at.port}", f"--tls-server-name={case.name}", "--token=x"]
    trusting = f"--certificate-authority={at.bundle}"
    asked = judge(kubectl_program, *flags, trusting, HOME=str(tmp_path), KUBECONFIG=os.devnull)
    assert (asked.returncode == 0) == case.taken, asked.stderr


@pytest.mark.parametrize("python", pythons())
def test_each_python_takes_what_kubectl_takes(python: str, served: tuple[Case, Served]) -> None:
    case, at = served
    asked = subprocess.run(
        [python, "-c", HANDSHAKE, str(at.port), case.name, str(at.bundle)],
        env={"PYTHONPATH": str(OPERATOR)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (asked.returncode == 0) == case.taken, asked.stderr
    assert case.taken or "certificate verify failed" in asked.stderr


async def test_both_connections_of_the_operator_agree(
    served: tuple[Case, Served], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    case, at = served
    address = f"https://{'localhost' if case.name == 'localhost' else '127.0.0.1'}:{at.port}"
    (tmp_path / "kubeconfig").write_text(
        f"{{current-context: c, contexts: [{{name: c, context: {{cluster: c}}}}], "
        f"clusters: [{{name: c, cluster: {{server: '{address}', certificate-authority: '{at.bundle}'}}}}]}}"
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(at.bundle))

    cluster = await connect_cluster(find_cluster({"KUBECONFIG": str(tmp_path / "kubeconfig")}))
    try:
        await cluster.read("ml", "batch")
        said = ""
    except ClusterError as exc:
        said = exc.message
    finally:
        await cluster.close()
    assert ("certificate is not trusted: " in said) != case.taken, said
    assert case.says in said

    api = AgbApi(endpoint=address, timeout=30.0, on_call=lambda *_: None)
    with pytest.raises(ApiUnavailable) as failed:
        await api.client_of(ApiKey("simulator-key-a")).observe("session-1")
    await api.aclose()
    untrusted = f"the certificate of the AGB endpoint is not trusted: {case.says}"
    assert failed.value.message.startswith(untrusted) != case.taken, failed.value.message

    sources = (str(at.bundle), f"SSL_CERT_FILE={at.bundle}")
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"certificate {number} of {source} is broken and left out" for source in sources for number in case.broken
    ]


@contextmanager
def picky(workshop: Workshop, *clients: str) -> Iterator[Path]:
    """A server that knows one client; gives a kubeconfig that names client.pem and client.key beside it."""
    workshop.authority("root", PROPER)
    workshop.issued("server", ("subjectAltName=DNS:localhost",), by="root")
    for name in clients:
        workshop.issued(name, ("extendedKeyUsage=clientAuth",), by="root")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=workshop.path("root.pem"))
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(workshop.path("server.pem"), workshop.path("server.key"))
    kubeconfig = workshop.path("kubeconfig")
    with listening(context, Picky) as port:
        kubeconfig.write_text(
            "{current-context: c, contexts: [{name: c, context: {cluster: c, user: u}}], "
            "users: [{name: u, user: {client-certificate: client.pem, client-key: client.key}}], "
            f"clusters: [{{name: c, cluster: {{server: 'https://localhost:{port}', "
            "certificate-authority: root.pem}}]}"
        )
        yield kubeconfig


async def both_show_a_known_certificate(cluster: Cluster) -> None:
    await cluster.read("ml", "batch")
    async with await cluster.open_session(print, print) as session:
        assert (await session.get(f"{cluster.server}/watched")).status == 200


async def test_a_client_certificate_that_was_replaced_is_taken_over_when_the_old_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(tmp_path)

    def hand_out(name: str) -> None:
        for kind in ("pem", "key"):
            shutil.copy(workshop.path(f"{name}.{kind}"), workshop.path(f"client.{kind}"))
        monkeypatch.setattr(Picky, "knows", name)

    with picky(workshop, "old", "new") as kubeconfig:
        hand_out("old")
        cluster = await connect_cluster(find_cluster({"KUBECONFIG": str(kubeconfig)}))
        try:
            await cluster.read("ml", "batch")
            hand_out("new")
            await both_show_a_known_certificate(cluster)
        finally:
            await cluster.close()


async def test_a_client_certificate_beside_the_second_file_is_shown_on_both_connections_as_kubectl_does(
    kubectl_program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "second").mkdir()
    (tmp_path / "first").write_text("{current-context: c}")
    monkeypatch.setattr(Picky, "knows", "client")
    with picky(Workshop(tmp_path / "second"), "client") as second:
        environ = {"KUBECONFIG": f"{tmp_path / 'first'}{os.pathsep}{second}", "HOME": str(tmp_path)}
        asked = judge(kubectl_program, **environ)
        assert asked.returncode == 0, asked.stderr
        cluster = await connect_cluster(find_cluster(environ))
        try:
            await both_show_a_known_certificate(cluster)
        finally:
            await cluster.close()


@contextmanager
def tls_proxy(context: ssl.SSLContext, target: int) -> Iterator[int]:
    """A proxy that is spoken to over TLS, and makes its tunnels to `target`, whatever it is asked for."""

    class Handler(Tunnel):
        def target(self) -> tuple[str, int]:
            return "127.0.0.1", target

    with listening(context, Handler) as port:
        yield port


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_proxy_may_be_spoken_to_over_tls(
    loop_factory: Callable[[], asyncio.AbstractEventLoop], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(tmp_path)
    workshop.authority("root", PROPER)
    contexts = []
    for name in ("localhost", "sdk-api.example.invalid"):
        workshop.issued(name, (f"subjectAltName=DNS:{name}",), by="root")
        contexts.append(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        contexts[-1].load_cert_chain(workshop.path(f"{name}.pem"), workshop.path(f"{name}.key"))
    monkeypatch.setenv("SSL_CERT_FILE", str(workshop.path("root.pem")))

    async def ask() -> str:
        api = AgbApi(endpoint="https://sdk-api.example.invalid", timeout=30.0, on_call=lambda *_: None)
        try:
            await api.client_of(ApiKey("simulator-key-a")).observe("session-1")
        except ApiUnavailable as exc:
            return exc.message
        finally:
            await api.aclose()
        return ""

    with listening(contexts[1], Quiet) as target, tls_proxy(contexts[0], target) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{proxy}")
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            said = runner.run(ask())
    assert said == "AGB failed to serve getSession (HTTP 200)", "the stand-in was reached, and is not AGB"
