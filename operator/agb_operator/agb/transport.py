"""Connections to the AGB endpoint, and what it means when one fails.

httpx speaks, aiohttp carries (a quarter of the CPU of httpx's own transport). Their exceptions are read here, once,
for the two things the rest needs: a sentence for people, and whether the request can have reached AGB.
"""

import os
import re
import urllib.request
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

_IDLE_SECONDS: Final = 15.0
"""How long an unused connection is kept: short, so that a broken network leaves few dead ones in the pool."""
_MAX_BODY: Final = 8 * 1024 * 1024

Broken = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError)
"""What a request can fail with; `TimeoutError` is an `OSError`."""


def normalise_endpoint(value: str) -> str:
    """Return the endpoint as a URL without a trailing slash; a bare host gets `https://`, as in the SDK.

    Raises:
        ValueError: it is no http or https address, or it carries a user, a query or a fragment.
    """
    value = value.strip()
    if "://" not in value:
        value = "https://" + value
    try:
        url = httpx.URL(value)
    except httpx.InvalidURL as exc:
        raise ValueError(f"the AGB endpoint is not a valid address: {exc}") from None
    if url.scheme not in ("http", "https") or not url.host or not value.isprintable() or " " in value:
        raise ValueError("the AGB endpoint must be a host name, or an address that starts with https://")
    if url.userinfo or url.query or url.fragment:
        raise ValueError("the AGB endpoint must not carry a user, a query or a fragment")
    return value.rstrip("/")


def network(endpoint: str) -> httpx.AsyncBaseTransport:
    """Return the transport to `endpoint`, through the proxy that `HTTPS_PROXY` and `NO_PROXY` ask for.

    It keeps no cookies: a gateway's would travel from one tenant's calls to another's.
    """
    tls = httpx.create_ssl_context()
    proxy = _proxy_for(httpx.URL(endpoint))

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # Without a limit of its own, in whose queue one tenant's requests would wait behind another's.
            connector=aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy,
        )

    return AiohttpTransport(verify=tls, client=session)


def _proxy_for(url: httpx.URL) -> str | None:
    """Read the environment once; aiohttp's own way looks at it, and at ~/.netrc, for each request."""
    if urllib.request.proxy_bypass(url.host):
        return None
    return urllib.request.getproxies().get(url.scheme)


async def receive(response: httpx.Response) -> bytes:
    """Read a body of bounded size; what is larger is cut, and so no longer anything that parses."""
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > _MAX_BODY:
            break
    return bytes(body[:_MAX_BODY])


def retry_after(value: str) -> float | None:
    """Read a `Retry-After` header, seconds or a date, as seconds from now; None when it says nothing usable."""
    value = value.strip()
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())


def never_sent(failure: Exception) -> bool:
    """Tell whether the request certainly did not reach AGB, so that nothing can have come of it.

    The transport reports a connection that broke under a request as httpx's `ConnectTimeout`, so aiohttp's own
    exception decides where there is one.
    """
    origin = _origin(failure)
    if isinstance(origin, aiohttp.ClientError):
        return isinstance(origin, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError | aiohttp.InvalidURL)
    return isinstance(
        origin,
        httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.UnsupportedProtocol | httpx.InvalidURL,
    )


def describe(failure: Exception) -> str:
    """Say what failed in words that stay the same while it keeps failing: no addresses, no counters."""
    match _origin(failure):
        case aiohttp.ClientConnectorDNSError():
            return "the name of the AGB endpoint cannot be resolved"
        case aiohttp.ClientConnectorCertificateError():
            return "the certificate of the AGB endpoint is not trusted"
        case aiohttp.ClientSSLError():
            return "the TLS handshake with the AGB endpoint failed"
        case aiohttp.ClientConnectorError(os_error=cause):
            return f"cannot connect to the AGB endpoint: {os.strerror(cause.errno) if cause.errno else 'no route'}"
        case aiohttp.ConnectionTimeoutError() | httpx.ConnectTimeout() | httpx.PoolTimeout():
            return "no connection to the AGB endpoint in time"
        case httpx.ConnectError():
            return "cannot connect to the AGB endpoint"
        case TimeoutError() | httpx.TimeoutException():
            return "no answer from the AGB endpoint in time"
        case aiohttp.ClientResponseError() | aiohttp.ClientPayloadError() | httpx.ProtocolError():
            return "the AGB endpoint sent something that is not HTTP, or broke off in the middle"
        case aiohttp.ClientConnectionError() | httpx.NetworkError() | OSError():
            return "the connection to the AGB endpoint broke before an answer came"
        case other:
            return f"the request to the AGB endpoint failed ({type(other).__name__})"


def _origin(failure: Exception) -> BaseException:
    return failure.__cause__ if isinstance(failure.__cause__, aiohttp.ClientError) else failure
