"""One pass over one AgbSession: observe, decide, act, report.

Owns the order of these steps and nothing of their content: the decision is `plan`'s, the calls are the session port's,
the writes are `reporter`'s. Every pass starts from what the API and the resource say now, so a restart, a lost answer
and a flipped spec all take this one path. A pass makes at most one call that changes a session.
"""

import logging
from dataclasses import dataclass, replace
from typing import Final, assert_never

from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..metrics import Metrics
from ..model.clock import Clock
from ..model.errors import (
    AgbError,
    ClusterError,
    ClusterUnavailable,
    Conflict,
    CredentialsRejected,
    IllegalState,
    NotLeading,
    ObjectNotFound,
    TerminalError,
    TransientError,
)
from ..model.resource import AgbSession, ObjectKey
from ..model.states import Observation, SessionState
from ..policy import backoff
from ..policy.decide import before_looking, plan
from ..policy.on_error import on_error
from ..policy.wording import Action, Plan
from .creation import Creation, note_written, until_duplicates_are_checked
from .memory import Memory, Remembered
from .status_writer import StatusWriter
from .store import Store

logger = logging.getLogger(__name__)

UNDECIDED: Final = 1.0
"""Seconds until a resource looks again whether an older one manages its session."""
UNDECIDED_PASSES: Final = 30
"""Passes that wait so; a claimant that cannot look for longer than that blocks nobody any more."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Decision:
    """A plan, with what it was made from; `account` is None when it needs no call."""

    plan: Plan
    client: SessionClient | None = None
    seen: Observation | None = None


@dataclass(kw_only=True, slots=True, eq=False)
class Reconciler:
    """Carries out passes; safe for many keys at once, and for one pass per key at a time."""

    store: Store
    """The resources as the watch says."""
    memory: Memory
    credentials: Credentials
    """Gives each resource its account."""
    observer: BatchedObserver
    """Looks at sessions."""
    status_writer: StatusWriter
    creation: Creation
    metrics: Metrics
    """Counts drifts and errors."""
    cluster_name: str
    """Value of the label `agb-operator-cluster` on created sessions."""
    clock: Clock

    async def reconcile(self, key: ObjectKey) -> float | None:
        """Do one pass; returns the seconds until the next one, None when watch and resync look after the resource."""
        session = self.store.get(key)
        if session is None:
            self.memory.forget(key)
            return None
        remembered = self.memory.of(session)
        try:
            return await self._pass(session, remembered)
        except NotLeading:
            return None  # another replica may be at work already, and this process is about to end
        except Conflict:
            # Somebody changed the resource meanwhile: what we meant to write is out of date.
            await self.status_writer.refresh(session)
            return 0.1 + 0.4 * self.clock.jitter()
        except ObjectNotFound:
            self.store.remove(key, session.uid)
            self.memory.forget(key)
            return None
        except ClusterError as error:
            remembered.note_failure(self.clock.now())
            self.metrics.reconcile_error("ClusterUnavailable")
            delay = self._retry(remembered)
            if isinstance(error, ClusterUnavailable) and error.retry_after is not None:
                delay = max(delay, error.retry_after)
            logger.warning("%s: the Kubernetes API did not take a write: %s", key, error)
            return delay

    async def _pass(self, session: AgbSession, remembered: Remembered) -> float | None:
        rival, certain = self.store.rival(session) if session.session_id else ("", True)
        remembered.undecided = 0 if certain else remembered.undecided + 1
        if 0 < remembered.undecided <= UNDECIDED_PASSES:
            return UNDECIDED
        decided = before_looking(session, facts=self.memory.facts(session, rival=rival if certain else ""))
        decision = _Decision(plan=decided) if decided is not None else await self._decide(session, remembered)
        requeue = await self._carry_out(session, remembered, decision)
        return until_duplicates_are_checked(session, remembered, requeue)

    async def _decide(self, session: AgbSession, remembered: Remembered) -> _Decision:
        """Look, and choose the next step; a failed look is decided upon, too."""
        try:
            client = await self.credentials.client_of(session)
            session_id = remembered.stray or session.session_id
            if session_id:
                return await self._decide_by_look(session, remembered, client, session_id)
            return _Decision(plan=await self.creation.decide(session, remembered, client), client=client)
        except AgbError as error:
            if isinstance(error, TerminalError):
                self.store.note_sight(session.key, sees=False)
            return _Decision(plan=self._on_error(session, remembered, error, attempted=Action.NONE, seen=None))

    async def _decide_by_look(
        self, session: AgbSession, remembered: Remembered, client: SessionClient, session_id: str
    ) -> _Decision:
        seen = await self.observer.observe(
            client, session_id, not_before=remembered.called_at, labelled=bool(session.image_id)
        )
        self.memory.note_look(session, seen.state, client=id(client))
        if self.store.note_sight(session.key, sees=seen.state != SessionState.NOT_FOUND):
            return _Decision(plan=Plan(requeue=UNDECIDED))
        if all(self.store.rival(session)):
            return _Decision(plan=Plan(requeue=0.0))  # an older resource has begun to manage it during the look
        decided = plan(session, seen, now=self.clock.wall(), facts=self.memory.facts(session))
        if decided.action == Action.NONE and decided.requeue:
            # The look may be seconds old, if a list told it: the next one keeps in step with it.
            age = self.clock.now() - seen.taken_at
            decided = replace(decided, requeue=backoff.rest_of(decided.requeue, age=age))
        if session.image_id:
            if decided.action == Action.REMOVE_FINALIZER:
                decided = await self.creation.after_strays(session, remembered, client, decided, seen)
            else:
                decided = await self.creation.after_duplicates(session, remembered, client, decided)
        return _Decision(plan=decided, client=client, seen=seen)

    async def _carry_out(self, session: AgbSession, remembered: Remembered, decision: _Decision) -> float | None:
        step, client = decision.plan, decision.client
        session_id = remembered.stray or session.session_id
        report = step.report
        current = self.store.get(session.key)
        if step.action != Action.NONE and (current is None or current.asks != session.asks):
            return 0.0  # what is wanted has changed during the look
        try:
            match step.action:
                case Action.NONE:
                    pass
                case Action.ADD_FINALIZER | Action.REMOVE_FINALIZER:
                    await self.status_writer.set_finalizer(session, present=step.action == Action.ADD_FINALIZER)
                    self.status_writer.announce(session, step.events)
                    return step.requeue
                case Action.CREATE:
                    assert client is not None
                    return await self.creation.create(session, remembered, client)
                case Action.PAUSE | Action.RESUME | Action.RELEASE | Action.SET_LABELS:
                    assert client is not None
                    request_id = await self._call(step.action, session, remembered, client, session_id)
                    if report is not None and report.operation is not None:
                        report = replace(report, operation=replace(report.operation, request_id=request_id))
                case _:
                    assert_never(step.action)
        except AgbError as error:
            step = self._on_error(session, remembered, error, attempted=step.action, seen=decision.seen)
            report = step.report
        else:
            if decision.seen is not None and (report is not None or step.action != Action.NONE):
                remembered.failures = 0  # a step that only waits proves nothing
        if report is not None:
            written = await self.status_writer.write(session, report, step.events)
            if written is not None:
                note_written(session, written, remembered)
            if step.drifted:
                self.metrics.drift()
        return step.requeue

    async def _call(
        self, action: Action, session: AgbSession, remembered: Remembered, client: SessionClient, session_id: str
    ) -> str:
        remembered.called = action
        try:
            match action:
                case Action.PAUSE:
                    accepted = await client.pause(session_id)
                case Action.RESUME:
                    accepted = await client.resume(session_id)
                case Action.RELEASE:
                    accepted = await client.release(session_id)
                case _:
                    labels = session.session_labels(self.cluster_name)
                    accepted = await client.set_labels(session_id, labels)
        except AgbError as error:
            if not error.outcome_unknown and not isinstance(error, IllegalState):
                remembered.called = None
            raise
        finally:
            remembered.called_at = self.clock.now()
        return accepted.request_id

    def _on_error(
        self,
        session: AgbSession,
        remembered: Remembered,
        error: AgbError,
        *,
        attempted: Action,
        seen: Observation | None,
    ) -> Plan:
        if isinstance(error, NotLeading):
            raise error
        told = error.retry_after if isinstance(error, TransientError) else None
        remembered.note_failure(self.clock.now(), told_when=told is not None)
        self.metrics.reconcile_error(error.reason)
        if isinstance(error, CredentialsRejected) and self.credentials.refused(session):
            return Plan(requeue=0.0)  # the Secret may hold a new key already
        logger.log(
            # The breaker or the answer that closed the key has been heard of once: not for every resource again.
            logging.WARNING if told is None else logging.DEBUG,
            "%s: %s failed: %s",
            session.key,
            "a look" if attempted == Action.NONE else attempted,
            error.message,
            extra={
                "namespace": session.key.namespace,
                "resource": session.key.name,
                "session_id": session.session_id,
                "request_id": error.request_id,
            },
        )
        facts = self.memory.facts(session)
        retry = self._retry(remembered) if told is None else backoff.told_delay(told, draw=self.clock.jitter())
        return on_error(session, error, facts=facts, retry=retry, attempted=attempted, seen=seen)

    def _retry(self, remembered: Remembered) -> float:
        return backoff.retry_delay(remembered.failures, draw=self.clock.jitter())
