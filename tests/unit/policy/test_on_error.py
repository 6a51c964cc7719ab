"""What a failed look or call means: the reason, whether a person has to act, what to say, and when to try again."""

from dataclasses import replace
from typing import NamedTuple

import pytest

from agb_operator.model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsMissing,
    CredentialsRejected,
    EndpointUnreachable,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    TerminalError,
    Throttled,
    TransientError,
)
from agb_operator.model.resource import AgbSession, SecretRef
from agb_operator.model.states import Observation
from agb_operator.model.status import Phase, Truth
from agb_operator.policy.backoff import QUOTA_RECHECK, SECRET_RECHECK, SLOW, UNTOLD
from agb_operator.policy.plan import WAYS_OUT, Action, Plan, Recalled
from unit.builders import a_session, a_status, carried_on, conditions, on_error, said, seen

RETRY = 7.0
"""The back-off's wait in these tests, in seconds."""
LONG = Recalled(failing_for=UNTOLD)
WELL = a_status(ready=Truth.TRUE, reason="Running", phase=Phase.RUNNING, session_status="RUNNING")


def decide(
    error: AgbError,
    *,
    session: AgbSession | None = None,
    recalled: Recalled = LONG,
    attempted: Action = Action.NONE,
    look: Observation | None = None,
) -> Plan:
    return on_error(
        session or a_session(status=WELL), error, recalled=recalled, retry=RETRY, attempted=attempted, seen=look
    )


class Case(NamedTuple):
    """An error, and what becomes of it once it is worth a word: Ready and what goes with it, and the next try."""

    error: AgbError
    says: str
    again: float
    advice: str
    attempted: Action = Action.NONE


CASES = {
    "AGB cannot be reached: nothing is known, and it may pass": Case(
        ApiUnavailable("AGB cannot be reached."),
        "Unknown/ApiUnavailable Reconciling",
        RETRY,
        "The operator tries again with back-off.",
    ),
    "AGB's address cannot be reached: nothing was sent, and it may pass": Case(
        EndpointUnreachable("AGB's address cannot be reached."),
        "Unknown/ApiUnavailable Reconciling",
        RETRY,
        "The operator tries again with back-off.",
    ),
    "throttled: the key waits, and nobody has to act": Case(
        Throttled("Too many requests."), "False/Throttled Reconciling", RETRY, "The operator tries again with back-off."
    ),
    "the call does not fit the state: what we knew is out of date": Case(
        IllegalState("Not in this state."),
        "False/UnexpectedState Reconciling",
        RETRY,
        "The operator looks again before it acts.",
        Action.PAUSE,
    ),
    "the key is refused: a person has to repair the Secret, which is read often meanwhile": Case(
        CredentialsRejected("AGB refuses the key."),
        "False/CredentialsInvalid Stalled",
        SECRET_RECHECK,
        "It is the operator's own key: have the administrator replace it (AGB_API_KEY), or name a Secret",
    ),
    "there is no key: its own message says what to do": Case(
        CredentialsMissing("There is no Secret agb-credentials in namespace ml; create it."),
        "False/CredentialsMissing Stalled",
        SECRET_RECHECK,
        "create it.",
    ),
    "pause is not offered: only AGB can change that": Case(
        NotSupported("Not enabled for this account."),
        "False/NotSupported Stalled",
        SLOW,
        "Ask AGB's support to enable pause and resume for the account.",
        Action.PAUSE,
    ),
    "the quota frees itself, so nobody has to act": Case(
        QuotaExceeded("10 of 10 sessions."),
        "False/QuotaExceeded Reconciling",
        QUOTA_RECHECK,
        "Delete sessions (paused ones count) or raise the limit",
        Action.CREATE,
    ),
    "an unknown image cannot be mended in place, since imageId is immutable": Case(
        RequestRefused("No such image.", about_image=True),
        "False/CreateFailed Stalled",
        SLOW,
        "Check spec.imageId; it cannot be changed, so delete the resource",
        Action.CREATE,
    ),
    "a create that is refused for another reason": Case(
        RequestRefused("Bad labels."),
        "False/CreateFailed Stalled",
        SLOW,
        "Check the spec against the message.",
        Action.CREATE,
    ),
    "a look that is refused has nothing to do with a create": Case(
        RequestRefused("No such id can be."), "False/InvalidSpec Stalled", SLOW, "Check the spec against the message."
    ),
}


def leaves(kind: type[AgbError]) -> set[type[AgbError]]:
    children = kind.__subclasses__()
    return {found for child in children for found in leaves(child)} if children else {kind}


def test_the_cases_cover_every_error_that_is_ever_reported() -> None:
    """Whether a session is gone is for the next look to say, and a replica that does not lead says nothing."""
    # A failure of the endpoint is an ApiUnavailable, and not the only one.
    reported = {kind.__name__ for kind in leaves(AgbError)} - {"SessionNotFound", "NotLeading"} | {"ApiUnavailable"}

    assert {type(case.error).__name__ for case in CASES.values()} == reported


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_each_error_has_its_reason_its_next_step_and_its_next_try(case: Case) -> None:
    session = a_session(status=WELL)

    decided = decide(case.error, session=session, attempted=case.attempted)
    after = carried_on(session, decided)

    ready, beside = case.says.split()
    status, reason = ready.split("/")
    known = "False" if case.attempted == Action.CREATE else "Unknown"
    assert conditions(after) == {"Ready": (status, reason), "Paused": (known, reason), beside: ("True", reason)}
    assert case.error.message in said(after)
    assert case.advice in said(after)
    assert (decided.action, decided.requeue) == (Action.NONE, case.again)
    assert [(e.reason, e.warning) for e in decided.events] == [(reason, True)]


def test_a_refused_key_names_the_secret_it_came_from() -> None:
    session = replace(a_session(status=WELL), secret=SecretRef("agb-credentials", "apiKey"))

    after = carried_on(session, decide(CredentialsRejected("AGB refuses the key."), session=session))

    assert "Put a valid key into Secret agb-credentials; the operator reads it again within a minute." in said(after)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_an_error_that_repeats_is_neither_written_nor_announced_again(case: Case) -> None:
    session = a_session(status=WELL)
    after = carried_on(session, decide(case.error, session=session, attempted=case.attempted))

    again = decide(case.error, session=after, attempted=case.attempted, recalled=Recalled(failing_for=UNTOLD + 3600))

    assert carried_on(after, again) == after
    assert again.events == ()


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_passing_error_is_not_worth_a_write_at_first_and_a_lasting_one_is(case: Case) -> None:
    decided = decide(case.error, attempted=case.attempted, recalled=Recalled(failing_for=UNTOLD - 0.1))

    assert (decided.status is None) == isinstance(case.error, TransientError)
    assert decided.requeue == case.again


@pytest.mark.parametrize(
    ("attempted", "words"),
    [
        (Action.NONE, "Looking at the session failed: "),
        (Action.PAUSE, "Pausing the session failed: "),
        (Action.RESUME, "Resuming the session failed: "),
        (Action.RELEASE, "Releasing the session failed: "),
        (Action.CREATE, "Creating the session failed: "),
        (Action.SET_LABELS, "Labelling the session failed: "),
    ],
)
def test_the_message_says_what_was_tried(attempted: Action, words: str) -> None:
    session = a_session(status=WELL)

    after = carried_on(session, decide(ApiUnavailable("AGB cannot be reached."), session=session, attempted=attempted))

    assert said(after).startswith(words + "AGB cannot be reached.")


def test_a_call_that_failed_after_a_look_keeps_what_the_look_said() -> None:
    session = a_session(status=WELL, paused=True)

    decided = decide(NotSupported("No."), session=session, attempted=Action.PAUSE, look=seen("RUNNING"))
    after = carried_on(session, decided)

    assert conditions(after)["Paused"] == ("False", "Running")
    assert (after.status.phase, after.status.session_status) == (Phase.RUNNING, "RUNNING")


def test_after_a_failed_look_the_phase_is_unknown_and_the_rest_is_kept() -> None:
    session = a_session(status=WELL)

    after = carried_on(session, decide(ApiUnavailable("AGB cannot be reached."), session=session))

    assert after.status.phase == Phase.UNKNOWN
    assert (after.status.session_id, after.status.session_status) == (session.session_id, "RUNNING")
    assert after.status.operation == session.status.operation


@pytest.mark.parametrize(("lost", "paused"), [(True, "Unknown"), (False, "False")])
def test_after_a_create_that_was_refused_there_is_no_session_and_after_a_lost_answer_nobody_knows(
    lost: bool, paused: str
) -> None:
    session = a_session()
    error = ApiUnavailable("No answer.", outcome_unknown=lost)

    after = carried_on(session, decide(error, session=session, attempted=Action.CREATE))

    assert conditions(after)["Paused"] == (paused, "ApiUnavailable")


def test_a_resource_that_never_had_a_session_stays_pending() -> None:
    session = a_session()

    after = carried_on(session, decide(CredentialsMissing("There is no key."), session=session))

    assert after.status.phase == Phase.PENDING


def test_not_found_by_an_error_is_left_to_the_next_look() -> None:
    decided = decide(SessionNotFound("No such session."), attempted=Action.PAUSE, look=seen("RUNNING"))

    assert (decided.status, decided.requeue, decided.events) == (None, 1.0, ())


# While being deleted


def test_a_deletion_without_a_valid_key_is_blocked_at_once_and_names_both_ways_out() -> None:
    session = a_session(status=WELL, deleting=True)

    after = carried_on(session, decide(CredentialsMissing("There is no Secret."), session=session))

    assert conditions(after)["Ready"] == ("False", "CredentialsMissing")
    assert conditions(after)["Stalled"] == ("True", "DeletionBlocked")
    assert "There is no Secret." in said(after, "Stalled")
    assert WAYS_OUT in said(after, "Stalled")
    assert after.status.phase == Phase.DELETING


@pytest.mark.parametrize(("failing_for", "blocked"), [(600.0, False), (600.1, True)])
def test_a_deletion_is_blocked_by_an_api_that_is_away_for_longer_than_the_timeout(
    failing_for: float, blocked: bool
) -> None:
    session = a_session(status=WELL, deleting=True)
    error = ApiUnavailable("AGB cannot be reached.")

    after = carried_on(session, decide(error, session=session, recalled=Recalled(failing_for=failing_for)))

    assert ("Stalled" in conditions(after)) == blocked
    assert ("Reconciling" in conditions(after)) != blocked


def test_terminal_and_transient_are_all_there_is() -> None:
    assert leaves(AgbError) == leaves(TransientError) | leaves(TerminalError)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ApiUnavailable("No capacity", http_status=200), "CreateFailed"),
        (ApiUnavailable("A gateway's page", http_status=502), "ApiUnavailable"),
        (ApiUnavailable("Half an answer", http_status=200, outcome_unknown=True), "ApiUnavailable"),
        (ApiUnavailable("Connection refused"), "ApiUnavailable"),
        (Throttled("Too many", http_status=200), "Throttled"),
    ],
    ids=["AGB says no", "a gateway gives up", "an answer that breaks off", "nobody answers", "too many calls"],
)
def test_only_agb_s_own_no_is_a_failed_create(error: AgbError, reason: str) -> None:
    report = decide(error, session=a_session(status=a_status()), attempted=Action.CREATE).status

    assert report is not None
    assert report.ready.reason == reason


def test_agb_s_own_no_to_another_call_is_not_a_failed_create() -> None:
    error = ApiUnavailable("No capacity", http_status=200)

    report = decide(error, attempted=Action.RESUME, look=seen("PAUSED")).status

    assert report is not None
    assert report.ready.reason == "ApiUnavailable"


def test_a_missing_key_is_said_in_the_words_of_who_looked_for_it() -> None:
    report = decide(CredentialsMissing("Create Secret ml/agb-credentials with the entry apiKey")).status

    assert report is not None
    assert report.ready.message == "Create Secret ml/agb-credentials with the entry apiKey"


def test_words_of_agb_and_the_advice_are_sentences_of_their_own() -> None:
    report = decide(ApiUnavailable("AGB failed to serve getSession: no capacity")).status

    assert report is not None
    assert report.ready.message == (
        "Looking at the session failed: AGB failed to serve getSession: no capacity. "
        "The operator tries again with back-off."
    )
