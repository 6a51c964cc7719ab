"""One pass over one AgbSession: observe, decide, act, write.

Owns the order of these steps and nothing of their content: the decision is the policy's, the calls are the client
port's, the writes are `status_writer`'s. Every pass starts from what the API and the resource say now, so a restart, a
lost answer and a flipped spec all take this one path. A pass makes at most one call that changes a session.

What fails has a patience of its own by what it is: AGB, the Kubernetes API, and the care for duplicates. A status that
was not taken is tried again by itself, without another look.
"""

import logging
from dataclasses import dataclass, replace
from typing import Final

from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..model.clock import Clock
from ..model.errors import (
    AgbError,
    ClusterError,
    ClusterForbidden,
    ClusterRefused,
    ClusterUnavailable,
    Conflict,
    CredentialsRejected,
    IllegalState,
    NotLeading,
    ObjectNotFound,
    TerminalError,
    TransientError,
)
from ..model.event import Event
from ..model.resource import AgbSession, ObjectKey
from ..model.states import SessionState
from ..model.status import SessionStatus
from ..policy import backoff
from ..policy.decide import before_looking, decide
from ..policy.on_error import finalizer_refused, on_error
from ..policy.plan import FINAL, QUESTIONS, Action, Input, Plan
from .claims import Claims, Theirs, Undecided
from .creation import Creation
from .evidence import Gatherer
from .intents import Intents
from .memory import Memory, Remembered, Unwritten
from .metrics import Metrics
from .status_writer import StatusWriter
from .store import Store

logger = logging.getLogger(__name__)

UNDECIDED: Final = 1.0
"""Seconds until it is asked again whether an older resource manages the session."""
FEW_CONFLICTS: Final = 3
"""Conflicts in a row that are nothing but others who write, too."""


@dataclass(kw_only=True, slots=True, eq=False)
class Reconciler:
    """Carries out passes; safe for many keys at once, and for one pass per key at a time."""

    store: Store
    claims: Claims
    memory: Memory
    credentials: Credentials
    """Gives each resource its client."""
    gatherer: Gatherer
    status_writer: StatusWriter
    creation: Creation
    intents: Intents
    metrics: Metrics
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
        except ObjectNotFound:
            self.store.remove(key, session.uid)
            return None
        except ClusterError as error:
            return await self._on_cluster_error(session, remembered, error)

    async def _pass(self, session: AgbSession, remembered: Remembered) -> float | None:
        waiting = remembered.unwritten
        if waiting is not None and waiting.holds(session):
            await self._write(session, remembered, waiting.status, waiting.events)
            return 0.0
        judgement = self.claims.judge(session)
        if isinstance(judgement, Undecided):
            return UNDECIDED
        recalled = self.memory.recall(session, owner=judgement.owner if isinstance(judgement, Theirs) else "")
        now, wanted = self.clock.wall(), self.intents.of(session)
        given = Input(session=session, now=now, intent=wanted, recalled=recalled, cluster_name=self.cluster_name)
        plan = before_looking(given)
        if plan is not None:
            return await self._carry_out(given, remembered, plan, None)
        client: SessionClient | None = None
        try:
            client = await self.credentials.client_of(session)
            given = self.gatherer.key(given, client)
            if session.session_id:
                given = await self.gatherer.look(given, remembered, client)
                sees = given.seen is not None and given.seen.state != SessionState.NOT_FOUND
                if self.claims.note(session, sees=sees):
                    return UNDECIDED
                if isinstance(self.claims.judge(session), Theirs):
                    return 0.0  # an older resource has begun to manage it during the look
            given, plan = await self._decide(given, remembered, client)
        except AgbError as error:
            if isinstance(error, TerminalError):
                self.claims.note(session, sees=False)
            plan = self._on_error(replace(given, seen=None), remembered, error, attempted=Action.NONE)
        return await self._carry_out(given, remembered, plan, client)

    async def _decide(self, given: Input, remembered: Remembered, client: SessionClient) -> tuple[Input, Plan]:
        plan = decide(given)
        while plan.action in QUESTIONS:  # each once at most: what it brings is in the input
            if plan.action == Action.LOOK_UP:
                given = await self._look_up(given, remembered, client, may_wait=plan.status is not None)
            else:
                given = await self.gatherer.answer(plan.action, given, client)
            plan = decide(given)
        if plan.action == Action.NONE and plan.requeue and given.seen is not None:
            # The look may be seconds old, if a list told it: the next one keeps in step with it.
            age = self.clock.now() - given.seen.taken_at
            plan = replace(plan, requeue=backoff.rest_of(plan.requeue, age=age))
        return given, plan

    async def _look_up(self, given: Input, remembered: Remembered, client: SessionClient, *, may_wait: bool) -> Input:
        """Find the other sessions of the resource; if that fails, and something else is decided already, go on."""
        try:
            return await self.gatherer.look_up(given, remembered, client)
        except AgbError as error:
            if not may_wait:
                raise
            self._on_duplicate_error(given, remembered, error, "looked for")
            return replace(given, recalled=self.memory.recall(given.session))

    async def _carry_out(
        self, given: Input, remembered: Remembered, plan: Plan, client: SessionClient | None
    ) -> float | None:
        session = given.session
        if plan.action != Action.NONE and not self.intents.hold(given.desired, session, self.store.get(session.key)):
            return remembered.change_waits(self.clock.now())  # what is wanted has changed during the look
        if plan.action in (Action.ADD_FINALIZER, Action.REMOVE_FINALIZER):
            await self._set_finalizer(given, remembered, present=plan.action == Action.ADD_FINALIZER)
            remembered.cluster.end()
            self.status_writer.announce(session, plan.events)
            return plan.requeue
        if plan.action in FINAL and remembered.status_refused and plan.status is not None:
            session = await self._write(session, remembered, plan.status, ()) or session
        if plan.action != Action.NONE:
            assert client is not None
            plan = await self._act(given, remembered, plan, client)
        elif given.seen is not None and plan.status is not None:
            remembered.agb.end()  # a step that only waits proves nothing
        if plan.status is not None:
            await self._write(session, remembered, plan.status, plan.events)
        if plan.drifted:
            self.metrics.drift()
        return plan.requeue

    async def _set_finalizer(self, given: Input, remembered: Remembered, *, present: bool) -> None:
        try:
            await self.status_writer.set_finalizer(given.session, present=present)
        except (ClusterForbidden, ClusterRefused) as error:
            session = self.store.get(given.session.key) or given.session
            plan = finalizer_refused(replace(given, session=session), error)
            assert plan.status is not None
            await self._write(session, remembered, plan.status, plan.events)
            raise

    async def _act(self, given: Input, remembered: Remembered, plan: Plan, client: SessionClient) -> Plan:
        """Make the one call; returns what is to be written now that it was accepted, or failed."""
        try:
            match plan.action:
                case Action.CREATE:
                    plan = await self.creation.create(given, remembered, client)
                case Action.END_DUPLICATE:
                    await self.creation.end_duplicate(given, remembered, client)
                    self.status_writer.announce(given.session, plan.events)
                    plan = replace(plan, events=())
                case _:
                    plan = await self._call(given, remembered, plan, client)
        except AgbError as error:
            if plan.action == Action.END_DUPLICATE and not given.session.deleting:
                delay = self._on_duplicate_error(given, remembered, error, "ended")
                return replace(plan, action=Action.NONE, requeue=delay)
            return self._on_error(given, remembered, error, attempted=plan.action)
        remembered.agb.end()
        return plan

    async def _call(self, given: Input, remembered: Remembered, plan: Plan, client: SessionClient) -> Plan:
        session_id, session = given.session.session_id, given.session
        before = remembered.called
        if plan.action != Action.SET_LABELS:  # labels leave the state as the call before has made it
            remembered.called = plan.action
        try:
            match plan.action:
                case Action.PAUSE:
                    accepted = await client.pause(session_id)
                case Action.RESUME:
                    accepted = await client.resume(session_id)
                case Action.RELEASE:
                    accepted = await client.release(session_id)
                case _:
                    remembered.labels_set, remembered.labels = True, None
                    accepted = await client.set_labels(session_id, session.session_labels(self.cluster_name))
                    remembered.labels = session.labels
        except AgbError as error:
            if not error.outcome_unknown and not isinstance(error, IllegalState):
                remembered.called = before
            raise
        finally:
            remembered.called_at = self.clock.now()
        if plan.status is None or plan.status.operation is None:
            return plan
        operation = replace(plan.status.operation, request_id=accepted.request_id)
        return replace(plan, status=replace(plan.status, operation=operation))

    async def _write(
        self, session: AgbSession, remembered: Remembered, status: SessionStatus, events: tuple[Event, ...]
    ) -> AgbSession | None:
        """Write a status; one that is not taken is kept, to be tried again by itself."""
        try:
            written = await self.status_writer.write(session, status, events)
        except Conflict:
            remembered.unwritten = None
            raise
        except ClusterError:
            remembered.unwritten = Unwritten(asks=session.asks, before=session.status, status=status, events=events)
            remembered.status_refused = True
            raise
        remembered.unwritten, remembered.status_refused = None, False
        if written is not None:
            remembered.cluster.end()
            remembered.note_written(session, written)
        return written

    async def _on_cluster_error(self, session: AgbSession, remembered: Remembered, error: ClusterError) -> float:
        """Give the seconds until the next try, after a refusal of the Kubernetes API."""
        remembered.cluster.note(self.clock.now())
        failures = remembered.cluster.count
        if isinstance(error, Conflict):
            # Somebody changed the resource meanwhile: what we meant to write is out of date.
            await self.status_writer.refresh(session)
            if failures <= FEW_CONFLICTS:
                return 0.1 + 0.4 * self.clock.jitter()
        self.metrics.reconcile_error(error.reason)
        delay = backoff.retry_delay(failures, draw=self.clock.jitter(), most=backoff.MAX_WRITE_DELAY)
        if isinstance(error, ClusterUnavailable) and error.retry_after is not None:
            delay = max(delay, min(error.retry_after, backoff.MAX_DELAY))
        logger.warning("%s: the Kubernetes API did not take a write: %s %s", session.key, error, error.advice)
        return delay

    def _on_duplicate_error(self, given: Input, remembered: Remembered, error: AgbError, what: str) -> float:
        """Tell of it without a word about the session, which is well; returns the seconds until the next try."""
        if isinstance(error, NotLeading):
            raise error
        now = self.clock.now()
        remembered.duplicates.note(now)
        text = f"A session that an interrupted create may have left in addition to this one could not be {what}"
        self._note_error(given, error, text)
        if remembered.duplicates.count == 1:
            event = Event(reason="DuplicateNotEnded", message=f"{text}: {error.message}", warning=True)
            self.status_writer.announce(given.session, (event,))
        delay = backoff.LOOK_UP_AGAIN + backoff.retry_delay(remembered.duplicates.count + 4, draw=self.clock.jitter())
        remembered.look_up_at = now + delay
        return delay

    def _on_error(self, given: Input, remembered: Remembered, error: AgbError, *, attempted: Action) -> Plan:
        if isinstance(error, NotLeading):
            raise error
        told = error.retry_after if isinstance(error, TransientError) else None
        remembered.agb.note(self.clock.now(), told_when=told is not None)
        if isinstance(error, CredentialsRejected) and self.credentials.may_have_another_key(given.session):
            self.metrics.reconcile_error(error.reason)
            return Plan(requeue=0.0)  # the Secret may hold a new key already
        doing = "a look" if attempted == Action.NONE else str(attempted)
        # The breaker or the answer that closed the key has been heard of once: not for every resource again.
        self._note_error(given, error, f"{doing} failed", logging.WARNING if told is None else logging.DEBUG)
        draw, failures = self.clock.jitter(), remembered.agb.count
        retry = backoff.retry_delay(failures, draw=draw) if told is None else backoff.told_delay(told, draw=draw)
        given = replace(given, now=self.clock.wall(), recalled=self.memory.recall(given.session))
        return on_error(given, error, retry=retry, attempted=attempted)

    def _note_error(self, given: Input, error: AgbError, what: str, level: int = logging.WARNING) -> None:
        self.metrics.reconcile_error(error.reason)
        key, session_id = given.session.key, given.session.session_id
        about = {"namespace": key.namespace, "resource": key.name, "session_id": session_id}
        logger.log(level, "%s: %s: %s", key, what, error.message, extra={**about, "request_id": error.request_id})
