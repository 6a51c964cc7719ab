"""The AgbSession as a typed value: every object the API server can hold is read, and what is wrong with it is said."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.model.resource import (
    DEFAULT_POLL_INTERVAL,
    DEFAULT_TIMEOUT,
    AgbSession,
    ObjectKey,
    SecretRef,
    parse_duration,
)
from agb_operator.model.status import SessionStatus
from unit.builders import IMAGE, NOW, a_body, a_session, a_status, later

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
SPEC_FIELDS = [
    "paused",
    "imageId",
    "sessionId",
    "labels",
    "credentials",
    "deletionPolicy",
    "managementPolicy",
    "onSessionLost",
    "timeout",
    "pollInterval",
]
# What a field may hold when it is nearly right, so that the search gets past the first check.
NEARLY = st.sampled_from(
    [
        True,
        "true",
        IMAGE,
        "Delete",
        "Observe",
        "Recreate",
        "10m",
        "0s",
        "1000h",
        {"secretRef": {"name": "agb", "key": 3}},
        {"secretRef": []},
        {"a": 1},
    ]
)
SPECS = st.dictionaries(st.sampled_from(SPEC_FIELDS) | st.text(max_size=8), ANYTHING | NEARLY, max_size=10)


@given(spec=SPECS | ANYTHING, status=ANYTHING)
def test_no_object_makes_reading_raise_and_an_unusable_one_says_why(spec: Any, status: Any) -> None:
    session = AgbSession.from_body({**a_body(), "spec": spec, "status": status})

    assert session.key == ObjectKey("ml", "batch-7")
    assert session.problem or bool(session.image_id) != bool(session.adopted_id)
    assert timedelta(seconds=1) <= session.poll_interval <= timedelta(minutes=5)
    assert timedelta(seconds=1) <= session.timeout <= timedelta(hours=24)


def test_a_minimal_object_gets_the_defaults_that_the_crd_documents() -> None:
    session = AgbSession.from_body(a_body(spec={"imageId": IMAGE}))

    assert session.problem == ""
    assert not session.paused
    assert not session.observe_only
    assert not session.recreate
    assert session.secret is None
    assert (session.timeout, session.poll_interval) == (timedelta(minutes=10), timedelta(seconds=2))
    assert (session.timeout, session.poll_interval) == (DEFAULT_TIMEOUT, DEFAULT_POLL_INTERVAL)
    assert session.status == SessionStatus()


def test_everything_in_the_metadata_is_taken_over() -> None:
    session = a_session(name="n", namespace="s", uid="u", version="7", generation=3, created=later(9))

    assert (session.key, session.uid, session.resource_version, session.generation) == (
        ObjectKey("s", "n"),
        "u",
        "7",
        3,
    )
    assert session.created_at == later(9)
    assert session.has_finalizer
    assert str(session.key) == "s/n"


WRONG = {
    "nothing to manage": ({"paused": True}, "set exactly one of spec.imageId and spec.sessionId"),
    "two sources": ({"imageId": IMAGE, "sessionId": "session-1"}, "set exactly one of spec.imageId and spec.sessionId"),
    "a word for a truth": ({"imageId": IMAGE, "paused": "yes"}, "spec.paused must be true"),
    "an unknown policy": (
        {"imageId": IMAGE, "deletionPolicy": "Orphan"},
        "spec.deletionPolicy must be Delete or Retain",
    ),
    "an unknown management": (
        {"imageId": IMAGE, "managementPolicy": "manage"},
        "spec.managementPolicy must be Manage or Observe",
    ),
    "a policy of the wrong type": (
        {"imageId": IMAGE, "onSessionLost": {}},
        "spec.onSessionLost must be Fail or Recreate",
    ),
    "a number has no unit": ({"imageId": IMAGE, "timeout": 600}, "spec.timeout must be a duration from 1s to 24h"),
    "a poll interval that would be a storm": (
        {"imageId": IMAGE, "pollInterval": "1ms"},
        "spec.pollInterval must be a duration from 1s to 5m",
    ),
    "a timeout past which nobody waits": (
        {"imageId": IMAGE, "timeout": "25h"},
        "spec.timeout must be a duration from 1s to 24h",
    ),
    "credentials that name nothing": (
        {"imageId": IMAGE, "credentials": {}},
        "spec.credentials.secretRef.name must name a Secret",
    ),
}
"""Specs that the CRD refuses today, and what the operator says of each should it meet one."""


@pytest.mark.parametrize(("spec", "says"), WRONG.values(), ids=WRONG)
def test_a_wrong_spec_says_what_is_right(spec: dict[str, Any], says: str) -> None:
    assert says in AgbSession.from_body(a_body(spec=spec)).problem


def test_several_mistakes_are_said_at_once() -> None:
    problem = AgbSession.from_body(a_body(spec={"paused": 1, "timeout": "soon"})).problem

    assert problem.count("; ") == 2


def test_a_created_session_is_deleted_with_its_resource_and_an_adopted_one_retained_unless_told_otherwise() -> None:
    assert a_session().deletes_session
    assert not a_session(adopted="session-9").deletes_session
    assert not a_session(deletionPolicy="Retain").deletes_session
    assert a_session(adopted="session-9", deletionPolicy="Delete").deletes_session


def test_an_unusable_spec_with_both_sources_does_not_end_the_session_it_names() -> None:
    session = AgbSession.from_body(a_body(spec={"imageId": IMAGE, "sessionId": "session-of-somebody"}))

    assert not session.deletes_session


def test_the_session_is_the_adopted_one_or_the_one_noted_in_the_status() -> None:
    assert a_session(adopted="session-9").session_id == "session-9"
    assert a_session(status=a_status(session_id="session-3")).session_id == "session-3"
    assert a_session().session_id == ""


def test_a_secret_is_read_from_its_default_entry() -> None:
    assert a_session(credentials={"secretRef": {"name": "agb"}}).secret == SecretRef("agb", "apiKey")
    assert a_session(credentials={"secretRef": {"name": "agb", "key": "k"}}).secret == SecretRef("agb", "k")


def test_abandoning_takes_the_very_word_true() -> None:
    assert a_session(annotations={"agb.cloud/abandon": "true"}).abandoned
    assert not a_session(annotations={"agb.cloud/abandon": "false"}).abandoned
    assert not a_session().abandoned


def test_what_people_change_changes_what_the_resource_asks_for() -> None:
    asks = a_session().asks

    assert a_session(generation=2).asks != asks
    assert a_session(annotations={"any": "thing"}).asks != asks
    assert a_session(deleting=True).asks != asks
    assert a_session(held=False).asks != asks
    assert a_session(uid="uid-2").asks != asks


def test_what_we_write_ourselves_does_not_change_what_the_resource_asks_for() -> None:
    assert a_session(version="101", status=a_status()).asks == a_session().asks


def test_the_older_resource_is_senior_and_the_uid_decides_between_twins() -> None:
    old, young = a_session(created=NOW, uid="b"), a_session(created=later(1), uid="a")
    twin = a_session(created=NOW, uid="a")

    assert old.precedence < young.precedence
    assert twin.precedence < old.precedence


def test_a_created_session_carries_the_users_labels_and_ours() -> None:
    session = a_session(labels={"team": "a"}, uid="u-1")

    assert session.session_labels("prod") == {
        "team": "a",
        "agb-operator-uid": "u-1",
        "agb-operator-namespace": "ml",
        "agb-operator-name": "batch-7",
        "agb-operator-cluster": "prod",
    }
    assert session.owner_labels() == {"agb-operator-uid": "u-1"}


def test_our_labels_win_over_the_users_and_fit_what_agb_takes() -> None:
    session = a_session(labels={"agb-operator-uid": "stolen"}, name="n" * 253, uid="u-1")

    labels = session.session_labels("c" * 300)

    assert labels["agb-operator-uid"] == "u-1"
    assert max(len(value) for value in labels.values()) == 128


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90.0),
        ("10m", 600.0),
        ("1h30m", 5400.0),
        ("1.5s", 1.5),
        ("500ms", 0.5),
        ("1h1m1s1ms", 3661.001),
        ("24h", 86400.0),
    ],
)
def test_a_duration_is_read_as_go_reads_it(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "0s", "0h0m", "10", "m", "-1s", "+1s", " 1s", "1s ", "1 s", "1d", "1,5s", "s1", "0.0001ms", "9" * 400 + "s"],
)
def test_what_is_no_positive_duration_is_read_as_none(text: str) -> None:
    assert parse_duration(text) is None


@given(st.text(alphabet="0123456789.hms", max_size=12))
def test_a_duration_that_is_read_is_positive(text: str) -> None:
    assert (parse_duration(text) or timedelta(1)) > timedelta(0)
