"""The status: its default, who writes it, and what it can hold."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import pytest

from crd.api import Api, agb_session
from kubectl import Kubectl

SPEC = {"imageId": "agb-code-space-1"}
TIME = "2026-03-01T12:00:00Z"
READY = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": TIME,
    "reason": "Paused",
    "message": "The session is paused.",
}
OPERATION = {"type": "Pause", "state": "InProgress", "startedAt": TIME}
FULL = {
    "observedGeneration": 1,
    "phase": "Paused",
    "sessionId": "session-9f2c1e",
    "sessionStatus": "PAUSED",
    "desiredState": "Paused",
    "why": "Schedule/office-hours",
    "nextChange": {"at": TIME, "state": "Running"},
    "lastOperation": {
        **OPERATION,
        "state": "Succeeded",
        "finishedAt": "2026-03-01T12:00:03.250000Z",
        "requestId": "7C0E",
        "attempts": 1,
        "message": "",
    },
    "labels": {"team": "a"},
    "recreations": [TIME],
    "lastHandledReconcileAt": "now",
    "conditions": [READY, {**READY, "type": "Paused"}],
}


@pytest.fixture
def name(api: Api) -> str:
    """The name of an AgbSession that nobody has looked at yet, one per test."""
    name = f"status-{uuid4()}"
    verdict = api.create(agb_session(SPEC, name=name))
    assert verdict.taken, verdict.message
    return name


def test_a_new_resource_says_that_nobody_has_looked_at_it(api: Api, name: str) -> None:
    assert api.get(name)["status"] == {"observedGeneration": -1}


def test_a_status_in_a_manifest_is_dropped(api: Api) -> None:
    manifest = {**agb_session(SPEC, name="restored"), "status": FULL}
    assert api.create(manifest).taken

    assert api.get("restored")["status"] == {"observedGeneration": -1}


def test_the_main_resource_does_not_write_the_status(api: Api, name: str) -> None:
    assert api.patch_status(name, {"status": FULL}).taken

    verdict = api.patch(name, {"status": {"phase": "Running"}})

    assert verdict.taken, verdict.message
    assert api.get(name)["status"] == FULL


def test_the_status_subresource_does_not_write_the_spec(api: Api, name: str) -> None:
    verdict = api.patch_status(name, {"spec": {"paused": True}, "status": {"phase": "Running"}})

    assert verdict.taken, verdict.message
    stored = api.get(name)
    assert stored["status"] == {"observedGeneration": -1, "phase": "Running"}
    assert "paused" not in stored["spec"]
    assert stored["metadata"]["generation"] == 1


def test_a_full_status_is_kept_as_it_was_written(api: Api, name: str) -> None:
    verdict = api.patch_status(name, {"status": FULL})

    assert verdict.taken, verdict.message
    assert api.get(name)["status"] == FULL


@pytest.mark.parametrize(
    "status",
    [
        pytest.param({"sessionStatus": "HIBERNATING_V2"}, id="a word of AGB's that nobody knows yet"),
        pytest.param({"sessionStatus": ""}, id="no word from AGB"),
        pytest.param({"lastHandledReconcileAt": "x" * 4096}, id="any annotation's value"),
        pytest.param({"lastOperation": OPERATION}, id="an operation that has just begun"),
        pytest.param({"labels": {}}, id="that no labels are set"),
        pytest.param({"conditions": []}, id="no conditions"),
    ],
)
def test_a_status_may_hold(api: Api, name: str, status: Mapping[str, Any]) -> None:
    verdict = api.patch_status(name, {"status": status})

    assert verdict.taken, verdict.message
    assert api.get(name)["status"] == {"observedGeneration": -1, **status}


@pytest.mark.parametrize(
    "phase",
    ["Pending", "Creating", "Running", "Pausing", "Paused", "Resuming", "Deleting", "Lost", "Unknown"],
)
def test_every_phase_of_the_documentation_can_be_written(api: Api, name: str, phase: str) -> None:
    assert api.patch_status(name, {"status": {"phase": phase}}).taken


@pytest.mark.parametrize("kind", ["Create", "Pause", "Resume", "Release", "SetLabels"])
def test_every_operation_of_the_documentation_can_be_written(api: Api, name: str, kind: str) -> None:
    for state in ("InProgress", "Succeeded", "Failed"):
        operation = {**OPERATION, "type": kind, "state": state}
        assert api.patch_status(name, {"status": {"lastOperation": operation}}).taken


@pytest.mark.parametrize(
    ("status", "says"),
    [
        ({"phase": "Sleeping"}, 'status.phase: Unsupported value: "Sleeping"'),
        ({"desiredState": "Gone"}, 'status.desiredState: Unsupported value: "Gone"'),
        ({"why": "w" * 301}, "status.why: Too long"),
        ({"nextChange": {"at": TIME}}, "status.nextChange.state: Required value"),
        ({"nextChange": {"state": "Paused"}}, "status.nextChange.at: Required value"),
        ({"nextChange": {"at": "noon", "state": "Paused"}}, "status.nextChange.at: Invalid value"),
        ({"nextChange": {"at": TIME, "state": "Gone"}}, "status.nextChange.state: Unsupported value"),
        ({"observedGeneration": -2}, "status.observedGeneration: Invalid value: -2"),
        ({"sessionId": "s" * 257}, "status.sessionId: Too long"),
        ({"sessionStatus": "S" * 129}, "status.sessionStatus: Too long"),
        ({"labels": {"team": "v" * 129}}, "status.labels.team: Too long"),
        ({"labels": {f"label-{n}": "v" for n in range(21)}}, "status.labels: Too many: 21"),
        ({"recreations": [TIME] * 9}, "status.recreations: Too many: 9"),
        ({"recreations": ["yesterday"]}, 'status.recreations[0]: Invalid value: "yesterday"'),
        ({"lastOperation": {**OPERATION, "type": "Reboot"}}, "status.lastOperation.type: Unsupported value"),
        ({"lastOperation": {**OPERATION, "state": "Done"}}, "status.lastOperation.state: Unsupported value"),
        (
            {"lastOperation": {**OPERATION, "startedAt": "noon"}},
            "status.lastOperation.startedAt: Invalid value",
        ),
        ({"lastOperation": {**OPERATION, "finishedAt": "one"}}, "status.lastOperation.finishedAt: Invalid value"),
        ({"lastOperation": {**OPERATION, "requestId": "r" * 257}}, "status.lastOperation.requestId: Too long"),
        ({"lastOperation": {**OPERATION, "message": "m" * 32769}}, "status.lastOperation.message: Too long"),
        ({"lastOperation": {**OPERATION, "attempts": -1}}, "status.lastOperation.attempts: Invalid value"),
        (
            {"lastOperation": {"type": "Pause", "state": "Failed"}},
            "status.lastOperation.startedAt: Required value",
        ),
        ({"conditions": [{**READY, "type": "not a word"}]}, "status.conditions[0].type: Invalid value"),
        ({"conditions": [{**READY, "type": "T" * 317}]}, "status.conditions[0].type: Too long"),
        ({"conditions": [{**READY, "observedGeneration": -1}]}, "status.conditions[0].observedGeneration: Invalid"),
        ({"conditions": [{**READY, "lastTransitionTime": "noon"}]}, "status.conditions[0].lastTransitionTime: Inva"),
        ({"conditions": [{**READY, "reason": "R" * 1025}]}, "status.conditions[0].reason: Too long"),
        ({"conditions": [{**READY, "message": "m" * 32769}]}, "status.conditions[0].message: Too long"),
        ({"conditions": [{**READY, "status": "Maybe"}]}, "status.conditions[0].status: Unsupported value"),
        ({"conditions": [{**READY, "reason": "in words"}]}, "status.conditions[0].reason: Invalid value"),
        ({"conditions": [{**READY, "reason": ""}]}, "status.conditions[0].reason: Invalid value"),
        (
            {"conditions": [{"type": "Ready", "status": "True"}]},
            "status.conditions[0].message: Required value",
        ),
        ({"conditions": [READY, READY]}, 'status.conditions[1]: Duplicate value: {"type":"Ready"}'),
    ],
)
def test_a_status_that_clients_could_not_read_is_refused(
    api: Api, name: str, status: Mapping[str, Any], says: str
) -> None:
    verdict = api.patch_status(name, {"status": status})

    assert verdict.taken is None
    assert any(reason.startswith(says) for reason in verdict.reasons), verdict.message


@pytest.mark.parametrize("condition", ["condition=Paused", "condition=Ready=True", "jsonpath={.status.phase}=Paused"])
def test_people_can_wait_for_a_pause(api: Api, kubectl: Kubectl, name: str, condition: str) -> None:
    assert api.patch_status(name, {"status": FULL}).taken

    answer = kubectl("wait", f"agbs/{name}", f"--for={condition}", "--timeout=10s")

    assert answer.succeeded, answer.err


def test_a_condition_of_an_older_generation_does_not_end_a_wait(api: Api, kubectl: Kubectl, name: str) -> None:
    assert api.patch_status(name, {"status": FULL}).taken
    assert api.patch(name, {"spec": {"paused": True}}).taken

    answer = kubectl("wait", f"agbs/{name}", "--for=condition=Ready", "--timeout=0s")

    assert not answer.succeeded
