"""Brings sessions into being for resources, and finds those that an interrupted or ambiguous create has left.

Owns the look-ups by the label that holds a resource's UID; the order of the steps is decided in `creation`.
"""

import logging
from dataclasses import dataclass, replace

from ..agb.client import SessionClient
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.resource import AgbSession
from ..model.states import Observation, SessionState
from ..model.status import OperationType
from ..policy.creation import (
    GRACE,
    LOOK_AGAIN,
    create_attempts,
    created_report,
    living,
    may_have_duplicates,
    needs_lookup,
    plan_creation,
)
from ..policy.wording import Action, Plan
from .memory import Memory, Remembered
from .status_writer import StatusWriter

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True, eq=False)
class Creation:
    """Carries out the steps of a creation."""

    memory: Memory
    status_writer: StatusWriter
    cluster_name: str
    """Value of the label `agb-operator-cluster` on created sessions."""
    clock: Clock

    async def decide(self, session: AgbSession, remembered: Remembered, client: SessionClient) -> Plan:
        """Choose the next step towards a session, after a look-up if that is due."""
        now = self.clock.wall()
        if remembered.created is not None:
            # createSession answered, but its id could not be written: nothing else happens before it is.
            report, news = created_report(
                session, session_id=remembered.created.session_id, request_id=remembered.created.request_id, now=now
            )
            # A changed spec may have been in the way: the labels are those of the one before, so they are set again.
            return Plan(report=replace(report, labels=None), requeue=0.0, events=(news,))
        found: list[Observation] = []
        if needs_lookup(session):
            if not remembered.intent_is_ours and remembered.create_sent_at is None:
                remembered.create_sent_at = self.clock.now()  # an earlier process may have sent one just now
            found = await self._lookup(session, client)
        facts = self.memory.facts(session)
        return plan_creation(session, found, now=now, facts=facts)

    async def _lookup(self, session: AgbSession, client: SessionClient) -> list[Observation]:
        """List the sessions that carry the resource's UID, whoever created them."""
        found: list[Observation] = []
        token = ""
        while True:
            page = await client.list_page(labels=session.owner_labels(), token=token)
            found.extend(page.sessions)
            token = page.next_token
            if not token:
                return found

    async def after_strays(
        self, session: AgbSession, remembered: Remembered, client: SessionClient, decided: Plan, seen: Observation
    ) -> Plan:
        """Let go only when no other session carries the resource's UID."""
        others = [s for s in living(await self._lookup(session, client)) if s.session_id != seen.session_id]
        if not others:
            return decided
        remembered.stray = others[0].session_id
        return Plan(requeue=0.0)

    async def after_duplicates(
        self, session: AgbSession, remembered: Remembered, client: SessionClient, decided: Plan
    ) -> Plan:
        """Do as decided once no session is left that carries our UID label and was never reported.

        An ambiguous create may have left one, which may show up late.
        """
        if not _duplicates_are_due(session, remembered):
            return decided
        if remembered.create_sent_at is None:
            remembered.create_sent_at = self.clock.now()  # an earlier process may have sent one just now
        if self.clock.now() - remembered.create_sent_at < GRACE:
            return Plan(requeue=LOOK_AGAIN) if _ends_creation(decided) and not session.deleting else decided
        others = [s for s in living(await self._lookup(session, client)) if s.session_id != session.session_id]
        remembered.duplicates_checked = not others
        remembered.duplicates_found = bool(others)
        for other in others:
            # Lists may be old, and a release is for good.
            match (await client.observe(other.session_id)).state:
                case SessionState.RUNNING:
                    logger.warning(
                        "%s: releasing session %s, a duplicate of %s", session.key, other.session_id, session.session_id
                    )
                    await client.release(other.session_id)
                    return Plan(requeue=LOOK_AGAIN)
                case SessionState.PAUSED:  # by somebody else; AGB refuses to release it so
                    await client.resume(other.session_id)
                    return Plan(requeue=LOOK_AGAIN)
        return decided

    async def create(self, session: AgbSession, remembered: Remembered, client: SessionClient) -> float:
        """Send createSession and write the new id; returns the seconds until the next pass."""
        remembered.create_sent_at = self.clock.now()
        try:
            remembered.created = created = await client.create(
                image_id=session.image_id, labels=session.session_labels(self.cluster_name)
            )
        except AgbError as error:
            remembered.create_sent_at = self.clock.now() if error.outcome_unknown else None
            raise
        remembered.called_at = self.clock.now()
        report, news = created_report(
            session, session_id=created.session_id, request_id=created.request_id, now=self.clock.wall()
        )
        await self.status_writer.write(session, report, (news,))
        remembered.created = None
        return 0.0


def _ends_creation(decided: Plan) -> bool:
    """Tell whether another operation takes the place of the one that says that there may be duplicates."""
    operation = decided.report.operation if decided.report is not None else None
    return decided.action != Action.NONE or (operation is not None and operation.type != OperationType.CREATE)


def _duplicates_are_due(session: AgbSession, remembered: Remembered) -> bool:
    """Tell whether there may be one; also after another operation, if one was found that could not be released yet."""
    return not remembered.duplicates_checked and (may_have_duplicates(session) or remembered.duplicates_found)


def until_duplicates_are_checked(session: AgbSession, remembered: Remembered, requeue: float | None) -> float | None:
    """See that a pass comes once duplicates of an ambiguous create would show up."""
    if not session.session_id or session.deleting or not _duplicates_are_due(session, remembered):
        return requeue
    return GRACE if requeue is None else min(requeue, GRACE)


def note_written(session: AgbSession, written: AgbSession, remembered: Remembered) -> None:
    """Remember what a status write means for the creation."""
    if create_attempts(written) > create_attempts(session):
        # Our own intent, just written: no createSession has been sent for it yet.
        remembered.intent_is_ours, remembered.create_sent_at = True, None
    if written.session_id:
        remembered.created = None
    elif session.session_id:
        remembered.note_loss()
