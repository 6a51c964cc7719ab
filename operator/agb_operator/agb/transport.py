"""Connections to the AGB endpoint, and what it means when one fails.

httpx speaks, aiohttp carries (a quarter of the CPU of httpx's own transport). Their exceptions are read here, once,
for the two things the rest needs: a sentence for people, and whether the request can have reached AGB.
"""

import logging
import os
import re
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import aiohttp
import certifi
import httpx
from httpx_aiohttp import AiohttpTransport
from multidict import CIMultiDict

from ..model.proxy import Proxy, is_name, proxy_for
from ..model.trust import client_context, trust

logger = logging.getLogger(__name__)

_IDLE_SECONDS: Final = 15.0
"""How long an unused connection is kept: short, so that a broken network leaves few dead ones in the pool."""
_MAX_BODY: Final = 8 * 1024 * 1024

PROXY_REFUSES: Final = 407
"""A status that only a proxy answers with, where it passes requests on instead of making a tunnel."""
Broken = (httpx.HTTPError, httpx.InvalidURL, aiohttp.ClientError, OSError, UnicodeError)
"""What a request can fail with; `TimeoutError` is an `OSError`, a name that nobody can look up a `UnicodeError`."""


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
    if not is_name(url.host):
        raise ValueError("the AGB endpoint is not a host name: each label must have 1 to 63 letters, digits or dashes")
    if url.port is not None and not 1 <= url.port <= 65535:
        raise ValueError("the AGB endpoint must have a port from 1 to 65535")
    return value.rstrip("/")


def network(endpoint: str, environ: Mapping[str, str]) -> httpx.AsyncBaseTransport:
    """Return the transport to `endpoint`, through the proxy and with the trust that the environment asks for.

    It keeps no cookies: a gateway's would travel from one tenant's calls to another's.

    Raises:
        ValueError: a variable names a proxy or certificates that cannot be used.
    """
    tls = _tls(environ)
    proxy = proxy_for(endpoint, environ)

    def session() -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            # Without a limit of its own, in whose queue one tenant's requests would wait behind another's.
            connector=aiohttp.TCPConnector(ssl=tls, limit=0, keepalive_timeout=_IDLE_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=proxy.url if proxy else None,
            middlewares=[_authorized(proxy)] if proxy and proxy.authorization else [],
        )

    return AiohttpTransport(verify=tls, client=session)


def _authorized(proxy: Proxy) -> aiohttp.ClientMiddlewareType:
    """Tell the proxy who we are: aiohttp takes its credentials in the address, which gets into logs, or by request."""

    async def authorized(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if request.is_ssl():
            request.proxy_headers = CIMultiDict({"Proxy-Authorization": proxy.authorization})
        else:
            request.headers["Proxy-Authorization"] = proxy.authorization
        return await send(request)

    return authorized


def _tls(environ: Mapping[str, str]) -> ssl.SSLContext:
    """Trust what SSL_CERT_FILE or SSL_CERT_DIR name, as httpx and the SDK do, else the usual authorities."""
    context = client_context()
    file, folder = environ.get("SSL_CERT_FILE"), environ.get("SSL_CERT_DIR")
    if folder and not file:
        if not Path(folder).is_dir():
            raise ValueError(f"SSL_CERT_DIR={folder} is not a folder")
        context.load_verify_locations(capath=folder)
        return context
    try:
        broken = trust(context, Path(file or certifi.where()).read_bytes())
    except OSError as exc:
        raise ValueError(f"SSL_CERT_FILE={file} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:
        raise ValueError(f"SSL_CERT_FILE={file}: {exc}") from exc
    for number in broken:
        logger.warning("certificate %d of SSL_CERT_FILE=%s is broken and left out", number, file)
    return context


async def receive(response: httpx.Response) -> bytes:
    """Read a body of bounded size; what is larger is cut, and so no longer anything that parses."""
    coding = response.headers.get("content-encoding", "")
    if "x-gzip" in coding.lower():  # RFC 9110, 8.4.1.3: the same as gzip, and unknown to httpx
        response.headers["content-encoding"] = coding.lower().replace("x-gzip", "gzip")
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


_NEVER_SENT: Final = (
    (
        httpx.ConnectError,
        httpx.ConnectTimeout,
        httpx.PoolTimeout,
        httpx.UnsupportedProtocol,
        httpx.InvalidURL,
        UnicodeError,
    ),
    (
        aiohttp.ClientConnectorError,
        aiohttp.ConnectionTimeoutError,
        aiohttp.InvalidURL,
        aiohttp.ClientHttpProxyError,
    ),
)
"""Failures before a request left, of httpx and of aiohttp."""


def never_sent(failure: Exception) -> bool:
    """Tell whether the request certainly did not reach AGB, so that nothing can have come of it.

    The transport reports a connection that broke under a request as httpx's `ConnectTimeout`, so aiohttp's own
    exception decides where there is one.
    """
    origin = _origin(failure)
    return isinstance(origin, _NEVER_SENT[isinstance(origin, aiohttp.ClientError)])


def describe(failure: Exception) -> str:
    """Say what failed in words that stay the same while it keeps failing: no addresses, no counters."""
    match _origin(failure):
        case UnicodeError() | aiohttp.ClientConnectorDNSError():
            return "the name of the AGB endpoint cannot be resolved"
        case aiohttp.ClientHttpProxyError(status=status):
            return proxy_refusal(status)
        case aiohttp.ClientProxyConnectionError(host=host, port=port, os_error=cause):
            return f"cannot connect to the proxy {host}:{port}: {_in_words(cause)}"
        case aiohttp.ClientConnectorCertificateError(certificate_error=cause):
            reason = getattr(cause, "verify_message", "") or "refused"
            return f"the certificate of the AGB endpoint is not trusted: {reason}"
        case aiohttp.ClientSSLError():
            return "the TLS handshake with the AGB endpoint failed"
        case aiohttp.ClientConnectorError(os_error=cause):
            return f"cannot connect to the AGB endpoint: {_in_words(cause)}"
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


def proxy_refusal(status: int) -> str:
    """Say that a proxy did not let the request through."""
    return f"the proxy before the AGB endpoint refuses (HTTP {status})"


def _in_words(error: OSError) -> str:
    return os.strerror(error.errno) if error.errno and error.errno > 0 else "no route"


def _origin(failure: Exception) -> BaseException:
    return failure.__cause__ if isinstance(failure.__cause__, aiohttp.ClientError) else failure
