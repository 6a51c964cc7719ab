"""What the API server takes as an AgbPauseSchedule, up to the very limits, what it fills in, and its status."""

from collections.abc import Mapping
from typing import Any

import pytest

from agb_operator.model.schedule import AgbPauseSchedule
from agb_operator.policy.schedule import Schedule
from crd.api import Api, agb_schedule
from crd_reference import fields, load_crd, schema_of

WHO: Mapping[str, Any] = {"selector": {}, "timeZone": "Europe/Berlin"}
WHEN: Mapping[str, Any] = {"pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}
WINDOW = {"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}
TIME = "2026-11-26T06:00:00Z"
READY = {
    "type": "Ready",
    "status": "True",
    "observedGeneration": 1,
    "lastTransitionTime": TIME,
    "reason": "Active",
    "message": "Asks for a pause.",
}
STATUS = {
    "observedGeneration": 1,
    "asks": "Paused",
    "next": {"at": TIME, "asks": "Nothing"},
    "sessions": 120,
    "settled": 118,
    "conditions": [READY],
}


def cron(value: str) -> Mapping[str, Any]:
    return {**WHO, "pauseAt": value, "resumeAt": "0 7 1 1 *"}


CASES = {
    "a pair is enough": {**WHO, **WHEN},
    "windows are enough": {**WHO, "windows": [WINDOW]},
    "everything at once": {
        "selector": {
            "matchLabels": {"team": "ml", "example.com/stage": ""},
            "matchExpressions": [
                {"key": "sleep", "operator": "NotIn", "values": ["never"]},
                {"key": "batch", "operator": "Exists"},
            ],
        },
        "timeZone": "America/Argentina/Buenos_Aires",
        **WHEN,
        "daysOff": ["2026-12-25", "2026-12-28"],
        "windows": [{**WINDOW, "reason": "AGB maintenance"}],
        "exceptions": [{"from": "2026-12-03T12:00", "to": "2026-12-04T18:00", "reason": "release"}],
        "spread": "10m",
        "enabled": False,
    },
    "UTC is a zone": {**WHO, **WHEN, "timeZone": "UTC"},
    "a fixed offset has a name": {**WHO, **WHEN, "timeZone": "Etc/GMT+8"},
    "no days off": {**WHO, "windows": [WINDOW], "daysOff": []},
    "100 windows": {**WHO, "windows": [WINDOW] * 100},
    "100 exceptions": {**WHO, **WHEN, "exceptions": [WINDOW] * 100},
    "100 days off": {**WHO, **WHEN, "daysOff": [f"{2000 + n}-12-25" for n in range(100)]},
    "a spread of four hours": {**WHO, **WHEN, "spread": "4h"},
    "a spread in several units": {**WHO, **WHEN, "spread": "1h30m"},
    "lists, ranges and steps": cron("5 0,6-10/2,20 * JAN-MAR,12 sun,1-5"),
    "the last day of the month": cron("0 22 L * *"),
    "the last weekday of the month": cron("0 22 LW * *"),
    "the first Sunday": cron("0 22 * * SUN#1"),
    "Sunday has two numbers": cron("0 22 * * 0,7"),
    "every second day of the month, on weekdays": cron("0 8 */2 * 1-5"),
    "every second hour": cron("30 */2 * * *"),
    "several spaces": cron("0  8 *   * *"),
    "leading zeros": cron("05 08 01 02 *"),
}


@pytest.mark.parametrize("why", CASES)
def test_a_right_schedule_is_taken_and_the_operator_understands_it(schedules: Api, why: str) -> None:
    verdict = schedules.create(agb_schedule(CASES[why]), dry_run=True)

    assert verdict.taken, verdict.message
    assert {field: verdict.spec[field] for field in CASES[why]} == CASES[why]
    assert Schedule(AgbPauseSchedule.from_body(verdict.taken)).problem == ""


@pytest.mark.parametrize(
    "spec",
    [
        cron("0 8 * * 5-1"),
        cron("0 8 30 2 *"),
        cron("0 8 */31 * MON#5"),
        {**WHO, **WHEN, "daysOff": ["2026-11-31"]},
    ],
    ids=[
        "a range that runs backwards",
        "a day that no month has",
        "a first of a month that is its fifth Monday",
        "a date that does not exist",
    ],
)
def test_what_the_api_server_cannot_see_the_operator_reports(schedules: Api, spec: Mapping[str, Any]) -> None:
    verdict = schedules.create(agb_schedule(spec), dry_run=True)

    assert verdict.taken, verdict.message
    assert Schedule(AgbPauseSchedule.from_body(verdict.taken)).problem


def test_the_defaults_are_those_of_the_documentation(schedules: Api) -> None:
    assert schedules.create(agb_schedule({**WHO, **WHEN}), dry_run=True).spec == {
        **WHO,
        **WHEN,
        "spread": "0s",
        "enabled": True,
    }


def test_everything_may_change_at_any_time(schedules: Api) -> None:
    assert schedules.create(agb_schedule(CASES["everything at once"], name="edited")).taken

    verdict = schedules.patch("edited", {"spec": {**CASES["everything at once"], **CASES["UTC is a zone"]}})

    assert verdict.taken, verdict.message


class TestStatus:
    """Its default, and what it can hold."""

    def test_a_new_one_says_that_nobody_has_looked_at_it(self, schedules: Api) -> None:
        assert schedules.create(agb_schedule({**WHO, **WHEN}, name="new")).taken

        assert schedules.get("new")["status"] == {"observedGeneration": -1}

    def test_every_field_is_kept_as_it_was_written(self, schedules: Api) -> None:
        assert schedules.create(agb_schedule({**WHO, **WHEN}, name="written")).taken

        verdict = schedules.patch_status("written", {"status": STATUS})

        assert verdict.taken, verdict.message
        assert schedules.get("written")["status"] == STATUS
        crd = {field.path: field.schema for field in fields(schema_of(load_crd("agbpauseschedules")))}
        assert set(crd["status"]["properties"]) == set(STATUS)

    @pytest.mark.parametrize(
        ("status", "says"),
        [
            ({"asks": "Running"}, 'status.asks: Unsupported value: "Running"'),
            ({"next": {"at": TIME}}, "status.next.asks: Required value"),
            ({"next": {"at": "noon", "asks": "Paused"}}, "status.next.at: Invalid value"),
            ({"sessions": -1}, "status.sessions: Invalid value"),
            ({"settled": -1}, "status.settled: Invalid value"),
            ({"conditions": [READY, READY]}, 'status.conditions[1]: Duplicate value: {"type":"Ready"}'),
        ],
    )
    def test_one_that_clients_could_not_read_is_refused(
        self, schedules: Api, status: Mapping[str, Any], says: str
    ) -> None:
        schedules.create(agb_schedule({**WHO, **WHEN}, name="refused"))

        verdict = schedules.patch_status("refused", {"status": status})

        assert verdict.taken is None
        assert any(reason.startswith(says) for reason in verdict.reasons), verdict.message
