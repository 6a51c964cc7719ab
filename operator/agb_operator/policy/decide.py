"""The decision: what to do with a resource, from facts alone; pure.

`TABLE` is the heart of it: for every state that may be wanted and every state that may be seen, the next step. A new
status of the API is a row in `states`, a row here for each desired state, and its test cases. The steps themselves
stand in `transitions` (pause, resume, release and waiting for them) and `loss` (sessions that are gone, or only
observed); what happens before a session has an id in `creation`, what a failed call or look means in `failure`.
"""

from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import Final, assert_never

from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Reason, Truth
from .absence import observe_only, session_absent, session_ended
from .transitions import in_transition, settled, start_transition, unexpected
from .wording import SLOW, Action, Event, Facts, Plan, base_report, needs_finalizer, no_look_verdict, unseen_phase


class Step(StrEnum):
    """What a pair of wanted and seen state asks for."""

    SETTLED = "Settled"
    WAIT = "Wait"
    PAUSE = "Pause"
    RESUME = "Resume"
    RELEASE = "Release"
    LOST = "Lost"
    DONE = "Done"
    UNEXPECTED = "Unexpected"


_S, _D = SessionState, DesiredState
TABLE: Final = {
    _D.RUNNING: {
        _S.STARTING: Step.WAIT,
        _S.RUNNING: Step.SETTLED,
        _S.PAUSING: Step.WAIT,
        _S.PAUSED: Step.RESUME,
        _S.RESUMING: Step.WAIT,
        _S.DELETING: Step.WAIT,
        _S.RELEASED: Step.LOST,
        _S.NOT_FOUND: Step.LOST,
        _S.UNKNOWN: Step.UNEXPECTED,
    },
    _D.PAUSED: {
        _S.STARTING: Step.WAIT,
        _S.RUNNING: Step.PAUSE,
        _S.PAUSING: Step.WAIT,
        _S.PAUSED: Step.SETTLED,
        _S.RESUMING: Step.WAIT,
        _S.DELETING: Step.WAIT,
        _S.RELEASED: Step.LOST,
        _S.NOT_FOUND: Step.LOST,
        _S.UNKNOWN: Step.UNEXPECTED,
    },
    _D.GONE: {
        _S.STARTING: Step.WAIT,
        _S.RUNNING: Step.RELEASE,
        _S.PAUSING: Step.WAIT,
        _S.PAUSED: Step.RESUME,  # AGB refuses to release a paused session
        _S.RESUMING: Step.WAIT,
        _S.DELETING: Step.WAIT,
        _S.RELEASED: Step.DONE,
        _S.NOT_FOUND: Step.DONE,
        _S.UNKNOWN: Step.UNEXPECTED,
    },
}


def plan(session: AgbSession, seen: Observation, *, now: datetime, facts: Facts) -> Plan:
    """Choose the next step from facts alone; the reconciler carries it out."""
    if session.observe_only:
        return observe_only(session, seen, now=now, facts=facts)
    step = TABLE[session.desired][seen.state]
    match step:
        case Step.SETTLED:
            return settled(session, seen, now=now, facts=facts)
        case Step.WAIT:
            return in_transition(session, seen, now=now)
        case Step.PAUSE:
            return start_transition(session, seen, Action.PAUSE, now=now, facts=facts)
        case Step.RESUME:
            return start_transition(session, seen, Action.RESUME, now=now, facts=facts)
        case Step.RELEASE:
            return start_transition(session, seen, Action.RELEASE, now=now, facts=facts)
        case Step.LOST:
            return session_absent(session, seen, now=now, facts=facts)
        case Step.DONE:
            return session_ended(session, seen, facts=facts)
        case Step.UNEXPECTED:
            return unexpected(session, seen)
        case _:
            assert_never(step)


def before_looking(session: AgbSession, *, facts: Facts) -> Plan | None:
    """Decide what needs no look: finalizers, specs that cannot be used, sessions that another resource manages."""
    if session.deleting:
        if not session.has_finalizer:
            return Plan()
        if not needs_finalizer(session) or facts.other_claimant:
            return Plan(action=Action.REMOVE_FINALIZER)
        return None
    if needs_finalizer(session) != session.has_finalizer:
        return Plan(action=Action.ADD_FINALIZER if needs_finalizer(session) else Action.REMOVE_FINALIZER, requeue=0.0)
    if session.problem:
        return _stalled(session, Reason.INVALID_SPEC, f"The spec cannot be used: {session.problem}.")
    if facts.other_claimant:
        message = (
            f"Session {session.session_id} is managed by AgbSession {facts.other_claimant}, which is older. "
            "Delete one of the two, or set spec.managementPolicy to Observe here."
        )
        return _stalled(session, Reason.SESSION_CONFLICT, message)
    return None


def _stalled(session: AgbSession, reason: Reason, message: str) -> Plan:
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    report = base_report(session, phase=unseen_phase(session), ready=ready, paused=no_look_verdict(reason))
    before = session.status.condition("Ready")
    known = before is not None and before.reason == reason
    return Plan(
        report=replace(report, stalled=ready),
        requeue=SLOW,
        events=() if known else (Event(reason=reason, message=message, warning=True),),
    )


def is_settled(session: AgbSession) -> bool:
    """Tell whether the status says that nothing is left to do, so that watch and resync look after the resource."""
    status = session.status
    ready = status.condition("Ready")
    asked = session.reconcile_requested_at
    return (
        ready is not None
        and ready.status == Truth.TRUE
        and ready.observed_generation == session.generation == status.observed_generation
        and not session.deleting
        and needs_finalizer(session) == session.has_finalizer
        and (not asked or asked == status.last_handled_reconcile_at)
    )
