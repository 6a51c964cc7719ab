"""One pool of connections to the Kubernetes API server: a request goes in, a JSON object or an error comes out.

It owns token and client certificate, the bound on every wait, and the session that the watch runs on. The library's
client does the work underneath: it fills in paths, adds the credentials and sends
(`param_serialize`, `call_api`). Its generated methods are left alone. They validate and copy each body, which costs
100 microseconds more a request and a tenth of a flip's CPU for its three; and their models refuse the fields that a
newer API server adds to a Lease, which we have to write back as they are. What is asked of the server is `cluster`'s.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from kubernetes.aio import config as kube_config
from kubernetes.aio.client import ApiClient
from multidict import CIMultiDict

from .. import __version__
from ..model.errors import ClusterError, ClusterUnavailable, StartupError
from ..model.proxy import Proxy
from ..shares import Shares
from .config import Access, Load, one_line
from .messages import Answer, ProxyRefused, Request, error_of, parsed, seconds, why
from .rounds import Rounds

logger = logging.getLogger(__name__)

USER_AGENT = f"agb-operator/{__version__}"
"""Its part before the slash is also the field manager that `managedFields` names for our writes."""

_UNBOUNDED = aiohttp.ClientTimeout(total=None)
"""For the library: ours bounds the whole request, the reading of a token included."""
_PAUSES = {403: 10.0, 404: 5.0, 429: 1.0}
"""Seconds between two requests of the watch, by why the server has refused one; a Retry-After may lengthen them."""
_CONCURRENT = 96
"""Requests under way at once; one namespace alone has 32. More make an API server no faster: they wait there instead of
here, time out, and each needs a connection with a TLS handshake of its own."""
_RENEWAL_PAUSE = 10.0
"""Seconds between two readings of refused credentials: an exec plugin is slow, and its issuer has limits too."""


class Connection:
    """A pool of connections to one API server, with credentials that are read again when they are refused.

    Args:
        access: where the server is and how to prove who we are.
        reload: reads that anew from where it was found; token and client certificate of the result are taken over.
        timeout: seconds that one request may take, whatever it waits for.
        user_agent: names the program to the API server.

    Attributes:
        date: the time of day by the server's last answer, as its `Date` header writes it; "" before the first.
    """

    def __init__(self, access: Access, *, reload: Load, timeout: float, user_agent: str = USER_AGENT) -> None:
        self.date = ""
        self._user_agent = user_agent
        self._access = access
        self._reload = reload
        self._timeout = timeout
        self._api = self._new_client()
        self._replaced: list[ApiClient] = []
        self._turns = Shares(_CONCURRENT)
        self._rounds = Rounds()
        self._renewing = asyncio.Lock()
        self._renewed_at = -_RENEWAL_PAUSE

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._access.configuration.host)

    @property
    def proxy(self) -> Proxy | None:
        """What stands before the server."""
        return self._access.proxy

    def busy(self, namespace: str) -> bool:
        """Tell whether as many requests about a namespace are under way as may be, so that the next has to wait."""
        return self._turns.busy(namespace)

    async def request(self, request: Request) -> dict[str, Any]:
        """Send one request with a JSON body; returns the JSON object of the answer.

        Raises:
            ClusterError: the request failed, or there was no answer within the timeout.
        """
        with self._translated():
            # The wait for a turn is ours, not the server's, so it does not count.
            async with self._turns.turn(request.names.get("namespace", "")), asyncio.timeout(self._timeout):
                answer = await self._send(request)
        self.date = answer.headers.get("Date", "")
        reply = parsed(answer)
        if answer.status >= 300:
            raise error_of(answer, reply, request=f"{request.method} {request.shown}")
        if not reply:
            raise ClusterUnavailable(f"the API server at {self.server} answered something that is not a JSON object")
        return reply

    async def try_watch(self, request: Request) -> None:
        """See that a watch is accepted, on a session such as the watch itself will have.

        Raises:
            ClusterError: it is not.
        """
        with self._translated():
            address, query = self.server + request.shown, [*request.query, ("watch", "true")]
            async with (
                asyncio.timeout(self._timeout),
                await self._new_session() as session,
                session.get(address, params=query) as answer,
            ):
                if answer.status == 200:
                    if answer.connection is not None and answer.connection.transport is not None:
                        answer.connection.transport.abort()  # a watch has no end to be waited for
                    return
                refused = Answer(status=answer.status, headers=answer.headers, body=await answer.read())
        raise error_of(refused, parsed(refused), request=f"watch {request.shown}")

    async def open_session(
        self,
        on_answer: Callable[[str], None],
        on_refused: Callable[[str, int], None],
        *middlewares: aiohttp.ClientMiddlewareType,
    ) -> aiohttp.ClientSession:
        """Open a session of its own with the same TLS, proxy and (present) credentials; the caller closes it.

        The watch runs on it, and asks for another one when the server refuses this one's token: so this waits until
        the server accepts the credentials, or the two would go round as fast as they can. `on_answer` is told
        the path of each request that the server accepted, when it begins to answer.

        A request that the server does not allow (403), does not know (404) or does not want now (429) is sent again and
        again: kopf would take the refusal for the end of everything or sleep for as long as it is told, and rights in
        one namespace come and go with that namespace. `on_refused` is told the path and the status.
        What is accepted and yet goes round is held back by `rounds`.
        The `middlewares` are the outer ones. Paths are told without the prefix that the server's address may have.
        """
        await self._accepted()
        prefix = urlsplit(self.server).path

        async def patient(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
            while (answer := await send(request)).status in _PAUSES:
                answer.release()
                on_refused(request.url.path.removeprefix(prefix), answer.status)
                await asyncio.sleep(max(_PAUSES[answer.status], seconds(answer.headers.get("Retry-After")) or 0.0))
            return answer

        async def accepted(_: aiohttp.ClientSession, __: Any, end: aiohttp.TraceRequestEndParams) -> None:
            if end.response.status == 200:
                on_answer(end.url.path.removeprefix(prefix))

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(accepted)
        return await self._new_session(*middlewares, patient, self._rounds.middleware, trace_configs=[trace])

    async def close(self) -> None:
        """Close the pool."""
        for client in (*self._replaced, self._api):
            await client.close()

    async def _new_session(self, *middlewares: aiohttp.ClientMiddlewareType, **more: Any) -> aiohttp.ClientSession:
        token = await self._token()
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=self._access.tls),
            proxy=self._access.configuration.proxy,
            read_bufsize=2**21,  # one line of a watch holds one object, and objects may be large
            **_session_arguments(self._access, *middlewares, token=token, user_agent=self._user_agent),
            **more,
        )

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Raise what can go wrong on the way to the server as a `ClusterUnavailable`."""
        try:
            yield
        except TimeoutError as exc:
            raise ClusterUnavailable(f"the API server at {self.server} gave no answer in {self._timeout:g} s") from exc
        # ValueError: a token that cannot be a header's value.
        except (aiohttp.ClientError, OSError, ValueError) as exc:
            raise ClusterUnavailable(f"cannot reach the API server at {self.server}: {why(exc)}") from exc

    def _new_client(self) -> ApiClient:
        configuration = self._access.configuration
        configuration.retries = None  # who tries again, and when, is the callers' affair; False would mean without end
        configuration.connection_pool_maxsize = 0  # as many as there are requests under way; `_CONCURRENT` bounds them
        # `trust_env` would look through the environment and for a .netrc at each request.
        configuration.client_session_kwargs = {
            "trust_env": False,
            **_session_arguments(self._access, user_agent=self._user_agent),
        }
        client = ApiClient(configuration)
        client.user_agent = self._user_agent
        client.rest_client.ssl_context = self._access.tls
        return client

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
        certificate = self._access.certificate
        refused, token = await self._send_once(request)
        if refused.status != 401:
            return refused
        await self._renew()
        if await self._token() == token and self._access.certificate == certificate:
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
            known, self._access = self._access, fresh
            if fresh.certificate != known.certificate:
                # Connections keep the certificate that they were made with. The old pool may have requests under way.
                for client in self._replaced:
                    await client.close()
                self._replaced = [self._api]
                self._api = self._new_client()
            logger.info("read the credentials again, as the API server refused them")

    async def _token(self) -> str:
        # In a pod this re-reads the token file once a minute: the kubelet replaces it before it expires.
        try:
            token = await self._access.configuration.get_api_key_with_prefix("BearerToken")
        except kube_config.ConfigException as exc:
            raise ConnectionError(f"cannot read the token: {one_line(exc)}") from exc
        return (token or "").strip()


def _session_arguments(
    access: Access, *middlewares: aiohttp.ClientMiddlewareType, user_agent: str, token: str = ""
) -> dict[str, Any]:
    """Give what every session to this server has in common: its headers, and what aiohttp takes for a request only."""
    proxy, server_name = access.proxy, access.configuration.tls_server_name

    async def adapted(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        if server_name:
            request.server_hostname = server_name
        if proxy is None:
            return await send(request)
        if proxy.authorization and request.is_ssl():
            request.proxy_headers = CIMultiDict({"Proxy-Authorization": proxy.authorization})
        elif proxy.authorization:
            request.headers["Proxy-Authorization"] = proxy.authorization
        try:
            return await send(request)
        except aiohttp.ClientHttpProxyError as exc:
            raise ProxyRefused(f"the proxy {proxy.url} refuses (HTTP {exc.status})") from None

    headers = CIMultiDict({"User-Agent": user_agent})
    headers.extend(access.impersonation)
    if token:
        headers["Authorization"] = token
    inner = [adapted] if proxy or server_name else []  # one more costs each request a little
    return {"headers": headers, "middlewares": [*middlewares, *inner]}
