"""What a failed look or call means: what to say, whether a person has to act, and when to try again; pure."""

from dataclasses import replace
from typing import Final

from ..model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsMissing,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    TerminalError,
)
from ..model.resource import AgbSession
from ..model.states import DesiredState, Observation
from ..model.status import ConditionDraft, Reason, Truth
from .transitions import blocked
from .wording import SLOW, Action, Event, Facts, Plan, base_report, no_look_verdict, seen_report, unseen_phase

PATIENCE: Final = 10.0
"""Seconds for which a passing failure is not worth a status write."""
SECRET_RECHECK: Final = 30.0
"""Seconds between looks at a Secret whose key is missing or refused."""
QUOTA_RECHECK: Final = 60.0

_DOING: Final = {
    Action.PAUSE: "Pausing the session",
    Action.RESUME: "Resuming the session",
    Action.RELEASE: "Releasing the session",
    Action.CREATE: "Creating the session",
    Action.SET_LABELS: "Labelling the session",
}


def on_error(
    session: AgbSession, error: AgbError, *, facts: Facts, retry: float, attempted: Action, seen: Observation | None
) -> Plan:
    """Decide after an error.

    Args:
        session: the resource.
        error: what went wrong.
        facts: what this process remembers; `failing_for` counts from the first failure in a row.
        retry: seconds until the next try of what may pass, by the back-off or by the error's own word.
        attempted: the call that failed, `NONE` for a look.
        seen: the look of this pass, None when the look is what failed.
    """
    requeue = _requeue(error, retry)
    if not isinstance(error, TerminalError) and facts.failing_for < PATIENCE:
        return Plan(requeue=requeue)
    if isinstance(error, SessionNotFound):
        return Plan(requeue=1.0)  # the next look decides whether to believe it
    message = _message(session, error, attempted)
    reason = _reason(error, attempted)
    ready = ConditionDraft(
        status=Truth.UNKNOWN if reason == Reason.API_UNAVAILABLE else Truth.FALSE, reason=reason, message=message
    )
    if seen is None:
        paused = no_look_verdict(reason)
        if attempted == Action.CREATE and not error.outcome_unknown:
            paused = ConditionDraft(status=Truth.FALSE, reason=reason, message="There is no session yet.")
        report = base_report(session, phase=unseen_phase(session), ready=ready, paused=paused)
    else:
        report = seen_report(session, seen, ready=ready)
    stalls = isinstance(error, TerminalError) and not isinstance(error, QuotaExceeded)
    report = replace(report, reconciling=not stalls, stalled=ready if stalls else None)
    if session.desired == DesiredState.GONE and (stalls or facts.failing_for > session.timeout.total_seconds()):
        report = blocked(report, message)
    return Plan(report=report, requeue=requeue, events=_announced(session, reason, message))


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


def _announced(session: AgbSession, reason: Reason, message: str) -> tuple[Event, ...]:
    before = session.status.condition("Ready")
    if before is not None and before.reason == reason:
        return ()
    return (Event(reason=reason, message=message, warning=True),)


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
