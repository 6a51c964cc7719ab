"""The verb as a user sees it: kubectl, a real API server, the operator and AGB's simulator as processes."""

from collections.abc import Callable

import pytest

from agb_simulator.effects import Delay, Effect, FallBack, HttpError, LostAnswer, NeverEnds, StaleRead
from e2e.stack import Operator, eventually
from e2e.tenant import Tenant

TWO_WRITES_AND_ONE_EVENT = ["patch agbsessions/status", "patch agbsessions/status", "create events"]


def settle(tenant: Tenant, name: str, session_id: str) -> None:
    """Wait until the resource is ready and the operator has looked at its session three more times."""
    tenant.wait(name, "Ready")
    before = tenant.looks(session_id)
    eventually(lambda: tenant.looks(session_id) >= before + 3)


def test_a_patch_pauses_for_two_status_writes_one_event_and_one_call(tenant: Tenant) -> None:
    session_id = tenant.adopt("a")
    settle(tenant, "a", session_id)
    tenant.fresh_start()

    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused")
    settle(tenant, "a", session_id)

    assert tenant.control.session(session_id)["status"] == "PAUSED"
    assert tenant.calls(session_id) == ["pauseSessionAsync"]
    assert tenant.writes() == TWO_WRITES_AND_ONE_EVENT
    status = tenant.status("a")
    assert (status["phase"], status["desiredState"], status["sessionStatus"]) == ("Paused", "Paused", "PAUSED")
    operation = status["lastOperation"]
    assert (operation["type"], operation["state"], operation["attempts"]) == ("Pause", "Succeeded", 1)
    assert {c["type"] for c in status["conditions"]} == {"Ready", "Paused"}


def test_a_patch_resumes_for_two_status_writes_one_event_and_one_call(tenant: Tenant) -> None:
    session_id = tenant.adopt("a", paused=True, status="PAUSED")
    settle(tenant, "a", session_id)
    tenant.fresh_start()

    tenant.patch("a", paused=False)
    tenant.wait("a", "Paused=False")
    settle(tenant, "a", session_id)

    assert tenant.control.session(session_id)["status"] == "RUNNING"
    assert tenant.calls(session_id) == ["resumeSessionAsync"]
    assert tenant.writes() == TWO_WRITES_AND_ONE_EVENT
    assert tenant.reasons("a")[-1] == "Running"


def test_settled_sessions_cost_no_write_and_no_call(tenant: Tenant) -> None:
    running, paused = tenant.adopt("running"), tenant.adopt("paused", paused=True)
    tenant.wait("running", "Ready")
    tenant.wait("paused", "Ready")
    eventually(lambda: len(tenant.events("paused")) == 1)
    tenant.fresh_start()

    eventually(lambda: min(tenant.looks(running), tenant.looks(paused)) >= 3)

    assert tenant.writes() == []
    assert tenant.calls() == []


def test_the_operator_leaves_a_user_s_metadata_alone(tenant: Tenant) -> None:
    tenant.adopt("a", paused=True)
    tenant.wait("a", "Paused")

    metadata = tenant.get("a")["metadata"]

    applied = "kubectl.kubernetes.io/last-applied-configuration"
    assert set(metadata["annotations"]) == {applied}
    assert "labels" not in metadata
    assert "finalizers" not in metadata, "an adopted session is not ours to end"


def test_ready_after_a_patch_means_the_new_state_never_the_old_one(tenant: Tenant) -> None:
    tenant.adopt("a")
    tenant.wait("a", "Ready")

    for paused, phase in ((True, "Paused"), (False, "Running")):
        tenant.patch("a", paused=paused)
        tenant.wait("a", "Ready")

        assert tenant.status("a")["phase"] == phase


def test_a_session_is_born_paused(tenant: Tenant) -> None:
    tenant.apply("a", imageId="agb-code-space-1", paused=True)
    tenant.wait("a", "Ready")

    status = tenant.status("a")

    assert status["phase"] == "Paused"
    assert tenant.control.session(status["sessionId"])["status"] == "PAUSED"
    assert tenant.calls() == ["createSession", "pauseSessionAsync"]
    assert tenant.reasons("a") == ["Created", "Paused"]


def test_deleting_a_paused_resource_ends_its_session(tenant: Tenant) -> None:
    tenant.apply("a", imageId="agb-code-space-1", paused=True)
    tenant.wait("a", "Paused")
    session_id = tenant.status("a")["sessionId"]

    tenant.must("delete", "agbsession", "a", "--wait=false")
    tenant.must("wait", "--for=delete", "agbsession/a", "--timeout=20s")

    assert tenant.control.session(session_id)["live"] is False
    life = ["createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync"]
    assert tenant.calls(session_id) == life
    assert tenant.illegal_calls() == 0


@pytest.mark.parametrize("first", [True, False], ids=["while it is pausing", "while it is resuming"])
def test_a_flip_waits_for_the_move_to_end(tenant: Tenant, first: bool) -> None:
    session_id = tenant.adopt("a", paused=not first, status="RUNNING" if first else "PAUSED")
    tenant.wait("a", "Ready")
    there, back = ("pauseSessionAsync", "resumeSessionAsync") if first else ("resumeSessionAsync", "pauseSessionAsync")

    tenant.patch("a", paused=first)
    tenant.until_phase("a", "Pausing" if first else "Resuming")
    tenant.patch("a", paused=not first)
    tenant.wait("a", "Ready")

    assert tenant.control.session(session_id)["status"] == ("RUNNING" if first else "PAUSED")
    assert tenant.calls(session_id) == [there, back]
    assert tenant.illegal_calls() == 0


def test_a_flip_and_back_while_pausing_costs_nothing_more(tenant: Tenant) -> None:
    session_id = tenant.adopt("a")
    tenant.wait("a", "Ready")

    tenant.patch("a", paused=True)
    tenant.until_phase("a", "Pausing")
    tenant.patch("a", paused=False)
    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused")
    tenant.wait("a", "Ready")

    assert tenant.calls(session_id) == ["pauseSessionAsync"]


def test_a_pause_that_times_out_says_so_and_still_ends_well(tenant: Tenant) -> None:
    session_id = tenant.adopt("a", timeout="2s")
    tenant.wait("a", "Ready")
    tenant.control.add_fault(NeverEnds(), endpoint="pauseSessionAsync", session_id=session_id)

    tenant.patch("a", paused=True)
    late = tenant.until("a", lambda status: "PauseTimedOut" in str(status["conditions"]))

    ready = next(c for c in late["conditions"] if c["type"] == "Ready")
    assert (ready["status"], ready["reason"]) == ("False", "PauseTimedOut")
    assert ready["message"] == (
        "AGB has reported PAUSING for longer than spec.timeout. The operator keeps checking; "
        "if this does not end, ask AGB's support, or raise spec.timeout."
    )
    assert late["lastOperation"]["state"] == "Failed"
    assert ("Warning", "PauseTimedOut", ready["message"]) in eventually(lambda: tenant.events("a"))
    tenant.wait("a", "Stalled")
    assert tenant.calls(session_id) == ["pauseSessionAsync"], "no call is legal while AGB says PAUSING"

    tenant.control.set_status(session_id, "PAUSED")
    tenant.wait("a", "Ready")

    assert tenant.condition("a", "Stalled") == {}
    assert tenant.calls(session_id) == ["pauseSessionAsync"]


def test_a_pause_that_falls_back_is_asked_for_again(tenant: Tenant) -> None:
    session_id = tenant.adopt("a", timeout="3s")
    tenant.wait("a", "Ready")
    tenant.control.add_fault(FallBack(), endpoint="pauseSessionAsync", session_id=session_id, count=1)

    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused", seconds=25)

    assert tenant.calls(session_id) == ["pauseSessionAsync", "pauseSessionAsync"]
    assert tenant.illegal_calls() == 0


def test_a_few_server_errors_delay_a_pause_and_are_not_worth_a_write(tenant: Tenant) -> None:
    session_id = tenant.adopt("a")
    settle(tenant, "a", session_id)
    tenant.fresh_start()
    tenant.control.add_fault(HttpError(status=503), endpoint="pauseSessionAsync", session_id=session_id, count=2)

    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused")
    tenant.wait("a", "Ready")

    applied = [e for e in tenant.control.requests() if e.session_id == session_id and e.applied]
    assert [entry.endpoint for entry in applied] == ["pauseSessionAsync"]
    assert eventually(lambda: len(tenant.writes()) >= 3)
    assert tenant.writes() == TWO_WRITES_AND_ONE_EVENT


LOST: dict[str, Effect] = {
    "the connection breaks": LostAnswer(),
    "the answer comes too late": Delay(seconds=2.0),
    "a gateway gives up on it": HttpError(status=502, html=True, applied=True),
}


@pytest.mark.parametrize("pausing", [True, False], ids=["pause", "resume"])
@pytest.mark.parametrize("how", LOST)
def test_a_call_whose_answer_is_lost_is_not_repeated(tenant: Tenant, how: str, pausing: bool) -> None:
    session_id = tenant.adopt("a", paused=not pausing, status="RUNNING" if pausing else "PAUSED")
    tenant.wait("a", "Ready")
    endpoint = "pauseSessionAsync" if pausing else "resumeSessionAsync"
    tenant.control.add_fault(LOST[how], endpoint=endpoint, session_id=session_id, count=1)

    tenant.patch("a", paused=pausing)
    tenant.wait("a", "Paused" if pausing else "Paused=False")
    settle(tenant, "a", session_id)

    assert tenant.calls(session_id) == [endpoint]
    assert tenant.illegal_calls() == 0
    assert tenant.control.faults() == [], "the fault has struck"


@pytest.mark.parametrize("pausing", [True, False], ids=["pause", "resume"])
def test_reads_that_lag_behind_an_accepted_call_do_not_repeat_it(tenant: Tenant, pausing: bool) -> None:
    session_id = tenant.adopt("a", paused=not pausing, status="RUNNING" if pausing else "PAUSED")
    tenant.wait("a", "Ready")
    endpoint = "pauseSessionAsync" if pausing else "resumeSessionAsync"
    tenant.control.add_fault(StaleRead(reads=2), endpoint=endpoint, session_id=session_id, count=1)

    tenant.patch("a", paused=pausing)
    tenant.wait("a", "Ready")

    assert tenant.control.session(session_id)["status"] == ("PAUSED" if pausing else "RUNNING")
    assert tenant.calls(session_id) == [endpoint]
    assert tenant.illegal_calls() == 0


def test_a_session_resumed_elsewhere_is_paused_again_and_that_is_told(tenant: Tenant) -> None:
    session_id = tenant.adopt("a", paused=True)
    tenant.wait("a", "Paused")
    settle(tenant, "a", session_id)

    tenant.control.act(session_id, "resume")
    eventually(lambda: "DriftDetected" in tenant.reasons("a"))
    tenant.wait("a", "Ready")

    assert tenant.control.session(session_id)["status"] == "PAUSED"
    assert tenant.illegal_calls() == 0


def test_two_namespaces_with_the_same_names_and_other_keys_do_not_meet(
    operator: Operator, new_tenant: Callable[..., Tenant]
) -> None:
    one, other = new_tenant("simulator-key-one"), new_tenant("simulator-key-other")
    sessions = {tenant.namespace: tenant.adopt("same-name") for tenant in (one, other)}
    for tenant in (one, other):
        tenant.wait("same-name", "Ready")

    one.patch("same-name", paused=True)
    one.wait("same-name", "Paused")

    assert one.control.session(sessions[one.namespace])["status"] == "PAUSED"
    assert other.control.session(sessions[other.namespace])["status"] == "RUNNING"
    assert other.status("same-name")["phase"] == "Running"
    assert other.calls(sessions[other.namespace]) == []
