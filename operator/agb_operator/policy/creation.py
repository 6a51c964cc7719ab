"""How a session comes into being for a resource that has none yet, never twice; pure.

The steps, each a pass of its own: finalizer (in `decide`), intent in the status (its write is guarded by
resourceVersion), look-up by the label that holds the resource's UID, createSession, and the new id in the status. The
look-up counts with the key that the intent names: another one may open another account.
`attempts` of the Create operation is raised by the intent, so a count above zero means: a createSession may have
been sent. Where two of them may have taken effect the status says so until a look-up has shown that none is left over;
what is left over is a duplicate, and is ended.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from ..model.event import Event
from ..model.resource import UID_LABEL, AgbSession
from ..model.states import Created, Observation, SessionState
from ..model.status import ConditionDraft, Operation, OperationType, Phase, Reason, Truth
from .backoff import LABELS_SHOW, LOOK_UP_AGAIN, SECRET_RECHECK, SLOW, SUSPECT
from .plan import Action, Draft, Input
from .proof import Absence, Ownership, sent_with
from .wording import begun, of_look, of_no_look


def living(found: Sequence[Observation]) -> list[Observation]:
    """Keep the sessions that can still be used, the oldest first as the API lists them."""
    gone = (SessionState.DELETING, SessionState.RELEASED, SessionState.NOT_FOUND)
    return [seen for seen in found if seen.state not in gone]


def needs_lookup(session: AgbSession) -> bool:
    """Tell whether the next step depends on what the API lists for the resource's UID."""
    return not session.session_id and session.status.create_attempts > 0


def creation_step(given: Input) -> Draft:
    """Choose the next step towards a session."""
    session, since_create = given.session, given.recalled.since_create
    if needs_lookup(session) and given.found is None:
        return Draft(action=Action.LOOK_UP)
    usable = living(given.found or ())
    if usable and given.ownership == Ownership.OURS:
        return _took_over(given, usable[0], others=len(usable) > 1)
    if usable and given.ownership != Ownership.UNPROVEN:
        return _list_not_believed(given, usable[0])
    unsure = since_create is not None and since_create < LABELS_SHOW
    if unsure:
        return Draft(requeue=LOOK_UP_AGAIN)
    left = _may_be_left(given)
    if session.deleting:
        return _left_with_another_key(given, left) if left else Draft(action=Action.REMOVE_FINALIZER)
    if session.observe_only:
        return _nothing_to_observe(given)
    if not needs_lookup(session) or since_create is not None or not sent_with(session, given.evidence.sender):
        # Either nothing was ever sent, or what was sent is known to have come to nothing: (re)state the intent.
        return _intent(given, left)
    return Draft(action=Action.CREATE)  # what it brings is said by `created`


def _may_be_left(given: Input) -> str:
    """Say that a create may have taken effect in an account that cannot be looked into; "" where it can."""
    session, never_sent = given.session, given.recalled.since_create is None
    if not needs_lookup(session) or never_sent or sent_with(session, given.evidence.looked_up_by):
        return ""
    return (
        "A session may have been created with the previous API key. The operator no longer has that key, or AGB "
        "refuses it, so it cannot look into that account. If there is a session with the label "
        f"{UID_LABEL}={session.uid}, end it there."
    )


def _left_with_another_key(given: Input, left: str) -> Draft:
    ready = ConditionDraft(
        status=Truth.FALSE,
        reason=Reason.CREDENTIALS_INVALID,
        message=f"{left} Or put that key back, and the operator ends it.",
    )
    draft = of_no_look(given, ready, paused="Whether there is a session is not known.")
    return replace(draft, stalled=True, blocks=True, warns=True, requeue=SECRET_RECHECK)


def _list_not_believed(given: Input, stranger: Observation) -> Draft:
    message = (
        f"AGB's list returned session {stranger.session_id}, which does not carry the requested label, so the list "
        "ignores its filter. The operator changes none of these sessions, and creates none until the filter works. "
        "Ask AGB's support, or look for a gateway that drops the query."
    )
    ready = ConditionDraft(status=Truth.UNKNOWN, reason=Reason.API_UNAVAILABLE, message=message)
    draft = of_no_look(given, ready, phase=Phase.CREATING)
    return replace(draft, reconciling=True, blocks=True, warns=True, requeue=SUSPECT)


def _intent(given: Input, left: str) -> Draft:
    """State the intent; `left` is said with it, and remains in the operation's message."""
    last = given.session.status.operation
    attempts = last.attempts if last is not None and last.type == OperationType.CREATE else 0
    operation = replace(begun(given, OperationType.CREATE, attempts=attempts + 1), sent_with=given.evidence.sender)
    if last is not None and last.is_running(OperationType.CREATE):
        operation = replace(operation, message=f"{last.message} {left}".strip())
    reason, text = Reason.CREATING, "AGB is asked for a session."
    if last is not None and last.type == OperationType.CREATE and given.is_late(last):
        reason = Reason.CREATE_FAILED
        text = "No session was created within spec.timeout. The operator keeps trying; if it lasts, ask AGB's support."
    text = f"{text} {left}".strip()
    draft = _creating(given, reason, text, paused="There is no session yet.", operation=operation)
    events = (Event(reason="SessionMayBeLeft", message=left, warning=True),) if left else ()
    return replace(draft, requeue=0.0, events=events)


def _creating(given: Input, reason: Reason, message: str, *, paused: str, **fields: Any) -> Draft:
    ready = ConditionDraft(status=Truth.FALSE, reason=reason, message=message)
    draft = of_no_look(given, ready, paused=paused, **{"phase": Phase.CREATING, **fields})
    return replace(draft, reconciling=True)


def _nothing_to_observe(given: Input) -> Draft:
    message = (
        "There is no session to observe, and none is created while spec.managementPolicy is Observe. Set it to Manage "
        "to create one; to observe a session that exists, name it by spec.sessionId in another AgbSession."
    )
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_NOT_FOUND, message=message)
    draft = of_no_look(given, ready, paused="There is no session.", phase=Phase.PENDING)
    return replace(draft, stalled=True, requeue=SLOW)


def _exists(given: Input, session_id: str, *, may_have_duplicates: bool, request_id: str = "", **fields: Any) -> Draft:
    operation = replace(_since_it_exists(given), request_id=request_id)
    return _creating(
        given,
        Reason.CREATING,
        "AGB has created the session.",
        paused="The session has not been looked at yet.",
        session_id=session_id,
        operation=operation,
        may_have_duplicates=may_have_duplicates,
        **fields,
    )


def _since_it_exists(given: Input) -> Operation:
    """Give the Create operation; what held up the call before (a refused key, a quota) is no delay of the session's."""
    operation = begun(given, OperationType.CREATE)
    return replace(operation, started_at=given.now) if given.is_late(operation) else operation


def unreported(given: Input) -> Draft | None:
    """Give what to write if createSession answered and its id could not be written."""
    answer = given.recalled.created
    if answer is None or given.session.session_id:
        return None
    # A changed spec may have been in the way: the labels are those of the one before, so they are set again.
    return created(given, answer, labelled=False)


def created(given: Input, answer: Created, *, labelled: bool = True) -> Draft:
    """Give what to write once createSession has answered: the id, before anything else happens.

    Args:
        given: what is known.
        answer: the new session, and AGB's name for the call.
        labelled: whether the session has the labels that the spec asks for now.
    """
    draft = _exists(
        given,
        answer.session_id,
        request_id=answer.request_id,
        may_have_duplicates=given.session.status.create_attempts > 1,
        seen_with=answer.seen_with,
        labels=given.session.labels if labelled else None,
    )
    text = f"Created session {answer.session_id} from image {given.session.image_id}."
    operation = given.session.status.operation
    if operation is not None and operation.is_running(OperationType.CREATE) and operation.message:
        text += f" {operation.message}"
    return replace(draft, requeue=0.0, events=(Event(reason="Created", message=text),))


def _took_over(given: Input, seen: Observation, *, others: bool) -> Draft:
    # Its labels may be those of an earlier spec, so they count as unknown and are set again.
    draft = _exists(
        given,
        seen.session_id,
        session_status=seen.status,
        seen_with=given.evidence.found_by,
        may_have_duplicates=others or given.session.status.create_attempts > 1,
        labels=None,
    )
    text = f"Took over session {seen.session_id}, which an interrupted create had left."
    return replace(draft, requeue=0.0, events=(Event(reason="Created", message=text),))


def after_the_step(given: Input, draft: Draft) -> Draft:
    """Add what is left to do for duplicates to a step that asks for no call; what the user wants goes first."""
    session = given.session
    if draft.action not in (Action.NONE, Action.REMOVE_FINALIZER):
        return draft
    if given.found is None:
        # A key that may not be the session's finds nothing, and that proves nothing.
        return _look_up_when_due(given, draft) if given.absence in (None, Absence.BELIEVED) else draft
    duplicates = living(given.found)
    if duplicates and given.ownership == Ownership.OURS:
        return _end_duplicate(given, draft, duplicates[0])
    if duplicates:
        # A list that ignores its filter: what it brings is not ours, and what is ours may be among it.
        strangers = _list_not_believed(given, duplicates[0])
        return strangers if given.session.deleting else replace(draft, requeue=SUSPECT)
    if session.status.may_have_duplicates and draft.action == Action.NONE and draft.status is not None:
        return replace(draft, status=replace(draft.status, may_have_duplicates=False))
    return draft


def _look_up_when_due(given: Input, draft: Draft) -> Draft:
    session, since = given.session, given.recalled.since_create
    suspected = session.status.may_have_duplicates or given.recalled.duplicated
    if not suspected or session.observe_only or session.deleting or draft.status is None:
        return draft
    fresh = LABELS_SHOW - (since or 0.0) if session.status.may_have_duplicates else 0.0
    wait = max(fresh, given.recalled.look_up_rests)
    if wait <= 0:
        return replace(draft, action=Action.LOOK_UP)
    return replace(draft, requeue=wait if draft.requeue is None else min(draft.requeue, wait))


def _end_duplicate(given: Input, draft: Draft, duplicate: Observation) -> Draft:
    """Release a session that an interrupted create has left, once what is wanted of the resource's own is done."""
    if given.session.deleting:
        # The resource stays until its last session is gone, and says so.
        text = f"Session {duplicate.session_id}, which an interrupted create had left, is ended, too."
        ready = ConditionDraft(status=Truth.FALSE, reason=Reason.DELETING, message=text)
        seen = given.seen or duplicate
        draft = replace(of_look(given, seen, ready), reconciling=True)
    draft = replace(draft, requeue=LOOK_UP_AGAIN, events=())
    if duplicate.state == SessionState.RUNNING:
        text = f"Session {duplicate.session_id}, which an interrupted create left in addition to this one, is released."
        event = Event(reason="DuplicateReleased", message=text, warning=True)
        return replace(draft, action=Action.END_DUPLICATE, events=(event,))
    # AGB refuses to release a paused session; one that is moving has to come to rest.
    return replace(draft, action=Action.END_DUPLICATE if duplicate.state == SessionState.PAUSED else Action.NONE)
