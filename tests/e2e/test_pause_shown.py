"""What people see of a pause: tables, descriptions, events and explanations that need no manual."""

import pytest

from e2e.stack import eventually
from e2e.tenant import Tenant


def columns(table: str) -> dict[str, str]:
    """Read a table of one row; the last column may hold blanks."""
    header, row = table.rstrip().splitlines()
    titles = header.split()
    starts = [header.index(title) for title in titles]
    ends = [*starts[1:], None]
    return {title: row[start:end].strip() for title, start, end in zip(titles, starts, ends, strict=True)}


@pytest.fixture
def paused(tenant: Tenant) -> Tenant:
    """A tenant whose session `a` was created and then paused."""
    tenant.apply("a", imageId="agb-code-space-1")
    tenant.wait("a", "Ready")
    tenant.patch("a", paused=True)
    tenant.wait("a", "Paused")
    eventually(lambda: "Paused" in tenant.reasons("a"))
    return tenant


def test_the_table_says_what_is_wanted_and_what_is(paused: Tenant) -> None:
    session_id = paused.status("a")["sessionId"]

    narrow = columns(paused.must("get", "agbs"))
    wide = columns(paused.must("get", "agbs", "-o", "wide"))

    assert narrow.pop("AGE")
    assert narrow == {
        "NAME": "a",
        "STATE": "Paused",
        "DESIRED": "Paused",
        "WHY": "Spec",
        "READY": "True",
        "SESSION": session_id,
        "NEXT": "",
    }
    assert {title: wide[title] for title in ("IMAGE", "REASON", "MESSAGE")} == {
        "IMAGE": "agb-code-space-1",
        "REASON": "Paused",
        "MESSAGE": "The session is paused, as asked; its state is kept.",
    }


def test_the_table_of_a_moving_session_says_why_it_is_not_ready(paused: Tenant) -> None:
    paused.control.configure(transition=5.0)
    try:
        paused.patch("a", paused=False)
        paused.until_phase("a", "Resuming")

        row = columns(paused.must("get", "agbs", "-o", "wide"))
    finally:
        paused.control.configure(transition=1.0)

    assert (row["STATE"], row["DESIRED"], row["READY"]) == ("Resuming", "Running", "False")
    assert (row["REASON"], row["MESSAGE"]) == ("Resuming", "AGB is resuming the session.")


def test_describe_tells_conditions_and_history(paused: Tenant) -> None:
    session_id = paused.status("a")["sessionId"]

    described = paused.must("describe", "agbsession", "a")

    told = [line.split(maxsplit=4)[4] for line in described.splitlines() if "agb-operator  " in line]
    assert sorted(told) == [
        f"Created session {session_id} from image agb-code-space-1.",
        f"Session {session_id} is paused (Spec).",
        f"Session {session_id} is running (Default).",
    ]
    for text in (
        "The session is paused, as asked; its state is kept.",
        "AGB says PAUSED.",
        "Session Status:       PAUSED",
        "Type:                 Pause",
    ):
        assert " ".join(text.split()) in " ".join(described.split())


def test_the_events_are_told_in_their_order(paused: Tenant) -> None:
    assert paused.reasons("a") == ["Created", "Running", "Paused"]
    assert {severity for severity, _, _ in paused.events("a")} == {"Normal"}


def test_explain_teaches_the_verb(paused: Tenant) -> None:
    explained = " ".join(paused.must("explain", "agbsession.spec.paused").split())

    assert "FIELD: paused <boolean>" in explained
    for word in ("pause", "resume", "state"):
        assert word in explained.lower()


def test_a_refused_change_says_what_is_right_and_changes_nothing(paused: Tenant) -> None:
    before = paused.get("a")
    paused.fresh_start()

    refused = paused("patch", "agbsession", "a", "--type=merge", "--patch", '{"spec":{"imageId":"another"}}')

    assert not refused.succeeded
    assert "imageId" in refused.err
    assert paused.get("a") == before
    assert paused.calls() == []
