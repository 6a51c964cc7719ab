"""One pool of connections to the Kubernetes API server: a request goes in, a JSON object or an error comes out.

It owns TLS, proxy, token, the bound on every wait, and the translation of failures into the `ClusterError`
branch of `errors`. The library's client does the work underneath: it fills in paths, adds the credentials and sends
(`param_serialize`, `call_api`). Its generated methods are left alone. They validate and copy each body, which costs
100 microseconds more a request and a tenth of a flip's CPU for its three; and their models refuse the fields that a
newer API server adds to a Lease, which we have to write back as they are. What is asked of the server is `cluster`'s.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient, Configuration

from .. import __version__
from ..model.errors import (
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnavailable,
    Conflict,
    ObjectNotFound,
    StartupError,
)
from ..shares import Shares
from .config import Load, one_line, proxy_of

logger = logging.getLogger(__name__)

USER_AGENT = f"agb-operator/{__version__}"
"""Its part before the slash is also the field manager that `managedFields` names for our writes."""

_JSON = "application/json"
_TEXT_LIMIT = 300
"""Characters of the API server's own text that enter our messages."""
_UNBOUNDED = aiohttp.ClientTimeout(total=None)
"""For the library: ours bounds the whole request, the reading of a token included."""
_FORBIDDEN_PAUSE = 10.0
"""Seconds between two requests of the watch that the server does not allow."""
_CONCURRENT = 96
"""Requests under way at once; one namespace alone has 32. More make an API server no faster: they wait there instead of
here, time out, and each needs a connection with a TLS handshake of its own."""
_RENEWAL_PAUSE = 10.0
"""Seconds between two readings of refused credentials: an exec plugin is slow, and its issuer has limits too."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One request.

    Attributes:
        method: of HTTP.
        path: as a template, such as `/api/v1/namespaces/{namespace}/secrets/{name}`.
        names: what stands for the braces.
        query: names and values.
        body: becomes JSON; None is no body.
        content: the body's media type.
        accept: the answer's.
    """

    method: str = "GET"
    path: str
    names: Mapping[str, str] = field(default_factory=dict)
    query: Sequence[tuple[str, str | int]] = ()
    body: Any = None
    content: str = _JSON
    accept: str = _JSON

    @property
    def shown(self) -> str:
        """The path as people read it."""
        return self.path.format(**self.names)


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What the server replied, unread."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Connection:
    """A pool of connections to one API server, with credentials that are read again when they are refused.

    Args:
        configuration: where the server is and how to prove who we are.
        reload: reads that anew from where it was found; the token of the result is taken over. A client
            certificate is read once: a new one needs a new process.
        timeout: seconds that one request may take, whatever it waits for.
    """

    def __init__(self, configuration: Configuration, *, reload: Load, timeout: float) -> None:
        configuration.retries = False  # who retries, and when, is the callers' affair
        configuration.connection_pool_maxsize = 0  # as many as there are requests under way; `_CONCURRENT` bounds them
        # Python 3.13 refuses certificate authorities without an authority key identifier; many clusters have such
        # a one, and Go's clients, kubectl among them, accept it. Everything else about a certificate is checked.
        configuration.disable_strict_ssl_verification = True
        # `trust_env` would look through the environment and for a .netrc at each request.
        configuration.proxy = configuration.proxy or proxy_of(configuration.host, os.environ)
        configuration.client_session_kwargs = {"trust_env": False}
        self._configuration = configuration
        self._reload = reload
        self._timeout = timeout
        self._api = ApiClient(configuration)
        self._api.user_agent = USER_AGENT
        self._turns = Shares(_CONCURRENT)
        self._renewing = asyncio.Lock()
        self._renewed_at = -_RENEWAL_PAUSE

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._configuration.host)

    def busy(self, namespace: str) -> bool:
        """Tell whether as many requests about a namespace are under way as may be, so that the next has to wait."""
        return self._turns.busy(namespace)

    async def request(self, request: Request) -> dict[str, Any]:
        """Send one request with a JSON body; returns the JSON object of the answer.

        Raises:
            ClusterError: the request failed, or there was no answer within the timeout.
        """
        try:
            # The wait for a turn is ours, not the server's, so it does not count.
            async with self._turns.turn(request.names.get("namespace", "")), asyncio.timeout(self._timeout):
                answer = await self._send(request)
        except TimeoutError as exc:
            raise ClusterUnavailable(f"the API server at {self.server} gave no answer in {self._timeout:g} s") from exc
        # ValueError: a token that cannot be a header's value.
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise ClusterUnavailable(f"cannot reach the API server at {self.server}: {_why(exc)}") from exc
        reply = _parsed(answer)
        if answer.status >= 300:
            raise _error_of(answer, reply, request=f"{request.method} {request.shown}")
        if not reply:
            raise ClusterUnavailable(f"the API server at {self.server} answered something that is no JSON object")
        return reply

    async def open_session(
        self,
        on_answer: Callable[[str], None],
        on_forbidden: Callable[[str], None],
        *middlewares: aiohttp.ClientMiddlewareType,
    ) -> aiohttp.ClientSession:
        """Open a session of its own with the same TLS, proxy and (present) credentials; the caller closes it.

        The watch runs on it, and asks for another one when the server refuses this one's token: so this waits until
        the server accepts the credentials, or the two would go round as fast as they can. `on_answer` is told
        the path of each request that the server accepted, when it begins to answer.

        A request that the server does not allow (403) is sent again and again: kopf would take the refusal for the end
        of everything, and rights in one namespace come and go with that namespace. `on_forbidden` is told the path.
        The `middlewares` are the outer ones.
        """
        await self._accepted()

        async def patient(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            while (answer := await send(request)).status == 403:
                answer.release()
                on_forbidden(request.url.path)
                await asyncio.sleep(_FORBIDDEN_PAUSE)
            return answer

        async def accepted(_: aiohttp.ClientSession, __: Any, end: aiohttp.TraceRequestEndParams) -> None:
            if end.response.status == 200:
                on_answer(end.url.path)

        token = await self._token()
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(accepted)
        return aiohttp.ClientSession(
            middlewares=[*middlewares, patient],
            trace_configs=[trace],
            connector=aiohttp.TCPConnector(limit=0, ssl=self._api.rest_client.ssl_context),
            headers={"User-Agent": USER_AGENT} | ({"Authorization": token} if token else {}),
            proxy=self._configuration.proxy,
            read_bufsize=2**21,  # one line of a watch holds one object, and objects may be large
        )

    async def close(self) -> None:
        """Close the pool."""
        await self._api.close()

    async def _accepted(self) -> None:
        """Wait until the server takes our credentials; one that cannot be asked is found out soon enough."""
        while True:
            try:
                await self.request(Request(path="/version"))
            except ClusterError as exc:
                if exc.http_status == 401:
                    logger.warning("the API server refuses the credentials: %s", exc)
                    await asyncio.sleep(_RENEWAL_PAUSE)
                    continue
            return

    async def _send(self, request: Request) -> Answer:
        """Send it, and once more with fresh credentials after a 401: it was refused unread, so it happens once."""
        refused, token = await self._send_once(request)
        if refused.status != 401:
            return refused
        await self._renew()
        if await self._token() in ("", token):
            return refused
        answer, _ = await self._send_once(request)
        return answer

    async def _send_once(self, request: Request) -> tuple[Answer, str]:
        """Return the answer, and the token that the request was sent with."""
        method, url, headers, _, _ = await self._api.param_serialize(
            request.method,
            request.path,
            path_params=dict(request.names),
            query_params=list(request.query),
            header_params={"Content-Type": request.content, "Accept": request.accept},
        )
        token = await self._token()
        if token:
            headers["Authorization"] = token
        # The body goes past `param_serialize`, which would copy it value by value.
        response = await self._api.call_api(method, url, headers, body=request.body, _request_timeout=_UNBOUNDED)
        return Answer(status=response.status, headers=response.headers, body=await response.read()), token

    async def _renew(self) -> None:
        """Read the credentials again, for all requests that were refused about now."""
        async with self._renewing:
            now = asyncio.get_running_loop().time()
            if now < self._renewed_at + _RENEWAL_PAUSE:
                return
            self._renewed_at = now
            try:
                fresh = await self._reload()
            except StartupError as exc:
                logger.warning("the API server refuses the credentials, and there are no new ones: %s", exc)
                return
            self._configuration.api_key = fresh.api_key
            self._configuration.refresh_api_key_hook = fresh.refresh_api_key_hook
            logger.info("read the credentials again, as the API server refused them")

    async def _token(self) -> str:
        # In a pod this re-reads the token file once a minute: the kubelet replaces it before it expires.
        try:
            token = await self._configuration.get_api_key_with_prefix("BearerToken")
        except kube_config.ConfigException as exc:
            raise ConnectionError(f"cannot read the token: {one_line(exc)}") from exc
        return (token or "").strip()


def _why(exc: Exception) -> str:
    """Say in the words of the system why no answer came; aiohttp's own hold a tuple and the address once more."""
    if isinstance(exc, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted: {one_line(exc.certificate_error)}"
    if isinstance(exc, aiohttp.ClientConnectorError) and exc.os_error.errno:
        return os.strerror(exc.os_error.errno) if exc.os_error.errno > 0 else str(exc.os_error.strerror)
    return one_line(exc)


def _parsed(answer: Answer) -> dict[str, Any]:
    """Read the answer's JSON object; {} when it is none."""
    try:
        content = json.loads(answer.body)
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


def _error_of(answer: Answer, reply: Mapping[str, Any], *, request: str) -> ClusterError:
    """Translate a refusal. A 404 counts only as the API server's own Status: a proxy's page proves nothing."""
    status = answer.status
    text = str(reply.get("message") or "")[:_TEXT_LIMIT]
    message = f"{request}: HTTP {status}" + (f": {text}" if text else "")
    match status:
        case 401 | 403:
            return ClusterForbidden(message, http_status=status)
        case 404 if reply.get("reason") == "NotFound":
            return ObjectNotFound(message, http_status=status)
        case 409:
            return Conflict(message, http_status=status)
        case 400 | 405 | 406 | 413 | 415 | 422:
            return ClusterRefused(message, http_status=status)
    return ClusterUnavailable(message, http_status=status, retry_after=_seconds(answer.headers.get("Retry-After")))


def _seconds(retry_after: str | None) -> float | None:
    """Read Retry-After; the API server writes whole seconds, a proxy's date is left alone."""
    return float(retry_after) if retry_after and retry_after.isascii() and retry_after.isdigit() else None
