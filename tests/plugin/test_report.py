"""`kubectl agb report` against a real API server: what it says is what the statuses hold."""

import csv
import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from agb_operator.model.status import timestamp
from agb_operator.policy.usage import kept_months, month_of
from plugin.conftest import Plugin

NOW = datetime.now(UTC)
MONTHS = kept_months(NOW)
HOUR = 3600


def put(agb: Plugin, name: str, *, team: str = "", **status: Any) -> None:
    """Create an AgbSession with a status as an operator writes it."""
    manifest = {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbSession",
        "metadata": {"name": name, "namespace": agb.namespace, "labels": {"team": team} if team else {}},
        "spec": {"imageId": "agb-code-space-1"},
    }
    agb.kubectl.apply(manifest)
    patch = json.dumps({"status": {"observedGeneration": 1, **status}})
    done = agb.kubectl("patch", "agbs", name, "-n", agb.namespace, "--subresource=status", "--type=merge", "-p", patch)
    assert done.succeeded, done


def used(running: int, paused: int, *, state: str = "None", month: str = MONTHS[-1]) -> Mapping[str, Any]:
    held = {"month": month, "runningSeconds": running, "pausedSeconds": paused, "pauses": 2, "resumes": 1}
    return {"state": state, "countedUntil": timestamp(NOW), "months": [held]}


@pytest.fixture
def counted(agb: Plugin) -> Plugin:
    """Three counted sessions of two teams, and one that nobody has counted."""
    put(agb, "a", team="ml", usage=used(10 * HOUR, 30 * HOUR))
    put(agb, "b", team="ml", usage=used(5 * HOUR, 15 * HOUR))
    put(agb, "c", team="vision", usage=used(8 * HOUR, 0))
    put(agb, "new", team="ml")
    return agb


def test_the_table_sums_the_statuses_and_says_what_is_missing(counted: Plugin) -> None:
    ended = counted.here(
        "report", "--by", "label:team", "--rate-running", "2", "--rate-paused", "0.5", "--currency", "EUR"
    )

    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert rows[0] == ["TEAM", "SESSIONS", *["RUNNING", "H", "PAUSED", "H", "ASLEEP", "PAUSES", "COST", "SAVED"]]
    assert rows[1] == ["ml", "2", "15.0", "45.0", "75", "%", "4", "52.5", "67.5"]
    assert rows[2] == ["vision", "1", "8.00", "0", "0", "%", "2", "16.0", "0"]
    assert rows[3] == ["Total", "3", "23.0", "45.0", "66", "%", "6", "68.5", "67.5", "EUR"]
    assert "not counted yet: 1." in ended.out
    assert "Deleted AgbSessions are not in it." in ended.out


def test_json_and_csv_hold_the_very_seconds(counted: Plugin) -> None:
    told = json.loads(counted.here("report", "-o", "json").out)
    (row,) = csv.DictReader(io.StringIO(counted.here("report", "-o", "csv").out))

    assert told["total"]["runningSeconds"] == 23 * HOUR == int(row["runningSeconds"])
    assert told["total"]["pausedSeconds"] == 45 * HOUR == int(row["pausedSeconds"])
    assert told["notCountedYet"] == 1
    assert row["group"] == counted.namespace


def test_html_is_one_page(counted: Plugin) -> None:
    ended = counted.here("report", "-o", "html")

    assert ended.out.startswith("<!doctype html>")
    assert ended.out.rstrip().endswith("</html>")


def test_a_month_without_time_is_an_empty_report(counted: Plugin) -> None:
    told = json.loads(counted.here("report", "--month", MONTHS[3], "-o", "json").out)

    assert (told["month"], told["groups"]) == (MONTHS[3], [])


def test_months_that_cannot_be_known_are_wrong_usage_by_the_clock_of_the_api_server(agb: Plugin) -> None:
    coming = agb.here("report", "--month", month_of(NOW + timedelta(days=40)))
    past = agb.here("report", "--month", "2001-01")

    assert (coming.code, past.code) == (2, 2)
    assert "has not begun" in coming.line
    assert f"{MONTHS[0]} to {MONTHS[-1]}" in past.line


def test_sleepers_are_listed_the_longest_first(agb: Plugin) -> None:
    for name, days in (("young", 3), ("old", 40), ("older", 90)):
        since = timestamp(NOW - timedelta(days=days))
        condition = {
            "type": "Paused",
            "status": "True",
            "reason": "Paused",
            "message": "AGB says PAUSED.",
            "lastTransitionTime": since,
        }
        put(agb, name, sessionId=f"id-{name}", why="Spec", conditions=[condition])

    told = json.loads(agb.here("report", "--asleep-for", "30d", "-o", "json").out)
    table = agb.here("report", "--asleep-for", "30d")

    assert [(s["name"], s["session"], s["why"]) for s in told] == [
        ("older", "id-older", "Spec"),
        ("old", "id-old", "Spec"),
    ]
    assert "90d" in table.out.splitlines()[1]
    assert "Asleep for 30d or longer: 2. Each counts against" in " ".join(table.out.split())


def test_no_sessions_are_no_error(agb: Plugin) -> None:
    assert agb.here("report").code == 0
    assert agb.here("report", "--asleep-for", "1d").out.startswith("Asleep for 1d or longer: 0.")
