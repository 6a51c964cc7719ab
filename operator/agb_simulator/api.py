"""The simulator as one synchronous function from request to reply.

`Api.handle` serves the lifecycle API and, below `/_sim/`, the hooks for tests. It does no I/O and never
waits: the caller carries out the reply's delay or drop. `server.py` does so over HTTP; in-process users
call it with a clock of their own, such as an event loop's virtual time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from agb_simulator.hooks import PREFIX, Hooks
from agb_simulator.requestlog import Entry
from agb_simulator.service import Service
from agb_simulator.settings import Settings
from agb_simulator.wire import Reply, Request


class Api:
    """One simulated AGB.

    `clock` gives seconds of any epoch (monotonic in production), `wall_clock` seconds since 1970 for the
    log. `keys`: the API keys that are accepted; none means any. `seed` makes ids and the probabilities of
    faults repeatable. `sink` receives each entry of the request log as it is written.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
        settings: Settings | None = None,
        keys: Sequence[str] = (),
        seed: int | None = None,
        sink: Callable[[Entry], None] | None = None,
    ) -> None:
        self._service = Service(
            clock=clock,
            wall_clock=wall_clock,
            settings=settings or Settings(),
            keys=keys,
            seed=seed,
            sink=sink,
        )
        self._hooks = Hooks(self._service)

    def handle(self, request: Request) -> Reply:
        """Answer a request; whatever a client sends is answered, never raised."""
        if request.path.startswith(PREFIX):
            return self._hooks.handle(request)
        return self._service.answer(request)
