"""What the operator writes and reads fits the CRD: the two say the same things by hand, in two places."""

from datetime import UTC, datetime

import pytest

from agb_operator.model.resource import parse_duration
from agb_operator.model.states import DesiredState
from agb_operator.model.status import (
    Condition,
    NextChange,
    Operation,
    OperationState,
    OperationType,
    Phase,
    Reason,
    SessionStatus,
    Truth,
    Usage,
    UsageMonth,
    UsageState,
)
from agb_operator.model.status_json import status_from_dict, status_to_dict
from crd.api import Api, agb_session
from crd_reference import fields, load_crd, schema_of

SCHEMAS = {field.path: field.schema for field in fields(schema_of(load_crd()))}
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVERYTHING = SessionStatus(
    observed_generation=1,
    phase=Phase.PAUSED,
    session_id="session-9f2c1e",
    session_status="PAUSED",
    desired_state="Paused",
    why="Schedule/office-hours",
    next_change=NextChange(at=NOW, state=DesiredState.RUNNING),
    operation=Operation(
        type=OperationType.PAUSE,
        state=OperationState.FAILED,
        started_at=NOW,
        finished_at=NOW,
        request_id="7C0E",
        sent_with="w",
        attempts=1,
        message="AGB refused it.",
    ),
    labels={"team": "a"},
    recreations=("2026-03-01T12:00:00Z",),
    may_have_duplicates=True,
    seen_with="w",
    usage=Usage(
        state=UsageState.NONE,
        counted_until=NOW,
        months=(UsageMonth(month="2026-03", running_seconds=1, paused_seconds=2, pauses=3, resumes=4),),
    ),
    last_handled_reconcile_at="now",
    conditions=(
        Condition(
            type="Ready",
            status=Truth.TRUE,
            reason=Reason.PAUSED,
            message="The session is paused.",
            observed_generation=1,
            last_transition_time="2026-03-01T12:00:00Z",
        ),
    ),
)


def test_the_api_server_keeps_every_field_that_the_operator_writes(api: Api) -> None:
    assert api.create(agb_session({"imageId": "agb-code-space-1"}, name="written")).taken
    status = status_to_dict(EVERYTHING)

    verdict = api.patch_status("written", {"status": status})

    assert verdict.taken, verdict.message
    assert set(SCHEMAS["status"]["properties"]) == set(status), "a field that nobody writes, or writes in vain"
    assert set(SCHEMAS["status.lastOperation"]["properties"]) == set(status["lastOperation"])
    assert api.get("written")["status"] == status
    assert status_from_dict(api.get("written")["status"]) == EVERYTHING


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("status.phase", Phase),
        ("status.lastOperation.type", OperationType),
        ("status.lastOperation.state", OperationState),
        ("status.conditions.status", Truth),
    ],
)
def test_the_words_of_the_operator_are_those_of_the_crd(path: str, words: list[str]) -> None:
    assert [str(word) for word in words] == SCHEMAS[path]["enum"]


def test_every_reason_of_the_operator_is_explained() -> None:
    explained = SCHEMAS["status.conditions"]["description"].replace(",", " ").replace(".", " ").split()

    assert sorted(set(Reason) - set(explained)) == []


@pytest.mark.parametrize("field", ["timeout", "pollInterval"])
def test_the_operator_reads_the_durations_that_the_crd_fills_in(field: str) -> None:
    assert parse_duration(SCHEMAS[f"spec.{field}"]["default"]) is not None


@pytest.mark.parametrize("text", ["1s", "1000ms", "24h", "86400s", "1h30m5s", "1.5h", "4m60s", "0.5h30m"])
def test_the_operator_reads_what_the_crd_takes_as_a_duration(api: Api, text: str) -> None:
    spec = {"imageId": "agb-code-space-1", "timeout": text}

    assert api.create(agb_session(spec), dry_run=True).taken
    assert parse_duration(text) is not None
