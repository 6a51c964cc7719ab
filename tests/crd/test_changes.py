"""What may be changed in an AgbSession that exists, and what may not."""

from collections.abc import Mapping
from typing import Any

import pytest

from crd.api import Api, agb_session
from crd.words import (
    LABELS_NEED_IMAGE,
    NOT_SWITCHED,
    ONE_OF_TWO,
    OTHER_IMAGE,
    OTHER_SESSION,
    RECREATE_NEEDS_IMAGE,
)


@pytest.fixture(scope="module", autouse=True)
def created_and_adopted(api: Api) -> None:
    for name, spec in (("created", {"imageId": "agb-code-space-1"}), ("adopted", {"sessionId": "session-1"})):
        verdict = api.create(agb_session(spec, name=name))
        assert verdict.taken, verdict.message


@pytest.mark.parametrize(
    ("name", "spec", "says"),
    [
        ("created", {"imageId": "other"}, (OTHER_IMAGE,)),
        ("adopted", {"sessionId": "session-2"}, (OTHER_SESSION,)),
        ("created", {"imageId": None}, (NOT_SWITCHED, ONE_OF_TWO)),
        ("adopted", {"sessionId": None}, (NOT_SWITCHED, ONE_OF_TWO)),
        ("created", {"sessionId": "session-1"}, (NOT_SWITCHED, ONE_OF_TWO)),
        ("created", {"imageId": None, "sessionId": "session-1"}, (NOT_SWITCHED,)),
        ("adopted", {"sessionId": None, "imageId": "agb-code-space-1"}, (NOT_SWITCHED,)),
        ("adopted", {"labels": {"team": "a"}}, (LABELS_NEED_IMAGE,)),
        ("adopted", {"onSessionLost": "Recreate"}, (RECREATE_NEEDS_IMAGE,)),
    ],
)
def test_a_resource_keeps_the_session_it_was_made_for(
    api: Api, name: str, spec: Mapping[str, Any], says: tuple[str, ...]
) -> None:
    assert api.patch(name, {"spec": spec}, dry_run=True).complaints == sorted(says)


@pytest.mark.parametrize(
    ("name", "spec"),
    [
        ("created", {"paused": True}),
        ("created", {"paused": None}),
        ("created", {"override": {"state": "Running", "until": "2026-11-25T22:00:00Z"}}),
        ("created", {"override": None}),
        ("created", {"labels": {"team": "a"}}),
        ("created", {"onSessionLost": "Recreate"}),
        ("created", {"deletionPolicy": "Retain"}),
        ("adopted", {"paused": True}),
        ("adopted", {"deletionPolicy": "Delete"}),
        ("adopted", {"managementPolicy": "Observe"}),
        ("adopted", {"credentials": {"secretRef": {"name": "agb-credentials"}}}),
        ("adopted", {"timeout": "1h", "pollInterval": "1m"}),
    ],
)
def test_all_else_may_change_at_any_time(api: Api, name: str, spec: Mapping[str, Any]) -> None:
    verdict = api.patch(name, {"spec": spec}, dry_run=True)

    assert verdict.taken, verdict.message
    assert {field: verdict.spec.get(field) for field in spec if field != "credentials"} == {
        field: value for field, value in spec.items() if field != "credentials"
    }


def test_the_spec_cannot_be_taken_away(api: Api) -> None:
    assert api.patch("created", {"spec": None}, dry_run=True).complaints == ["spec: Required value"]
