"""What each of the planted bugs cannot stand and a sound operator can, without chance: short orders for a run.

Each of them is given users whose AgbSessions all exist, run and are at rest. Whether anything went wrong is not said
here: that is the witness's and the verdict's.
"""

import json
from collections.abc import Callable, Mapping, Sequence

from agb_simulator import Entry, SimulatorControl
from agb_simulator.effects import Delay
from chaos.users import Users
from e2e.stack import eventually

Provocation = Callable[[Users, SimulatorControl], None]

ANSWERS_AFTER = 2.0
"""Seconds in which a user deletes and applies again while a call is under way."""
WITHIN = 60.0


def drift_behind_the_back(users: Users, control: SimulatorControl) -> None:
    """Somebody else pauses all sessions; once they have been looked at again, their users ask for a pause, too.

    Who acts upon what the status said of them before calls for a pause of paused sessions.
    """
    adopting = [slot for slot in users.slots if slot.adopts]
    for slot in adopting:
        control.set_status(slot.session_id, "PAUSED")
    since = control.stats()["last"]

    def all_seen() -> bool:
        entries = control.requests(since=since)
        return all(_looked_at(slot.session_id, entries) for slot in adopting)

    eventually(all_seen, within=WITHIN)
    for slot in adopting:
        users.flip(slot)


def replacement_during_a_call(users: Users, control: SimulatorControl) -> None:
    """Users ask for pauses and, while the calls are under way, replace the resources by new ones of the same names.

    Who writes the outcome into whatever object has the name by now tells it of a generation that it never had.
    """
    adopting = [slot for slot in users.slots if slot.adopts]
    ids = {slot.session_id for slot in adopting}
    late = control.add_fault(Delay(seconds=ANSWERS_AFTER), endpoint="pauseSessionAsync")
    since = control.stats()["last"]
    for slot in adopting:
        users.flip(slot)

    def all_called() -> bool:
        called = {e.session_id for e in control.requests(since=since) if e.endpoint == "pauseSessionAsync"}
        return called >= ids

    eventually(all_called, within=WITHIN, every=0.02)
    for slot in adopting:
        users.replace(slot)
    control.remove_fault(late)


def deletion(users: Users, _: SimulatorControl) -> None:
    """Users delete the resources that sessions were created for.

    Who lets a resource go before its session is released leaves the session behind.
    """
    for slot in users.slots:
        if not slot.adopts:
            users.delete(slot)


PROVOCATIONS: Mapping[str, Provocation] = {
    "no-look": drift_behind_the_back,
    "unguarded-status": replacement_during_a_call,
    "early-finalizer": deletion,
}
"""By the bug in `planted` that each is made for."""


def _looked_at(session_id: str, entries: Sequence[Entry]) -> bool:
    """Tell whether the session was among what somebody asked for: alone, or with all others."""
    return any(
        (e.endpoint == "getSession" and e.session_id == session_id)
        or (e.endpoint == "ListSession" and not json.loads(e.labels or "{}"))
        for e in entries
    )
