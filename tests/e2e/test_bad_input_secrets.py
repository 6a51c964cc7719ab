"""A wrong Secret or key: the text that the user sees, that nothing is lost by it, and that a repair is noticed.

All cases are applied together, since a Secret that does not do is read again only every half minute.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from control_plane import ControlPlane
from e2e.stack import Operator, Simulator, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

PATIENCE = 60
"""Seconds until a repair must be noticed, from the product's contract."""


@pytest.fixture(scope="module")
def user(control_plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, operator: Operator) -> Iterator[Tenant]:
    """One tenant for all cases."""
    tenant = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events())
    yield tenant
    tenant.remove()


@dataclass(frozen=True, kw_only=True, slots=True)
class BadSecret:
    """A Secret that does not do, and what becomes of it.

    Attributes:
        entries: of the Secret; None when there is none.
        ready: status and reason of Ready.
        message: of Ready; `{namespace}` stands for the tenant's.
    """

    entries: dict[str, str] | None
    message: str
    ready: str = "False/CredentialsMissing"


REFUSED_KEY = "simulator-key-refused"
SECRETS = {
    "no-secret": BadSecret(
        entries=None,
        message="Secret no-secret does not exist in namespace {namespace}. Create it with the API key under apiKey; "
        "the operator looks again within a minute.",
    ),
    "no-entry": BadSecret(
        entries={"password": "simulator-key-b"},
        message="Secret no-entry in namespace {namespace} has no entry apiKey. Add it, or name another one in "
        "spec.credentials.secretRef.key.",
    ),
    "empty-entry": BadSecret(
        entries={"apiKey": ""},
        ready="False/CredentialsInvalid",
        message="Looking at the session failed: Entry apiKey of Secret empty-entry in namespace {namespace} cannot be "
        "used: ",
    ),
    "two-lines": BadSecret(
        entries={"apiKey": "simulator-key\nwith-two-lines"},
        ready="False/CredentialsInvalid",
        message="Looking at the session failed: Entry apiKey of Secret two-lines in namespace {namespace} cannot be "
        "used: ",
    ),
    "wrong-key": BadSecret(
        entries={"apiKey": REFUSED_KEY},
        ready="False/CredentialsInvalid",
        message="Looking at the session failed: AGB refuses the API key (HTTP 401, InvalidApiKey): ",
    ),
}


@pytest.fixture(scope="module")
def refused(user: Tenant) -> dict[str, str]:
    """Apply all cases for sessions that exist; returns their ids."""
    sessions = {}
    for name, case in SECRETS.items():
        if case.entries is not None:
            user.secret(name, **case.entries)
        sessions[name] = user.adopt(name, paused=True, credentials={"secretRef": {"name": name}})
    return sessions


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_that_does_not_do_is_told_in_the_status(name: str, user: Tenant, refused: dict[str, str]) -> None:
    case = SECRETS[name]

    user.wait(name, "Stalled")

    condition = user.ready(name)
    assert condition["message"].startswith(case.message.format(namespace=user.namespace))
    assert f"{condition['status']}/{condition['reason']}" == case.ready
    assert user.condition(name, "Paused")["status"] == "Unknown"
    assert eventually(lambda: user.events(name)) == [("Warning", condition["reason"], condition["message"])]
    assert user.calls(refused[name]) == []


def test_a_namespace_that_may_not_use_the_operator_s_key_is_told_so(user: Tenant) -> None:
    user.apply("no-credentials", imageId="agb-code-space-1", credentials=None)

    user.wait("no-credentials", "Stalled")

    assert user.ready("no-credentials")["message"] == (
        f"spec.credentials is not set, and namespace {user.namespace} may not use the operator's own key. "
        "Name a Secret in spec.credentials.secretRef, or have the administrator list the namespace "
        "(--default-key-namespace)."
    )


def test_repaired_secrets_are_noticed_within_a_minute_and_without_a_restart(
    user: Tenant, refused: dict[str, str], operator: Operator
) -> None:
    good = f"apiKey={user.key}"
    for name in SECRETS:
        user("delete", "secret", name)
        user.must("create", "secret", "generic", name, f"--from-literal={good}")

    for name in SECRETS:
        user.wait(name, "Paused", seconds=PATIENCE)

    for name, session_id in refused.items():
        assert user.calls(session_id) == ["pauseSessionAsync"]
        assert user.status(name)["sessionId"] == session_id
    assert operator.running


def test_no_key_shows_up_in_logs_statuses_or_events(user: Tenant, refused: dict[str, str], operator: Operator) -> None:
    for shown in (
        operator.text(),
        user.must("get", "agbsessions", "--output=yaml", "--show-managed-fields"),
        user.must("get", "events", "--output=yaml"),
        operator.get("/metrics")[1],
    ):
        assert len(shown) > 1000
        assert REFUSED_KEY not in shown
        assert user.key not in shown
        assert "with-two-lines" not in shown
