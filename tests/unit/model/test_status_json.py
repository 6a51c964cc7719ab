"""The status as JSON: what is written is read back the same, fits the CRD, and is patched with no more than needed."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.model.states import DesiredState
from agb_operator.model.status import (
    Condition,
    NextChange,
    OperationState,
    OperationType,
    Phase,
    Reason,
    SessionStatus,
    Truth,
    Usage,
    UsageMonth,
    UsageState,
    timestamp,
)
from agb_operator.model.status_json import merge_patch, status_from_dict, status_to_dict
from unit.builders import NOW, an_operation
from unit.strategies import STATUSES, TEXT

CRD = Path(__file__).resolve().parents[3] / "crds" / "agbsessions.yaml"

LEAVES = st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
ANYTHING = st.recursive(
    st.none() | LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3)
)
FIELDS = st.sampled_from(
    ["observedGeneration", "phase", "sessionId", "lastOperation", "labels", "recreations", "conditions", "type"]
)
# Objects without null: RFC 7386 keeps null for "remove", so no merge patch can set it.
OBJECTS = st.dictionaries(
    TEXT,
    st.recursive(
        LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8
    ),
    max_size=4,
)


def applied(target: object, patch: object) -> object:
    """Apply a JSON merge patch, word by word as RFC 7386 section 2 has it."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(target) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


@given(STATUSES)
def test_a_status_that_is_written_is_read_back_the_same(status: SessionStatus) -> None:
    assert status_from_dict(status_to_dict(status)) == status


@given(STATUSES, STATUSES)
def test_the_patch_between_two_statuses_leads_from_one_to_the_other(old: SessionStatus, new: SessionStatus) -> None:
    before, after = status_to_dict(old), status_to_dict(new)

    assert applied(before, merge_patch(before, after)) == after


@given(OBJECTS, OBJECTS)
def test_a_merge_patch_leads_from_any_object_to_any_other(old: dict[str, Any], new: dict[str, Any]) -> None:
    assert applied(old, merge_patch(old, new)) == new


@given(OBJECTS)
def test_the_patch_between_equal_objects_is_empty(value: dict[str, Any]) -> None:
    assert merge_patch(value, value) == {}


def test_a_patch_holds_only_what_changed() -> None:
    old = {"phase": "Pausing", "sessionId": "a", "lastOperation": {"type": "Pause", "attempts": 1, "message": "x"}}
    new = {"phase": "Paused", "sessionId": "a", "lastOperation": {"type": "Pause", "attempts": 2}}

    assert merge_patch(old, new) == {"phase": "Paused", "lastOperation": {"attempts": 2, "message": None}}


@given(ANYTHING)
def test_whatever_stands_in_a_status_is_read_without_an_error(body: object) -> None:
    status_from_dict(body)


@given(st.dictionaries(FIELDS, ANYTHING | st.lists(st.dictionaries(st.sampled_from(["type", "status"]), ANYTHING))))
def test_known_fields_with_unfit_values_are_read_without_an_error(body: dict[str, Any]) -> None:
    status = status_from_dict(body)

    assert status_from_dict(status_to_dict(status)) == status


def test_a_status_that_nobody_wrote_yet_says_minus_one() -> None:
    assert status_from_dict({"observedGeneration": -1}) == SessionStatus()
    assert status_from_dict(None) == SessionStatus()


@pytest.mark.parametrize(
    "operation",
    [
        "Pause",
        {"type": "Pause", "state": "InProgress"},
        {"type": "Pause", "state": "InProgress", "startedAt": "soon"},
        {"type": "Restart", "state": "InProgress", "startedAt": timestamp(NOW)},
        {"type": "Pause", "state": "Halfway", "startedAt": timestamp(NOW)},
    ],
)
def test_an_operation_that_cannot_be_continued_is_read_as_none(operation: object) -> None:
    assert status_from_dict({"lastOperation": operation}).operation is None


def test_a_condition_whose_status_is_no_word_is_left_out() -> None:
    fit = {"type": "Ready", "status": "True", "reason": "Paused", "message": ""}
    body = {"conditions": [fit, {**fit, "status": {}}, {**fit, "status": "Maybe"}, {**fit, "type": ""}, "Ready"]}

    assert [c.type for c in status_from_dict(body).conditions] == ["Ready"]


def test_empty_fields_are_left_out_but_an_empty_label_set_is_a_fact() -> None:
    assert status_to_dict(SessionStatus()) == {"observedGeneration": -1}
    assert status_to_dict(SessionStatus(labels={})) == {"observedGeneration": -1, "labels": {}}


def schema() -> dict[str, Any]:
    """Give the CRD's schema of the status."""
    crd: dict[str, Any] = yaml.safe_load(CRD.read_text())
    found: dict[str, Any] = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    return found


def test_every_field_that_is_written_is_in_the_crd_or_the_api_server_would_drop_it() -> None:
    condition = Condition(
        type="Ready",
        status=Truth.TRUE,
        reason="Paused",
        message="Paused.",
        observed_generation=1,
        last_transition_time=timestamp(NOW),
    )
    operation = replace(an_operation(OperationType.PAUSE, message="m"), finished_at=NOW, request_id="r", sent_with="s")
    usage = Usage(state=UsageState.PAUSED, counted_until=NOW, months=(UsageMonth(month="2026-11"),))
    full = SessionStatus(
        observed_generation=1,
        phase=Phase.PAUSED,
        session_id="session-1",
        session_status="PAUSED",
        desired_state="Paused",
        operation=operation,
        labels={"team": "a"},
        why="Schedule/office-hours",
        next_change=NextChange(at=NOW, state=DesiredState.RUNNING),
        recreations=(timestamp(NOW),),
        may_have_duplicates=True,
        seen_with="w",
        usage=usage,
        last_handled_reconcile_at="now",
        conditions=(condition,),
    )

    written, fields = status_to_dict(full), schema()["properties"]

    assert set(written) == set(fields)
    assert set(written["nextChange"]) == set(fields["nextChange"]["properties"])
    assert set(written["lastOperation"]) == set(fields["lastOperation"]["properties"])
    assert set(written["usage"]) == set(fields["usage"]["properties"])
    assert set(written["usage"]["months"][0]) == set(fields["usage"]["properties"]["months"]["items"]["properties"])
    assert set(written["conditions"][0]) == set(fields["conditions"]["items"]["properties"])


def test_the_words_of_the_crd_are_the_words_of_the_code() -> None:
    fields = schema()["properties"]
    operation = fields["lastOperation"]["properties"]

    assert set(fields["phase"]["enum"]) == set(Phase)
    assert set(operation["type"]["enum"]) == set(OperationType)
    assert set(operation["state"]["enum"]) == set(OperationState)
    assert set(fields["usage"]["properties"]["state"]["enum"]) == set(UsageState)
    assert set(fields["conditions"]["items"]["properties"]["status"]["enum"]) == set(Truth)


def test_the_crd_names_every_reason() -> None:
    words = re.findall(r"\w+", schema()["properties"]["conditions"]["description"])

    assert set(Reason) <= set(words)
