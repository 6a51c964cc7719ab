"""The adapter to the AGB HTTP API: nothing above it knows HTTP.

It owns how a request travels and its time limits. What is asked is in `requests`, what an answer means in `replies`,
what a broken connection means in `transport`, how often one may call in `guard`. It never repeats a call: the
reconciler looks again and decides.

The API key travels in a header of each request. Exceptions of the HTTP libraries hold that request, some even in
their `repr`, and their tracebacks hold its frames; so errors leave here without their cause, which is told in
the message instead.
"""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from functools import partial
from math import inf

import httpx

from .. import __version__
from ..model.errors import ApiUnavailable, EndpointUnreachable, NotLeading
from .api_key import ApiKey
from .client import SessionClient
from .replies import MUTATING, Call, Reply, accepted, read_reply, refusal
from .requests import Request, Send, client_over
from .transport import (
    PROXY_REFUSES,
    Broken,
    describe,
    network,
    never_sent,
    normalise_endpoint,
    proxy_refusal,
    receive,
    retry_after,
)

logger = logging.getLogger(__name__)


class AgbApi:
    """The API at one endpoint, with one pool of connections that all keys share.

    Args:
        endpoint: host or URL, see `normalise_endpoint`.
        timeout: seconds one answer may take (`AGB_TIMEOUT_MS`). A sixth of it is allowed for connecting; a look
            gets a third of it, since it can be repeated at once and a worker waits for it.
        on_call: told of each call: its name, the HTTP status or "error", and the seconds it took.
        leads: says whether this replica may act at this very moment. It is asked right before a request is sent, since
            much may have happened in the queues before: the process may even have been stopped for a while.
        transport: replaces the network, for tests.

    Raises:
        ValueError: the endpoint is not usable, or the environment names a proxy or certificates that are not.
    """

    def __init__(
        self,
        *,
        endpoint: str,
        timeout: float = 60.0,
        on_call: Callable[[str, str, float], None],
        leads: Callable[[], bool] = lambda: True,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.endpoint = normalise_endpoint(endpoint)
        self._connect_timeout = timeout / 6
        self._timeouts = {call: timeout if call in MUTATING else timeout / 3 for call in Call}
        self._urls = {call: httpx.URL(self.endpoint + call.path) for call in Call}
        self._on_call = on_call
        self._leads = leads
        # The transport without httpx's client around it: redirects, cookies and logins are none of ours, and they cost
        # as much as the request.
        self._transport = transport or network(self.endpoint, os.environ)

    def client_of(
        self,
        key: ApiKey,
        *,
        within: Callable[[Send], Send] = lambda send: send,
        allows: Callable[[], float] = lambda: inf,
    ) -> SessionClient:
        """Return the calls of one key; cheap, and as many as wanted may exist.

        Args:
            key: what they are sent with.
            within: puts limits around what sends a request; without it there are none.
            allows: says how many requests a second these limits let through.
        """
        return client_over(within(partial(self._send, key)), key.witness, allows)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def _send(self, key: ApiKey, request: Request) -> Reply:
        """Send one request and return its accepted answer.

        Raises:
            AgbError: the API refused it, no usable answer came, or this replica may not act.
        """
        call = request.call
        if not self._leads():
            raise NotLeading("this replica does not lead, so it calls nothing")
        loop = asyncio.get_running_loop()
        started = loop.time()
        code = "error"
        try:
            outcome = await self._exchange(key, request)
            if isinstance(outcome, Reply):
                code = str(outcome.status)
        finally:
            seconds = loop.time() - started
            self._on_call(call.label, code, seconds)
        if isinstance(outcome, ApiUnavailable):
            raise outcome
        logger.debug("%s: %s in %.3f s, request %s", call.label, code, seconds, key.redact(outcome.request_id))
        if not accepted(call, outcome):
            raise refusal(call, outcome, redact=key.redact)
        return outcome

    async def _exchange(self, key: ApiKey, request: Request) -> Reply | ApiUnavailable:
        """Send and receive. A failure is returned, so that raising it starts with no exception in flight."""
        timeout = self._timeouts[request.call]
        try:
            async with asyncio.timeout(self._connect_timeout + timeout):
                response = await self._transport.handle_async_request(self._request(key, request, timeout))
                try:
                    content = await receive(response)
                finally:
                    await response.aclose()
        except Broken as exc:
            return self._failure(request.call, key, exc)
        if response.status_code == PROXY_REFUSES:
            message = f"{proxy_refusal(response.status_code)} ({self.endpoint})"
            return EndpointUnreachable(message, http_status=PROXY_REFUSES)
        return read_reply(
            status=response.status_code,
            body=content,
            request_id=response.headers.get("x-request-id", ""),
            retry_after=retry_after(response.headers.get("retry-after", "")),
        )

    def _request(self, key: ApiKey, request: Request, timeout: float) -> httpx.Request:
        """Build the request by hand: merging it with a client's defaults costs as much as sending it."""
        url, body, query = self._urls[request.call], request.body, request.query
        return httpx.Request(
            "GET" if body is None else "POST",
            url.copy_merge_params(query) if query else url,
            headers={
                "Authorization": f"Bearer {key.reveal()}",
                "Content-Type": "application/json",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "User-Agent": f"agb-operator/{__version__}",
            },
            content=None if body is None else json.dumps(body),
            extensions={
                "timeout": {
                    "connect": self._connect_timeout,
                    "pool": self._connect_timeout,
                    "read": timeout,
                    "write": timeout,
                }
            },
        )

    def _failure(self, call: Call, key: ApiKey, exc: Exception) -> ApiUnavailable:
        logger.debug("%s: %s: %s", call.label, type(exc).__name__, key.redact(str(exc)))
        message = f"{describe(exc)} ({self.endpoint})"
        if never_sent(exc):
            return EndpointUnreachable(message)
        return ApiUnavailable(message, outcome_unknown=call in MUTATING)
