"""Gathers what a decision needs: looks, look-ups by label, labels, and which key has answered.

What it is worth is said by `policy.proof`; whether it is asked for, by the policy.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ..agb.batching import BatchedObserver
from ..agb.client import SessionClient
from ..agb.credentials import Credentials
from ..agb.pages import PageWalk
from ..model.clock import Clock
from ..model.errors import AgbError, ApiUnavailable, NotLeading, TerminalError
from ..model.resource import UID_LABEL, AgbSession
from ..model.states import Observation, SessionState
from ..model.status import Phase
from ..policy.backoff import KEY_GIVEN_UP
from ..policy.creation import living
from ..policy.plan import Action, Input
from ..policy.proof import Evidence, Former, Others, contradicts_a_call, release_was_taken
from .memory import SUSPICIOUS, Memory, Remembered
from .store import Store

logger = logging.getLogger(__name__)


@dataclass(kw_only=True, slots=True, eq=False)
class Gatherer:
    """Adds to an `Input` what is asked for; every method may raise any `AgbError`."""

    store: Store
    memory: Memory
    credentials: Credentials
    """Has the keys from before."""
    observer: BatchedObserver
    """Looks at sessions."""
    clock: Clock

    def key(self, given: Input, client: SessionClient) -> Input:
        """Note which key answers."""
        session = given.session
        evidence = Evidence(
            witness=client.witness(session.session_id) if session.session_id else "",
            sender=client.witness(session.uid),
            key_is_proven=self.memory.key_is_proven(session, client),
            contested=len(self.store.naming(session.session_id)) > 1,
        )
        return replace(given, evidence=evidence)

    async def look(self, given: Input, remembered: Remembered, client: SessionClient) -> Input:
        """Look at the session; what a list says against a call of ours is asked again of the session itself."""
        session = given.session
        seen = await self.observer.observe(
            client, session.session_id, not_before=remembered.called_at, labelled=bool(session.image_id)
        )
        if contradicts_a_call(session, seen, remembered.called):
            seen = await client.observe(session.session_id)
        self.memory.note_look(session, seen.state, client=client)
        given = replace(given, now=self.clock.wall(), recalled=self.memory.recall(session), seen=seen)
        return self.key(given, client)

    async def answer(self, question: Action, given: Input, client: SessionClient) -> Input:
        """Ask what the policy wants to know of the session, or of the key."""
        if question == Action.ASK_OTHERS:
            return await self._others(given, client)
        if question == Action.ASK_FORMER:
            return await self._former(given)
        return await self._labelled(given, given.session.session_id, client)

    async def _former(self, given: Input) -> Input:
        """Look with the key that saw the session."""
        session, former = given.session, Former.SILENT
        client = self.credentials.witness_of(session)
        if client is not None:
            try:
                seen = await client.observe(session.session_id)
            except NotLeading:
                raise
            except AgbError as error:
                logger.debug("%s: the key from before cannot look: %s", session.key, error.message)
            else:
                former = Former.MISSES if seen.state == SessionState.NOT_FOUND else Former.SEES
        if former != Former.MISSES:
            self.memory.note_disagreement(session)
        return replace(given, evidence=replace(given.evidence, former=former))

    async def _others(self, given: Input, client: SessionClient) -> Input:
        """Look at other sessions that the key saw, until it sees one, or as many have vanished as make it suspect.

        One that cannot be looked at holds up no deletion of another whose release AGB has taken.
        """
        vanished, failure = 0, None
        for other in self.store.sharing_key(given.session):
            saw = other.status.session_status and other.status.phase not in (Phase.LOST, Phase.DELETING)
            if not saw or other.session_id == given.session.session_id:
                continue
            if self.memory.misses(other):
                vanished += 1  # it has been looked at already
                continue
            try:
                seen = await client.observe(other.session_id)
            except TerminalError:
                continue  # that is between AGB and the other one
            except ApiUnavailable as error:
                failure = error  # and this may be
                continue
            if self.store.lives(other.uid):  # nobody forgets what is noted of one that went meanwhile
                self.memory.note_look(other, seen.state, client=client)
            if seen.state != SessionState.NOT_FOUND:
                return replace(given, evidence=replace(given.evidence, others=Others.SEEN))
            vanished += 1
            if vanished + 1 >= SUSPICIOUS:
                break
        others = Others.UNSEEN if vanished + 1 >= SUSPICIOUS else Others.NONE
        if failure is not None and others == Others.NONE and not release_was_taken(given.session):
            raise failure
        return replace(given, evidence=replace(given.evidence, others=others))

    async def look_up(self, given: Input, remembered: Remembered, client: SessionClient) -> Input:
        """Find the other living sessions that are listed for the resource's UID, and the labels of the first."""
        session = given.session
        if not remembered.intent_is_ours and remembered.create_sent_at is None:
            remembered.create_sent_at = self.clock.now()  # an earlier process may have sent one just now
        client, listed = await self._looked_for(session, remembered, client)
        found: Sequence[Observation] = [seen for seen in living(listed) if seen.session_id != session.session_id]
        given = replace(given, evidence=replace(given.evidence, looked_up_by=client.witness(session.uid)))
        if found:
            given = await self._labelled(given, found[0].session_id, client)
        if found and session.session_id:
            # Lists may be old, and a release is for good.
            found = [await client.observe(found[0].session_id), *found[1:]]
        remembered.duplicated = remembered.duplicated and bool(found)
        if not living(found):
            remembered.duplicates.end()  # a look-up that finds one does not: what failed may be its end
        return replace(given, now=self.clock.wall(), found=found, recalled=self.memory.recall(session))

    async def _labelled(self, given: Input, session_id: str, client: SessionClient) -> Input:
        labels = await client.get_labels(session_id)
        uid = labels.get(UID_LABEL, "")
        lives = uid != given.session.uid and self.store.lives(uid)
        evidence = replace(given.evidence, labels=labels, owner_lives=lives, found_by=client.witness(session_id))
        return replace(given, evidence=evidence)

    async def _looked_for(
        self, session: AgbSession, remembered: Remembered, client: SessionClient
    ) -> tuple[SessionClient, Sequence[Observation]]:
        """List what carries the resource's UID, with the key that sent its createSession if that can look."""
        may_be_sent = not session.session_id and remembered.create_sent_at is not None
        sender = self.credentials.witness_of(session) if may_be_sent else None
        if sender not in (None, client):
            try:
                listed = await self._listed(session, sender)
            except TerminalError as error:
                remembered.sender.note(self.clock.now())
                text = f"The API key with which the session was asked for cannot look for it: {error.message}"
                if remembered.sender.lasts(self.clock.now()) < KEY_GIVEN_UP:
                    raise ApiUnavailable(text) from error
                logger.debug("%s: %s", session.key, text)
            else:
                remembered.sender.end()
                return sender, listed
        return client, await self._listed(session, client)

    async def _listed(self, session: AgbSession, client: SessionClient) -> list[Observation]:
        found: dict[str, Observation] = {}
        walk = PageWalk(client=client, labels=session.owner_labels())
        while not walk.ended:
            page = await walk.next_page()
            if page.nameless:
                raise ApiUnavailable("AGB's list has a row without an id, so it does not show what there is")
            found.update((seen.session_id, seen) for seen in page.sessions)
        if walk.endless:
            raise ApiUnavailable("AGB's list of sessions has no last page, so it does not show what there is")
        return list(found.values())
