"""Brings sessions into being for resources, and finds those that an interrupted or ambiguous create has left.

Owns the look-ups by the label that holds a resource's UID; the order of the steps is decided in `creation`.
"""

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from .creation import (
    GRACE,
    LOOK_AGAIN,
    create_attempts,
    created_report,
    living,
    may_have_duplicates,
    needs_lookup,
    plan_creation,
)
from .errors import AgbError
from .memory import Memories, Memory
from .reporter import Reporter
from .reports import Action, Plan
from .resource import AgbSession
from .sessions import SessionClient
from .states import Observation, SessionState
from .status import OperationType

logger = logging.getLogger(__name__)


class Creator:
    """Carries out the steps of a creation.

    Args:
        memories: what this process remembers of the resources.
        reporter: writes the new id.
        cluster_name: value of the label `agb-operator-cluster` on created sessions.
        clock: seconds of a monotonic clock.
        wall: the time of day, for statuses.
    """

    def __init__(
        self,
        *,
        memories: Memories,
        reporter: Reporter,
        cluster_name: str,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self._memories = memories
        self._reporter = reporter
        self._cluster_name = cluster_name
        self._clock = clock
        self._wall = wall

    async def decide(self, session: AgbSession, memory: Memory, account: SessionClient) -> Plan:
        """Choose the next step towards a session, after a look-up if that is due."""
        now = self._wall()
        if memory.created is not None:
            # createSession answered, but its id could not be written: nothing else happens before it is.
            report, news = created_report(
                session, session_id=memory.created.session_id, request_id=memory.created.request_id, now=now
            )
            # A changed spec may have been in the way: the labels are those of the one before, so they are set again.
            return Plan(report=replace(report, labels=None), requeue=0.0, announcements=(news,))
        found: list[Observation] = []
        if needs_lookup(session):
            if not memory.intent_is_ours and memory.create_sent_at is None:
                memory.create_sent_at = self._clock()  # an earlier process may have sent one just now
            found = await self._lookup(session, account)
        facts = self._memories.facts(session)
        return plan_creation(session, found, now=now, facts=facts)

    async def _lookup(self, session: AgbSession, account: SessionClient) -> list[Observation]:
        """List the sessions that carry the resource's UID, whoever created them."""
        found: list[Observation] = []
        token = ""
        while True:
            page = await account.list_page(labels=session.owner_labels(), token=token)
            found.extend(page.sessions)
            token = page.next_token
            if not token:
                return found

    async def after_strays(
        self, session: AgbSession, memory: Memory, account: SessionClient, decided: Plan, seen: Observation
    ) -> Plan:
        """Let go only when no other session carries the resource's UID."""
        others = [s for s in living(await self._lookup(session, account)) if s.session_id != seen.session_id]
        if not others:
            return decided
        memory.stray = others[0].session_id
        return Plan(requeue=0.0)

    async def after_duplicates(
        self, session: AgbSession, memory: Memory, account: SessionClient, decided: Plan
    ) -> Plan:
        """Do as decided once no session is left that carries our UID label and was never reported.

        An ambiguous create may have left one, which may show up late.
        """
        if not _duplicates_are_due(session, memory):
            return decided
        if memory.create_sent_at is None:
            memory.create_sent_at = self._clock()  # an earlier process may have sent one just now
        if self._clock() - memory.create_sent_at < GRACE:
            return Plan(requeue=LOOK_AGAIN) if _ends_creation(decided) and not session.deleting else decided
        others = [s for s in living(await self._lookup(session, account)) if s.session_id != session.session_id]
        memory.duplicates_checked = not others
        memory.duplicates_found = bool(others)
        for other in others:
            # Lists may be old, and a release is for good.
            match (await account.observe(other.session_id)).state:
                case SessionState.RUNNING:
                    logger.warning(
                        "%s: releasing session %s, a duplicate of %s", session.key, other.session_id, session.session_id
                    )
                    await account.release(other.session_id)
                    return Plan(requeue=LOOK_AGAIN)
                case SessionState.PAUSED:  # by somebody else; AGB refuses to release it so
                    await account.resume(other.session_id)
                    return Plan(requeue=LOOK_AGAIN)
        return decided

    async def create(self, session: AgbSession, memory: Memory, account: SessionClient) -> float:
        """Send createSession and write the new id; returns the seconds until the next pass."""
        memory.create_sent_at = self._clock()
        try:
            memory.created = created = await account.create(
                image_id=session.image_id, labels=session.session_labels(self._cluster_name)
            )
        except AgbError as error:
            memory.create_sent_at = self._clock() if error.outcome_unknown else None
            raise
        memory.called_at = self._clock()
        report, news = created_report(
            session, session_id=created.session_id, request_id=created.request_id, now=self._wall()
        )
        await self._reporter.write(session, report, (news,))
        memory.created = None
        return 0.0


def _ends_creation(decided: Plan) -> bool:
    """Tell whether another operation takes the place of the one that says that there may be duplicates."""
    operation = decided.report.operation if decided.report is not None else None
    return decided.action != Action.NONE or (operation is not None and operation.type != OperationType.CREATE)


def _duplicates_are_due(session: AgbSession, memory: Memory) -> bool:
    """Tell whether there may be one; also after another operation, if one was found that could not be released yet."""
    return not memory.duplicates_checked and (may_have_duplicates(session) or memory.duplicates_found)


def until_duplicates_are_checked(session: AgbSession, memory: Memory, requeue: float | None) -> float | None:
    """See that a pass comes once duplicates of an ambiguous create would show up."""
    if not session.session_id or session.deleting or not _duplicates_are_due(session, memory):
        return requeue
    return GRACE if requeue is None else min(requeue, GRACE)


def note_written(session: AgbSession, written: AgbSession, memory: Memory) -> None:
    """Remember what a status write means for the creation."""
    if create_attempts(written) > create_attempts(session):
        # Our own intent, just written: no createSession has been sent for it yet.
        memory.intent_is_ours, memory.create_sent_at = True, None
    if written.session_id:
        memory.created = None
    elif session.session_id:
        memory.note_loss()
