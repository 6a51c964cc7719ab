"""The decision: what to do with a resource, from its input alone; pure.

`TABLE` is the heart of it: for every state that may be wanted and every state that may be seen, the next step. The
steps themselves stand in `transitions` (pause, resume, release and waiting for them) and `absence` (sessions that are
gone, or only observed); what happens before a session has an id, and with duplicates, in `creation`, what a failed call
or look means in `on_error`.
"""

from dataclasses import replace
from enum import StrEnum
from typing import Final, assert_never

from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Reason, Truth
from .absence import observe_only, session_absent, session_ended
from .backoff import SLOW
from .creation import after_the_step, creation_step, unreported
from .intent import Intent
from .plan import Action, Draft, Input, Plan, finish
from .transitions import in_transition, settled, start_transition, unexpected
from .wording import needs_finalizer, of_no_look


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


def decide(given: Input) -> Plan:
    """Choose the next step from the input alone; the reconciler carries it out."""
    draft = creation_step(given) if given.seen is None else after_the_step(given, _step(given, given.seen))
    return finish(given, draft)


def _step(given: Input, seen: Observation) -> Draft:
    if given.session.observe_only:
        return observe_only(given, seen)
    step = TABLE[given.desired][seen.state]
    match step:
        case Step.SETTLED:
            return settled(given, seen)
        case Step.WAIT:
            return in_transition(given, seen)
        case Step.PAUSE:
            return start_transition(given, seen, Action.PAUSE)
        case Step.RESUME:
            return start_transition(given, seen, Action.RESUME)
        case Step.RELEASE:
            return start_transition(given, seen, Action.RELEASE)
        case Step.LOST:
            return session_absent(given, seen)
        case Step.DONE:
            return session_ended(given, seen)
        case Step.UNEXPECTED:
            return unexpected(given, seen)
        case _:
            assert_never(step)


def before_looking(given: Input) -> Plan | None:
    """Decide what needs no look: what stands in the way of one, and a new session's id that is not written yet."""
    plan = _in_the_way(given)
    if plan is None and (draft := unreported(given)) is not None:
        return finish(given, draft)
    return plan


def _in_the_way(given: Input) -> Plan | None:
    """Decide on finalizers, specs that cannot be used, and sessions that another resource manages."""
    session, owner = given.session, given.recalled.owner
    needed = needs_finalizer(session)
    if session.deleting:
        if not session.has_finalizer:
            return Plan()
        return Plan(action=Action.REMOVE_FINALIZER) if owner or not needed else None
    if needed != session.has_finalizer:
        return Plan(action=Action.ADD_FINALIZER if needed else Action.REMOVE_FINALIZER, requeue=0.0)
    if session.problem:
        return _stalled(given, Reason.INVALID_SPEC, f"The spec cannot be used: {session.problem}.")
    if owner:
        message = (
            f"Session {session.session_id} is managed by AgbSession {owner}, which is older. "
            "Delete one of the two, or set spec.managementPolicy to Observe here."
        )
        return _stalled(given, Reason.SESSION_CONFLICT, message)
    return None


def _stalled(given: Input, reason: Reason, message: str) -> Plan:
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    return finish(given, replace(of_no_look(given, ready), stalled=True, warns=True, requeue=SLOW))


def is_settled(session: AgbSession, intent: Intent) -> bool:
    """Tell whether the status says that nothing is left to do, so that watch and resync look after the resource."""
    status, asked = session.status, session.reconcile_requested_at
    # Without a why an older operator has written it, or the CRD is an older one, which keeps none.
    told = not status.why or (status.why == intent.why and status.next_change == intent.shown)
    return (
        told
        and status.desired_state == intent.state
        and status.ready.status == Truth.TRUE
        and status.ready.observed_generation == session.generation == status.observed_generation
        and not session.deleting
        and needs_finalizer(session) == session.has_finalizer
        and (not asked or asked == status.last_handled_reconcile_at)
    )
