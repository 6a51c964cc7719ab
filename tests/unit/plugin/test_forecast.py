"""A forecast says for each session what the operator's own decision says at each moment, however it is worked out."""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agb_operator.model.resource import AgbSession
from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.model.states import DesiredState
from agb_operator.policy.intent import Schedules, Subject, decide
from agb_operator.policy.schedule import Schedule
from kubectl_agb.forecast import Forecast, Member, asleep, in_order
from unit.policy.clockwork import utc

NOW, END = utc("2026-11-25 12:00"), utc("2026-11-28 12:00")
HOURS = {"pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5", "spread": "10m"}
SHIFTED = {"pauseAt": "30 6 * * *", "resumeAt": "30 9 * * *", "spread": "1h"}
WINDOW = {"windows": [{"from": "2026-11-26T06:00", "to": "2026-11-26T07:05"}]}
BROKEN = {"pauseAt": "0 8 * * 5-1", "resumeAt": "0 7 * * *"}


def schedule(name: str, spec: Mapping[str, Any], **more: Any) -> Schedule:
    whole = {"selector": {"matchLabels": {name: "yes"}}, "timeZone": "Europe/Berlin", **spec, **more}
    return Schedule(AgbPauseSchedule.from_body({"metadata": {"name": name, "namespace": "ml"}, "spec": whole}))


def session(uid: str, *schedules: str, status: Mapping[str, Any] | None = None, **spec: Any) -> AgbSession:
    metadata = {"namespace": "ml", "name": f"s-{uid}", "uid": uid, "labels": dict.fromkeys(schedules, "yes")}
    return AgbSession.from_body({"metadata": metadata, "spec": {"sessionId": "s", **spec}, "status": status or {}})


def forecast(*schedules: Schedule, begin: datetime = NOW, end: datetime = END) -> Forecast:
    return Forecast(now=NOW, begin=begin, end=end, schedules={"ml": Schedules(existing=schedules)})


def state_at(member: Member, at: datetime) -> DesiredState:
    states = [member.first.state, *(change.state for change in member.changes if change.at <= at)]
    return states[-1]


def decided(session: AgbSession, schedules: Schedules) -> list[tuple[datetime, DesiredState]]:
    """Ask the operator's decision again and again, as the operator does, and note when the state changes."""
    now, found, before = NOW, [], ""
    subject = Subject.of(session)
    while now <= END:
        intent = decide(subject, schedules, now)
        if before and intent.state != before:
            found.append((now, intent.state))
        before, subject = intent.state, replace(subject, desired_state=intent.state, why=intent.why)
        if intent.look_again is None:
            break
        now = intent.look_again
    return found


SETS = st.sets(st.sampled_from(["hours", "shifted", "window", "even"]))


@settings(max_examples=settings().max_examples * 3 // 5, deadline=None)
@given(uid=st.uuids().map(str), heard=SETS, paused=st.booleans(), override=st.sampled_from(["", "Running", "Paused"]))
def test_it_is_what_the_operator_decides(uid: str, heard: set[str], paused: bool, override: str) -> None:
    known = (
        schedule("hours", HOURS),
        schedule("shifted", SHIFTED),
        schedule("window", WINDOW),
        schedule("even", HOURS, pauseAt="0 22 * * *"),
    )
    spec = {"override": {"state": override, "until": "2026-11-26T04:00:00Z"}} if override else {}
    one = session(uid, *sorted(heard), paused=paused, **spec)

    (member,) = forecast(*known).of([one])

    assert [(change.at, change.state) for change in member.changes] == decided(one, Schedules(existing=known))


def test_those_with_one_fate_are_a_group_whatever_their_share() -> None:
    members = forecast(schedule("hours", HOURS)).of([session("a", "hours"), session("b", "hours"), session("c")])

    assert members[0].group == members[1].group != members[2].group
    assert members[0].changes[0].at != members[1].changes[0].at
    assert members[0].changes[0].due == members[1].changes[0].due == utc("2026-11-25 19:00")


def test_the_end_of_an_override_is_due_when_it_ends_whoever_speaks_then() -> None:
    until = {"state": "Running", "until": "2026-11-25T22:00:00Z"}

    (member,) = forecast(schedule("hours", HOURS)).of([session("a", "hours", override=until)])

    assert member.changes[0].due == member.changes[0].at == utc("2026-11-25 22:00")


def test_one_without_a_uid_is_planned_without_a_share() -> None:
    (member,) = forecast(schedule("hours", HOURS)).of([session("", "hours")])

    assert member.changes[0].at == member.changes[0].due


def test_where_a_schedule_cannot_be_used_a_sleeper_sleeps_on_and_others_do_not() -> None:
    sleeper = session("a", "broken", status={"desiredState": "Paused", "why": "Schedule/broken"})

    members = forecast(schedule("broken", BROKEN)).of([sleeper, session("b", "broken")])

    assert [(member.first.state, member.changes) for member in members] == [("Paused", []), ("Running", [])]


def test_what_would_change_at_once_changes_now() -> None:
    sleeper = session("a", status={"desiredState": "Paused", "why": "Schedule/gone"})

    (member,) = forecast().of([sleeper])

    assert [(change.at, change.state) for change in member.changes] == [(NOW, "Running")]


def test_it_may_begin_later() -> None:
    begin = utc("2026-11-25 22:00")

    (member,) = forecast(schedule("hours", HOURS), begin=begin).of([session("a", "hours")])

    assert (member.first.at, member.first.state) == (begin, "Paused")
    assert [change.state for change in member.changes] == ["Running", "Paused", "Running", "Paused"]


def test_hours_asleep_are_added_up() -> None:
    (member,) = forecast(schedule("hours", HOURS), end=utc("2026-11-26 12:00")).of([session("", "hours")])

    assert asleep(member, NOW, utc("2026-11-26 12:00")) == timedelta(hours=11)


def test_changes_come_in_order_of_time_and_name() -> None:
    members = forecast(schedule("hours", HOURS)).of([session(uid, "hours") for uid in "cab"])

    found = [(change.at, session.key.name) for change, session in in_order(members)]

    assert found == sorted(found)
    assert len(found) == 15


_LARGE = """
import time
from datetime import timedelta
from pathlib import Path
from kubectl_agb.planned import Words
from agb_operator.model.schedule import zone_named
from unit.plugin.test_forecast import END, NOW, HOURS, Forecast, Schedules, schedule, session

schedules = [schedule(f"t{n}", {**HOURS, "pauseAt": f"{n} 20 * * *"}) for n in range(20)]
sessions = [session(f"uid-{n}", f"t{n % 20}", *(["t7"] if n % 10 == 0 else [])) for n in range(10_000)]
end = NOW + timedelta(days=30)
before = time.process_time()
forecast = Forecast(now=NOW, begin=NOW, end=end, schedules={"ml": Schedules(existing=schedules)})
members = forecast.of(sessions)
words = Words(forecast=forecast, members=members, zone=zone_named("Europe/Berlin"), many=False)
print(len(words.change_table().splitlines()), len(list(words.notes())))
# What getrusage tells counts what the process was before it became this program: its parent's memory.
(peak,) = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
print(time.process_time() - before, int(peak) / 1024)
"""


@pytest.mark.fleet
def test_ten_thousand_sessions_and_twenty_schedules_for_a_month_take_five_seconds_of_cpu_and_300_mb() -> None:
    """CPU time of a process of its own: wall time would measure who else is at work."""
    command = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}\n{_LARGE}"]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()

    seconds, megabytes = map(float, said[-1].split())
    assert seconds < 5
    assert megabytes < 300
