"""/healthz, /readyz, /metrics and a page for debugging, and what they are answered from.

It owns the HTTP server and the two kinds of proof of life: a part that says when it gets on (`Progress`), and the event
loop, which is measured (`LoopLag`). Which parts there are, and what failing costs, is decided in `run` and by the
kubelet: a failing /healthz means that a restart helps.
"""

import asyncio
import json
import logging
import socket
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Any, Final, Self

from aiohttp import web

from ..model.clock import Clock
from ..model.errors import StartupError

logger = logging.getLogger(__name__)

Check = Callable[[], str]
"""Says what is wrong, "" when nothing is. Called in the event loop: it looks at facts at hand and never waits."""

_BEAT: Final = 1.0
"""Seconds between two measurements of the event loop."""
_BEATS: Final = 10
"""So many measurements in a row must be bad: a long list taken in once is no failure."""
_UNMEASURED: Final = 60.0
"""Seconds without a measurement after which whoever measures has ended."""


class Progress:
    """Proof that a part of the operator gets on.

    Args:
        what: what has not happened when it fails, as in "no pass was finished".
        limit: seconds without a sign of life after which the part counts as stuck.
        clock: time.
        busy: says whether there is anything to do; a part at rest is not stuck.
    """

    def __init__(self, what: str, *, limit: float, clock: Clock, busy: Callable[[], bool] = lambda: True) -> None:
        self._what = what
        self._limit = limit
        self._clock = clock
        self._busy = busy
        self._last = self._clock.now()

    def touch(self) -> None:
        """Note that the part got on just now."""
        self._last = self._clock.now()

    def beat(self) -> None:
        """Let the time run only while there is something to do; to be called every second or so."""
        if not self._busy():
            self.touch()

    def problem(self) -> str:
        """Say what is wrong, "" when nothing is."""
        silence = self._clock.now() - self._last
        if silence <= self._limit or not self._busy():
            return ""
        return f"{self._what} for {silence:.0f} s, and {self._limit:.0f} s are allowed"


@dataclass(kw_only=True, slots=True, eq=False)
class LoopLag:
    """Measures how late the event loop is, and beats for parts whose time runs only while they are busy."""

    limit: float
    """Seconds late, ten times in a row, after which the loop counts as overloaded."""
    on_lag: Callable[[float], None]
    """Told of each measurement, in seconds."""
    clock: Clock
    beats: tuple[Callable[[], None], ...] = ()
    """Called every second."""
    _lags: deque[float] = field(init=False, default_factory=lambda: deque(maxlen=_BEATS))
    _measured_at: float | None = field(init=False, default=None)

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            due = self.clock.now() + _BEAT
            await asyncio.sleep(_BEAT)
            self._measured_at = self.clock.now()
            lag = max(0.0, self._measured_at - due)
            self._lags.append(lag)
            self.on_lag(lag)
            for beat in self.beats:
                beat()

    def problem(self) -> str:
        """Say what is wrong, "" when nothing is."""
        silence = 0.0 if self._measured_at is None else self.clock.now() - self._measured_at
        if silence > _UNMEASURED:
            return f"the event loop was not measured for {silence:.0f} s"
        if len(self._lags) < _BEATS or min(self._lags) <= self.limit:
            return ""
        return f"the event loop is {min(self._lags):.1f} s late all the time, and {self.limit:.1f} s are allowed"


class HealthServer:
    """Serves its pages while its `async with` block runs.

    Args:
        host: where to listen; "" is every interface.
        port: 0 takes a free one.
        alive: what /healthz looks at, by name.
        ready: what /readyz looks at, by name.
        page: writes the metrics for an Accept header; returns them with their content type.
        inspect: tells what is known of an AgbSession by namespace and name, None if there is none.

    Raises:
        StartupError: on entering, when the address cannot be had.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        alive: Mapping[str, Check],
        ready: Mapping[str, Check],
        page: Callable[[str], tuple[bytes, str]],
        inspect: Callable[[str, str], Mapping[str, Any] | None],
    ) -> None:
        self._host = host
        self._port = port
        self._alive = alive
        self._ready = ready
        self._page = page
        self._inspect = inspect
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/debug/agbsessions/{namespace}/{name}", self._debug)
        # An answer takes milliseconds; a client that does not read its own must not hold up the end.
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
        self.port = 0
        """The port in use, once entered."""

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await self._site().start()
        except OSError as exc:
            await self._runner.cleanup()
            raise StartupError(
                f"cannot serve /healthz on {self._host}:{self._port}: {exc.strerror}: choose another --http-address"
            ) from exc
        self.port = self._runner.addresses[0][1]
        logger.info("/healthz, /readyz and /metrics are on port %d of %s", self.port, self._host or "every interface")
        return self

    def _site(self) -> web.BaseSite:
        if self._host:
            return web.TCPSite(self._runner, self._host, self._port)
        # One socket for both families, so that port 0 means one port; IPv4 alone where there is no IPv6.
        both = socket.has_dualstack_ipv6()
        family = socket.AF_INET6 if both else socket.AF_INET
        listening = socket.create_server(("", self._port), family=family, dualstack_ipv6=both, backlog=128)
        return web.SockSite(self._runner, listening)

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _healthz(self, _: web.Request) -> web.Response:
        return _answer(self._alive)

    async def _readyz(self, _: web.Request) -> web.Response:
        return _answer(self._ready)

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self._page(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _debug(self, request: web.Request) -> web.Response:
        """Answer those who may enter the Pod: the port asks nobody who he is, and resources are of every namespace."""
        if not _is_local(request.remote or ""):
            return web.Response(status=403, text="only from inside the Pod: use kubectl port-forward or kubectl exec\n")
        namespace, name = request.match_info["namespace"], request.match_info["name"]
        told = self._inspect(namespace, name)
        if told is None:
            where = "is not known here: only the replica that leads knows resources"
            return web.Response(status=404, text=f"AgbSession {namespace}/{name} {where}\n")
        return web.Response(text=json.dumps(told, indent=2) + "\n", content_type="application/json")


def _is_local(address: str) -> bool:
    """Tell whether a request comes from this network namespace; over IPv6 an IPv4 address is wrapped."""
    try:
        remote = ip_address(address)
    except ValueError:
        return False
    wrapped = remote.ipv4_mapped if isinstance(remote, IPv6Address) else None
    return (wrapped or remote).is_loopback


def _answer(checks: Mapping[str, Check]) -> web.Response:
    """Tell each check's result on a line of its own: 200 if all are well, 503 if any is not."""
    problems = {name: _asked(check) for name, check in checks.items()}
    lines = [f"{name}: {problem or 'ok'}\n" for name, problem in problems.items()]
    return web.Response(status=503 if any(problems.values()) else 200, text="".join(lines) or "ok\n")


def _asked(check: Check) -> str:
    try:
        return check()
    except Exception as exc:
        logger.exception("a health check broke")
        return f"the check broke: {type(exc).__name__}"
