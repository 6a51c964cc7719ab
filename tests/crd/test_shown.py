"""What people are shown of the resources: names, columns, explanations, and the pages generated from them."""

import json
import re
from collections.abc import Mapping
from typing import Any

import pytest

from crd.api import agb_schedule, agb_session
from crd_reference import PLURALS, Field, fields, load_crd, page_of, render, schema_of
from kubectl import Kubectl

FIELDS = {plural: tuple(fields(schema_of(load_crd(plural)))) for plural in PLURALS}
OBJECTS = tuple(
    (plural, field.path)
    for plural in PLURALS
    for field in FIELDS[plural]
    if "properties" in field.schema or "items" in field.schema
)
of_each_kind = pytest.mark.parametrize("plural", PLURALS)
EXPLAIN_WIDTH = 76
"""kubectl explain breaks longer lines, and with them the columns of a list."""


def one_line(text: str) -> str:
    return " ".join(text.split())


@of_each_kind
def test_every_field_is_described(plural: str) -> None:
    assert [field.path for field in FIELDS[plural] if not field.schema.get("description")] == []


@of_each_kind
def test_lists_in_descriptions_fit_kubectl_explain(plural: str) -> None:
    rows = [row for field in FIELDS[plural] for row in field.schema["description"].split("\n") if row.startswith(" ")]

    assert rows
    assert [row for row in rows if len(row) > EXPLAIN_WIDTH] == []


@of_each_kind
def test_descriptions_and_schema_agree_on_words_and_defaults(plural: str) -> None:
    for field in FIELDS[plural]:
        text = field.schema["description"]
        for word in field.schema.get("enum", ()):
            if field.path.startswith("spec.") or field.path == "status.phase":
                assert re.search(rf"^  {word} +\S", text, re.MULTILINE), (field.path, word)
        if "default" in field.schema and field.path != "status":
            default = field.schema["default"]
            word = str(default).lower() if isinstance(default, bool) else default  # as YAML has it
            assert f"Default {word}." in text, field.path


@of_each_kind
def test_patterns_for_editors_and_rules_for_people_agree(plural: str) -> None:
    schemas = [field.schema for field in FIELDS[plural]]
    schemas += [schema["additionalProperties"] for schema in schemas if "additionalProperties" in schema]
    both = [schema for schema in schemas if "pattern" in schema and "x-kubernetes-validations" in schema]

    assert both
    for schema in both:
        in_cel = schema["pattern"].replace("\\", "\\\\")
        assert any(f"self.matches('{in_cel}')" in rule["rule"] for rule in schema["x-kubernetes-validations"])


@of_each_kind
def test_an_editor_can_check_every_text_that_people_write(plural: str) -> None:
    written = [field.schema for field in FIELDS[plural] if field.path.startswith("spec.")]
    written += [schema["additionalProperties"] for schema in written if "additionalProperties" in schema]
    texts = [schema for schema in written if schema["type"] == "string"]

    assert texts
    assert [text for text in texts if not {"pattern", "enum", "format"} & set(text)] == []


@of_each_kind
def test_nothing_unknown_is_kept(plural: str) -> None:
    def keys(value: Any) -> set[str]:
        if isinstance(value, Mapping):
            return set(value).union(*map(keys, value.values()))
        return set().union(*map(keys, value)) if isinstance(value, list) else set()

    assert "x-kubernetes-preserve-unknown-fields" not in keys(schema_of(load_crd(plural)))


@of_each_kind
def test_the_reference_page_is_the_crd_s(plural: str) -> None:
    crd = load_crd(plural)

    assert page_of(crd).read_text(encoding="utf-8") == render(crd), "run: make generate"


@of_each_kind
def test_the_reference_page_has_a_place_for_every_field(plural: str) -> None:
    headings = re.findall(r"^### `(.+)`$", render(load_crd(plural)), re.MULTILINE)

    assert headings == [field.path for field in FIELDS[plural] if "." in field.path]


@of_each_kind
def test_the_api_server_has_no_complaint_about_the_crd(kubectl: Kubectl, plural: str) -> None:
    crd = json.loads(kubectl("get", "crd", f"{plural}.agb.cloud", "-o", "json").out)

    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.parametrize(
    "word",
    [
        *("agbs", "agbsession", "agbsessions", "agbsessions.v1alpha1.agb.cloud", "agb"),
        *("agbps", "agbpauseschedule", "agbpauseschedules"),
    ],
)
def test_kubectl_knows_it_as(kubectl: Kubectl, word: str) -> None:
    answer = kubectl("get", word)

    assert answer.succeeded, answer.err


@pytest.fixture(scope="module")
def shown(kubectl: Kubectl) -> str:
    """A namespace with a resource that nobody has looked at yet and one with a status."""
    namespace = "shown"
    assert kubectl("create", "namespace", namespace).succeeded
    for name, spec in (("new", {"sessionId": "session-1"}), ("paused", {"imageId": "agb-code-space-1"})):
        manifest = agb_session(spec, name=name)
        manifest["metadata"]["namespace"] = namespace
        assert kubectl.apply(manifest).succeeded
    condition = {"lastTransitionTime": "2026-03-01T12:00:00Z", "observedGeneration": 1}
    paused = {**condition, "type": "Paused", "status": "True", "reason": "Paused", "message": "Not this one."}
    ready = {**condition, "type": "Ready", "status": "False", "reason": "Throttled", "message": "AGB asks to wait."}
    status = {
        "phase": "Paused",
        "desiredState": "Paused",
        "why": "Schedule/office-hours",
        "nextChange": {"at": "2026-03-02T06:04:10Z", "state": "Running"},
        "sessionId": "session-9f2c1e",
        "conditions": [paused, ready],
    }
    patch = json.dumps({"status": status})
    written = kubectl("patch", "agbs", "paused", "-n", namespace, "--subresource=status", "--type=merge", "-p", patch)
    assert written.succeeded, written.err
    return namespace


class TestGet:
    """The table that `kubectl get agbs` prints."""

    def test_has_seven_columns(self, kubectl: Kubectl, shown: str) -> None:
        header, new, paused = kubectl("get", "agbs", "-n", shown).out.splitlines()

        assert header.split() == ["NAME", "STATE", "DESIRED", "WHY", "READY", "SESSION", "NEXT", "AGE"]
        assert len(new.split()) == 2, "a resource that nobody has looked at has a name and an age"
        assert paused.split()[:-1] == [
            *("paused", "Paused", "Paused", "Schedule/office-hours", "False", "session-9f2c1e", "2026-03-02T06:04:10Z")
        ]
        assert re.fullmatch(r"\d+[smh]", paused.split()[-1])

    def test_tells_why_when_asked_for_more(self, kubectl: Kubectl, shown: str) -> None:
        header, new, paused = kubectl("get", "agbs", "-n", shown, "-o", "wide").out.splitlines()

        assert header.split()[7:] == ["AGE", "IMAGE", "REASON", "MESSAGE"]
        assert len(new.split()) == 2
        assert re.split(r" {2,}", paused)[-3:] == ["agb-code-space-1", "Throttled", "AGB asks to wait."]


def test_the_table_of_schedules_says_what_is_asked_for_and_how_far_it_is(kubectl: Kubectl, shown: str) -> None:
    spec = {"selector": {}, "timeZone": "UTC", "pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}
    manifest = agb_schedule(spec, name="office-hours")
    manifest["metadata"]["namespace"] = shown
    assert kubectl.apply(manifest).succeeded
    ready = {"type": "Ready", "status": "True", "reason": "Active", "message": "Until tomorrow."}
    ready |= {"lastTransitionTime": "2026-03-01T12:00:00Z"}
    status = {
        "asks": "Paused",
        "next": {"at": "2026-03-02T07:00:00Z", "asks": "Nothing"},
        "sessions": 120,
        "settled": 118,
        "conditions": [ready],
    }
    patch = json.dumps({"status": status})
    flags = ("--subresource=status", "--type=merge", "-p", patch)
    assert kubectl("patch", "agbps", "office-hours", "-n", shown, *flags).succeeded

    header, row = kubectl("get", "agbps", "-n", shown, "-o", "wide").out.splitlines()

    assert re.split(r" {2,}", header.rstrip()) == [
        *("NAME", "ASKS", "NEXT", "SESSIONS", "SETTLED", "READY", "AGE", "PAUSE-AT", "RESUME-AT", "ZONE", "MESSAGE")
    ]
    name, *cells, _, pause, resume, zone, message = re.split(r" {2,}", row.rstrip())
    assert (name, cells) == ("office-hours", ["Paused", "2026-03-02T07:00:00Z", "120", "118", "True"])
    assert (pause, resume, zone, message) == ("0 20 * * *", "0 7 * * 1-5", "UTC", "Until tomorrow.")


class TestExplain:
    """What `kubectl explain` teaches."""

    @pytest.mark.parametrize(("plural", "path"), OBJECTS)
    def test_a_level_explains_itself_and_its_fields(self, kubectl: Kubectl, plural: str, path: str) -> None:
        answer = kubectl("explain", f"{plural}.{path}")

        assert answer.succeeded, answer.err
        shown = one_line(answer.out)
        level = [field for field in FIELDS[plural] if field.path == path or field.path.rpartition(".")[0] == path]
        assert [field.path for field in level if one_line(field.schema["description"]) not in shown] == []

    @of_each_kind
    def test_the_list_of_all_fields_is_the_schema_s(self, kubectl: Kubectl, plural: str) -> None:
        answer = kubectl("explain", f"{plural}.spec", "--recursive")

        assert answer.succeeded, answer.err
        listed = re.findall(r"^ +(\w+)\t<", answer.out, re.MULTILINE)
        assert sorted(listed) == sorted(last_name(field) for field in FIELDS[plural] if field.path.startswith("spec."))

    def test_a_newcomer_learns_from_the_spec_alone_how_to_pause_and_to_clean_up(self, kubectl: Kubectl) -> None:
        shown = one_line(kubectl("explain", "agbsession.spec").out)

        for lesson in (
            "Set exactly one of imageId (create a session) and sessionId (adopt a session that exists)",
            "{imageId: agb-code-space-1}; add {paused: true} and it is paused",
            "Absent means false: running",
            "A state for a limited time",
            "release the session at AGB",
            'set the annotation agb.cloud/abandon to "true"',
            "such as 90s, 10m or 1h30m, from 1s to 24h",
        ):
            assert lesson in shown

    def test_a_newcomer_learns_from_the_spec_alone_how_to_sleep_by_the_clock(self, kubectl: Kubectl) -> None:
        shown = one_line(kubectl("explain", "agbps.spec").out)

        for lesson in (
            "{pauseAt: 0 20 * * *, resumeAt: 0 7 * * 1-5} sleeps every night",
            "a session sleeps while any of them asks",
            "an empty selector, written as two braces, selects all of them",
            "When the clock wakes a session, AGB's own idle and age limits start",
            "a name of the IANA time zone database such as Europe/Berlin, or UTC",
            "Dates on which resumeAt does not come",
        ):
            assert lesson in shown

    @pytest.mark.parametrize(
        ("plural", "path"),
        [
            ("agbsessions", "spec.paused"),
            ("agbsessions", "spec.timeout"),
            ("agbsessions", "spec.deletionPolicy"),
            ("agbsessions", "status.phase"),
            ("agbsessions", "status.why"),
            ("agbpauseschedules", "spec.pauseAt"),
        ],
    )
    def test_a_single_field_explains_itself(self, kubectl: Kubectl, plural: str, path: str) -> None:
        answer = kubectl("explain", f"{plural}.{path}")

        [field] = [field for field in FIELDS[plural] if field.path == path]
        assert one_line(field.schema["description"]) in one_line(answer.out)


def last_name(field: Field) -> str:
    return field.path.rpartition(".")[2]
