"""`kubectl agb plan` through kubectl: from files, from the cluster, and as if something had been applied."""

import json
import os
import pty
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from e2e.stack import eventually
from plugin.conftest import Ended, Fleet, Plugin

FILES = """
apiVersion: agb.cloud/v1alpha1
kind: AgbPauseSchedule
metadata: {name: office-hours}
spec:
  selector: {matchLabels: {team: ml}}
  timeZone: Europe/Berlin
  pauseAt: "0 20 * * *"
  resumeAt: "0 7 * * 1-5"
  spread: 10m
---
apiVersion: agb.cloud/v1alpha1
kind: AgbSession
metadata: {name: batch-7, labels: {team: ml}}
spec: {imageId: agb-code-space-1}
---
apiVersion: agb.cloud/v1alpha1
kind: AgbSession
metadata: {name: keep-1, namespace: default}
spec: {imageId: agb-code-space-1}
"""
NO_CLUSTER = {"KUBECONFIG": "/absent"}


def changes(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


class TestFromFiles:
    """No cluster is asked where the files hold both kinds."""

    def test_the_table(self, agb: Plugin) -> None:
        ended = agb("plan", "-f", "-", stdin=FILES, env=NO_CLUSTER)

        lines = ended.out.splitlines()
        assert ended.code == 0
        assert lines[0].split() == ["WHEN", "WHAT", "SESSIONS", "WHY"]
        assert any(line.endswith("Schedule/office-hours, over 10m") for line in lines)
        assert "1 session stays Running: keep-1 (not selected)" in lines
        assert any(line.startswith("In these 7 days: 1 session, ") for line in lines)
        assert any(line.startswith("Note: the clock wakes 1 session (batch-7). AGB's own idle") for line in lines)
        assert lines[-1] == "All of this is from the files: no cluster was asked."
        assert max(map(len, lines)) <= 80

    def test_json_is_the_list_of_changes(self, agb: Plugin) -> None:
        found = changes(agb("plan", "-f", "-", "-o", "json", stdin=FILES, env=NO_CLUSTER))

        assert {each["name"] for each in found} == {"batch-7"}
        assert [each["at"] for each in found] == sorted(each["at"] for each in found)
        assert {(each["state"], each["why"]) for each in found} == {
            ("Paused", "Schedule/office-hours"),
            ("Running", "Default"),
        }
        assert all(each["namespace"] == "default" for each in found)

    def test_yaml_says_the_same(self, agb: Plugin) -> None:
        until = (datetime.now(UTC) + timedelta(days=6)).strftime("%Y-%m-%dT00:00Z")
        words = ("plan", "-f", "-", "--until", until, "-o")
        written = [agb(*words, form, stdin=FILES, env=NO_CLUSTER).out for form in ("json", "yaml")]

        assert yaml.safe_load(written[1]) == json.loads(written[0])

    def test_at_a_moment(self, agb: Plugin) -> None:
        saturday = datetime.now(UTC).date()
        while saturday.weekday() != 5 or saturday == datetime.now(UTC).date():
            saturday += timedelta(days=1)

        ended = agb("plan", "-f", "-", "--at", f"{saturday}T23:00", stdin=FILES, env=NO_CLUSTER)

        assert [line.split() for line in ended.out.splitlines()[:3]] == [
            ["NAME", "STATE", "WHY"],
            ["batch-7", "Paused", "Schedule/office-hours"],
            ["keep-1", "Running", "Default"],
        ]


class TestTheWeek:
    """The picture says what the list says: it is drawn again from the list, hour by hour."""

    def test_each_hour_is_what_the_list_says(self, agb: Plugin) -> None:
        words = ("plan", "-f", "-", "--week", "--tz", "UTC")
        picture = agb(*words, stdin=FILES, env=NO_CLUSTER)
        found = changes(agb(*words, "-o", "json", stdin=FILES, env=NO_CLUSTER))

        assert picture.code == 0
        assert picture.out.isascii()
        assert max(map(len, picture.out.splitlines())) <= 80
        drawn = cells(picture.out, "batch-7")
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        assert len(drawn) == 7 * 24
        for hour, sign in enumerate(drawn):
            begin = today + timedelta(hours=hour)
            if begin > datetime.now(UTC):  # the hour that runs may end between the two calls
                assert sign == expected(found, begin), begin
        assert set(cells(picture.out, "keep-1").strip()) == {"."}

    def test_on_a_terminal_it_is_drawn_in_blocks_and_colour_unless_that_is_unwanted(
        self, agb: Plugin, on_terminal: Callable[..., str], tmp_path: Path
    ) -> None:
        path = tmp_path / "fleet.yaml"
        path.write_text(FILES)
        words = ("plan", "-f", str(path), "--week")

        coloured, plain = on_terminal(*words), on_terminal(*words, NO_COLOR="1")

        assert "█" in coloured
        assert "\033[34m" in coloured
        assert "█" in plain
        assert "\033[" not in plain


def cells(out: str, label: str) -> str:
    """Put a label's row of each band together."""
    rows = [line for line in out.splitlines() if line.startswith(label)]
    margin = max(len("batch-7"), len("keep-1"))
    drawn = ""
    for line in rows:
        body = line[margin + 2 :].ljust(24)
        for first in range(0, max(24, len(body)), 26):
            drawn += body[first : first + 24].ljust(24)
    return drawn


def expected(found: list[dict[str, Any]], begin: datetime) -> str:
    """Say how an hour looks by the list alone."""
    end = begin + timedelta(hours=1)
    dated = [(datetime.fromisoformat(each["at"]), each["state"]) for each in found]
    # What was wanted before the first change is the other state.
    first = "Running" if dated[0][1] == "Paused" else "Paused"
    before = [first, *(state for at, state in dated if at <= begin)][-1]
    states = {before, *(state for at, state in dated if begin < at < end)}
    return "+" if len(states) > 1 else "#" if states == {"Paused"} else "."


class TestFromTheCluster:
    def test_a_schedule_in_a_file_as_if_it_were_applied(self, agb: Plugin, fleet: Fleet, tmp_path: Path) -> None:
        fleet.session("s", "t", labels={"team": "ml"})
        fleet.session("u")
        path = tmp_path / "office-hours.yaml"
        path.write_text(FILES.split("---")[0])

        found = changes(agb.here("plan", "-f", str(path), "-o", "json"))

        assert {each["name"] for each in found} == {"s", "t"}
        assert agb.kubectl("get", "agbps", "-n", agb.namespace).out == ""

    def test_a_schedule_as_if_it_were_deleted_shows_who_would_wake(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", "t")
        fleet.asleep_now("nights")
        for name in ("s", "t"):
            fleet.status(name, "Paused", desiredState="Paused", why="Schedule/nights")

        as_it_is = changes(agb.here("plan", "-o", "json"))
        without = changes(agb.here("plan", "--delete", "nights", "-o", "json"))

        assert [(each["name"], each["state"]) for each in without] == [("s", "Running"), ("t", "Running")]
        now = datetime.now(UTC)
        assert all(abs(datetime.fromisoformat(each["at"]) - now) < timedelta(minutes=2) for each in without)
        assert all(datetime.fromisoformat(each["at"]) - now > timedelta(hours=12) for each in as_it_is)

    def test_names_and_selectors_choose(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", "t", labels={"team": "ml"})
        fleet.session("u")
        fleet.schedule("nights", pauseAt="0 20 * * *", resumeAt="0 7 * * *")

        def names(*words: str) -> set[str]:
            return {each["name"] for each in changes(agb.here("plan", *words, "-o", "json"))}

        assert names() == {"s", "t", "u"}
        assert names("s", "u") == {"s", "u"}
        assert names("-l", "team in (ml)") == {"s", "t"}
        assert names("-l", "!team") == {"u"}
        assert agb.here("plan", "absent").line == f"kubectl agb: there is no AgbSession {agb.namespace}/absent"

    def test_all_namespaces_are_told_apart(self, agb: Plugin, fleet: Fleet, new_plugin: Callable[[], Plugin]) -> None:
        other = new_plugin()
        for each in (fleet, Fleet(agb=other)):
            each.session("same", labels={"planned": "here"})
            each.schedule("nights", select={"planned": "here"}, pauseAt="0 20 * * *", resumeAt="0 7 * * *")

        found = changes(agb("plan", "-A", "-l", "planned=here", "-o", "json"))
        table = agb("plan", "-A", "-l", "planned=here").out

        assert {each["namespace"] for each in found} == {agb.namespace, other.namespace}
        assert table.splitlines()[0].split() == ["WHEN", "NAMESPACE", "WHAT", "SESSIONS", "WHY"]

    def test_a_short_pause_an_observed_session_and_a_broken_schedule_are_noted(self, agb: Plugin, fleet: Fleet) -> None:
        fleet.session("s", managementPolicy="Observe")
        fleet.schedule("short", pauseAt="0 20 * * *", resumeAt="1 20 * * *")

        out = agb.here("plan").out

        assert "Note: 1 session is only observed (managementPolicy: Observe)" in out
        assert "Note: a pause of 1 session ends within 2m" in out

        fleet.schedule("broken", pauseAt="0 8 * * 5-1", resumeAt="0 7 * * *")

        assert f"Note: AgbPauseSchedule {agb.namespace}/broken cannot be used" in agb.here("plan").out

    def test_nothing_to_plan_is_said(self, agb: Plugin) -> None:
        assert agb.here("plan").out == "There are no such AgbSessions, so the clock has nothing to do.\n"

    def test_it_changes_nothing(self, agb: Plugin, fleet: Fleet, control_plane: Any) -> None:
        fleet.session("s")
        audit = control_plane.audit_events()
        audit.read_new()

        assert agb.here("plan").code == 0

        asked = eventually(lambda: [each for each in audit.read_new() if each.user_agent.startswith("kubectl-agb/")])
        assert [each.verb for each in asked if each.is_write] == []


@pytest.fixture
def on_terminal(agb: Plugin) -> Callable[..., str]:
    """Run a verb with a terminal as its output, and give what it shows."""

    def run(*words: str, **env: str) -> str:
        ours, theirs = pty.openpty()
        command = [str(agb.kubectl_program), "agb", *words]
        with subprocess.Popen(command, env={**agb.env, "TERM": "xterm", **env}, stdout=theirs, stderr=theirs) as run:
            os.close(theirs)
            shown = b""
            while True:
                try:
                    more = os.read(ours, 4096)
                except OSError:  # the other end is closed
                    break
                if not more:
                    break
                shown += more
        os.close(ours)
        assert run.returncode == 0, shown
        return shown.decode()

    return run
