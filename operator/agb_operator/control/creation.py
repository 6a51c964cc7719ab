"""Carries out the steps of a creation: creates sessions, and ends those that an interrupted create has left.

Which step it is, and what becomes of a duplicate, is decided in `policy.creation`.
"""

import logging
from dataclasses import dataclass, replace

from ..agb.client import SessionClient
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.resource import AgbSession
from ..model.states import SessionState
from ..policy.creation import create_attempts, created
from ..policy.plan import Input, Plan, finish
from .memory import Remembered

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True, eq=False)
class Creation:
    """Owns the call createSession, and the calls that end a duplicate."""

    cluster_name: str
    """Value of the label `agb-operator-cluster` on created sessions."""
    clock: Clock

    async def create(self, given: Input, remembered: Remembered, client: SessionClient) -> Plan:
        """Send createSession; returns what is to be written.

        Raises:
            AgbError: it failed, or may have failed.
        """
        session = given.session
        remembered.create_sent_at = self.clock.now()
        try:
            remembered.created = answer = await client.create(
                image_id=session.image_id, labels=session.session_labels(self.cluster_name)
            )
        except AgbError as error:
            remembered.create_sent_at = self.clock.now() if error.outcome_unknown else None
            raise
        remembered.created_with = seen_with = client.witness(answer.session_id)
        remembered.called_at = self.clock.now()
        given = replace(given, now=self.clock.wall())
        draft = created(given, session_id=answer.session_id, request_id=answer.request_id, seen_with=seen_with)
        return finish(given, draft)

    async def end_duplicate(self, given: Input, client: SessionClient) -> None:
        """Take the first session found one step nearer to its end.

        Raises:
            AgbError: the call failed.
        """
        assert given.found
        duplicate = given.found[0]
        logger.warning(
            "%s: ending session %s, which an interrupted create left", given.session.key, duplicate.session_id
        )
        if duplicate.state == SessionState.PAUSED:  # AGB refuses to release it so
            await client.resume(duplicate.session_id)
        else:
            await client.release(duplicate.session_id)


def unreported(given: Input, remembered: Remembered) -> Plan | None:
    """Give what is to be written if createSession answered but its id could not be written: before all else."""
    answer = remembered.created
    if answer is None or given.session.session_id:
        return None
    # A changed spec may have been in the way: the labels are those of the one before, so they are set again.
    draft = created(
        given,
        session_id=answer.session_id,
        request_id=answer.request_id,
        seen_with=remembered.created_with,
        labelled=False,
    )
    return finish(given, draft)


def note_written(session: AgbSession, written: AgbSession, remembered: Remembered) -> None:
    """Remember what a status write means for the creation."""
    if create_attempts(written) > create_attempts(session):
        # Our own intent, just written: no createSession has been sent for it yet.
        remembered.intent_is_ours, remembered.create_sent_at = True, None
    if written.session_id:
        remembered.created = None
    elif session.session_id:
        remembered.note_absence()
