"""What is remembered of all resources says something of their key."""

import sys
import weakref
from types import FrameType
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agb_operator.agb.requests import client_over
from agb_operator.control.memory import SAME_MOMENT, SUSPICIOUS, Memory
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import SessionState
from unit.builders import a_session, a_status

CLIENT = client_over(None)  # type: ignore[arg-type]  # it is never called
ANOTHER = client_over(None)  # type: ignore[arg-type]


def sessions(*, session_status: str) -> list[AgbSession]:
    status = a_status(session_status=session_status)
    return [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(3)]


def test_a_key_is_suspect_when_most_of_its_sessions_vanish_together() -> None:
    memory = Memory(clock=lambda: 100.0)
    seen = sessions(session_status="RUNNING")

    for session in seen:
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)

    assert all(memory.recall(session).mass_loss for session in seen)


def test_sessions_that_nobody_ever_saw_make_no_key_suspect() -> None:
    memory = Memory(clock=lambda: 100.0)
    mistyped = sessions(session_status="")

    for session in mistyped:
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)

    assert not any(memory.recall(session).mass_loss for session in mistyped)


def test_sessions_that_vanished_long_ago_did_not_vanish_together_with_one_of_today() -> None:
    now = [100.0]
    memory = Memory(clock=lambda: now[0])
    status = a_status(session_status="RUNNING")
    lost = [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(SUSPICIOUS + 2)]

    for session in lost:  # one a week
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)
        now[0] += 7 * 86400.0

    assert not any(memory.recall(session).mass_loss for session in lost)


def test_a_key_that_still_sees_most_of_its_sessions_is_not_suspect() -> None:
    memory = Memory(clock=lambda: 100.0)
    status = a_status(session_status="RUNNING")
    everything = [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(10)]

    for session in everything:
        memory.note_look(session, SessionState.RUNNING, client=CLIENT)
    for session in everything[:4]:
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)

    assert not any(memory.recall(session).mass_loss for session in everything)


def test_a_key_vouches_for_a_look_that_finds_nothing_by_seeing_another_session_after_the_first_such_look() -> None:
    now = [100.0]
    memory = Memory(clock=lambda: now[0])
    gone, other, _ = sessions(session_status="RUNNING")
    vouched: list[bool] = []

    for session, state in [
        (other, SessionState.RUNNING),
        (gone, SessionState.NOT_FOUND),
        (gone, SessionState.NOT_FOUND),
        (other, SessionState.RUNNING),
        (gone, SessionState.NOT_FOUND),
        (gone, SessionState.RUNNING),
        (gone, SessionState.NOT_FOUND),
    ]:
        now[0] += 1.0
        memory.note_look(session, state, client=CLIENT)
        vouched.append(memory.recall(gone).vouched)

    assert vouched == [False, False, False, False, True, False, False]


def test_what_is_forgotten_or_moves_to_another_key_makes_none_suspect() -> None:
    memory = Memory(clock=lambda: 100.0)
    first, second, third = sessions(session_status="RUNNING")
    for session in (first, second, third):
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)

    memory.forget(first.key)
    memory.note_look(second, SessionState.NOT_FOUND, client=ANOTHER)

    assert not any(memory.recall(session).mass_loss for session in (second, third))


def test_resources_that_see_nothing_of_a_key_can_all_be_forgotten() -> None:
    memory = Memory(clock=lambda: 100.0)
    mistyped = sessions(session_status="")

    for session in mistyped:
        memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)
    for session in mistyped:
        memory.forget(session.key)


def test_a_key_that_is_replaced_or_whose_resources_are_gone_is_not_kept() -> None:
    memory = Memory(clock=lambda: 100.0)
    clients = [client_over(None) for _ in range(3)]  # type: ignore[arg-type]
    kept = [weakref.ref(client) for client in clients]
    seen = sessions(session_status="RUNNING")

    for client in clients:
        for session in seen:
            memory.note_look(session, SessionState.NOT_FOUND, client=client)
    for session in seen:
        memory.forget(session.key)
    clients.clear()
    del client

    assert [ref() for ref in kept] == [None] * 3


@given(st.lists(st.tuples(st.integers(0, 7), st.sampled_from(["seen", "missing", "forget"]), st.integers(0, 60))))
def test_what_is_counted_in_one_step_is_what_counting_all_would_find(steps: list[tuple[int, str, int]]) -> None:
    now, memory = [0.0], Memory(clock=lambda: now[0])
    status = a_status(session_status="RUNNING")
    everything = [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(8)]
    missing: dict[int, float] = {}
    seen: set[int] = set()
    seen_at = float("-inf")

    for number, what, seconds in steps:
        now[0] += seconds
        seen.discard(number)
        if what != "missing":
            missing.pop(number, None)
        match what:
            case "seen":
                seen.add(number)
                seen_at = now[0]
                memory.note_look(everything[number], SessionState.RUNNING, client=CLIENT)
            case "missing":
                missing.setdefault(number, now[0])
                memory.note_look(everything[number], SessionState.NOT_FOUND, client=CLIENT)
            case _:
                memory.forget(everything[number].key)

    for number, session in enumerate(everything):
        since = missing.get(number)
        together = 0 if since is None else sum(abs(other - since) <= SAME_MOMENT for other in missing.values())
        seen_since = since is not None and seen_at > since + SAME_MOMENT
        suspect = together >= SUSPICIOUS and together > len(seen) and not seen_since
        assert memory.recall(session).mass_loss == suspect


def test_what_a_recall_costs_does_not_grow_with_the_sessions_that_are_missing() -> None:
    def steps(number_missing: int) -> int:
        memory = Memory(clock=lambda: 100.0)
        status = a_status(session_status="RUNNING")
        lost = [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(number_missing)]
        for session in lost:
            memory.note_look(session, SessionState.NOT_FOUND, client=CLIENT)
        counted = 0

        def count(_: FrameType, __: str, ___: object) -> Any:
            nonlocal counted
            counted += 1
            return count

        before = sys.gettrace()
        sys.settrace(count)
        try:
            assert memory.recall(lost[0]).mass_loss
        finally:
            sys.settrace(before)
        return counted

    assert steps(1_000) == steps(10)
