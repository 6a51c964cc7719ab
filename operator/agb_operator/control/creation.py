"""Carries out the steps of a creation: creates sessions, and ends those that an interrupted create has left.

Which step it is, and what becomes of a duplicate, is decided in `policy.creation`.
"""

import logging
from dataclasses import dataclass, replace

from ..agb.client import SessionClient
from ..model.clock import Clock
from ..model.errors import AgbError
from ..model.states import SessionState
from ..policy.creation import created
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
        remembered.called_at = self.clock.now()
        given = replace(given, now=self.clock.wall())
        return finish(given, created(given, answer))

    async def end_duplicate(self, given: Input, remembered: Remembered, client: SessionClient) -> None:
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
        remembered.duplicates.end()
