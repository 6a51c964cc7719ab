"""A proxy before AGB: it is named when it is the culprit, and its password is never shown."""

import asyncio
import base64
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.http import AgbApi
from agb_operator.model.errors import AgbError, ApiUnavailable

PASSWORD = "proxy-password"
ENDPOINT = "https://sdk-api.example.invalid"


@pytest.fixture(autouse=True)
def _nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@asynccontextmanager
async def proxy(status: str) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy that answers each request with `status`; gives its port, and the requests it got."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], heads


async def failure(endpoint: str = ENDPOINT) -> AgbError:
    api = AgbApi(endpoint=endpoint, timeout=30.0, on_call=lambda *_: None)
    try:
        with pytest.raises(AgbError) as failed:
            await api.client_of(ApiKey("simulator-key-a")).create(image_id="image", labels={})
    finally:
        await api.aclose()
    return failed.value


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden", "503 Service Unavailable"])
async def test_a_refusal_of_the_proxy_is_told_as_such_and_nothing_was_sent(
    status: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with proxy(status) as (port, heads):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{port}")
        error = await failure()

    assert isinstance(error, ApiUnavailable)
    assert error.message == f"the proxy before the AGB endpoint refuses (HTTP {status[:3]}) ({ENDPOINT})"
    assert not error.outcome_unknown
    credentials = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
    assert f"Proxy-Authorization: Basic {credentials}\r\n" in heads[0]
    assert PASSWORD not in caplog.text + repr(error)
    assert credentials not in caplog.text + repr(error)


async def test_a_plain_endpoint_s_proxy_that_wants_a_password_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    async with proxy("407 Proxy Authentication Required") as (port, heads):
        monkeypatch.setenv("HTTP_PROXY", f"http://me:{PASSWORD}@127.0.0.1:{port}")
        error = await failure("http://sdk-api.example.invalid")

    assert "the proxy before the AGB endpoint refuses (HTTP 407)" in error.message
    assert not error.outcome_unknown
    assert "Proxy-Authorization: Basic " in heads[0]


async def test_a_proxy_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "127.0.0.1:9")
    error = await failure()
    assert error.message == f"cannot connect to the proxy 127.0.0.1:9: Connection refused ({ENDPOINT})"
    assert not error.outcome_unknown


@pytest.mark.parametrize(
    ("environ", "says"),
    [
        ({"HTTPS_PROXY": f"socks5://me:{PASSWORD}@proxy:1080"}, "HTTPS_PROXY: a proxy of the kind socks5:// is not"),
        ({"SSL_CERT_FILE": "/none.pem"}, "SSL_CERT_FILE=/none.pem cannot be read: No such file or directory"),
        ({"SSL_CERT_FILE": __file__}, f"SSL_CERT_FILE={__file__}: there is no certificate in it"),
        ({"SSL_CERT_DIR": "/none"}, "SSL_CERT_DIR=/none is not a folder"),
    ],
)
def test_an_environment_that_cannot_be_used_is_told_by_the_variable(
    environ: dict[str, str], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=says) as error:
        AgbApi(endpoint=ENDPOINT, on_call=lambda *_: None)
    assert PASSWORD not in str(error.value)


@pytest.mark.parametrize(
    "endpoint",
    [
        "https://a..b",
        "https://.example",
        f"https://{'a' * 70}.example",
        f"https://{'.'.join(['a' * 60] * 5)}",
        "https://h:99999",
        "https://h:0",
        "https://xn--.example",
    ],
)
def test_an_endpoint_that_is_no_name_is_refused(endpoint: str) -> None:
    with pytest.raises(ValueError, match=r"endpoint|A-label"):
        AgbApi(endpoint=endpoint, on_call=lambda *_: None)


@pytest.mark.parametrize(
    "endpoint", ["https://bücher.example", "https://a_b.example", "https://[fd00::1]:8443", "http://127.0.0.1.:1"]
)
def test_an_endpoint_that_can_be_looked_up_is_taken(endpoint: str) -> None:
    AgbApi(endpoint=endpoint, on_call=lambda *_: None)
