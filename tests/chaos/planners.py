"""Those who decide by the clock: they edit, disable, break and delete schedules, and set overrides, all the time.

Bounds of windows are whole minutes, as everywhere; an override lapses at any second.
"""

import random
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from chaos.api import Refused, Sessions
from chaos.journal import Journal
from chaos.users import GROUP, GROUPS, Users
from e2e.stack import eventually

PACE = 0.7
"""Actions a second."""
WITHIN = 60.0
"""Seconds that the API server may take for the last word, when nothing is broken any more."""
FAR = "2099-01-01T00:00"
IMPOSSIBLE: Mapping[str, Any] = {"pauseAt": "0 8 30 2 *", "resumeAt": "0 9 30 2 *"}
"""The API server takes it, and no operator can use it: there is no 30 February."""


class Planners:
    """Owns one schedule for each group of sessions."""

    def __init__(self, *, sessions: Sessions, users: Users, journal: Journal, seed: int) -> None:
        self._sessions = sessions
        self._users = users
        self._journal = journal
        self._random = random.Random(f"{seed} planners")
        self._overridden: set[str] = set()

    def run(self, done: threading.Event) -> None:
        """Act until told to stop."""
        chance = self._random
        group: Callable[[], str] = partial(chance.choice, GROUPS)
        actions: Mapping[Callable[[], str], int] = {
            lambda: self._apply(group(), "asks", windows=[_window(-2, chance.choice((1, 2, 3)))]): 3,
            lambda: self._apply(group(), "will ask", windows=[_window(1, chance.choice((2, 3)))]): 2,
            lambda: self._apply(group(), "is disabled", windows=[_window(-2, 5)], enabled=False): 2,
            lambda: self._apply(group(), "is made unusable", **IMPOSSIBLE): 1,
            lambda: self._delete(group()): 1,
            self._override: 9,
        }
        while not done.wait(chance.expovariate(PACE)):
            act = chance.choices(list(actions), weights=list(actions.values()))[0]
            try:
                self._journal.count(act())
            except Refused as refused:
                if refused.code != 404:
                    self._journal.count("request to the API server failed")

    def conclude(self) -> None:
        """Say the last word: from now on nothing that is wanted changes by the clock."""
        a, b, c, d = GROUPS
        last = [
            partial(self._apply, a, "asks", windows=[{"from": "2020-01-01T00:00", "to": FAR}]),
            partial(self._apply, b, "has asked", windows=[{"from": "2020-01-01T00:00", "to": "2020-01-02T00:00"}]),
            partial(self._apply, c, "is disabled", windows=[{"from": "2020-01-01T00:00", "to": FAR}], enabled=False),
            partial(self._delete, d),
        ]
        for number, name in enumerate(sorted(self._overridden)):
            state = ("Paused", "Running", None)[number % 3]
            override = None if state is None else {"state": state, "until": f"{FAR}:00Z"}
            last.append(partial(self._set_override, name, override))
        for act in last:
            eventually(partial(self._taken, act), within=WITHIN)

    def _taken(self, act: Callable[[], str]) -> bool:
        try:
            act()
        except Refused as refused:
            return refused.code == 404
        return True

    def _apply(self, group: str, what: str, **spec: Any) -> str:
        selector = {"matchLabels": {GROUP: group}}
        self._sessions.apply_schedule(f"group-{group}", {"selector": selector, "timeZone": "UTC", **spec})
        return f"a schedule {what}"

    def _delete(self, group: str) -> str:
        self._sessions.delete_schedule(f"group-{group}")
        return "a schedule is deleted"

    def _override(self) -> str:
        chance = self._random
        until = datetime.fromtimestamp(time.time() + chance.uniform(2.0, 40.0), UTC)
        override = {"state": chance.choice(("Paused", "Running")), "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        return self._set_override(chance.choice(self._users.slots).name, override)

    def _set_override(self, name: str, override: Mapping[str, Any] | None) -> str:
        self._sessions.patch(name, override=override)
        self._overridden.add(name)
        return "an override is set"


def _window(begins: int, ends: int) -> dict[str, str]:
    """A window by minutes from the present one."""
    now = datetime.now(UTC)
    first, to = (now + timedelta(minutes=minutes) for minutes in (begins, ends))
    return {"from": first.strftime("%Y-%m-%dT%H:%M"), "to": to.strftime("%Y-%m-%dT%H:%M")}
