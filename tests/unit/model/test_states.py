"""The API's words for a session's status, folded to the cases in which the operator acts differently."""

import pytest

from agb_operator.model.states import SessionState, state_of

KNOWN = {
    "CREATING": SessionState.STARTING,
    "STARTING": SessionState.STARTING,
    "RUNNING": SessionState.RUNNING,
    "PAUSING": SessionState.PAUSING,
    "PAUSED": SessionState.PAUSED,
    "RESUMING": SessionState.RESUMING,
    "DELETING": SessionState.DELETING,
    "DELETED": SessionState.RELEASED,
    "FINISH": SessionState.RELEASED,
}


@pytest.mark.parametrize(("word", "state"), KNOWN.items())
def test_each_word_of_the_api_is_one_state(word: str, state: SessionState) -> None:
    assert state_of(word) == state


@pytest.mark.parametrize("word", ["", "FAILED", "paused", "PAUSED ", "Paused", "NOT_FOUND", "NotFound", "UNKNOWN"])
def test_a_word_that_is_not_known_is_never_taken_for_another(word: str) -> None:
    assert state_of(word) == SessionState.UNKNOWN


def test_no_word_means_not_found_because_only_an_error_code_says_so() -> None:
    assert SessionState.NOT_FOUND not in {state_of(word) for word in KNOWN}


def test_every_state_but_not_found_and_unknown_has_a_word() -> None:
    assert set(KNOWN.values()) == set(SessionState) - {SessionState.NOT_FOUND, SessionState.UNKNOWN}
