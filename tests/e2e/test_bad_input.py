"""A bad answer of AGB: the text that the user sees, and that nothing is lost by it.

All cases are applied together, since most of them take a while before they are worth a word.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from agb_simulator.effects import (
    BusinessError,
    CreateFailed,
    Effect,
    HttpError,
    LostAnswer,
    RawAnswer,
    StatusValue,
)
from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

PATIENCE = 60.0
"""Seconds until a case must have said what is wrong, and again until it must be well after the repair."""


@pytest.fixture(scope="module")
def user(control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, operator: Operator) -> Iterator[Tenant]:
    """One tenant for all cases; each case has a key of its own, so that no case disturbs another one."""
    tenant = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events())
    yield tenant
    tenant.remove()


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """An answer of AGB, and what becomes of it.

    Attributes:
        effect: what AGB answers to each such request.
        to: the request: getSession, pauseSessionAsync or createSession.
        ready: status and reason of Ready.
        message: of Ready.
        stalled: whether a person has to act.
    """

    effect: Effect
    to: str
    ready: str
    message: str
    stalled: bool = False


AGAIN = "The operator tries again with back-off."
SUPPORT = "Ask AGB's support to enable pause and resume for the account."
UNREADABLE = "something that is not AGB's JSON"
ANSWERS = {
    "server-error": Case(
        effect=HttpError(status=500, code="InternalError"),
        to="pauseSessionAsync",
        ready="Unknown/ApiUnavailable",
        message="Pausing the session failed: AGB failed to serve pauseSessionAsync (HTTP 500, InternalError): "
        f"simulated fault. {AGAIN}",
    ),
    "gateway-page": Case(
        effect=HttpError(status=503, html=True),
        to="getSession",
        ready="Unknown/ApiUnavailable",
        message=f"Looking at the session failed: the endpoint answered getSession with {UNREADABLE} (HTTP 503). "
        + AGAIN,
    ),
    "no-answer": Case(
        effect=LostAnswer(applied=False),
        to="getSession",
        ready="Unknown/ApiUnavailable",
        message="Looking at the session failed: the connection to the AGB endpoint broke before an answer came "
        f"({{endpoint}}). {AGAIN}",
    ),
    "half-an-answer": Case(
        effect=RawAnswer(body='{"success": tr'),
        to="getSession",
        ready="Unknown/ApiUnavailable",
        message=f"Looking at the session failed: the endpoint answered getSession with {UNREADABLE} (HTTP 200). "
        + AGAIN,
    ),
    "page-not-found": Case(
        effect=HttpError(status=404, html=True),
        to="getSession",
        ready="Unknown/ApiUnavailable",
        message="Looking at the session failed: the endpoint does not serve getSession: it looks like the wrong "
        f"address (HTTP 404). {AGAIN}",
    ),
    "refusal-in-200": Case(
        effect=BusinessError(code="Strange"),
        to="pauseSessionAsync",
        ready="Unknown/ApiUnavailable",
        message="Pausing the session failed: AGB failed to serve pauseSessionAsync (HTTP 200, Strange): "
        f"simulated fault. {AGAIN}",
    ),
    "unknown-word": Case(
        effect=StatusValue(status="HIBERNATED"),
        to="getSession",
        ready="False/UnexpectedState",
        message="AGB reports the status 'HIBERNATED', which this operator does not know. The operator makes no call "
        "until that changes; look for a newer operator.",
    ),
    "no-word": Case(
        effect=StatusValue(status=None),
        to="getSession",
        ready="False/UnexpectedState",
        message="AGB reports no status. The operator makes no call until that changes; look for a newer operator.",
    ),
    "throttled": Case(
        effect=HttpError(status=429, code="Throttling.User", retry_after=12),
        to="pauseSessionAsync",
        ready="False/Throttled",
        message="Pausing the session failed: AGB asks for fewer requests (HTTP 429, Throttling.User): simulated fault. "
        + AGAIN,
    ),
    "not-whitelisted": Case(
        effect=HttpError(status=403, code="Forbidden.NotWhitelisted"),
        to="pauseSessionAsync",
        ready="False/NotSupported",
        message="Pausing the session failed: AGB does not offer pauseSessionAsync to this account "
        f"(HTTP 403, Forbidden.NotWhitelisted): simulated fault. {SUPPORT}",
        stalled=True,
    ),
    "no-such-action": Case(
        effect=HttpError(status=400, code="InvalidAction.NotFound"),
        to="pauseSessionAsync",
        ready="False/NotSupported",
        message="Pausing the session failed: AGB does not offer pauseSessionAsync to this account "
        f"(HTTP 400, InvalidAction.NotFound): simulated fault. {SUPPORT}",
        stalled=True,
    ),
    "bad-request": Case(
        effect=HttpError(status=400, code="InvalidParameter"),
        to="pauseSessionAsync",
        ready="False/InvalidSpec",
        message="Pausing the session failed: AGB refuses the request pauseSessionAsync (HTTP 400, InvalidParameter): "
        "simulated fault. Check the spec against the message.",
        stalled=True,
    ),
    "not-found": Case(
        effect=HttpError(status=400, code="InvalidMcpSession.NotFound"),
        to="getSession",
        ready="False/SessionNotFound",
        message="AGB no longer has session {session}; its state is gone (AGB ends idle and old sessions by itself). "
        "Delete this resource; to adopt another session, create another one.",
        stalled=True,
    ),
    "no-room": Case(
        effect=HttpError(status=400, code="QuotaExceeded.Session"),
        to="createSession",
        ready="False/QuotaExceeded",
        message="Creating the session failed: the account's limit on sessions is reached; paused sessions count "
        "towards it (HTTP 400, QuotaExceeded.Session): simulated fault. Delete sessions (paused ones count) or raise "
        "the limit; the operator tries again every minute.",
    ),
    "no-such-image": Case(
        effect=HttpError(status=400, code="InvalidImage.NotFound"),
        to="createSession",
        ready="False/CreateFailed",
        message="Creating the session failed: AGB refuses the request createSession (HTTP 400, InvalidImage.NotFound): "
        "simulated fault. Check spec.imageId; it cannot be changed, so delete the resource and apply it with the right "
        "image.",
        stalled=True,
    ),
    "no-capacity": Case(
        effect=CreateFailed(err_msg="no capacity"),
        to="createSession",
        ready="False/CreateFailed",
        message="Creating the session failed: AGB failed to serve createSession (HTTP 200, ok): no capacity. " + AGAIN,
    ),
    "create-page": Case(
        effect=HttpError(status=502, html=True),
        to="createSession",
        ready="Unknown/ApiUnavailable",
        message=f"Creating the session failed: the endpoint answered createSession with {UNREADABLE} (HTTP 502). "
        + AGAIN,
    ),
}


@pytest.fixture(scope="module")
def answered(user: Tenant) -> dict[str, str]:
    """Apply all cases, see them well, then let AGB answer badly; returns the ids of the sessions that existed."""
    sessions = {}
    for name, case in ANSWERS.items():
        key = f"simulator-key-{name}"
        user.control.add_key(key)
        user.secret(name, apiKey=key)
        if case.to != "createSession":
            sessions[name] = user.control.add_session(key)
            user.apply(name, sessionId=sessions[name], credentials={"secretRef": {"name": name}})
    for name in sessions:
        user.wait(name, "Ready")
    for name, case in ANSWERS.items():
        user.control.add_fault(case.effect, endpoint=case.to, key=f"simulator-key-{name}")
        match case.to:
            case "createSession":
                user.apply(name, imageId="an-image", credentials={"secretRef": {"name": name}})
            case "pauseSessionAsync":
                user.patch(name, paused=True)
    return sessions


@pytest.mark.parametrize("name", ANSWERS)
def test_a_bad_answer_is_told_in_the_status(
    name: str, user: Tenant, answered: dict[str, str], simulator: Simulator
) -> None:
    case = ANSWERS[name]
    expected = case.message.format(endpoint=simulator.endpoint, session=answered.get(name))

    def told() -> bool:
        condition = user.ready(name)
        assert condition["message"] == expected
        assert f"{condition['status']}/{condition['reason']}" == case.ready
        return True

    eventually(told, within=PATIENCE)
    assert bool(user.condition(name, "Stalled")) is case.stalled
    assert bool(user.condition(name, "Reconciling")) is not case.stalled


def test_once_the_answers_are_good_again_all_are_well_with_the_sessions_they_had(
    user: Tenant, answered: dict[str, str]
) -> None:
    user.control.clear_faults()
    # Whoever repaired AGB or the account need not wait until the operator looks again by itself.
    user.must("annotate", "agbsession", *ANSWERS, "example.com/repaired=true")

    for name in ANSWERS:
        user.wait(name, "Ready", seconds=int(PATIENCE))

    for name, session_id in answered.items():
        assert user.status(name)["sessionId"] == session_id
        assert user.control.session(session_id)["live"]
        calls = ["pauseSessionAsync"] if ANSWERS[name].to == "pauseSessionAsync" else []
        assert [e.endpoint for e in user.requests() if e.session_id == session_id and e.applied] == calls
    assert user.illegal_calls() == 0
