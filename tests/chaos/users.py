"""The users of a run: a fleet of AgbSessions, created and adopted ones, that they change at random all the time.

What they ask for is not remembered here: an answer may be lost, so the API server's own word is what counts in the end.
"""

import random
import threading
import time
from dataclasses import dataclass
from functools import partial
from typing import Any

from agb_simulator import SimulatorControl
from chaos.api import Refused, Sessions
from chaos.journal import Journal
from e2e.stack import KEY, eventually

IMAGE = "agb-code-space-1"
GROUP = "group"
"""The label by which schedules select; it is one of `GROUPS`."""
GROUPS = ("a", "b", "c", "d")
GONE_WITHIN = 60.0
"""Seconds that a deleted resource may take to make room for the next one of its name, when nothing is broken."""


@dataclass(kw_only=True, slots=True)
class Slot:
    """One name, under which AgbSessions live one after the other."""

    name: str
    adopts: bool
    exists: bool = False
    paused: bool = False
    session_id: str = ""
    """What it adopts."""
    group: str = GROUPS[0]


class Users:
    """Owns the names and what happens to them.

    Args:
        sessions: the API server.
        control: the simulator, for sessions to adopt.
        journal: told of each action.
        count: how many names there are.
        pace: actions a second.
        seed: makes the choices repeatable.
    """

    def __init__(
        self, *, sessions: Sessions, control: SimulatorControl, journal: Journal, count: int, pace: float, seed: int
    ) -> None:
        self._sessions = sessions
        self._control = control
        self._journal = journal
        self._pace = pace
        self._random = random.Random(seed)
        self.slots = [
            Slot(name=f"s{n:03}", adopts=n % 2 == 1, group=GROUPS[n // 2 % len(GROUPS)]) for n in range(count)
        ]
        self._round = 0
        self.adopted: set[str] = set()
        """Sessions that were made elsewhere; nobody has asked to end one of them."""

    def settle_in(self) -> None:
        """Apply the whole fleet."""
        for slot in self.slots:
            while not slot.exists:
                self._apply(slot, paused=self._random.random() < 0.3)

    def line_up(self) -> None:
        """Let all of them exist and run."""
        for slot in self.slots:
            eventually(partial(self._present, slot), within=GONE_WITHIN)
            if slot.paused:
                self.flip(slot)

    def _present(self, slot: Slot) -> bool:
        if not slot.exists:
            self._apply(slot, paused=False)
        return slot.exists

    def run(self, done: threading.Event) -> None:
        """Act until told to stop."""
        while not done.wait(self._random.expovariate(self._pace)):
            self._act(self._random.choice(self.slots))

    def _act(self, slot: Slot) -> None:
        if not slot.exists:
            self._apply(slot, paused=self._random.random() < 0.3)
            return
        self._round += 1
        roll = self._random.random()
        try:
            if roll < 0.55:
                self.flip(slot)
            elif roll < 0.65:
                # Faster than anybody could serve it.
                self.flip(slot)
                time.sleep(self._random.uniform(0.0, 0.3))
                self.flip(slot)
            elif roll < 0.72:
                self._sessions.annotate(slot.name, round=str(self._round))
                self._journal.count("annotated")
            elif roll < 0.80 and not slot.adopts:
                self._sessions.patch(slot.name, labels={"round": str(self._round)})
                self._journal.count("labelled")
            else:
                self._replace_amid(slot)
        except Refused as refused:
            self._refused(refused)

    def flip(self, slot: Slot) -> None:
        """Ask for the opposite."""
        slot.paused = not slot.paused
        self._sessions.patch(slot.name, paused=slot.paused)
        self._journal.count("flipped")

    def delete(self, slot: Slot) -> None:
        """Delete it; one that a session was created for lives on until the session has ended."""
        self._sessions.delete(slot.name)
        self._journal.count("deleted")
        slot.exists = False

    def replace(self, slot: Slot, *, paused: bool = False) -> None:
        """Delete it; another one of the name follows as soon as it is gone."""
        self.delete(slot)
        self._apply(slot, paused=paused)

    def _replace_amid(self, slot: Slot) -> None:
        """Replace it, mostly while something is under way."""
        if slot.adopts or self._random.random() < 0.5:
            self.flip(slot)
            time.sleep(self._random.uniform(0.0, 0.3))
        self.replace(slot, paused=self._random.random() < 0.3)

    def _apply(self, slot: Slot, *, paused: bool) -> None:
        spec: dict[str, Any] = {"pollInterval": "1s", "paused": paused}
        if slot.adopts:
            spec["sessionId"] = slot.session_id = self._control.add_session(KEY)
            self.adopted.add(slot.session_id)
        else:
            spec["imageId"] = IMAGE
            spec["labels"] = {"round": str(self._round)}
        try:
            self._sessions.create(slot.name, spec, labels={GROUP: slot.group})
        except Refused as refused:
            if refused.code == 409:  # the one before waits for its finalizer, or an answer to a create was lost
                slot.exists = self._is_there(slot.name)
            else:
                self._refused(refused)
        else:
            self._journal.count("applied")
            slot.exists, slot.paused = True, paused

    def _is_there(self, name: str) -> bool:
        try:
            items, _ = self._sessions.list()
        except Refused:
            return False
        found = [item["metadata"] for item in items if item["metadata"]["name"] == name]
        return any("deletionTimestamp" not in metadata for metadata in found)

    def _refused(self, refused: Refused) -> None:
        if refused.code in (0, 401, 403, 429) or refused.code >= 500:
            # 401 and 403: an API server that has just started does not know all rights yet.
            self._journal.count("request to the API server failed")
            time.sleep(0.2)
        elif refused.code != 404:
            self._journal.violated(f"the API server refused what a user sent: {refused}")
