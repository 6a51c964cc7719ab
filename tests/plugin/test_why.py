"""`kubectl agb why`: the chain, who decides, and the command that changes it."""

import json
import re
from typing import Any

import pytest

from plugin.conftest import Fleet, Plugin
from plugin.test_change import in_hours

CHAIN = ["deletion", "override", "spec.paused", "schedule"]


def decider(out: str) -> str:
    """Give the line that decides; there is one at most."""
    lines = [line.strip() for line in out.splitlines() if line.endswith("  <- decides")]
    assert len(lines) <= 1
    return lines[0].removesuffix("  <- decides") if lines else ""


def test_a_session_that_a_schedule_keeps_asleep(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("batch-7", labels={"team": "ml"})
    fleet.asleep_now("maintenance")
    fleet.schedule("nights", pauseAt="0 0 1 1 *", resumeAt="0 1 1 1 *")
    fleet.schedule("others", select={"team": "web"}, pauseAt="0 20 * * *", resumeAt="0 7 * * *")
    fleet.status("batch-7", "Paused", desiredState="Paused", why="Schedule/maintenance")

    ended = agb.here("why", "batch-7")

    assert (ended.code, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert re.fullmatch(
        rf"{agb.namespace}/batch-7  session-batch-7  is Paused, as wanted, since \w+ \d+ \w+ \d\d:\d\d",
        lines[0],
    )
    assert [line.split()[0] for line in lines[1:6]] == [*CHAIN, "schedule"]
    assert re.fullmatch(r"schedule     maintenance  Paused until \w+ \d+ \w+ \d\d:00 \+0[12]:00", decider(ended.out))
    assert lines[5].startswith("  schedule     nights  ")
    assert "others" not in ended.out
    assert lines[6].startswith("Wanted: Paused (Schedule/maintenance). Next: Running at ")
    assert lines[-1] == f"To wake it sooner:  kubectl agb resume batch-7 -n {agb.namespace} --for 2h"


def test_an_override(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", paused=True, override={"state": "Running", "until": in_hours(2), "reason": "demo"})

    ended = agb.here("why", "s")

    assert decider(ended.out).startswith("override     Running until ")
    assert decider(ended.out).endswith(" (demo)")
    assert f"To let the clock decide again:  kubectl agb auto s -n {agb.namespace}" in ended.out


def test_what_others_have_written_cannot_command_the_terminal(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", override={"state": "Running", "until": in_hours(2), "reason": "\x1b[2J\u202eevil"})

    for ended in (agb.here("why", "s"), agb.here("plan")):
        assert ended.code == 0
        assert r"(\x1b[2J\u202eevil)" in ended.out or "evil" not in ended.out
        assert "\x1b" not in ended.out
        assert "\u202e" not in ended.out


def test_paused_by_the_spec(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", paused=True)

    ended = agb.here("why", "s")

    assert decider(ended.out) == "spec.paused  true: Paused"
    assert f"To wake it:  kubectl agb resume s -n {agb.namespace}\n" in ended.out


def test_nobody_decides(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", override={"state": "Paused", "until": "2020-01-01T00:00:00Z"})

    ended = agb.here("why", "s")

    assert decider(ended.out) == ""
    assert "  override     over since Wed 1 Jan 01:00 +01:00\n" in ended.out
    assert "  schedules    none selects this session\n" in ended.out
    assert "Wanted: Running (Default). The clock changes nothing.\n" in ended.out


def test_what_cannot_become_so_is_said(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.status("s", "Lost", reason="SessionNotFound", ready="False")

    ended = agb.here("why", "s")

    assert "Nothing brings it there:  AGB no longer has the session\n" in ended.out
    assert "Ready=False SessionNotFound: SessionNotFound, says the test." in ended.out


def test_for_programs(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.asleep_now("nights")

    found: dict[str, Any] = json.loads(agb.here("why", "s", "-o", "json").out)

    assert (found["wanted"], found["why"], found["phase"]) == ("Paused", "Schedule/nights", "Pending")
    assert [say["who"] for say in found["chain"]] == CHAIN
    assert [say.get("name") for say in found["chain"] if say["decides"]] == ["nights"]
    assert found["nextChange"]["state"] == "Running"


@pytest.mark.parametrize("zone", ["UTC", "America/St_Johns"])
def test_times_are_told_in_the_asked_zone_with_its_offset(agb: Plugin, fleet: Fleet, zone: str) -> None:
    fleet.session("s", override={"state": "Paused", "until": "2031-01-15T12:00:00Z"})

    ended = agb.here("why", "s", "--tz", zone)

    local = {"UTC": "Wed 15 Jan 12:00 +00:00", "America/St_Johns": "Wed 15 Jan 08:30 -03:30"}[zone]
    assert f"Paused until {local}" in ended.out


def test_a_session_that_is_not_there(agb: Plugin) -> None:
    ended = agb.here("why", "absent")

    assert ended.code == 1
    assert ended.line == 'kubectl agb: agbsessions.agb.cloud "absent" not found'
