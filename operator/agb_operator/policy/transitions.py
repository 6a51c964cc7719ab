"""Pause, resume and release of a session, and the wait for them; pure steps of `decide`."""

from dataclasses import replace
from typing import Final

from ..model.event import Event
from ..model.resource import CLUSTER_LABEL, NAME_LABEL, NAMESPACE_LABEL
from ..model.states import DesiredState, Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationState, OperationType, Reason, Truth
from .backoff import CALL_SHOWS, LOOK_UP_AGAIN, SHORTEST, SLOW, UNKNOWN_STATE
from .plan import Action, Draft, Input
from .proof import LEFT_BY, Ownership
from .wording import as_wanted, begun, instead, of_look, phase_of, poll_delay, unfinished

MANY_ATTEMPTS: Final = 3
"""Failures after which a person should look."""

_MOVES: Final = {
    SessionState.STARTING: (OperationType.CREATE, Reason.CREATING, Reason.CREATE_FAILED),
    SessionState.PAUSING: (OperationType.PAUSE, Reason.PAUSING, Reason.PAUSE_TIMED_OUT),
    SessionState.RESUMING: (OperationType.RESUME, Reason.RESUMING, Reason.RESUME_TIMED_OUT),
    SessionState.DELETING: (OperationType.RELEASE, Reason.DELETING, Reason.DELETION_BLOCKED),
}
_CALLS: Final = {
    Action.PAUSE: (OperationType.PAUSE, SessionState.PAUSING, "PAUSING"),
    Action.RESUME: (OperationType.RESUME, SessionState.RESUMING, "RESUMING"),
    Action.RELEASE: (OperationType.RELEASE, SessionState.DELETING, "DELETING"),
}


def settled(given: Input, seen: Observation) -> Draft:
    """Report that the session is as asked; labels that changed in the spec are set now."""
    session = given.session
    # The spec may have been flipped back at once: what looks like the goal may be what an accepted call is leaving.
    wait = _being_left_for(given, seen)
    if wait > 0:
        return _wait(given, wait)
    paused = seen.state == SessionState.PAUSED
    ready = ConditionDraft(
        status=Truth.TRUE, reason=Reason.PAUSED if paused else Reason.RUNNING, message=as_wanted(given)
    )
    operation, events = finished(given, paused=paused, session_id=seen.session_id)
    if session.image_id and (given.recalled.labels_in_doubt or session.status.labels != session.labels):
        labelled = begun(given, OperationType.SET_LABELS).ended(OperationState.SUCCEEDED, given.now)
        draft = of_look(given, seen, ready, operation=labelled, labels=session.labels)
        return replace(draft, action=Action.SET_LABELS, requeue=0.0, events=events)
    return replace(of_look(given, seen, ready, operation=operation), events=events)


def _being_left_for(given: Input, seen: Observation) -> float:
    """Give the seconds for which the state seen may be from before a call of ours, whatever is wanted by now."""
    calls, recalled = LEFT_BY[seen.state], given.recalled
    last = given.session.status.operation
    if last is not None and any(last.is_running(kind) for kind in calls):
        return _stale_for(given, last)
    if str(recalled.called) in calls and recalled.since_call is not None:
        # Its answer, or the write about it, was lost; or AGB refused it because the state was another one.
        return CALL_SHOWS - recalled.since_call
    return 0.0


def _stale_for(given: Input, last: Operation) -> float:
    """Give the seconds for which a look may still show the state that the last accepted call has left."""
    since = given.recalled.since_call
    since = given.age(last) if since is None else since
    return min(SLOW, CALL_SHOWS * 2.0 ** min(last.attempts, 16)) - since if last.attempts else 0.0


def _wait(given: Input, seconds: float) -> Draft:
    # What is left of a wait may be a rounding error: that many passes would follow without time going by.
    return Draft(requeue=min(max(seconds, SHORTEST), given.session.poll_interval.total_seconds()))


def finished(given: Input, *, paused: bool, session_id: str) -> tuple[Operation | None, tuple[Event, ...]]:
    """Close the operation that brought the session here, and say so once."""
    last = given.session.status.operation
    if last is None or last.state == OperationState.SUCCEEDED:
        return last, ()
    if last.type in (OperationType.CREATE, OperationType.PAUSE if paused else OperationType.RESUME):
        word = "Paused" if paused else "Running"
        ended = last.ended(OperationState.SUCCEEDED, given.now)
        return ended, (Event(reason=word, message=f"Session {session_id} is {word.lower()} ({given.intent.why})."),)
    if last.state == OperationState.IN_PROGRESS:
        return last.ended(OperationState.FAILED, given.now, "Not carried out, and no longer asked for."), ()
    return last, ()


def in_transition(given: Input, seen: Observation) -> Draft:
    """Wait for a transition to end, and say so when it takes longer than the spec allows."""
    kind, reason, late_reason = _MOVES[seen.state]
    deleting = given.desired == DesiredState.GONE
    if seen.state == SessionState.DELETING and not deleting:
        late_reason = Reason.UNEXPECTED_STATE  # somebody else ends the session
    last = unfinished(given.session, kind) or begun(given, kind)
    age = given.age(last)
    if not given.is_late(last):
        draft = _under_way(given, seen, _moving(given, seen.state, reason), last)
        drift = _drift(given, seen) if seen.state != SessionState.DELETING else ()
        return replace(draft, requeue=poll_delay(given, age), events=drift, drifted=bool(drift))
    message = (
        f"AGB has reported {seen.status} for longer than spec.timeout. The operator keeps checking; "
        "if this does not end, ask AGB's support, or raise spec.timeout."
    )
    timed_out = last.attempts >= MANY_ATTEMPTS or age > MANY_ATTEMPTS * given.session.timeout.total_seconds()
    draft = _failed(given, seen, last, late_reason, message, stalled=timed_out)
    if last.state != OperationState.IN_PROGRESS:
        draft = replace(draft, events=())
    return replace(draft, requeue=poll_delay(given, age))


def _moving(given: Input, state: SessionState, reason: Reason) -> ConditionDraft:
    words = {
        SessionState.STARTING: "AGB is starting the session.",
        SessionState.PAUSING: "AGB is pausing the session.",
        SessionState.RESUMING: "AGB is resuming the session.",
        SessionState.DELETING: "AGB is ending the session.",
    }
    then = {
        (DesiredState.RUNNING, SessionState.PAUSING): " It is resumed once it is paused.",
        (DesiredState.PAUSED, SessionState.RESUMING): " It is paused once it is running.",
        (DesiredState.PAUSED, SessionState.STARTING): " It is paused once it is running.",
        (DesiredState.GONE, SessionState.PAUSING): " It is resumed once it is paused, then released.",
        (DesiredState.GONE, SessionState.RESUMING): " It is released once it is running.",
        (DesiredState.GONE, SessionState.STARTING): " It is released once it is running.",
    }
    message = words[state] + then.get((given.desired, state), "")
    return ConditionDraft(status=Truth.FALSE, reason=reason, message=message)


def _under_way(given: Input, seen: Observation, ready: ConditionDraft, operation: Operation) -> Draft:
    """Say what is under way, and that a person should look if calls before came to nothing."""
    many = operation.type != OperationType.CREATE and operation.attempts > MANY_ATTEMPTS
    if many:
        text = f"AGB accepts every {operation.type.lower()}, but the session does not stay that way. Ask AGB's support."
        ready = ConditionDraft(status=Truth.FALSE, reason=Reason.UNEXPECTED_STATE, message=text)
    draft = of_look(given, seen, ready, operation=operation)
    return replace(draft, reconciling=True, stalled=many, blocks=many)


def _failed(given: Input, seen: Observation, last: Operation, reason: Reason, message: str, *, stalled: bool) -> Draft:
    """Say that an operation has failed in its time; it is gone on with all the same."""
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    draft = of_look(given, seen, ready, operation=last.ended(OperationState.FAILED, given.now, message))
    event = Event(reason=reason, message=message, warning=True)
    return replace(draft, reconciling=True, stalled=stalled, blocks=True, events=(event,))


def start_transition(given: Input, seen: Observation, action: Action) -> Draft:
    """Make a call that is legal in the state seen, unless an accepted one has had too little time to show."""
    kind, state, status = _CALLS[action]
    if (unproven := _not_ours(given, seen, action)) is not None:
        return unproven
    last = unfinished(given.session, kind)
    if last is not None:
        # An accepted call left the session where it was: a stale read at first, a failure after that.
        wait = _stale_for(given, last)
        if wait > 0:
            return _wait(given, wait)
        if last.state == OperationState.IN_PROGRESS and given.is_late(last):
            return _call_failed(given, seen, last)
    else:
        wait = _being_left_for(given, seen)
        if wait > 0:
            return _wait(given, wait)
    # The API promises that an accepted call shows at once, so the status says what the next look will.
    expected = replace(seen, state=state, status=status)
    operation = begun(given, kind, attempts=(last.attempts if last is not None else 0) + 1)
    draft = _under_way(given, expected, _moving(given, state, Reason(phase_of(state))), operation)
    drift = _drift(given, seen)
    return replace(
        draft,
        action=action,
        requeue=given.session.poll_interval.total_seconds(),
        events=drift,
        drifted=bool(drift),
    )


def _not_ours(given: Input, seen: Observation, action: Action) -> Draft | None:
    """Hold a call back until the session's labels have shown whose it is, where that is in question.

    Before a release it always is, for a session that we created: the id in the status is all that names it. Who writes
    `spec.sessionId` has the right to name any session, and claims settle who manages it.
    """
    if not given.session.image_id or not (action == Action.RELEASE or given.evidence.contested):
        return None
    match given.ownership:
        case Ownership.OURS:
            return None
        case Ownership.UNASKED:
            return Draft(action=Action.READ_LABELS)
        case Ownership.UNPROVEN:
            return Draft(requeue=LOOK_UP_AGAIN)
        case Ownership.UNLABELLED if action != Action.RELEASE:
            return None  # who may write the status can reach sessions that carry no label of ours
        case Ownership.UNLABELLED | Ownership.RESTORED:
            return _label_again(given, seen)
        case Ownership.THEIRS:
            return _theirs(given, seen)


def _label_again(given: Input, seen: Observation) -> Draft:
    """Put our labels on a session that has lost them, or has those of the resource before: a release may follow."""
    operation = begun(given, OperationType.SET_LABELS)
    attempts = operation.attempts + 1 if operation == given.session.status.operation else 1
    text = f"The labels of session {seen.session_id} are set again: they are not this resource's."
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.DELETING, message=text)
    draft = of_look(given, seen, ready, operation=replace(operation, attempts=attempts), labels=given.session.labels)
    event = Event(reason="LabelsSetAgain", message=text, warning=True)
    wait = min(SLOW, given.session.poll_interval.total_seconds() * 2.0 ** min(attempts - 1, 16))
    return replace(
        draft, action=Action.SET_LABELS, reconciling=True, requeue=wait, events=(event,) if attempts == 1 else ()
    )


def _theirs(given: Input, seen: Observation) -> Draft:
    labels = given.evidence.labels or {}
    owner = f"{labels.get(NAMESPACE_LABEL, '?')}/{labels.get(NAME_LABEL, '?')}"
    cluster = labels.get(CLUSTER_LABEL, "?")
    message = (
        f"Session {seen.session_id} carries the labels of AgbSession {owner} of cluster {cluster}, "
        "so the operator makes no call for it. If it belongs to this resource, correct its labels at AGB; "
        "otherwise delete this resource."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_CONFLICT, message=message)
    return replace(of_look(given, seen, ready), stalled=True, blocks=True, warns=True, requeue=SLOW)


def _call_failed(given: Input, seen: Observation, last: Operation) -> Draft:
    """Say that accepted calls had no effect for longer than the timeout; the next pass calls again."""
    reason = {
        OperationType.PAUSE: Reason.PAUSE_TIMED_OUT,
        OperationType.RESUME: Reason.RESUME_TIMED_OUT,
    }.get(last.type, Reason.DELETION_BLOCKED)
    message = (
        f"AGB accepted the {last.type.lower()}, but the session is {seen.status} after spec.timeout. "
        "The operator tries again; if this repeats, ask AGB's support."
    )
    draft = _failed(given, seen, last, reason, message, stalled=last.attempts >= MANY_ATTEMPTS)
    return replace(draft, requeue=given.session.poll_interval.total_seconds())


def _drift(given: Input, seen: Observation) -> tuple[Event, ...]:
    """Say that somebody else moved the session, if the last word was that all is as wanted, and that is so still.

    An edge of a schedule is no drift, and neither is a change of the spec: what is wanted is another state then.
    """
    status = given.session.status
    settled_before = (
        status.ready.status == Truth.TRUE
        and status.ready.reason != Reason.OBSERVED
        and status.desired_state == given.desired
    )
    if not settled_before:
        return ()
    text = f"Session {seen.session_id} was found {seen.status}, {instead(given)}; the operator reverses this."
    return (Event(reason="DriftDetected", message=text, warning=True),)


def unexpected(given: Input, seen: Observation) -> Draft:
    """Say that the API's word is not known, and call nothing."""
    said = f"the status {seen.status!r}, which this operator does not know" if seen.status else "no status"
    message = f"AGB reports {said}. The operator makes no call until that changes; look for a newer operator."
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.UNEXPECTED_STATE, message=message)
    requeue = max(given.session.poll_interval.total_seconds(), UNKNOWN_STATE)
    return replace(of_look(given, seen, ready), reconciling=True, blocks=True, requeue=requeue)
