"""The seconds that sessions ran and slept while this replica led: what is gone stays counted."""

from dataclasses import replace
from datetime import datetime

from agb_operator.control.session_seconds import SessionSeconds
from agb_operator.control.store import Store
from agb_operator.model.clock import Clock
from agb_operator.model.resource import AgbSession
from agb_operator.model.status import SessionStatus, Usage, UsageState
from unit.builders import NOW, a_session


class Leader:
    """A store, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        clock = Clock(now=lambda: self.now, wall=lambda: NOW, jitter=lambda: 0.0)
        self.seconds = SessionSeconds(clock=clock)
        self.store = Store(on_change=(self.seconds.changed,))

    def sums(self) -> dict[tuple[str, str], float]:
        return dict(self.seconds.sums())


def session(state: UsageState | None, *, since: datetime = NOW, name: str = "s", uid: str = "u") -> AgbSession:
    usage = None if state is None else Usage(state=state, counted_until=since)
    return a_session(status=SessionStatus(usage=usage), name=name, uid=uid)


def test_each_session_counts_as_what_its_usage_says_and_since_this_process_knows_it() -> None:
    leader = Leader()
    for name, state in (("a", UsageState.RUNNING), ("b", UsageState.RUNNING), ("c", UsageState.PAUSED)):
        leader.store.put(session(state, name=name, uid=name))
    leader.store.put(session(UsageState.NONE, name="d", uid="d"))
    leader.store.put(session(None, name="e", uid="e"))

    leader.now += 10

    assert leader.sums() == {("ml", "Running"): 20.0, ("ml", "Paused"): 10.0}


def test_a_session_that_falls_asleep_changes_the_meter() -> None:
    leader = Leader()
    leader.store.put(session(UsageState.RUNNING))
    leader.now += 10
    leader.store.put(replace(session(UsageState.PAUSED), resource_version="101"))
    leader.now += 5

    assert leader.sums() == {("ml", "Running"): 10.0, ("ml", "Paused"): 5.0}


def test_what_is_gone_stays_counted_and_counts_no_further() -> None:
    leader = Leader()
    gone = session(UsageState.PAUSED)
    leader.store.put(gone)
    leader.now += 10
    leader.store.remove(gone.key, gone.uid)
    leader.now += 10

    assert leader.sums() == {("ml", "Paused"): 10.0}


def test_another_resource_of_the_same_name_is_another_one() -> None:
    leader = Leader()
    leader.store.put(session(UsageState.PAUSED, uid="one"))
    leader.now += 10
    leader.store.put(session(UsageState.RUNNING, uid="other"))
    leader.now += 10

    assert leader.sums() == {("ml", "Paused"): 10.0, ("ml", "Running"): 10.0}


def test_the_sums_never_go_back_however_often_they_are_read() -> None:
    leader = Leader()
    leader.store.put(session(UsageState.RUNNING))
    leader.store.put(session(UsageState.RUNNING, name="t", uid="t"))

    seen = []
    for _ in range(1000):
        leader.now += 0.1
        seen.append(leader.sums()["ml", "Running"])

    assert seen == sorted(seen)
