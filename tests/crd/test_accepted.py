"""What the API server takes, up to the very limits, and what it fills in."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from crd.api import Api, agb_session
from kubectl import Kubectl

IMAGE = {"imageId": "agb-code-space-1"}
ADOPTED = {"sessionId": "session-1"}
OVERRIDE = {"state": "Running", "until": "2026-11-25T22:00:00Z", "reason": "release night"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A spec that is right although it may not look so."""

    why: str
    spec: Mapping[str, Any]


def timeout(why: str, value: str) -> Case:
    return Case(why=why, spec={**IMAGE, "timeout": value})


def interval(why: str, value: str) -> Case:
    return Case(why=why, spec={**IMAGE, "pollInterval": value})


CASES = (
    Case(why="an image is enough", spec=IMAGE),
    Case(why="a session is enough", spec=ADOPTED),
    Case(
        why="everything at once creates a session",
        spec={
            **IMAGE,
            "paused": True,
            "override": OVERRIDE,
            "labels": {"project": "batch-job"},
            "credentials": {"secretRef": {"name": "agb-credentials", "key": "apiKey"}},
            "deletionPolicy": "Delete",
            "managementPolicy": "Manage",
            "onSessionLost": "Recreate",
            "timeout": "10m",
            "pollInterval": "2s",
        },
    ),
    Case(
        why="everything at once adopts a session",
        spec={
            **ADOPTED,
            "paused": False,
            "credentials": {"secretRef": {"name": "agb-credentials", "key": "apiKey"}},
            "deletionPolicy": "Retain",
            "managementPolicy": "Observe",
            "onSessionLost": "Fail",
            "timeout": "10m",
            "pollInterval": "2s",
        },
    ),
    Case(why="ids are opaque: one character will do", spec={"imageId": "1"}),
    Case(why="ids are opaque: a space inside belongs to it", spec={"imageId": "my image/v1:ü"}),
    Case(why="an id may have 256 characters", spec={"sessionId": "s" * 256}),
    Case(why="null means absent", spec={**IMAGE, "paused": None, "labels": None, "timeout": None}),
    Case(why="no labels are no labels, also for an adopted session", spec={**ADOPTED, "labels": {}}),
    Case(why="an adopted session may be released at the end", spec={**ADOPTED, "deletionPolicy": "Delete"}),
    Case(why="there may be 20 labels", spec={**IMAGE, "labels": {f"label-{n}": "v" for n in range(20)}}),
    Case(
        why="a label's key and value may have 128 characters",
        spec={**IMAGE, "labels": {"k" * 128: "v" * 128}},
    ),
    Case(why="128 characters are no bytes", spec={**IMAGE, "labels": {"team": "ü" * 128}}),
    Case(why="AGB takes dots, colons and spaces in labels", spec={**IMAGE, "labels": {"a.b:c_d": "the A team"}}),
    Case(why="only the prefix is reserved", spec={**IMAGE, "labels": {"my-agb-operator": "a", "agb": "b"}}),
    Case(
        why="a Secret's name may be a DNS name",
        spec={**IMAGE, "credentials": {"secretRef": {"name": "keys.agb-1"}}},
    ),
    Case(
        why="a Secret's key may look like a file",
        spec={**IMAGE, "credentials": {"secretRef": {"name": "a", "key": ".api_key-1.txt"}}},
    ),
    Case(
        why="an override that has passed is legal",
        spec={**IMAGE, "override": {**OVERRIDE, "until": "2020-01-01T00:00:00Z"}},
    ),
    Case(
        why="an override needs no reason", spec={**IMAGE, "override": {"state": "Paused", "until": OVERRIDE["until"]}}
    ),
    Case(
        why="the end of an override may have any offset",
        spec={**IMAGE, "override": {**OVERRIDE, "until": "2026-11-25T23:00:00+01:00"}},
    ),
    timeout("a second is the shortest timeout", "1s"),
    timeout("a second may be written in milliseconds", "1000ms"),
    timeout("a day is the longest timeout", "24h"),
    timeout("a day may be written in seconds", "86400s"),
    timeout("units add up", "1h30m5s"),
    timeout("fractions are Go's", "1.5h"),
    interval("a second is the shortest pollInterval", "1s"),
    interval("five minutes are the longest pollInterval", "5m"),
    interval("five minutes may be written in two units", "4m60s"),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_right_spec_is_taken(api: Api, case: Case) -> None:
    verdict = api.create(agb_session(case.spec), dry_run=True)

    assert verdict.taken, verdict.message
    given = {field: value for field, value in case.spec.items() if value is not None}
    assert {field: verdict.spec[field] for field in given if field != "credentials"} == {
        field: value for field, value in given.items() if field != "credentials"
    }


def test_the_defaults_are_those_of_the_documentation(api: Api) -> None:
    spec = {**IMAGE, "credentials": {"secretRef": {"name": "agb-credentials"}}}

    assert api.create(agb_session(spec), dry_run=True).spec == {
        "imageId": "agb-code-space-1",
        "credentials": {"secretRef": {"name": "agb-credentials", "key": "apiKey"}},
        "managementPolicy": "Manage",
        "onSessionLost": "Fail",
        "timeout": "10m",
        "pollInterval": "2s",
    }


@pytest.mark.parametrize("field", ["paused", "deletionPolicy"])
def test_a_field_whose_absence_means_something_has_no_default(api: Api, field: str) -> None:
    assert field not in api.create(agb_session(IMAGE), dry_run=True).spec


class TestServerSideApply:
    """Who owns which field, with Git as one manager and people as another."""

    def test_a_manifest_without_paused_leaves_pausing_to_people(self, api: Api, kubectl: Kubectl) -> None:
        manifest = agb_session(ADOPTED, name="owned-by-people")
        as_git = ("--server-side", "--field-manager=git")
        assert kubectl.apply(manifest, *as_git).succeeded
        assert api.patch("owned-by-people", {"spec": {"paused": True}}).taken

        again = kubectl.apply(manifest, *as_git)

        assert again.succeeded, again.err
        assert api.get("owned-by-people")["spec"]["paused"] is True

    def test_a_manifest_with_paused_keeps_it(self, kubectl: Kubectl) -> None:
        manifest = agb_session({**ADOPTED, "paused": True}, name="owned-by-git")
        assert kubectl.apply(manifest, "--server-side", "--field-manager=git").succeeded

        taken = agb_session({**ADOPTED, "paused": False}, name="owned-by-git")
        answer = kubectl.apply(taken, "--server-side", "--field-manager=people")

        assert not answer.succeeded
        assert 'conflict with "git": .spec.paused' in answer.err

    def test_a_default_belongs_to_nobody(self, api: Api, kubectl: Kubectl) -> None:
        manifest = agb_session(ADOPTED, name="defaulted")
        assert kubectl.apply(manifest, "--server-side", "--field-manager=git").succeeded

        changed = agb_session({**ADOPTED, "timeout": "1h"}, name="defaulted")
        answer = kubectl.apply(changed, "--server-side", "--field-manager=people")

        assert answer.succeeded, answer.err
        assert api.get("defaulted")["spec"]["timeout"] == "1h"
