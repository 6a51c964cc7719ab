"""A rough world in which AGB lies, too: its answers are in good form, and what they say is not so.

Owns whom there is to harm (sessions of others, in the account and in another one), how a key comes to open another
account, and what people do once a message has told them.
"""

import asyncio
from typing import Any, Final

from agb_simulator.effects import OtherAccount
from integration.world import KEY, NAMESPACE, SECRET
from properties.judge import UID, Harm
from properties.rough_world import RoughWorld
from simulated import loop_time

STRANGER: Final = "simulator-key-of-a-stranger"
OTHERS: Final[tuple[dict[str, Any], ...]] = (
    {},
    {"team": "a"},
    {UID: "uid-elsewhere", "agb-operator-cluster": "elsewhere", "agb-operator-name": "s0"},
)
"""Labels of the sessions that others have: in each account, one of each kind."""
LOOKED_AT_AGAIN: Final = 130.0
"""Seconds after which each session, and the Secret, has been looked at again."""
OLDEST: Final = 12.0
"""Seconds by which lists and labels may be behind."""


class LyingWorld(RoughWorld):
    """A rough world with other people's sessions in it.

    Attributes:
        stranger: another account, with sessions of its own.
    """

    doubts_mass_loss = False
    """Under the key that saw them, an hour of steady answers proves that sessions are gone."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.stranger: Final = self.control.add_key(STRANGER)
        for key in (KEY, STRANGER):
            self.judge.foreign |= {self.control.add_session(key, labels=labels) for labels in OTHERS}
        self._untouched = self._foreign()
        self._killed_at = float("-inf")

    def _foreign(self) -> list[dict[str, Any]]:
        return [s for s in self.control.sessions() if s["sessionId"] in self.judge.foreign]

    def ours(self) -> list[str]:
        """The live sessions of the account that are not somebody else's."""
        live = [s for s in self.live() if s["account"] == self.home]
        return [s["sessionId"] for s in live if s["sessionId"] not in self.judge.foreign]

    def reported(self) -> list[str]:
        """The live sessions that were created for a resource which reports them."""
        told = {session.session_id for session in self.resources() if session.image_id}
        return [session_id for session_id in self.ours() if session_id in told]

    def has_what_it_wants(self) -> bool:
        """Tell whether no session is coming into being, so that none is asked for in the next moment."""
        there = self.ours()
        return all(s.session_id in there or s.observe_only or not s.image_id for s in self.resources())

    # Which account

    async def open_another_account(self, account: str, *, seconds: float) -> None:
        """Let the key open another account for a while, if no session is in the making."""
        if not self.has_what_it_wants():
            return
        fault = self.control.add_fault(OtherAccount(account=account))
        await asyncio.sleep(seconds)
        self.control.remove_fault(fault)
        await asyncio.sleep(LOOKED_AT_AGAIN)  # several such times in a row are as one that lasts longer

    async def use_the_key_of_a_stranger(self, *, seconds: float) -> None:
        """Let people put another account's key into the Secret, and put it right after a while.

        What a create whose answer was lost has left in the account from before can only be told of, so none is in the
        making meanwhile.
        """
        if not self.has_what_it_wants():
            return
        before = self.cluster.secrets.get((NAMESPACE, SECRET))
        self.cluster.put_secret(NAMESPACE, SECRET, apiKey=STRANGER)
        await asyncio.sleep(seconds)
        if before is None:
            del self.cluster.secrets[NAMESPACE, SECRET]
        else:
            self.cluster.secrets[NAMESPACE, SECRET] = before
        await asyncio.sleep(LOOKED_AT_AGAIN)  # until then the Secret's key is the stranger's for the operator

    # Labels

    def replace_labels(self, session_id: str, labels: dict[str, str]) -> None:
        """Let somebody set labels, by which ours are gone."""
        session = self.control.session(session_id)
        self.judge.relabelled.setdefault(session_id, session["labels"].get(UID, ""))
        self.control.set_labels(session_id, labels)

    # What an operator cannot know: a new process has not seen what the one before has called, and an old list hides it

    async def kill_operator(self, *, down: float) -> None:
        for fault in self.control.faults():
            if fault["effect"]["kind"] == "stale_list":
                self.control.remove_fault(fault["id"])
        await super().kill_operator(down=down)
        self._killed_at = loop_time()

    async def until_a_list_may_be_old(self) -> None:
        """Wait until an old list hides no call of a process that is gone."""
        await asyncio.sleep(max(0.0, self._killed_at + OLDEST + 3.0 - loop_time()))

    # How it ends

    def _read_messages(self) -> None:
        """Do as the messages say: confirm that a session is lost, or let one be that no key of ours reaches."""
        there = self.ours()
        for session in self.resources():
            if session.session_id in there:
                continue
            stalled = session.status.condition("Stalled")
            blocked = session.deleting and stalled is not None and stalled.reason == "DeletionBlocked"
            strayed = any(s["sessionId"] == session.session_id for s in self.live())
            # Without an id they have looked for the label that the message names.
            left = any(s["labels"].get(UID) == session.uid for s in self.live())
            if blocked and (strayed if session.session_id else not left):
                self.cluster.annotate(session.key.namespace, session.key.name, abandon="true")
                self.note_policies()
            else:
                self.confirm_loss(session)

    def count_orphans(self) -> None:
        """Count the sessions that nobody has at the end."""
        self.judge.counts[Harm.ORPHANED] = len(self.nobodys())

    def assert_others_untouched(self) -> None:
        """Nobody else's session has changed."""
        assert self._foreign() == self._untouched
