"""The adapter to the AGB HTTP API: nothing above it knows HTTP.

It owns the requests and their time limits. What an answer means is in `agb_replies`, what a broken connection means
in `agb_transport`, how often one may call in `limits`. It never repeats a call: the reconciler looks again and
decides.

The API key travels in a header of each request. Exceptions of the HTTP libraries hold that request, some even in
their `repr`, and their tracebacks hold its frames; so errors leave here without their cause, which is told in
the message instead.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Mapping

import httpx

from .. import __version__
from ..model.errors import ApiUnavailable, NotLeading, SessionNotFound
from ..model.states import Observation, SessionState, state_of
from .api_key import ApiKey
from .client import Accepted, Created, Listed, SessionClient
from .replies import MUTATING, Call, Reply, accepted, field, read_reply, refusal, shown, text
from .transport import Broken, describe, network, never_sent, normalise_endpoint, receive, retry_after

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
        ValueError: the endpoint is not usable.
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
        # httpx writes a line for each request at INFO: with thousands of looks that drowns ours, which say more.
        logging.getLogger("httpx").setLevel(logging.WARNING)
        self.endpoint = normalise_endpoint(endpoint)
        self._connect_timeout = timeout / 6
        self._timeouts = {call: timeout if call in MUTATING else timeout / 3 for call in Call}
        self._urls = {call: httpx.URL(self.endpoint + call.path) for call in Call}
        self._on_call = on_call
        self._leads = leads
        # The transport without httpx's client around it: redirects, cookies and logins are none of ours, and they cost
        # as much as the request.
        self._transport = transport or network(self.endpoint)

    def client_of(self, key: ApiKey) -> SessionClient:
        """Return the calls of one key; cheap, and as many as wanted may exist."""
        return _Client(self, key)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def call(
        self,
        call: Call,
        key: ApiKey,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Reply:
        """Send one request and return its accepted answer.

        Raises:
            AgbError: the API refused it, no usable answer came, or this replica may not act.
        """
        if not self._leads():
            raise NotLeading("this replica does not lead, so it calls nothing")
        loop = asyncio.get_running_loop()
        started = loop.time()
        code = "error"
        try:
            outcome = await self._exchange(call, key, body=body, query=query)
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

    async def _exchange(
        self,
        call: Call,
        key: ApiKey,
        *,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
    ) -> Reply | ApiUnavailable:
        """Send and receive. A failure is returned, so that raising it starts with no exception in flight."""
        timeout = self._timeouts[call]
        try:
            async with asyncio.timeout(self._connect_timeout + timeout):
                response = await self._transport.handle_async_request(
                    self._request(call, key, body=body, query=query, timeout=timeout)
                )
                try:
                    content = await receive(response)
                finally:
                    await response.aclose()
        except Broken as exc:
            return self._failure(call, key, exc)
        return read_reply(
            status=response.status_code,
            body=content,
            request_id=response.headers.get("x-request-id", ""),
            retry_after=retry_after(response.headers.get("retry-after", "")),
        )

    def _request(
        self,
        call: Call,
        key: ApiKey,
        *,
        body: Mapping[str, object] | None,
        query: Mapping[str, str] | None,
        timeout: float,
    ) -> httpx.Request:
        """Build the request by hand: merging it with a client's defaults costs as much as sending it."""
        url = self._urls[call]
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
        return ApiUnavailable(
            f"{describe(exc)} ({self.endpoint})", outcome_unknown=call in MUTATING and not never_sent(exc)
        )


class _Client:
    """The calls of one key, as `SessionClient` describes them."""

    def __init__(self, api: AgbApi, key: ApiKey) -> None:
        self._api = api
        self._key = key

    def __repr__(self) -> str:
        return f"<account {self._key.fingerprint} at {self._api.endpoint}>"

    async def observe(self, session_id: str) -> Observation:
        taken_at = asyncio.get_running_loop().time()
        try:
            reply = await self._api.call(Call.GET, self._key, body={"sessionId": session_id})
        except SessionNotFound as exc:
            return Observation(
                session_id=session_id,
                status="",
                state=SessionState.NOT_FOUND,
                taken_at=taken_at,
                request_id=exc.request_id,
            )
        return _observation(
            session_id, text(reply.data_fields, "status"), taken_at=taken_at, request_id=reply.request_id
        )

    async def list_page(self, *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100) -> Listed:
        query = {"labels": json.dumps(dict(labels or {})), "maxResults": str(size)}
        if token:
            query["nextToken"] = token
        taken_at = asyncio.get_running_loop().time()
        reply = await self._api.call(Call.LIST, self._key, query=query)
        total = field(reply.fields, "count")
        total = total if isinstance(total, int) and not isinstance(total, bool) and total >= 0 else None
        next_token = field(reply.fields, "nextToken")
        rows = reply.data
        if rows is None and not total:
            rows = []  # an empty answer may leave the array out
        if not isinstance(rows, list) or not isinstance(next_token, str | None):
            raise ApiUnavailable(
                "AGB answered ListSession with something that is no list of sessions",
                http_status=reply.status,
                request_id=reply.request_id,
            )
        return Listed(
            sessions=[
                _observation(text(row, "sessionId"), text(row, "sessionStatus"), taken_at=taken_at)
                for row in rows
                if isinstance(row, dict) and text(row, "sessionId")
            ],
            next_token=next_token or "",
            total=total,
            request_id=reply.request_id,
        )

    async def create(self, *, image_id: str, labels: Mapping[str, str]) -> Created:
        body = {"labels": json.dumps(dict(labels))} if labels else {}
        reply = await self._api.call(Call.CREATE, self._key, body=body, query={"imageId": image_id})
        return Created(session_id=text(reply.data_fields, "sessionId"), request_id=reply.request_id)

    async def pause(self, session_id: str) -> Accepted:
        return await self._act(Call.PAUSE, session_id)

    async def resume(self, session_id: str) -> Accepted:
        return await self._act(Call.RESUME, session_id)

    async def release(self, session_id: str) -> Accepted:
        return await self._act(Call.RELEASE, session_id)

    async def _act(self, call: Call, session_id: str) -> Accepted:
        reply = await self._api.call(call, self._key, body={"sessionId": session_id})
        return Accepted(request_id=reply.request_id)

    async def set_labels(self, session_id: str, labels: Mapping[str, str]) -> Accepted:
        query = {"sessionId": session_id, "Labels": json.dumps(dict(labels))}
        reply = await self._api.call(Call.SET_LABELS, self._key, body={}, query=query)
        return Accepted(request_id=reply.request_id)

    async def get_labels(self, session_id: str) -> Mapping[str, str]:
        reply = await self._api.call(Call.GET_LABELS, self._key, query={"sessionId": session_id})
        labels = field(reply.data_fields, "labels")
        if isinstance(labels, str) and labels:
            try:
                labels = json.loads(labels)
            except (ValueError, RecursionError):
                labels = []
        if not labels and not isinstance(labels, list):
            return {}
        if not isinstance(labels, dict):
            raise ApiUnavailable(
                "AGB answered GetLabel with something that is no set of labels",
                http_status=reply.status,
                request_id=reply.request_id,
            )
        return {str(name): value if isinstance(value, str) else json.dumps(value) for name, value in labels.items()}


def _observation(session_id: str, status: str, *, taken_at: float, request_id: str = "") -> Observation:
    status = status if state_of(status) is not SessionState.UNKNOWN else shown(status, limit=64)
    return Observation(
        session_id=session_id,
        status=status,
        state=state_of(status),
        taken_at=taken_at,
        request_id=request_id,
    )
