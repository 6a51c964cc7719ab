"""What holds for every step, said once: which conditions go together, what a status repeats, what is announced."""

from dataclasses import replace

from agb_operator.model.status import ConditionDraft, OperationType, Phase, Reason, SessionStatus, Truth
from agb_operator.policy.plan import WAYS_OUT, Draft, Plan, Recalled, finish
from unit.builders import a_session, a_status, an_operation, carried_on, conditions, given, later

MOVING = ConditionDraft(status=Truth.FALSE, reason=Reason.RESUMING, message="AGB is resuming the session.")
DRAFT = Draft(status=a_status(reason="Running", ready=Truth.TRUE), ready=MOVING, paused=MOVING)
PAUSE = OperationType.PAUSE


def finished(draft: Draft, *, deleting: bool = False, reason: str = "Running") -> Plan:
    session = a_session(status=a_status(reason=reason, ready=Truth.TRUE), deleting=deleting, paused=True)
    return finish(given(session), draft)


def said(decided: Plan) -> dict[str, tuple[str, str]]:
    return conditions(carried_on(a_session(), decided))


def test_reconciling_is_present_only_while_true_and_repeats_ready() -> None:
    moving = finished(replace(DRAFT, reconciling=True))

    assert said(moving)["Reconciling"] == ("True", "Resuming")
    assert set(said(finished(DRAFT))) == {"Ready", "Paused"}


def test_stalled_takes_the_place_of_reconciling_because_kstatus_believes_whichever_comes_first() -> None:
    stalled = finished(replace(DRAFT, reconciling=True, stalled=True))

    assert set(said(stalled)) == {"Ready", "Paused", "Stalled"}
    assert said(stalled)["Stalled"] == ("True", "Resuming")


def test_what_blocks_is_told_with_the_ways_out_while_the_resource_is_being_deleted_and_only_then() -> None:
    blocked = finished(replace(DRAFT, blocks=True), deleting=True)

    assert blocked.status is not None
    assert blocked.status.stalled is not None
    assert blocked.status.stalled.reason == "DeletionBlocked"
    assert blocked.status.stalled.message == f"{MOVING.message} {WAYS_OUT}"
    assert "Stalled" not in said(finished(replace(DRAFT, blocks=True)))


def test_a_step_that_warns_is_announced_once_by_its_reason() -> None:
    assert [e.reason for e in finished(replace(DRAFT, warns=True)).events] == ["Resuming"]
    assert finished(replace(DRAFT, warns=True), reason="Resuming").events == ()


def test_a_step_that_says_nothing_leaves_the_status_alone() -> None:
    assert finished(Draft(requeue=5.0)) == Plan(requeue=5.0)


def test_a_deletion_stands_in_the_phase_and_leaves_what_was_wanted_before() -> None:
    decided = finished(DRAFT, deleting=True)

    assert decided.status is not None
    assert (decided.status.phase, decided.status.desired_state) == (Phase.DELETING, "Running")


def test_all_that_is_recalled_may_be_forgotten() -> None:
    assert Recalled() == Recalled(since_call=None, missing_looks=0, since_create=None, owner="")


# How old an operation is, whoever's clock it began by


def test_an_operation_never_has_a_negative_age() -> None:
    operation = an_operation(PAUSE, started=60)
    about = given(a_session(status=a_status(operation=operation)))

    assert about.age(operation) == 0.0
    assert replace(about, now=later(90)).age(operation) == 30.0


def test_an_operation_that_began_by_a_clock_ahead_of_ours_is_as_old_as_we_know_of_it() -> None:
    operation = an_operation(PAUSE, started=7200)
    about = given(a_session(status=a_status(operation=operation)), recalled=Recalled(known_for=45.0))

    assert about.age(operation) == 45.0
    assert about.age(an_operation(PAUSE, started=3600)) == 0.0, "another operation is not that old"


def test_a_status_without_a_word_says_so() -> None:
    assert SessionStatus().ready.reason == ""
