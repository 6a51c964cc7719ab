"""What the memories of all resources say together of a key."""

from agb_operator.control.memory import Memory
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import SessionState
from unit.builders import a_session, a_status

ACCOUNT = 1


def sessions(*, session_status: str) -> list[AgbSession]:
    status = a_status(session_status=session_status)
    return [a_session(name=f"s{number}", uid=f"uid-{number}", status=status) for number in range(3)]


def test_a_key_is_suspect_when_most_of_its_sessions_vanish_together() -> None:
    memory = Memory(clock=lambda: 100.0)
    seen = sessions(session_status="RUNNING")

    for session in seen:
        memory.note_look(session, SessionState.NOT_FOUND, client=ACCOUNT)

    assert all(memory.facts(session).mass_loss for session in seen)


def test_sessions_that_nobody_ever_saw_make_no_key_suspect() -> None:
    memory = Memory(clock=lambda: 100.0)
    mistyped = sessions(session_status="")

    for session in mistyped:
        memory.note_look(session, SessionState.NOT_FOUND, client=ACCOUNT)

    assert not any(memory.facts(session).mass_loss for session in mistyped)
