"""Changing sessions: ten at a time, on after an error, and what became of each."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from agb_operator.model.errors import ClusterError, Conflict
from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.policy.intent import Schedules

from .asking import schedules_of
from .cluster import Cluster, explained
from .errors import Failed
from .orders import Order

AT_ONCE: Final = 10
"""Requests under way."""
_TRIES: Final = 5
"""Of a patch that is right for one version of the object only; the operator writes statuses in between."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of one session.

    Attributes:
        session: as the API server has it now; None if it was not changed.
        failure: why not, for people.
    """

    key: ObjectKey
    patch: Mapping[str, Any]
    session: AgbSession | None = None
    failure: str = ""


@dataclass(kw_only=True, slots=True, eq=False)
class Changes:
    """Carries an order out.

    Attributes:
        dry_run: "", `client` (nothing is sent) or `server` (nothing is kept).
    """

    cluster: Cluster
    order: Order
    dry_run: str = ""
    schedules: dict[str, tuple[Schedules, str]] = field(init=False, default_factory=dict)
    """What speaks for sessions, by namespace, and why it cannot be read."""

    async def run(self, sessions: Sequence[AgbSession]) -> AsyncIterator[Outcome]:
        """Yield what became of each, in the order given."""
        for namespace in dict.fromkeys(session.key.namespace for session in sessions):
            self.schedules[namespace] = await schedules_of(self.cluster, namespace)
        turns = asyncio.Semaphore(AT_ONCE)

        async def one(session: AgbSession) -> Outcome:
            async with turns:
                return await self._change(session)

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(session)) for session in sessions]
            for task in tasks:
                yield await task

    async def _change(self, session: AgbSession) -> Outcome:
        patch = self.order.patch(session)
        if self.dry_run == "client":
            return Outcome(key=session.key, patch=patch, session=self.order.applied(session))
        try:
            for _ in range(_TRIES):
                try:
                    return Outcome(key=session.key, patch=patch, session=await self._send(session, patch))
                except Conflict:
                    session = AgbSession.from_body(await self.cluster.session(*session.key[:2]))
                    patch = self.order.patch(session)
            return Outcome(key=session.key, patch=patch, failure="it keeps changing; try again")
        except ClusterError as error:
            return Outcome(key=session.key, patch=patch, failure=explained(error).message)
        except Failed as error:
            return Outcome(key=session.key, patch=patch, failure=error.message)

    async def _send(self, session: AgbSession, patch: Mapping[str, Any]) -> AgbSession:
        if self.order.depends_on(session):
            patch = {**patch, "metadata": {"resourceVersion": session.resource_version}}
        key = session.key
        body = await self.cluster.patch(key.namespace, key.name, patch, dry_run=self.dry_run == "server")
        return AgbSession.from_body(body)
