"""What a failed look or call means: what to say, whether a person has to act, and when to try again; pure."""

from dataclasses import replace
from typing import Final

from ..model.errors import (
    AgbError,
    ApiUnavailable,
    ClusterError,
    CredentialsMissing,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    TerminalError,
)
from ..model.resource import FINALIZER, AgbSession
from ..model.status import ConditionDraft, Reason, Truth
from .backoff import QUOTA_RECHECK, SECRET_RECHECK, SLOW, UNTOLD
from .plan import Action, Draft, Input, Plan, finish
from .wording import of_look, of_no_look

_DOING: Final = {
    Action.PAUSE: "Pausing the session",
    Action.RESUME: "Resuming the session",
    Action.RELEASE: "Releasing the session",
    Action.CREATE: "Creating the session",
    Action.SET_LABELS: "Labelling the session",
    Action.END_DUPLICATE: "Ending a session that an interrupted create had left",
}


def on_error(given: Input, error: AgbError, *, retry: float, attempted: Action) -> Plan:
    """Decide after an error.

    Args:
        given: what is known; `failing_for` counts from the first failure in a row, `seen` is None when the look is
            what failed.
        error: what went wrong.
        retry: seconds until the next try of what may pass, by the back-off or by the error's own word.
        attempted: the call that failed, `NONE` for a look.
    """
    return finish(given, _draft(given, error, retry=retry, attempted=attempted))


def finalizer_refused(given: Input, error: ClusterError) -> Plan:
    """Say that nothing is done for the resource: without its finalizer, its session could outlive it unseen."""
    message = f"The finalizer {FINALIZER} cannot be written: {error.message}. {error.advice}"
    ready = ConditionDraft(status=Truth.FALSE, reason=Reason.FINALIZER_REFUSED, message=message)
    return finish(given, replace(of_no_look(given, ready), stalled=True, blocks=True, warns=True))


def _draft(given: Input, error: AgbError, *, retry: float, attempted: Action) -> Draft:
    requeue = _requeue(error, retry)
    if not isinstance(error, TerminalError) and given.recalled.failing_for < UNTOLD:
        return Draft(requeue=requeue)
    if isinstance(error, SessionNotFound):
        return Draft(requeue=1.0)  # the next look decides whether to believe it
    session = given.session
    reason = _reason(error, attempted)
    ready = ConditionDraft(
        status=Truth.UNKNOWN if reason == Reason.API_UNAVAILABLE else Truth.FALSE,
        reason=reason,
        message=_message(session, error, attempted),
    )
    if given.seen is not None:
        draft = of_look(given, given.seen, ready)
    elif attempted == Action.CREATE and not error.outcome_unknown:
        draft = of_no_look(given, ready)
        draft = replace(draft, paused=replace(ready, status=Truth.FALSE, message="There is no session yet."))
    else:
        draft = of_no_look(given, ready)
    stalls = isinstance(error, TerminalError) and not isinstance(error, QuotaExceeded)
    lasts = given.recalled.failing_for > session.timeout.total_seconds()
    return replace(draft, reconciling=not stalls, stalled=stalls, blocks=stalls or lasts, warns=True, requeue=requeue)


def _message(session: AgbSession, error: AgbError, attempted: Action) -> str:
    if isinstance(error, CredentialsMissing):
        return error.message  # nothing was tried, and it says what to do
    # It may end in AGB's own words, which know no full stop.
    what = error.message if error.message.endswith((".", "!", "?")) else f"{error.message}."
    return f"{_DOING.get(attempted, 'Looking at the session')} failed: {what} {_advice(session, error)}"


def _reason(error: AgbError, attempted: Action) -> Reason:
    if isinstance(error, RequestRefused) and attempted != Action.CREATE:
        return Reason.INVALID_SPEC  # only the spec's words reach the API: an id, or labels
    if attempted == Action.CREATE and isinstance(error, ApiUnavailable) and _was_answered(error):
        return Reason.CREATE_FAILED
    return Reason(error.reason)


def _was_answered(error: ApiUnavailable) -> bool:
    """Tell whether AGB itself said no, rather than that it could not be reached or understood."""
    return error.http_status is not None and error.http_status < 300 and not error.outcome_unknown


def _requeue(error: AgbError, retry: float) -> float:
    match error:
        case CredentialsMissing() | CredentialsRejected():
            return SECRET_RECHECK
        case QuotaExceeded():
            return QUOTA_RECHECK
        case TerminalError():
            return SLOW
        case _:
            return retry


def _advice(session: AgbSession, error: AgbError) -> str:
    match error:
        case CredentialsRejected():
            if session.secret is not None:
                return (
                    f"Put a valid key into Secret {session.secret.name}; the operator reads it again within a minute."
                )
            return (
                "It is the operator's own key: have the administrator replace it (AGB_API_KEY), "
                "or name a Secret in spec.credentials.secretRef."
            )
        case NotSupported():
            return "Ask AGB's support to enable pause and resume for the account."
        case QuotaExceeded():
            return "Delete sessions (paused ones count) or raise the limit; the operator tries again every minute."
        case RequestRefused(about_image=True):
            return "Check spec.imageId; it cannot be changed, so delete the resource and apply it with the right image."
        case RequestRefused():
            return "Check the spec against the message."
        case IllegalState():
            return "The operator looks again before it acts."
        case _:
            return "The operator tries again with back-off."
