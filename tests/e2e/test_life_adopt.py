"""Sessions that exist already: managed by one resource, observed by any number, never touched more than asked."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from e2e.stack import KEY, Operator, eventually
from e2e.tenant import Tenant


def adopted_for_a_second(tenant: Tenant, name: str) -> str:
    """Adopt a session, and return its id when whatever is created from now on is younger: ages count in seconds."""
    session_id = tenant.adopt(name)
    tenant.wait(name, "Ready")
    born = datetime.fromisoformat(tenant.get(name)["metadata"]["creationTimestamp"])
    eventually(lambda: datetime.now(UTC) >= born + timedelta(seconds=1))
    return session_id


def test_two_who_name_one_session_do_not_fight_and_the_other_takes_over_when_the_winner_goes(
    operator: Operator, new_tenant: Callable[..., Tenant]
) -> None:
    one, other = new_tenant(), new_tenant()
    session_id = adopted_for_a_second(one, "old")
    other.apply("young", sessionId=session_id, paused=True, deletionPolicy="Delete")
    other.wait("young", "Stalled")
    described = other.must("describe", "agbsession", "young")
    assert f"Session {session_id} is managed by AgbSession {one.namespace}/old, which is older." in described
    assert "Delete one of the two, or set spec.managementPolicy to Observe here." in described
    assert one.calls(session_id) == []
    one.must("delete", "agbsession", "old", "--timeout=20s")
    other.wait("young", "Paused")
    assert other.calls(session_id) == ["pauseSessionAsync"]


def test_a_conflict_ends_when_one_of_the_two_only_observes(tenant: Tenant) -> None:
    session_id = adopted_for_a_second(tenant, "old")
    tenant.apply("young", sessionId=session_id)
    tenant.wait("young", "Stalled")
    tenant.patch("young", managementPolicy="Observe")
    tenant.wait("young", "Ready")
    assert tenant.condition("young", "Ready")["reason"] == "Observed"
    tenant.patch("old", paused=True)
    tenant.wait("old", "Paused")
    tenant.wait("young", "Paused")
    assert tenant.calls(session_id) == ["pauseSessionAsync"]


def test_a_stranger_s_session_cannot_be_blocked_paused_or_ended_by_naming_it(
    operator: Operator, new_tenant: Callable[..., Tenant]
) -> None:
    owner, stranger = new_tenant(), new_tenant("simulator-key-stranger")
    owner.control.add_key(stranger.key)
    session_id = owner.control.add_session(KEY)
    stranger.apply("theirs", sessionId=session_id, paused=True, deletionPolicy="Delete")
    stranger.wait("theirs", "Stalled")
    assert stranger.condition("theirs", "Ready")["reason"] == "SessionNotFound"
    owner.apply("mine", sessionId=session_id)
    owner.wait("mine", "Ready")
    stranger.must("delete", "agbsession", "theirs", "--timeout=20s")
    assert owner.control.session(session_id)["status"] == "RUNNING"
    assert owner.calls(session_id) == []


def test_an_observed_session_is_followed_and_never_called(tenant: Tenant) -> None:
    session_id = tenant.adopt("a", managementPolicy="Observe")
    tenant.wait("a", "Ready")
    tenant.control.act(session_id, "pause")
    tenant.wait("a", "Paused")
    described = tenant.must("describe", "agbsession", "a")
    assert "only observed (spec.managementPolicy: Observe). spec.paused differs and is not enforced." in described
    assert tenant.calls(session_id) == []
    tenant.patch("a", managementPolicy="Manage")
    tenant.wait("a", "Paused=False")
    tenant.wait("a", "Ready")
    tenant.patch("a", managementPolicy="Observe")
    tenant.control.act(session_id, "pause")
    tenant.until("a", lambda status: status["sessionStatus"] == "PAUSED" and "Observed" in str(status))
    assert tenant.calls(session_id) == ["resumeSessionAsync"]


def test_an_adopted_session_that_is_not_there_is_described_and_found_when_it_comes(tenant: Tenant) -> None:
    tenant.apply("a", sessionId="session-of-tomorrow")
    tenant.wait("a", "Stalled")
    described = tenant.must("describe", "agbsession", "a")
    assert "The API key sees no session session-of-tomorrow: the id is mistyped" in described
    tenant.control.add_session(KEY, session_id="session-of-tomorrow")
    tenant.must("annotate", "agbsession", "a", "agb.cloud/reconcile-requested-at=now")
    tenant.wait("a", "Ready")
    eventually(lambda: tenant.condition("a", "Stalled") == {})
