"""What the API server refuses in a new resource, with the words that the user reads."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from crd.api import Api, agb_session
from crd.words import (
    BAD_IMAGE,
    BAD_INTERVAL,
    BAD_LABEL_KEY,
    BAD_LABEL_VALUE,
    BAD_REASON,
    BAD_SECRET_KEY,
    BAD_SECRET_NAME,
    BAD_SESSION,
    BAD_TIMEOUT,
    LABELS_NEED_IMAGE,
    ONE_OF_TWO,
    RECREATE_NEEDS_IMAGE,
    RESERVED_LABEL_KEY,
)
from kubectl import Kubectl

IMAGE = {"imageId": "agb-code-space-1"}
NIGHT = "2026-11-25T22:00:00Z"


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A spec that is wrong for one reason, and everything the API server says about it."""

    why: str
    spec: Mapping[str, Any]
    says: tuple[str, ...]


def image(why: str, value: str) -> Case:
    return Case(why=why, spec={"imageId": value}, says=(f'spec.imageId: Invalid value: "{value}": {BAD_IMAGE}',))


def session(why: str, value: str) -> Case:
    return Case(why=why, spec={"sessionId": value}, says=(f'spec.sessionId: Invalid value: "{value}": {BAD_SESSION}',))


def timeout(why: str, value: str) -> Case:
    return Case(
        why=why,
        spec={**IMAGE, "timeout": value},
        says=(f'spec.timeout: Invalid value: "{value}": {BAD_TIMEOUT}',),
    )


def interval(why: str, value: str) -> Case:
    return Case(
        why=why,
        spec={**IMAGE, "pollInterval": value},
        says=(f'spec.pollInterval: Invalid value: "{value}": {BAD_INTERVAL}',),
    )


def labels(why: str, value: Mapping[str, Any], *says: str) -> Case:
    return Case(why=why, spec={**IMAGE, "labels": value}, says=says)


def secret(why: str, reference: Mapping[str, Any], *says: str) -> Case:
    return Case(why=why, spec={**IMAGE, "credentials": {"secretRef": reference}}, says=says)


def secret_name(why: str, value: str) -> Case:
    return secret(
        why,
        {"name": value},
        f'spec.credentials.secretRef.name: Invalid value: "{value}": {BAD_SECRET_NAME}',
    )


def secret_key(why: str, value: str) -> Case:
    return secret(
        why,
        {"name": "agb-credentials", "key": value},
        f'spec.credentials.secretRef.key: Invalid value: "{value}": {BAD_SECRET_KEY}',
    )


def override(why: str, value: Mapping[str, Any], *says: str) -> Case:
    return Case(why=why, spec={**IMAGE, "override": value}, says=says)


def word(field: str, value: str, *allowed: str) -> Case:
    supported = ", ".join(f'"{known}"' for known in allowed)
    return Case(
        why=f"{field} knows no {value or 'empty word'}",
        spec={**IMAGE, field: value},
        says=(f'spec.{field}: Unsupported value: "{value}": supported values: {supported}',),
    )


def wrong_type(field: str, value: Any, *, got: str, wanted: str) -> Case:
    return Case(
        why=f"{field} is a {wanted}, not an {got}",
        spec={**IMAGE, field: value},
        says=(f'spec.{field}: Invalid value: "{got}": spec.{field} in body must be of type {wanted}: "{got}"',),
    )


EVERYTHING_WRONG = Case(
    why="every mistake is told at once",
    spec={"imageId": " ", "timeout": "0s", "pollInterval": "1h", "labels": {"agb-operator-x": "a"}},
    says=(
        f'spec.imageId: Invalid value: " ": {BAD_IMAGE}',
        f'spec.timeout: Invalid value: "0s": {BAD_TIMEOUT}',
        f'spec.pollInterval: Invalid value: "1h": {BAD_INTERVAL}',
        RESERVED_LABEL_KEY,
    ),
)
CASES = (
    Case(why="no session to create or adopt is named", spec={"paused": True}, says=(ONE_OF_TWO,)),
    Case(
        why="one cannot create and adopt at once",
        spec={**IMAGE, "sessionId": "session-1"},
        says=(ONE_OF_TWO,),
    ),
    Case(why="a null imageId is none", spec={"imageId": None}, says=(ONE_OF_TWO,)),
    image("an empty imageId names no image", ""),
    image("a blank imageId names no image", "  "),
    image("an imageId does not begin with a space", " agb-code-space-1"),
    image("an imageId does not end with a space", "agb-code-space-1 "),
    session("an empty sessionId names no session", ""),
    session("a blank sessionId names no session", " "),
    session("a sessionId does not end with a space", "session-1 "),
    Case(
        why="a sessionId is one line",
        spec={"sessionId": "session-1\nsession-2"},
        says=(rf'spec.sessionId: Invalid value: "session-1\nsession-2": {BAD_SESSION}',),
    ),
    Case(
        why="an imageId has an end",
        spec={"imageId": "i" * 257},
        says=("spec.imageId: Too long: may not be more than 256 bytes",),
    ),
    Case(
        why="a sessionId has an end",
        spec={"sessionId": "s" * 257},
        says=("spec.sessionId: Too long: may not be more than 256 bytes",),
    ),
    timeout("a timeout of zero leaves no time", "0s"),
    timeout("a timeout is not negative", "-5m"),
    timeout("a timeout below a second is a mistake", "999ms"),
    timeout("a timeout above a day is a mistake", "24h1s"),
    timeout("a timeout needs a unit", "600"),
    timeout("a day is no unit", "1d"),
    timeout("an ISO 8601 duration is none of ours", "PT10M"),
    timeout("a duration has no spaces", "1h 30m"),
    timeout("an empty timeout is no duration", ""),
    timeout("a word is no duration", "forever"),
    timeout("the longest number that fits is still judged by its size", "999999h999999h99999h"),
    Case(
        why="a timeout has an end",
        spec={**IMAGE, "timeout": "1s" * 11},
        says=("spec.timeout: Too long: may not be more than 20 bytes",),
    ),
    interval("a pollInterval of zero would never rest", "0s"),
    interval("a pollInterval is not negative", "-2s"),
    interval("a pollInterval below a second asks too often", "999ms"),
    interval("a pollInterval above five minutes is too rare", "5m1s"),
    interval("a pollInterval needs a unit", "2"),
    Case(
        why="a pollInterval has an end",
        spec={**IMAGE, "pollInterval": "1s" * 11},
        says=("spec.pollInterval: Too long: may not be more than 20 bytes",),
    ),
    wrong_type("timeout", 600, got="integer", wanted="string"),
    wrong_type("pollInterval", 2, got="integer", wanted="string"),
    wrong_type("paused", 1, got="integer", wanted="boolean"),
    wrong_type("labels", ["a"], got="array", wanted="object"),
    Case(
        why="paused in quotes is a string",
        spec={**IMAGE, "paused": "true"},
        says=('spec.paused: Invalid value: "string": spec.paused in body must be of type boolean: "string"',),
    ),
    word("deletionPolicy", "Orphan", "Delete", "Retain"),
    word("deletionPolicy", "", "Delete", "Retain"),
    word("managementPolicy", "observe", "Manage", "Observe"),
    word("onSessionLost", "Ignore", "Fail", "Recreate"),
    labels("a label key is not empty", {"": "a"}, BAD_LABEL_KEY),
    labels("a label key is not blank", {" ": "a"}, BAD_LABEL_KEY),
    labels("a label key has an end", {"k" * 129: "a"}, BAD_LABEL_KEY),
    labels("the operator's own labels are reserved", {"agb-operator-uid": "a"}, RESERVED_LABEL_KEY),
    labels("the bare prefix is reserved too", {"agb-operator": "a"}, RESERVED_LABEL_KEY),
    labels("a label value is not empty", {"team": ""}, f'spec.labels[team]: Invalid value: "": {BAD_LABEL_VALUE}'),
    labels(
        "a label value is not blank",
        {"team": " "},
        f'spec.labels[team]: Invalid value: " ": {BAD_LABEL_VALUE}',
    ),
    labels(
        "a label value has an end",
        {"team": "v" * 129},
        "spec.labels.team: Too long: may not be more than 128 bytes",
    ),
    labels(
        "a label value in YAML may need quotes",
        {"team": 7},
        'spec.labels.team: Invalid value: "integer": spec.labels.team in body must be of type string: "integer"',
    ),
    labels(
        "there are at most 20 labels",
        {f"label-{number}": "v" for number in range(21)},
        "spec.labels: Too many: 21: must have at most 20 items",
    ),
    Case(
        why="an adopted session keeps its own labels",
        spec={"sessionId": "session-1", "labels": {"team": "a"}},
        says=(LABELS_NEED_IMAGE,),
    ),
    Case(
        why="an adopted session cannot be created again",
        spec={"sessionId": "session-1", "onSessionLost": "Recreate"},
        says=(RECREATE_NEEDS_IMAGE,),
    ),
    EVERYTHING_WRONG,
    Case(
        why="credentials name a Secret",
        spec={**IMAGE, "credentials": {}},
        says=("spec.credentials.secretRef: Required value",),
    ),
    secret("a secretRef has a name", {}, "spec.credentials.secretRef.name: Required value"),
    secret_name("an empty name is no Secret's", ""),
    secret_name("a Secret's name has no capitals", "AgbCredentials"),
    secret_name("a Secret's name has no namespace before it", "other/agb-credentials"),
    secret_name("a Secret's name does not end with a dash", "agb-"),
    secret(
        "a Secret's name has an end",
        {"name": "n" * 254},
        "spec.credentials.secretRef.name: Too long: may not be more than 253 bytes",
    ),
    override("an override ends some time", {"state": "Running"}, "spec.override.until: Required value"),
    override("an override has a state", {"until": NIGHT}, "spec.override.state: Required value"),
    override(
        "an override knows two states",
        {"state": "Off", "until": NIGHT},
        'spec.override.state: Unsupported value: "Off": supported values: "Running", "Paused"',
    ),
    override(
        "tomorrow is no time",
        {"state": "Running", "until": "tomorrow"},
        'spec.override.until: Invalid value: "tomorrow": spec.override.until in body must be of type date-time:'
        ' "tomorrow"',
    ),
    override(
        "a time without its offset is none",
        {"state": "Running", "until": "2026-11-25T22:00"},
        'spec.override.until: Invalid value: "2026-11-25T22:00": spec.override.until in body must be of type date-time:'
        ' "2026-11-25T22:00"',
    ),
    override(
        "a blank reason is none",
        {"state": "Running", "until": NIGHT, "reason": " "},
        f'spec.override.reason: Invalid value: " ": {BAD_REASON}',
    ),
    override(
        "a reason has an end",
        {"state": "Running", "until": NIGHT, "reason": "r" * 257},
        "spec.override.reason: Too long: may not be more than 256 bytes",
    ),
    secret_key("an empty key is none", ""),
    secret_key("a key in a Secret has no spaces", "api key"),
    secret_key("a key in a Secret has no slashes", "../apiKey"),
    secret(
        "a key in a Secret has an end",
        {"name": "agb-credentials", "key": "k" * 254},
        "spec.credentials.secretRef.key: Too long: may not be more than 253 bytes",
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_wrong_spec_is_refused_with_words_that_say_what_is_right(api: Api, case: Case) -> None:
    assert api.create(agb_session(case.spec), dry_run=True).complaints == sorted(case.says)


def test_kubectl_prints_these_words_one_reason_on_a_line(api: Api, kubectl: Kubectl) -> None:
    manifest = agb_session(EVERYTHING_WRONG.spec)

    answer = kubectl("create", "--dry-run=server", "-f", "-", stdin=json.dumps(manifest))

    assert not answer.succeeded
    headline, *reasons = answer.err.strip().splitlines()
    assert headline.strip() == 'The AgbSession "x" is invalid:'
    assert set(reasons) == {f"* {reason}" for reason in api.create(manifest, dry_run=True).reasons}
    assert set(reasons) > {f"* {reason}" for reason in EVERYTHING_WRONG.says}


def test_a_spec_is_needed(api: Api) -> None:
    manifest = agb_session({})
    del manifest["spec"]

    assert api.create(manifest, dry_run=True).complaints == ["spec: Required value"]


@pytest.mark.parametrize(
    ("manifest", "field"),
    [
        (agb_session({**IMAGE, "pause": True}), "spec.pause"),
        (
            agb_session({**IMAGE, "credentials": {"secretRef": {"name": "a", "namespace": "b"}}}),
            "spec.credentials.secretRef.namespace",
        ),
        ({**agb_session(IMAGE), "status": {"state": "Running"}}, "status.state"),
    ],
)
def test_a_misspelt_field_is_refused_by_its_name(api: Api, manifest: Mapping[str, Any], field: str) -> None:
    verdict = api.create(manifest, dry_run=True)

    assert verdict.taken is None
    assert verdict.message.endswith(f'strict decoding error: unknown field "{field}"')
