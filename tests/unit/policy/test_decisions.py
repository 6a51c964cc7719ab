"""What holds for every decision, whatever the spec, the status, the look, the clock and the memory."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from hypothesis import assume, given
from hypothesis import strategies as st

from agb_operator.model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsMissing,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    Throttled,
)
from agb_operator.model.resource import FINALIZER, AgbSession
from agb_operator.model.states import Observation, SessionState
from agb_operator.model.status import Truth
from agb_operator.model.status_json import status_to_dict
from agb_operator.policy.backoff import SLOW
from agb_operator.policy.plan import Action, Plan, Recalled
from unit.builders import ID, IMAGE, a_body, before_looking, carried_on, not_found, on_error, plan, plan_creation, seen
from unit.strategies import MOMENTS, STATUSES

WORDS = ["STARTING", "RUNNING", "PAUSING", "PAUSED", "RESUMING", "DELETING", "FINISH", "", "HIBERNATING"]
LOOKS = st.sampled_from(WORDS).map(seen) | st.just(not_found())
AGES = st.none() | st.floats(min_value=0, max_value=1e6)
RECALLED = st.builds(
    Recalled,
    since_call=AGES,
    missing_looks=st.integers(min_value=0, max_value=3),
    missing_for=st.floats(min_value=0, max_value=100),
    failing_for=st.floats(min_value=0, max_value=1e6),
    vouched=st.booleans(),
    mass_loss=st.booleans(),
    since_create=AGES,
    owner=st.sampled_from(["", "ml/older"]),
)
SPECS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "paused": st.booleans(),
        "deletionPolicy": st.sampled_from(["Delete", "Retain", "Orphan"]),
        "managementPolicy": st.sampled_from(["Manage", "Observe"]),
        "onSessionLost": st.sampled_from(["Fail", "Recreate"]),
        "labels": st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"), max_size=2),
        "timeout": st.sampled_from(["1s", "10m", "24h"]),
        "pollInterval": st.sampled_from(["1s", "2s", "5m"]),
    },
)


@st.composite
def sessions(draw: st.DrawFn, *, session_ids: Sequence[str] = ("", ID)) -> AgbSession:
    """Any resource: created or adopted, with any status."""
    source = draw(st.sampled_from([{"imageId": IMAGE}, {"sessionId": ID}]))
    status = replace(draw(STATUSES), session_id=draw(st.sampled_from(session_ids)))
    return AgbSession.from_body(
        a_body(
            spec={**draw(SPECS), **source},
            status=status_to_dict(status),
            generation=draw(st.integers(min_value=1, max_value=9)),
            deleting=draw(st.booleans()),
            finalizers=draw(st.sampled_from([(), (FINALIZER,), ("other",), ("other", FINALIZER)])),
            annotations=draw(st.sampled_from([{}, {"agb.cloud/abandon": "true"}])),
        )
    )


EXISTING = sessions(session_ids=[ID])
ERRORS: st.SearchStrategy[AgbError] = st.sampled_from(
    [
        ApiUnavailable("No answer."),
        Throttled("Too many.", retry_after=20.0),
        IllegalState("Not now."),
        SessionNotFound("No such session."),
        CredentialsRejected("Refused."),
        CredentialsMissing("None."),
        NotSupported("No."),
        QuotaExceeded("Full."),
        RequestRefused("What?", about_image=True),
    ]
)


def looks_after_itself(session: AgbSession, decided: Plan) -> bool:
    """Tell whether something will happen next: another pass in time, the resync, or the resource's own end."""
    if decided.requeue is not None:
        return 0 <= decided.requeue <= SLOW
    if decided.status is None:
        return session.deleting
    return decided.status.ready.status == Truth.TRUE


def assert_well_said(session: AgbSession, decided: Plan, now: datetime) -> None:
    """Check what the CRD and kstatus ask of every status."""
    if decided.status is None:
        return
    after = carried_on(session, decided).status
    by_type = {condition.type: condition for condition in after.conditions}
    assert {"Ready", "Paused"} <= set(by_type) <= {"Ready", "Paused", "Reconciling", "Stalled"}
    assert not {"Reconciling", "Stalled"} <= set(by_type)
    assert (
        by_type["Ready"].status == Truth.TRUE
        or "Reconciling" in by_type
        or "Stalled" in by_type
        or (by_type["Ready"].status == Truth.UNKNOWN)
    )
    for condition in after.conditions:
        assert condition.message
        assert condition.observed_generation == session.generation == after.observed_generation
        assert condition.type not in ("Reconciling", "Stalled") or condition.status == Truth.TRUE
    for event in decided.events:
        assert event.message


@given(session=EXISTING, look=LOOKS, recalled=RECALLED, now=MOMENTS)
def test_every_call_is_legal_in_the_state_that_was_seen(
    session: AgbSession, look: Observation, recalled: Recalled, now: datetime
) -> None:
    action = plan(session, look, now=now, recalled=recalled).action

    match action:
        case Action.NONE:
            pass
        case Action.PAUSE:
            assert look.state == SessionState.RUNNING
            assert session.paused
            assert not session.deleting
        case Action.RESUME:
            assert look.state == SessionState.PAUSED
            assert session.deleting or not session.paused
        case Action.RELEASE:
            assert look.state == SessionState.RUNNING
            assert session.deleting
        case Action.SET_LABELS:
            assert look.state in (SessionState.RUNNING, SessionState.PAUSED)
            assert session.image_id
        case Action.REMOVE_FINALIZER:
            assert look.state in (SessionState.RELEASED, SessionState.NOT_FOUND)
            assert session.deleting
        case _:
            raise AssertionError(f"a look never leads to {action}")
    assert action == Action.NONE or not session.observe_only


@given(session=EXISTING, look=LOOKS, recalled=RECALLED, now=MOMENTS)
def test_every_decision_after_a_look_is_well_said_and_followed_by_another(
    session: AgbSession, look: Observation, recalled: Recalled, now: datetime
) -> None:
    decided = plan(session, look, now=now, recalled=recalled)

    assert_well_said(session, decided, now)
    assert looks_after_itself(session, decided)


@given(session=EXISTING, look=LOOKS, recalled=RECALLED, now=MOMENTS)
def test_a_second_look_at_the_same_changes_nothing(
    session: AgbSession, look: Observation, recalled: Recalled, now: datetime
) -> None:
    assume(not (session.deleting and session.observe_only))  # it is let go of before any look
    first = plan(session, look, now=now, recalled=recalled)
    after = carried_on(session, first)
    assume(first.status is not None and after.session_id)
    second = plan(after, look, now=now, recalled=recalled)
    assume(first.action == second.action == Action.NONE)

    assert carried_on(after, second) == after
    assert second.events == ()


@given(session=sessions(), recalled=RECALLED, now=MOMENTS)
def test_what_is_decided_without_a_look_is_well_said_and_followed_by_another(
    session: AgbSession, recalled: Recalled, now: datetime
) -> None:
    decided = before_looking(session, recalled=recalled)
    if decided is None:
        return

    assert decided.action in (Action.NONE, Action.ADD_FINALIZER, Action.REMOVE_FINALIZER)
    assert decided.action != Action.ADD_FINALIZER or not (session.deleting or session.has_finalizer)
    assert decided.action != Action.REMOVE_FINALIZER or session.has_finalizer
    assert_well_said(session, decided, now)
    assert looks_after_itself(session, decided)


@given(session=sessions(), found=st.lists(LOOKS, max_size=2), recalled=RECALLED, now=MOMENTS)
def test_creating_is_well_said_and_a_session_is_created_only_where_one_is_wanted_and_none_is_found(
    session: AgbSession, found: Sequence[Observation], recalled: Recalled, now: datetime
) -> None:
    decided = plan_creation(session, found, now=now, recalled=recalled)

    assert decided.action in (Action.NONE, Action.CREATE, Action.REMOVE_FINALIZER)
    if decided.action == Action.CREATE:
        assert not session.deleting
        assert not session.observe_only
        assert recalled.since_create is None
        assert all(look.state in (SessionState.DELETING, SessionState.RELEASED) for look in found)
    assert_well_said(session, decided, now)
    assert decided.action != Action.NONE or looks_after_itself(session, decided)


@given(
    session=sessions(),
    error=ERRORS,
    recalled=RECALLED,
    now=MOMENTS,
    retry=st.floats(min_value=0.1, max_value=300),
    attempted=st.sampled_from(Action),
    look=st.none() | LOOKS,
)
def test_every_failure_is_well_said_and_followed_by_another_try(
    session: AgbSession,
    error: AgbError,
    recalled: Recalled,
    now: datetime,
    retry: float,
    attempted: Action,
    look: Observation | None,
) -> None:
    decided = on_error(session, error, recalled=recalled, retry=retry, attempted=attempted, seen=look)

    assert decided.action == Action.NONE
    assert_well_said(session, decided, now)
    assert looks_after_itself(session, decided)
