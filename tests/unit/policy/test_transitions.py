"""Pause, resume and release over time: stale reads, fall-backs, timeouts, flips, drift, labels and deletion."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import pytest

from agb_operator.model.resource import NAME_LABEL, UID_LABEL, AgbSession
from agb_operator.model.status import Operation, OperationState, OperationType, Phase, Reason, Truth
from agb_operator.policy.backoff import SLOW
from agb_operator.policy.decide import decide
from agb_operator.policy.plan import WAYS_OUT, Action, Plan, Recalled
from agb_operator.policy.proof import Evidence
from unit.builders import (
    ID,
    NOTHING,
    Story,
    a_session,
    a_status,
    an_operation,
    carried_on,
    conditions,
    given,
    later,
    plan,
    said,
    seen,
)

TIMEOUT = 600.0
"""The default spec.timeout, in seconds."""


def adopted(*, paused: bool = False, deleting: bool = False, policy: str = "Retain", **spec: Any) -> AgbSession:
    return a_session(
        adopted=ID, held=policy == "Delete", paused=paused, deleting=deleting, deletionPolicy=policy, **spec
    )


def running(**spec: Any) -> Story:
    """Begin with a session that runs as asked and was reported so."""
    story = Story(adopted(**spec))
    story.look("RUNNING", at=-60)
    return story


def paused(**spec: Any) -> Story:
    """Begin with a session that is paused as asked and was reported so."""
    story = Story(adopted(paused=True, **spec))
    story.look("PAUSED", at=-60)
    return story


def operation(story: Story) -> Operation:
    last = story.session.status.operation
    assert last is not None
    return last


# The plain way


def test_a_pause_is_one_call_two_writes_and_one_event_however_often_it_is_looked_at() -> None:
    story = running()
    writes = story.writes
    story.edit(paused=True)

    story.look("RUNNING", at=0)
    for second in range(2, 60, 2):
        story.look("PAUSING", at=second)
    story.look("PAUSED", at=60)
    story.look("PAUSED", at=120)

    assert (story.calls, story.writes - writes, story.events) == ([Action.PAUSE], 2, ["Paused"])
    assert operation(story).state == OperationState.SUCCEEDED
    assert (operation(story).started_at, operation(story).finished_at) == (later(0), later(60))
    assert conditions(story.session) == {"Ready": ("True", "Paused"), "Paused": ("True", "Paused")}


def test_a_resume_is_one_call_two_writes_and_one_event() -> None:
    story = paused()
    writes = story.writes
    story.edit(paused=False)

    for second, status in enumerate(["PAUSED", "RESUMING", "RESUMING", "RUNNING", "RUNNING"]):
        story.look(status, at=second)

    assert (story.calls, story.writes - writes, story.events) == ([Action.RESUME], 2, ["Running"])
    assert conditions(story.session) == {"Ready": ("True", "Running"), "Paused": ("False", "Running")}


def test_a_first_look_at_a_session_that_is_as_asked_announces_nothing() -> None:
    story = running()

    assert (story.calls, story.events, story.writes) == ([], [], 1)


def test_a_moving_session_is_looked_at_every_poll_interval() -> None:
    story = running(pollInterval="30s")
    story.edit(paused=True)

    assert story.look("RUNNING", at=0).requeue == 30.0
    assert story.look("PAUSING", at=30).requeue == 30.0


# Stale reads and fall-backs


@pytest.mark.parametrize(
    ("wanted", "left", "call"), [(True, "RUNNING", Action.PAUSE), (False, "PAUSED", Action.RESUME)]
)
def test_the_state_that_an_accepted_call_has_just_left_is_not_called_upon_again(
    wanted: bool, left: str, call: Action
) -> None:
    story = running() if wanted else paused()
    story.edit(paused=wanted)
    story.look(left, at=0)

    stale = story.look(left, at=2)

    assert story.calls == [call]
    assert (stale.action, stale.status, stale.requeue) == (Action.NONE, None, 2.0)


@pytest.mark.parametrize(
    ("wanted", "left", "moving", "call", "ready"),
    [
        (True, "RUNNING", "PAUSING", Action.PAUSE, "Pausing"),
        (False, "PAUSED", "RESUMING", Action.RESUME, "Resuming"),
    ],
)
def test_a_transition_that_falls_back_is_begun_again_after_a_wait_that_doubles(
    wanted: bool, left: str, moving: str, call: Action, ready: str
) -> None:
    story = running() if wanted else paused()
    story.edit(paused=wanted)
    story.look(left, at=0)
    story.look(moving, at=2)

    assert story.look(left, at=9).action == Action.NONE
    assert story.look(left, at=10).action == call
    assert story.look(left, at=29).action == Action.NONE
    assert story.look(left, at=30).action == call
    assert operation(story).attempts == 3
    assert operation(story).started_at == later(0), "the timeout counts from the first call"
    assert conditions(story.session)["Ready"] == ("False", ready)


def test_a_restarted_operator_takes_the_age_of_the_operation_for_that_of_its_call() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.restart()

    assert story.look("RUNNING", at=3).action == Action.NONE
    assert story.look("RUNNING", at=11).action == Action.PAUSE


def test_a_restart_in_the_middle_of_a_pause_makes_no_second_call_and_no_extra_write() -> None:
    story = running()
    writes = story.writes
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.restart()
    story.look("PAUSING", at=5)
    story.look("PAUSED", at=8)

    assert (story.calls, story.writes - writes, story.events) == ([Action.PAUSE], 2, ["Paused"])


def test_a_call_whose_acceptance_was_never_written_is_found_by_the_look() -> None:
    """The process died between the call and the status write."""
    story = running()
    story.edit(paused=True)
    story.look("PAUSING", at=0)
    story.look("PAUSED", at=4)

    assert (story.calls, story.events) == ([], ["Paused"])
    assert operation(story).type == OperationType.PAUSE


def test_however_many_attempts_there_were_the_next_one_comes_within_five_minutes() -> None:
    waiting = an_operation(OperationType.PAUSE, OperationState.FAILED, attempts=5000)
    session = replace(adopted(paused=True), status=a_status(operation=waiting, reason="PauseTimedOut"))

    early = plan(session, seen("RUNNING"), now=later(1e6), recalled=Recalled(since_call=SLOW - 1))
    late = plan(session, seen("RUNNING"), now=later(1e6), recalled=Recalled(since_call=SLOW))

    assert (early.action, late.action) == (Action.NONE, Action.PAUSE)


# Timeouts


class Overdue(NamedTuple):
    """A transition that does not end, and the reason that Ready and Stalled give."""

    begins: AgbSession
    status: str
    reason: Reason


OVERDUE = {
    "a pause": Overdue(adopted(paused=True), "PAUSING", Reason.PAUSE_TIMED_OUT),
    "a resume": Overdue(adopted(), "RESUMING", Reason.RESUME_TIMED_OUT),
    "a start": Overdue(adopted(), "STARTING", Reason.CREATE_FAILED),
    "an end that nobody here asked for": Overdue(adopted(), "DELETING", Reason.UNEXPECTED_STATE),
}


@pytest.mark.parametrize("case", OVERDUE.values(), ids=OVERDUE)
def test_a_transition_past_its_timeout_is_reported_with_one_warning_and_looked_at_less_often(case: Overdue) -> None:
    story = Story(case.begins)
    story.look(case.status, at=0)
    assert story.look(case.status, at=TIMEOUT).status is not None
    assert conditions(story.session)["Ready"][1] in ("Pausing", "Resuming", "Creating", "Deleting")

    late = story.look(case.status, at=TIMEOUT + 2)

    assert story.events == [case.reason]
    assert [event.warning for event in late.events] == [True]
    assert conditions(story.session)["Ready"] == ("False", case.reason)
    assert conditions(story.session)["Reconciling"] == ("True", case.reason)
    assert "longer than spec.timeout" in said(story.session)
    assert (operation(story).state, operation(story).finished_at) == (OperationState.FAILED, later(TIMEOUT + 2))
    assert late.requeue == pytest.approx((TIMEOUT + 2) / 10)
    assert story.calls == [], "nothing is legal while the session moves"


@pytest.mark.parametrize("case", OVERDUE.values(), ids=OVERDUE)
def test_a_transition_that_never_ends_stalls_after_three_timeouts_and_is_said_once(case: Overdue) -> None:
    story = Story(case.begins)
    for at in (0.0, TIMEOUT + 2):
        story.look(case.status, at=at)
    assert "Stalled" not in conditions(story.session)
    writes = story.writes

    for at in (3 * TIMEOUT + 2, 4 * TIMEOUT):
        story.look(case.status, at=at)
    late = story.look(case.status, at=10 * TIMEOUT)

    assert conditions(story.session)["Stalled"] == ("True", case.reason)
    assert "Reconciling" not in conditions(story.session)
    assert (story.writes - writes, story.events) == (1, [case.reason])
    assert late.requeue == SLOW


def test_a_late_pause_that_ends_after_all_is_a_pause() -> None:
    story = Story(adopted(paused=True))
    story.look("PAUSING", at=0)
    story.look("PAUSING", at=TIMEOUT + 2)
    story.look("PAUSED", at=TIMEOUT + 60)

    assert story.events == ["PauseTimedOut", "Paused"]
    assert conditions(story.session) == {"Ready": ("True", "Paused"), "Paused": ("True", "Paused")}
    assert (operation(story).state, operation(story).message) == (OperationState.SUCCEEDED, "")


def test_a_late_pause_that_falls_back_is_called_again_with_a_time_of_its_own() -> None:
    story = Story(adopted(paused=True))
    story.look("RUNNING", at=0)
    story.look("PAUSING", at=TIMEOUT + 2)

    again = story.look("RUNNING", at=TIMEOUT + 60)

    assert again.action == Action.PAUSE
    assert (operation(story).attempts, operation(story).started_at) == (2, later(TIMEOUT + 60))
    assert conditions(story.session)["Ready"] == ("False", "Pausing")


@pytest.mark.parametrize(
    ("wanted", "left", "reason"), [(True, "RUNNING", "PauseTimedOut"), (False, "PAUSED", "ResumeTimedOut")]
)
def test_accepted_calls_without_effect_fail_at_the_timeout_and_are_made_again(
    wanted: bool, left: str, reason: str
) -> None:
    story = running(timeout="1m") if wanted else paused(timeout="1m")
    story.edit(paused=wanted)
    for at in (0, 10, 30):
        story.look(left, at=at)
    assert len(story.calls) == 3

    failed = story.look(left, at=71)

    assert (failed.action, failed.requeue) == (Action.NONE, 2.0)
    assert story.events == [reason]
    assert conditions(story.session)["Ready"] == ("False", reason)
    assert conditions(story.session)["Stalled"] == ("True", reason)
    assert left in said(story.session)
    assert story.look(left, at=73).action != Action.NONE
    assert operation(story).started_at == later(73)


def test_a_session_that_never_stays_paused_is_stalled_until_it_does_and_not_by_turns() -> None:
    story = running()
    story.edit(paused=True)
    for at in (0, 10, 30):
        story.look("RUNNING", at=at)
        story.look("PAUSING", at=at + 1)
    assert "Stalled" not in conditions(story.session)

    story.look("RUNNING", at=70)
    stalled = story.session.status
    assert conditions(story.session) == {
        "Ready": ("False", "UnexpectedState"),
        "Paused": ("False", "Pausing"),
        "Stalled": ("True", "UnexpectedState"),
    }
    assert "does not stay that way. Ask AGB's support." in said(story.session)
    story.look("PAUSING", at=71)
    assert story.session.status == stalled, "the next try does not hide that the earlier ones came to nothing"

    story.look("PAUSED", at=75)
    assert conditions(story.session) == {"Ready": ("True", "Paused"), "Paused": ("True", "Paused")}


def test_a_clock_that_was_set_back_does_not_time_anything_out() -> None:
    story = Story(adopted(paused=True))
    story.look("PAUSING", at=0)

    assert story.look("PAUSING", at=-86400).requeue == 2.0
    assert conditions(story.session)["Ready"] == ("False", "Pausing")


def test_the_failures_of_an_earlier_time_do_not_count_once_all_was_well() -> None:
    story = Story(adopted(paused=True))
    story.look("PAUSING", at=0)
    story.look("PAUSING", at=TIMEOUT + 2)
    story.edit(paused=False)
    story.look("RUNNING", at=TIMEOUT + 60)
    assert conditions(story.session)["Ready"] == ("True", "Running")
    story.edit(paused=True)

    story.look("RUNNING", at=10 * TIMEOUT)

    assert story.calls == [Action.PAUSE]
    assert (operation(story).attempts, operation(story).started_at) == (1, later(10 * TIMEOUT))


def test_a_pause_from_elsewhere_is_not_overdue_because_another_one_was_a_day_ago() -> None:
    failed = an_operation(OperationType.PAUSE, OperationState.FAILED, attempts=3)
    status = a_status(ready=Truth.TRUE, reason="Running", operation=failed)
    story = Story(replace(adopted(), status=status))

    story.look("PAUSING", at=86400)

    assert conditions(story.session)["Ready"] == ("False", "Pausing")


def test_the_third_try_that_does_not_end_stalls_at_its_own_timeout() -> None:
    story = running()
    story.edit(paused=True)
    for at in (0, 10, 30):
        story.look("RUNNING", at=at)

    story.look("PAUSING", at=TIMEOUT + 2)

    assert conditions(story.session)["Stalled"] == ("True", "PauseTimedOut")


def test_the_first_call_without_effect_is_reported_as_a_warning_and_tried_again() -> None:
    story = running(timeout="5s")
    story.edit(paused=True)
    story.look("RUNNING", at=0)

    failed = story.look("RUNNING", at=10)

    assert [(e.reason, e.warning) for e in failed.events] == [("PauseTimedOut", True)]
    assert conditions(story.session)["Reconciling"] == ("True", "PauseTimedOut")
    assert "Stalled" not in conditions(story.session)


def test_creates_that_were_lost_do_not_count_against_the_session_that_came() -> None:
    create = an_operation(OperationType.CREATE, attempts=9)
    story = Story(a_session(status=a_status(operation=create)))

    story.look("STARTING", at=2)

    assert conditions(story.session)["Ready"] == ("False", "Creating")
    assert "Stalled" not in conditions(story.session)


# Flips in flight


def test_asked_to_run_while_pausing_waits_for_the_pause_and_then_resumes() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.look("PAUSING", at=2)
    story.edit(paused=False)

    story.look("PAUSING", at=4)
    assert said(story.session).endswith("It is resumed once it is paused.")
    assert story.session.status.desired_state == "Running"
    story.look("PAUSED", at=6)
    story.look("RUNNING", at=9)

    assert story.calls == [Action.PAUSE, Action.RESUME]
    assert conditions(story.session)["Ready"] == ("True", "Running")


def test_asked_to_pause_while_resuming_waits_for_the_resume_and_then_pauses() -> None:
    story = paused()
    story.edit(paused=False)
    story.look("PAUSED", at=0)
    story.edit(paused=True)

    story.look("RESUMING", at=4)
    assert said(story.session).endswith("It is paused once it is running.")
    story.look("RUNNING", at=6)
    story.look("PAUSED", at=9)

    assert story.calls == [Action.RESUME, Action.PAUSE]
    assert conditions(story.session)["Ready"] == ("True", "Paused")


def test_flipped_there_and_back_while_pausing_is_one_pause() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.edit(paused=False)
    story.look("PAUSING", at=2)
    story.edit(paused=True)
    story.look("PAUSING", at=3)
    story.look("PAUSED", at=5)

    assert story.calls == [Action.PAUSE]


@pytest.mark.parametrize(("wanted", "left", "moving"), [(True, "RUNNING", "PAUSING"), (False, "PAUSED", "RESUMING")])
def test_flipped_back_at_once_is_not_ready_by_a_stale_look(wanted: bool, left: str, moving: str) -> None:
    story = running() if wanted else paused()
    story.edit(paused=wanted)
    story.look(left, at=0)
    story.edit(paused=not wanted)

    stale = story.look(left, at=1)

    assert (stale.status, stale.requeue) == (None, 2.0)
    story.look(moving, at=3)
    assert conditions(story.session)["Ready"][0] == "False"


def test_deleted_right_after_a_pause_the_session_is_not_released_by_a_stale_look() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.session = replace(story.session, deleting=True)

    stale = story.look("RUNNING", at=1)

    assert (stale.action, stale.status) == (Action.NONE, None)
    assert story.look("PAUSING", at=3).action == Action.NONE
    assert story.look("PAUSED", at=5).action == Action.RESUME


@pytest.mark.parametrize("deleting", [True, False])
def test_a_call_whose_status_could_not_be_written_rules_out_a_stale_look_too(deleting: bool) -> None:
    session = replace(running().session, deleting=deleting)
    recalled = Recalled(called=Action.PAUSE, since_call=1.0)

    decided = plan(session, seen("RUNNING"), now=later(1), recalled=recalled)

    assert (decided.action, decided.status) == (Action.NONE, None)


def test_flipped_back_after_a_call_that_came_to_nothing_is_ready_once_a_stale_look_is_ruled_out() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.edit(paused=False)

    story.look("RUNNING", at=10)

    assert conditions(story.session)["Ready"] == ("True", "Running")
    assert (operation(story).state, operation(story).message) == (
        OperationState.FAILED,
        "Not carried out, and no longer asked for.",
    )


# Drift


@pytest.mark.parametrize(
    ("wanted", "found", "call"),
    [
        (True, "RUNNING", Action.PAUSE),
        (True, "RESUMING", Action.NONE),
        (False, "PAUSED", Action.RESUME),
        (False, "PAUSING", Action.NONE),
    ],
)
def test_a_session_moved_by_somebody_else_is_drift_and_said_once(wanted: bool, found: str, call: Action) -> None:
    story = paused() if wanted else running()

    decided = story.look(found, at=0)
    story.look({"RUNNING": "PAUSING", "PAUSED": "RESUMING"}.get(found, found), at=2)

    assert decided.drifted
    assert decided.action == call
    assert story.events == ["DriftDetected"]
    assert found in decided.events[0].message
    assert decided.events[0].warning


def test_a_change_of_the_spec_is_not_drift() -> None:
    story = running()
    story.edit(paused=True)

    assert not story.look("RUNNING", at=0).drifted
    assert story.events == []


def test_a_deletion_is_not_drift() -> None:
    story = paused(policy="Delete")
    story.session = replace(story.session, deleting=True)

    assert not story.look("PAUSED", at=0).drifted


def test_a_session_that_was_only_observed_has_not_drifted_when_it_is_managed_again() -> None:
    session = a_session(adopted=ID, held=False, paused=True, managementPolicy="Observe")
    session = carried_on(session, plan(session, seen("RUNNING"), now=later(0), recalled=NOTHING))
    assert conditions(session)["Ready"] == ("True", "Observed")

    decided = plan(replace(session, observe_only=False), seen("RUNNING"), now=later(60), recalled=NOTHING)

    assert (decided.action, decided.drifted) == (Action.PAUSE, False)


def test_a_session_that_somebody_ends_is_not_called_drift_since_it_cannot_be_brought_back() -> None:
    story = running()

    assert not story.look("DELETING", at=0).drifted


# Observed meanwhile


def test_a_pause_under_way_is_followed_to_its_end_when_observe_is_set() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.edit(observe_only=True)
    story.look("PAUSING", at=2)
    assert operation(story).state == OperationState.IN_PROGRESS

    story.look("PAUSED", at=4)

    assert operation(story).state == OperationState.SUCCEEDED
    assert story.events == ["Paused"]
    assert conditions(story.session)["Ready"] == ("True", "Observed")


def test_a_pause_that_came_to_nothing_under_observe_is_closed_so_that_it_times_out_nowhere() -> None:
    story = running()
    story.edit(paused=True)
    story.look("RUNNING", at=0)
    story.edit(observe_only=True)
    story.look("RUNNING", at=20)
    assert operation(story).state == OperationState.FAILED
    story.edit(observe_only=False)

    again = story.look("RUNNING", at=86400)

    assert again.action == Action.PAUSE
    assert (operation(story).attempts, story.events) == (1, [])


# Labels


def test_labels_that_changed_in_the_spec_are_set_once_the_session_is_as_asked() -> None:
    story = Story(a_session(status=a_status(labels={"team": "a"}), labels={"team": "b"}))

    decided = story.look("RUNNING", at=0)
    story.look("RUNNING", at=1)

    assert story.calls == [Action.SET_LABELS]
    assert decided.requeue == 0.0
    assert dict(story.session.status.labels or {}) == {"team": "b"}
    assert (operation(story).type, operation(story).state) == (OperationType.SET_LABELS, OperationState.SUCCEEDED)
    assert conditions(story.session)["Ready"] == ("True", "Running")


def test_labels_of_a_paused_session_are_set_too() -> None:
    story = Story(a_session(status=a_status(labels={}), labels={"team": "b"}, paused=True))

    assert story.look("PAUSED", at=0).action == Action.SET_LABELS


def test_a_pause_that_ends_is_announced_although_labels_are_to_be_set() -> None:
    pausing = a_status(operation=an_operation(OperationType.PAUSE), labels={})
    story = Story(a_session(status=pausing, labels={"team": "b"}, paused=True))

    story.look("PAUSED", at=20)

    assert (story.calls, story.events) == ([Action.SET_LABELS], ["Paused"])


def test_labels_wait_until_the_session_is_as_asked() -> None:
    story = Story(a_session(status=a_status(labels={}), labels={"team": "b"}, paused=True))

    assert story.look("RUNNING", at=0).action == Action.PAUSE


def test_labels_that_are_not_known_are_set() -> None:
    story = Story(a_session(status=replace(a_status(), labels=None)))

    assert story.look("RUNNING", at=0).action == Action.SET_LABELS


def test_an_adopted_session_keeps_its_labels() -> None:
    story = Story(adopted())

    assert story.look("RUNNING", at=0).action == Action.NONE


# Deletion


def deleted(session: AgbSession) -> Story:
    return Story(replace(session, deleting=True))


OURS = a_session(status=a_status(ready=Truth.TRUE, reason="Running", phase=Phase.RUNNING))

DELETIONS = {
    "running": (["RUNNING", "DELETING", "FINISH"], [Action.RELEASE, Action.REMOVE_FINALIZER]),
    "paused": (
        ["PAUSED", "RESUMING", "RUNNING", "DELETING", "DELETED"],
        [Action.RESUME, Action.RELEASE, Action.REMOVE_FINALIZER],
    ),
    "pausing": (
        ["PAUSING", "PAUSED", "RESUMING", "RUNNING", "FINISH"],
        [Action.RESUME, Action.RELEASE, Action.REMOVE_FINALIZER],
    ),
    "resuming": (["RESUMING", "RUNNING", "DELETING", "FINISH"], [Action.RELEASE, Action.REMOVE_FINALIZER]),
    "starting": (["STARTING", "RUNNING", "DELETING", "FINISH"], [Action.RELEASE, Action.REMOVE_FINALIZER]),
    "deleting already": (["DELETING", "FINISH"], [Action.REMOVE_FINALIZER]),
    "gone already": (["FINISH"], [Action.REMOVE_FINALIZER]),
}


@pytest.mark.parametrize("begin", DELETIONS)
@pytest.mark.parametrize("spec_paused", [True, False])
def test_a_deletion_from_every_state_ends_the_session_by_legal_calls(begin: str, spec_paused: bool) -> None:
    looks, calls = DELETIONS[begin]
    story = deleted(replace(OURS, paused=spec_paused))

    for step, status in enumerate(looks):
        story.look(status, at=15.0 * step)
        assert step == len(looks) - 1 or story.session.status.phase == Phase.DELETING

    assert story.calls == calls
    assert story.events == ["Released"]


def test_a_release_that_the_look_does_not_show_yet_is_not_repeated() -> None:
    story = deleted(OURS)
    story.look("RUNNING", at=0)

    assert story.look("RUNNING", at=2).action == Action.NONE
    assert story.look("RUNNING", at=10).action == Action.RELEASE


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("STARTING", "CreateFailed"),
        ("PAUSING", "PauseTimedOut"),
        ("RESUMING", "ResumeTimedOut"),
        ("DELETING", "DeletionBlocked"),
    ],
)
def test_a_deletion_that_waits_longer_than_the_timeout_is_blocked_and_names_both_ways_out(
    status: str, reason: str
) -> None:
    story = deleted(OURS)
    story.look(status, at=0)
    assert "Stalled" not in conditions(story.session)

    story.look(status, at=TIMEOUT + 2)
    writes = story.writes
    story.look(status, at=TIMEOUT + 60)

    assert conditions(story.session)["Stalled"] == ("True", "DeletionBlocked")
    assert WAYS_OUT in said(story.session, "Stalled")
    assert conditions(story.session)["Ready"] == ("False", reason)
    assert story.session.status.phase == Phase.DELETING
    assert story.writes == writes


def test_both_ways_out_are_named_as_people_type_them() -> None:
    assert "spec.deletionPolicy to Retain" in WAYS_OUT
    assert 'agb.cloud/abandon="true"' in WAYS_OUT


def test_a_release_that_is_accepted_and_never_carried_out_blocks_the_deletion() -> None:
    story = deleted(replace(OURS, timeout=OURS.timeout / 10))
    for at in (0, 10, 30):
        story.look("RUNNING", at=at)

    story.look("RUNNING", at=71)

    assert story.events == ["DeletionBlocked"]
    assert conditions(story.session)["Ready"] == ("False", "DeletionBlocked")
    assert WAYS_OUT in said(story.session, "Stalled")


def test_a_deletion_that_comes_to_nothing_again_and_again_stays_blocked_during_the_next_try() -> None:
    story = deleted(OURS)
    for at in (0, 10, 30, 70):
        story.look("RUNNING", at=at)
    blocked = story.session.status

    story.look("DELETING", at=72)

    assert conditions(story.session)["Stalled"] == ("True", "DeletionBlocked")
    assert WAYS_OUT in said(story.session, "Stalled")
    assert story.session.status == blocked


def test_an_unknown_word_blocks_a_deletion_and_names_both_ways_out() -> None:
    story = deleted(OURS)

    story.look("HIBERNATING", at=0)

    assert conditions(story.session)["Stalled"] == ("True", "DeletionBlocked")
    assert "'HIBERNATING'" in said(story.session, "Stalled")
    assert WAYS_OUT in said(story.session, "Stalled")


def test_no_status_at_all_is_unexpected_too() -> None:
    story = running()

    story.look("", at=0)

    assert conditions(story.session)["Ready"] == ("False", "UnexpectedState")
    assert "AGB reports no status." in said(story.session)
    assert conditions(story.session)["Paused"] == ("Unknown", "UnexpectedState")


# Whose session it is

RUNS = a_status(session_status="RUNNING", phase=Phase.RUNNING)
NAMED_ALIKE = {**a_session().session_labels("test"), UID_LABEL: "uid-of-another"}


def decided(session: AgbSession, labels: Mapping[str, str] | None, *, contested: bool = False) -> Plan:
    evidence = Evidence(labels=labels, contested=contested)
    return decide(given(session, seen=seen("RUNNING"), evidence=evidence, cluster_name="test"))


def test_nothing_is_called_for_a_session_with_the_labels_of_another_resource() -> None:
    session = a_session(status=RUNS, deleting=True)

    told = decided(session, {**NAMED_ALIKE, NAME_LABEL: "another"})

    assert told.action == Action.NONE
    assert conditions(carried_on(session, told))["Ready"] == ("False", "SessionConflict")


@pytest.mark.parametrize("labels", [NAMED_ALIKE, {}, {"team": "a"}], ids=["restored", "none", "of others"])
def test_a_session_without_our_labels_or_with_those_of_a_resource_before_is_labelled_again_before_a_release(
    labels: dict[str, str],
) -> None:
    told = decided(a_session(status=RUNS, deleting=True), labels)

    assert (told.action, [event.reason for event in told.events]) == (Action.SET_LABELS, ["LabelsSetAgain"])


def test_a_session_without_our_labels_is_paused_all_the_same() -> None:
    assert decided(a_session(status=RUNS, paused=True), {}, contested=True).action == Action.PAUSE


def test_labels_are_read_before_a_release_and_not_before_a_pause_that_nobody_contests() -> None:
    assert decided(a_session(status=RUNS, paused=True), None).action == Action.PAUSE
    assert decided(a_session(status=RUNS, paused=True), None, contested=True).action == Action.READ_LABELS
    assert decided(a_session(status=RUNS, deleting=True), None).action == Action.READ_LABELS


def test_a_session_that_the_spec_names_needs_no_label() -> None:
    assert decided(adopted(status=RUNS, policy="Delete", deleting=True), None).action == Action.RELEASE
