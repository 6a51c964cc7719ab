"""The API client on real sockets of the loopback interface, against servers that break off, hang and talk rubbish."""

import asyncio
import gzip
import logging
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import httpx
import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.agb.transport import describe, never_sent
from agb_operator.model.errors import ApiUnavailable

KEY = "simulator-key-a"
BODY = b'{"success": true, "requestId": "R-1", "data": {"status": "RUNNING"}}'
GOOD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%%s\r\n%s" % (len(BODY), BODY)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture(autouse=True)
def _no_proxy_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@dataclass
class Seen:
    """What a server was sent, by connection."""

    connections: int = 0
    requests: list[bytes] = field(default_factory=list)
    arrived: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))


async def request_of(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    return head + await reader.readexactly(length)


def answering(*answers: bytes, then_close: bool = False) -> Callable[[Seen], Serve]:
    """A server that answers the requests of each connection in turn, the last answer for ever."""

    def bound(seen: Seen) -> Serve:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            turn = 0
            while True:
                try:
                    seen.requests.append(await request_of(reader))
                except asyncio.IncompleteReadError:
                    return
                writer.write(answers[min(turn, len(answers) - 1)])
                await writer.drain()
                turn += 1
                if then_close:
                    return

        return serve

    return bound


@asynccontextmanager
async def server(behaviour: Callable[[Seen], Serve]) -> AsyncIterator[tuple[str, Seen]]:
    seen = Seen()
    serve = behaviour(seen)
    open_connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        task = asyncio.current_task()
        assert task is not None
        open_connections.add(task)
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            open_connections.discard(task)
            writer.close()

    listening = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield f"127.0.0.1:{port}", seen
    finally:
        listening.close()
        for task in list(open_connections):
            task.cancel()
        await asyncio.gather(*open_connections, return_exceptions=True)


@asynccontextmanager
async def client(endpoint: str, *, timeout: float = 3.0) -> AsyncIterator[SessionClient]:
    api = AgbApi(endpoint=endpoint, timeout=timeout, on_call=lambda *_: None)
    try:
        yield api.client_of(ApiKey(KEY))
    finally:
        await api.aclose()


async def failed_pause(endpoint: str, *, timeout: float = 3.0) -> ApiUnavailable:
    async with client(endpoint, timeout=timeout) as account:
        with pytest.raises(ApiUnavailable) as caught:
            await account.pause("session-1")
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
    assert KEY not in shown
    assert caught.value.__context__ is None, "an exception of the libraries holds the request, and so the key"
    return caught.value


async def test_a_refused_connection_changed_nothing() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        error = await failed_pause(f"http://127.0.0.1:{unused.getsockname()[1]}")
    assert "cannot connect to the AGB endpoint: Connection refused" in error.message
    assert not error.outcome_unknown


def hang_up(seen: Seen) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await request_of(reader))

    return serve


def reset(seen: Seen) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await request_of(reader))
        # A zero linger time makes closing send a reset.
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    return serve


def speak_plainly(seen: Seen) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(GOOD % b"")
        await writer.drain()

    return serve


def hang(seen: Seen) -> Serve:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.requests.append(await request_of(reader))
        seen.arrived.release()
        await asyncio.Event().wait()

    return serve


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        pytest.param(hang_up, "broke before an answer came", id="closes"),
        pytest.param(reset, "broke before an answer came", id="resets"),
        pytest.param(hang, "no answer from the AGB endpoint in time", id="hangs"),
        pytest.param(answering(b"SSH-2.0-OpenSSH_9.9\r\n\r\n"), "not HTTP", id="is no HTTP server"),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{", then_close=True), "broke off", id="cut"
        ),
        pytest.param(
            answering(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"), "not HTTP", id="chunks"
        ),
    ],
)
async def test_after_the_request_left_the_outcome_is_unknown(behaviour: Callable[[Seen], Serve], words: str) -> None:
    async with server(behaviour) as (address, seen):
        error = await failed_pause(f"http://{address}", timeout=0.5)
    assert words in error.message
    assert error.outcome_unknown
    assert len(seen.requests) == 1, "a call is never repeated"


async def test_a_failed_tls_handshake_changed_nothing() -> None:
    async with server(speak_plainly) as (address, _):
        error = await failed_pause(f"https://{address}")
    assert "TLS handshake" in error.message
    assert not error.outcome_unknown


async def test_calls_of_all_keys_share_connections() -> None:
    async with server(answering(GOOD % b"")) as (address, seen):
        api = AgbApi(endpoint=f"http://{address}", on_call=lambda *_: None)
        for number in range(10):
            await api.client_of(ApiKey(f"simulator-key-{number}")).observe("session-1")
        await api.aclose()
    assert (seen.connections, len(seen.requests)) == (1, 10)


async def test_a_connection_that_the_server_dropped_is_replaced() -> None:
    async with (
        server(answering(GOOD % b"", then_close=True)) as (address, seen),
        client(f"http://{address}") as account,
    ):
        for _ in range(3):
            await account.observe("session-1")
            await asyncio.sleep(0.05)  # the server's FIN arrives
    assert (seen.connections, len(seen.requests)) == (3, 3)


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "X-GZip"])
async def test_an_answer_that_a_gateway_has_compressed_is_read(coding: str) -> None:
    body = gzip.compress(BODY)
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\nContent-Length: {len(body)}\r\n\r\n"
    async with server(answering(head.encode() + body)) as (address, _), client(f"http://{address}") as account:
        assert (await account.observe("session-1")).status == "RUNNING"


async def test_cookies_of_a_gateway_do_not_travel_from_one_key_to_another() -> None:
    async with server(answering(GOOD % b"Set-Cookie: tenant=a; Path=/\r\n")) as (address, seen):
        api = AgbApi(endpoint=f"http://{address}", on_call=lambda *_: None)
        for name in ("a", "b"):
            await api.client_of(ApiKey(f"simulator-key-{name}")).observe("session-1")
        await api.aclose()
    assert len(seen.requests) == 2
    assert b"cookie" not in seen.requests[1].lower()


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    async with server(answering(GOOD % b"")) as (elsewhere, followed):
        moved = f"HTTP/1.1 307 Moved\r\nLocation: http://{elsewhere}/\r\nContent-Length: 0\r\n\r\n".encode()
        async with server(answering(moved)) as (address, _):
            error = await failed_pause(f"http://{address}")
    assert "wrong address" in error.message
    assert followed.requests == []


@pytest.mark.parametrize(("exempt", "direct"), [("0.0.0.0", True), ("other.example", False)])
async def test_a_proxy_of_the_environment_is_used_unless_the_host_is_excepted(
    exempt: str, direct: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with server(answering(GOOD % b"")) as (proxy, through), server(answering(GOOD % b"")) as (address, directly):
        # 0.0.0.0 leads to this machine as 127.0.0.1 does, which never goes through a proxy.
        endpoint = f"http://{address.replace('127.0.0.1', '0.0.0.0')}"
        monkeypatch.setenv("http_proxy", f"http://{proxy}")
        monkeypatch.setenv("no_proxy", exempt)
        async with client(endpoint) as account:
            await account.observe("session-1")
    assert (len(directly.requests), len(through.requests)) == ((1, 0) if direct else (0, 1))
    if not direct:
        assert through.requests[0].startswith(f"POST {endpoint}/mcp/getSession HTTP/1.1\r\n".encode())


async def test_a_cancelled_call_ends_at_once_and_its_connection_is_not_used_again() -> None:
    async with server(hang) as (address, seen), client(f"http://{address}", timeout=30.0) as account:
        for _ in range(2):
            call = asyncio.create_task(account.pause("session-1"))
            await asyncio.wait_for(seen.arrived.acquire(), timeout=10)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
    assert seen.connections == 2


async def test_debug_logs_of_all_libraries_hold_no_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    talks_rubbish_later = answering(GOOD % b"", b"rubbish\r\n\r\n")
    async with server(talks_rubbish_later) as (address, _), client(f"http://{address}") as account:
        await account.observe("session-1")
        with pytest.raises(ApiUnavailable):
            await account.pause("session-1")
    assert "pauseSessionAsync" in caplog.text
    assert KEY not in caplog.text


# --- what the libraries' exceptions mean -----------------------------------------------------------------------

CONNECTION = aiohttp.client_reqrep.ConnectionKey("api.example", 443, True, True, None, None, None)


@pytest.mark.parametrize(
    ("failure", "words", "never"),
    [
        (aiohttp.ClientConnectorDNSError(CONNECTION, OSError(-2, "unknown")), "name of the AGB endpoint", True),
        (aiohttp.ClientConnectorError(CONNECTION, OSError(113, "No route to host")), "No route to host", True),
        (aiohttp.ClientConnectorError(CONNECTION, OSError("odd")), "no route", True),
        (aiohttp.ClientConnectorCertificateError(CONNECTION, ValueError("odd")), "certificate", True),
        (aiohttp.ConnectionTimeoutError("slow"), "no connection", True),
        (aiohttp.InvalidURL("x"), "InvalidURL", True),
        (aiohttp.SocketTimeoutError("slow"), "no answer", False),
        (aiohttp.ServerDisconnectedError(), "broke before", False),
        (aiohttp.ClientOSError(104, "reset"), "broke before", False),
        (aiohttp.ClientPayloadError("cut"), "broke off", False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
@pytest.mark.parametrize("wrapped", [False, True], ids=["raw", "as httpx.ConnectTimeout"])
def test_the_exception_of_the_transport_decides_and_not_what_httpx_calls_it(
    failure: aiohttp.ClientError, words: str, never: bool, wrapped: bool
) -> None:
    """A connection that broke is reported as httpx's `ConnectTimeout`, which reads as if nothing had been sent."""
    exc: Exception = failure
    if wrapped:
        exc = httpx.ConnectTimeout("mapped")
        exc.__cause__ = failure
    assert words in describe(exc)
    assert never_sent(exc) is never
