"""What happens behind our back is found within one look: brought back, reported, or replaced."""

from agb_simulator.effects import HttpError
from e2e.stack import KEY, eventually
from e2e.tenant import Tenant

IMAGE = "agb-code-space-1"


def test_a_session_paused_elsewhere_is_resumed_and_that_is_told(tenant: Tenant) -> None:
    session_id = tenant.adopt("a")
    tenant.wait("a", "Ready")
    tenant.control.act(session_id, "pause")
    eventually(lambda: "DriftDetected" in tenant.reasons("a"))
    tenant.wait("a", "Ready")
    assert tenant.control.session(session_id)["status"] == "RUNNING"
    assert "was found" in tenant.must("describe", "agbsession", "a")
    assert tenant.illegal_calls() == 0


def test_a_session_that_is_gone_is_described_and_taken_back_when_it_shows_up(tenant: Tenant) -> None:
    tenant.apply("a", imageId=IMAGE, paused=True)
    tenant.wait("a", "Paused")
    session_id = tenant.status("a")["sessionId"]
    tenant.control.act(session_id, "vanish")
    tenant.wait("a", "Stalled")
    assert tenant.must("get", "agbs", "a").splitlines()[1].split()[:5] == ["a", "Lost", "Paused", "Spec", "False"]
    described = tenant.must("describe", "agbsession", "a")
    assert f"AGB no longer has session {session_id}; its state is gone" in described
    assert "set spec.onSessionLost to Recreate, or delete this resource and apply it again." in described
    tenant.control.add_session(KEY, session_id=session_id, status="PAUSED")
    tenant.must("annotate", "agbsession", "a", "agb.cloud/reconcile-requested-at=now")
    tenant.wait("a", "Ready")


def test_a_session_that_is_gone_is_replaced_once_somebody_asks_for_it(tenant: Tenant) -> None:
    tenant.apply("a", imageId=IMAGE)
    tenant.wait("a", "Ready")
    old = tenant.status("a")["sessionId"]
    tenant.control.act(old, "vanish")
    tenant.wait("a", "Stalled")
    tenant.patch("a", onSessionLost="Recreate")
    tenant.wait("a", "Ready")
    new = tenant.status("a")["sessionId"]
    assert new != old
    told = f"Created session {new} from image {IMAGE}. Takes the place of {old}."
    assert told in [message for _, _, message in tenant.events("a")]
    assert len(tenant.status("a")["recreations"]) == 1


def test_a_404_page_is_no_proof_that_a_session_is_gone(tenant: Tenant) -> None:
    session_id = tenant.adopt("a")
    tenant.wait("a", "Ready")
    tenant.control.add_fault(HttpError(status=404, html=True), endpoint="getSession", session_id=session_id)
    tenant.control.add_fault(HttpError(status=404, html=True), endpoint="ListSession", key=KEY)
    tenant.until("a", lambda status: "Unknown" in str(status), within=40)
    assert tenant.status("a")["phase"] == "Unknown"
    tenant.control.clear_faults()
    tenant.must("annotate", "agbsession", "a", "agb.cloud/reconcile-requested-at=now")
    tenant.wait("a", "Ready", seconds=40)
    assert "SessionLost" not in tenant.reasons("a")
