"""What makes a schedule unusable: reading never raises, and the problem says field, value and what is right."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agb_operator.model.schedule import AgbPauseSchedule, old_zones
from agb_operator.policy.schedule import Schedule
from unit.policy.clockwork import NIGHTS, a_body, a_schedule, utc

CRON = "must be five fields of cron: one minute, hours, days of month, months, days of week (0-7 or SUN-SAT)"
WINDOW = {"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}


def cron(value: str, says: str = CRON) -> tuple[dict[str, Any], str]:
    return {**NIGHTS, "pauseAt": value}, f"spec.pauseAt is '{value}': {says}"


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        cron("0 8 * * 5-1", "bad day-of-week; it must be five fields of cron"),
        cron("0 8 30 2 *", "bad day-of-month; it must be five fields of cron"),
        cron("0 8 31 4,6 *", "bad day-of-month; it must be five fields of cron"),
        cron("0 8 * * MON-FRI#2", "bad day-of-week; it must be five fields of cron"),
        cron("0 8 * *"),
        cron("@daily"),
        cron("0 0 8 * * *"),
        cron("*/5 8 * * *"),
        cron("0,30 8 * * *"),
        cron("0 8 1 * 1", "day of month and day of week together mean either of them to cron"),
        ({"pauseAt": "0 20 * * *"}, "set spec.pauseAt and spec.resumeAt together"),
        ({"pauseAt": "0 8 * * *", "resumeAt": "0 8 * * *"}, "spec.pauseAt and spec.resumeAt are the same moment"),
        ({"windows": []}, "say when to pause: spec.pauseAt with spec.resumeAt for every week, or spec.windows"),
        ({"windows": [WINDOW], "daysOff": ["2026-12-25"]}, "spec.daysOff says on which days resumeAt does not come"),
        ({"timeZone": "Europe/Berln"}, "spec.timeZone: unknown time zone Europe/Berln"),
        ({"timeZone": "Europe"}, "spec.timeZone is 'Europe' and must be a name of the IANA time zone database"),
        ({"timeZone": "America/Indiana"}, "spec.timeZone: unknown time zone America/Indiana"),
        ({"timeZone": "../../etc/passwd"}, "spec.timeZone is '../../etc/passwd' and must be a name"),
        ({"timeZone": None}, "spec.timeZone is 'None' and must be a name"),
        ({"selector": None}, "spec.selector must be a label selector"),
        ({"daysOff": ["2026-11-31"]}, "spec.daysOff[0] is '2026-11-31', and a day off is a date such as 2026-12-25"),
        ({"daysOff": ["2026-12-25", "25.12.2026"]}, "spec.daysOff[1] is '25.12.2026'"),
        ({"daysOff": "2026-12-25"}, "spec.daysOff must be a list"),
        ({"windows": [{**WINDOW, "from": "2026-11-31T22:00"}]}, "spec.windows[0].from is '2026-11-31T22:00' and must"),
        ({"windows": [{**WINDOW, "to": "2026-12-06T06:00Z"}]}, "spec.windows[0].to is '2026-12-06T06:00Z' and must"),
        ({"windows": ["2026-12-06"]}, "spec.windows[0].from is 'None' and must be a local time"),
        ({"windows": [{"from": WINDOW["to"], "to": WINDOW["from"]}]}, "spec.windows[0]: from must be before to"),
        ({"windows": [{"from": "0001-01-01T00:00", "to": WINDOW["to"]}]}, "spec.windows[0] lies at the end of what"),
        ({"exceptions": [{**WINDOW, "to": "soon"}]}, "spec.exceptions[0].to is 'soon' and must be a local time"),
        ({"spread": "5h"}, "spec.spread is '5h' and must be a duration from 0s to 4h, such as 90s, 10m or 1h30m"),
        ({"spread": "ten"}, "spec.spread is 'ten' and must be a duration"),
        ({"spread": 600}, "spec.spread is '600' and must be a duration"),
        ({"enabled": "no"}, "spec.enabled must be true or false"),
    ],
)
def test_what_cannot_be_used_says_the_field_the_value_and_what_is_right(spec: dict[str, Any], says: str) -> None:
    schedule = a_schedule(**spec)

    assert schedule.problem.startswith(says)
    assert not schedule.span(utc("2026-11-25 22:00")).asks


def test_all_that_is_wrong_is_said_at_once() -> None:
    problem = a_schedule(timeZone="Europe/Berln", spread="5h", pauseAt="0 8 * * 5-1", resumeAt="0 7 * * *").problem

    assert [said.split()[0] for said in problem.split("; ") if said.startswith("spec.")] == [
        "spec.timeZone:",
        "spec.spread",
        "spec.pauseAt",
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {"pauseAt": "0 8 29 2 *", "resumeAt": "0 7 1 3 *"},
        {"pauseAt": "5 0,6-10/2,20 * JAN-MAR,12 sun,1-5", "resumeAt": "0 7 L * *"},
        {"pauseAt": "0  8 *  * 7", "resumeAt": "0 9 LW */2 *"},
        {"pauseAt": "0 8 */2 * 1-5", "resumeAt": "0 9 * 2 MON#5"},
        {"spread": "0s"},
        {"spread": "4h"},
        {"spread": "1h30m"},
        {"spread": "500ms"},
        {"spread": None, "enabled": None, "daysOff": None, "windows": None, "exceptions": None},
        {"timeZone": "America/Argentina/Buenos_Aires"},
        {"timeZone": "Etc/GMT+8"},
    ],
)
def test_what_is_unusual_but_right_is_taken(spec: dict[str, Any]) -> None:
    schedule = a_schedule(**(spec if "pauseAt" in spec else {**NIGHTS, **spec}))

    assert schedule.problem == ""
    schedule.span(utc("2026-11-25 22:00"))


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(max_size=20)
    | st.sampled_from(["2026-12-05T22:00", "*", "10m"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["from", "to", "matchLabels"]), inner),
    max_leaves=5,
)


@settings(max_examples=settings().max_examples * 2, deadline=None)
@given(
    spec=st.dictionaries(
        st.sampled_from(
            ["selector", "timeZone", "pauseAt", "resumeAt", "daysOff", "windows", "exceptions", "spread", "enabled"]
        ),
        JSON,
    )
)
def test_reading_never_raises_whatever_the_spec_holds(spec: dict[str, Any]) -> None:
    body = {**a_body(), "spec": {**NIGHTS, **spec}}

    Schedule(AgbPauseSchedule.from_body(body)).span(utc("2026-11-25 22:00"))


@pytest.mark.parametrize(
    ("now", "old"), [("2026-11-28T00:00", False), ("2027-12-30T00:00", False), ("2028-01-02T00:00", True)]
)
def test_rules_of_time_zones_that_are_older_than_18_months_are_told(now: str, old: bool) -> None:
    assert ("from 2026" in old_zones("2026.6", utc(now))) is old
