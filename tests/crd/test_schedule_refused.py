"""What the API server refuses in a new AgbPauseSchedule, with the words that the user reads."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from crd.api import Api, agb_schedule
from crd.words import (
    BAD_CRON,
    BAD_DAY,
    BAD_KEY,
    BAD_LOCAL,
    BAD_ORDER,
    BAD_REASON,
    BAD_SPREAD,
    BAD_VALUE,
    BAD_VALUES,
    BAD_ZONE,
    BOTH_DAYS,
    DAYS_NEED_A_PAIR,
    NO_TIME,
    PAIR,
    SAME,
)

WHO = {"selector": {}, "timeZone": "Europe/Berlin"}
WHEN = {"pauseAt": "0 20 * * *", "resumeAt": "0 7 * * 1-5"}
WINDOW = {"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A spec that is wrong for one reason, and everything the API server says about it."""

    why: str
    spec: Mapping[str, Any]
    says: tuple[str, ...]


def cron(why: str, value: str, *, says: str = BAD_CRON, field: str = "pauseAt") -> Case:
    return Case(why=why, spec={**WHO, **WHEN, field: value}, says=(f'spec.{field}: Invalid value: "{value}": {says}',))


def zone(why: str, value: str, *says: str) -> Case:
    said = tuple(f'spec.timeZone: Invalid value: "{value}": {word}' for word in says)
    return Case(why=why, spec={**WHO, **WHEN, "timeZone": value}, says=said)


def local(why: str, value: str, *says: str) -> Case:
    wrong = f'spec.windows[0].to: Invalid value: "{value}": {BAD_LOCAL}'
    return Case(why=why, spec={**WHO, "windows": [{**WINDOW, "to": value}]}, says=(wrong, *says))


def spread(why: str, value: str) -> Case:
    return Case(
        why=why,
        spec={**WHO, **WHEN, "spread": value},
        says=(f'spec.spread: Invalid value: "{value}": {BAD_SPREAD}',),
    )


def selector(why: str, value: Mapping[str, Any], *says: str) -> Case:
    return Case(why=why, spec={**WHO, **WHEN, "selector": value}, says=says)


def expression(why: str, operator: str, *values: str) -> Case:
    return selector(
        why,
        {"matchExpressions": [{"key": "team", "operator": operator, "values": list(values)}]},
        f"spec.selector.matchExpressions[0]: Invalid value: {BAD_VALUES}",
    )


CASES = (
    Case(why="a zone is needed", spec={"selector": {}, **WHEN}, says=("spec.timeZone: Required value",)),
    Case(
        why="a selector is needed: nobody selects everything by accident",
        spec={"timeZone": "Europe/Berlin", **WHEN},
        says=("spec.selector: Required value",),
    ),
    Case(why="pauseAt needs resumeAt", spec={**WHO, "pauseAt": "0 20 * * *"}, says=(PAIR,)),
    Case(why="resumeAt needs pauseAt", spec={**WHO, "resumeAt": "0 7 * * *", "windows": [WINDOW]}, says=(PAIR,)),
    Case(why="without a time it would never pause", spec=WHO, says=(NO_TIME,)),
    Case(why="no windows are no time", spec={**WHO, "windows": []}, says=(NO_TIME,)),
    Case(
        why="an exception is no time to pause",
        spec={**WHO, "exceptions": [WINDOW]},
        says=(NO_TIME,),
    ),
    Case(why="the same moment twice is none", spec={**WHO, **WHEN, "resumeAt": WHEN["pauseAt"]}, says=(SAME,)),
    Case(
        why="days off need a pair",
        spec={**WHO, "windows": [WINDOW], "daysOff": ["2026-12-25"]},
        says=(DAYS_NEED_A_PAIR,),
    ),
    zone("an abbreviation is no zone", "CET", BAD_ZONE),
    zone("an offset is no zone", "+02:00", BAD_ZONE),
    zone("an empty zone is none", "", BAD_ZONE),
    zone("Local is no zone: nobody knows whose", "Local", BAD_ZONE),
    zone("a folder of zones is no zone", "Europe/", BAD_ZONE),
    cron("four fields are too few", "0 8 * *"),
    cron("six fields are too many", "0 0 8 * * *"),
    cron("a nickname is no cron expression", "@daily"),
    cron("an hour has 60 minutes", "60 8 * * *"),
    cron("a day has 24 hours", "0 24 * * *"),
    cron("a week has eight names for seven days", "0 8 * * 8"),
    cron("several minutes are more often than hourly", "*/5 8 * * *"),
    cron("a list of minutes is more than one", "0,30 8 * * *"),
    cron("a month has 31 days", "0 8 32 * *"),
    cron("a year has twelve months", "0 8 * 13 *"),
    cron("an empty expression is none", ""),
    cron("resumeAt is checked like pauseAt", "7:00", field="resumeAt"),
    cron("a day of month and a day of week mean either", "0 8 1 * 1", says=BOTH_DAYS),
    cron("they mean either for resumeAt too", "0 8 1 * 1", says=BOTH_DAYS, field="resumeAt"),
    Case(
        why="a window does not end before it begins",
        spec={**WHO, "windows": [{"from": WINDOW["to"], "to": WINDOW["from"]}]},
        says=(f"spec.windows[0]: Invalid value: {BAD_ORDER}",),
    ),
    Case(
        why="an exception does not end where it begins",
        spec={**WHO, **WHEN, "exceptions": [{"from": WINDOW["to"], "to": WINDOW["to"]}]},
        says=(f"spec.exceptions[0]: Invalid value: {BAD_ORDER}",),
    ),
    Case(
        why="a window has two ends",
        spec={**WHO, "windows": [{"from": WINDOW["from"]}]},
        says=("spec.windows[0].to: Required value",),
    ),
    local("a local time has no offset", "2026-12-05T22:00Z"),
    local("a local time has no seconds", "2026-12-05T22:00:00"),
    local("a date alone is no local time", "2026-12-06"),
    Case(
        why="a window's reason is not blank",
        spec={**WHO, "windows": [{**WINDOW, "reason": ""}]},
        says=(f'spec.windows[0].reason: Invalid value: "": {BAD_REASON}',),
    ),
    Case(
        why="a date has the year first",
        spec={**WHO, **WHEN, "daysOff": ["25.12.2026"]},
        says=(f'spec.daysOff[0]: Invalid value: "25.12.2026": {BAD_DAY}',),
    ),
    Case(
        why="a day off is given once",
        spec={**WHO, **WHEN, "daysOff": ["2026-12-25", "2026-12-25"]},
        says=('spec.daysOff[1]: Duplicate value: "2026-12-25"',),
    ),
    Case(
        why="there are at most 100 windows",
        spec={**WHO, "windows": [WINDOW] * 101},
        says=("spec.windows: Too many: 101: must have at most 100 items",),
    ),
    Case(
        why="there are at most 100 days off",
        spec={**WHO, **WHEN, "daysOff": [f"{2000 + n}-12-25" for n in range(101)]},
        says=("spec.daysOff: Too many: 101: must have at most 100 items",),
    ),
    Case(
        why="there are at most 100 exceptions",
        spec={**WHO, **WHEN, "exceptions": [WINDOW] * 101},
        says=("spec.exceptions: Too many: 101: must have at most 100 items",),
    ),
    spread("a spread has an end", "5h"),
    spread("a word is no spread", "ten"),
    spread("a spread needs a unit", "600"),
    spread("a spread is not negative", "-10m"),
    Case(
        why="enabled in quotes is a string",
        spec={**WHO, **WHEN, "enabled": "no"},
        says=('spec.enabled: Invalid value: "string": spec.enabled in body must be of type boolean: "string"',),
    ),
    expression("In needs values", "In"),
    expression("NotIn needs values", "NotIn"),
    expression("Exists takes no values", "Exists", "ml"),
    expression("DoesNotExist takes no values", "DoesNotExist", "ml"),
    selector(
        "an operator has one of four names",
        {"matchExpressions": [{"key": "team", "operator": "Equals", "values": ["ml"]}]},
        'spec.selector.matchExpressions[0].operator: Unsupported value: "Equals":'
        ' supported values: "In", "NotIn", "Exists", "DoesNotExist"',
    ),
    selector(
        "a key in an expression is a label's",
        {"matchExpressions": [{"key": "the team", "operator": "Exists"}]},
        f'spec.selector.matchExpressions[0].key: Invalid value: "the team": {BAD_KEY}',
    ),
    selector(
        "a value in an expression is a label's",
        {"matchExpressions": [{"key": "team", "operator": "In", "values": ["the team"]}]},
        f'spec.selector.matchExpressions[0].values[0]: Invalid value: "the team": {BAD_VALUE}',
    ),
    selector(
        "a key is a label's",
        {"matchLabels": {"the team": "ml"}},
        f"spec.selector.matchLabels: Invalid value: {BAD_KEY}",
    ),
    selector(
        "a value is a label's",
        {"matchLabels": {"team": "the team"}},
        f'spec.selector.matchLabels[team]: Invalid value: "the team": {BAD_VALUE}',
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.why)
def test_a_wrong_schedule_is_refused_with_words_that_say_what_is_right(schedules: Api, case: Case) -> None:
    assert schedules.create(agb_schedule(case.spec), dry_run=True).complaints == sorted(case.says)


def test_a_zone_that_the_api_server_does_not_know_is_refused_by_its_name(schedules: Api) -> None:
    verdict = schedules.create(agb_schedule({**WHO, **WHEN, "timeZone": "Europe/Berln"}), dry_run=True)

    (complaint,) = verdict.complaints
    assert complaint == (
        'spec.timeZone: Invalid value: "string": unknown time zone Europe/Berln'
        " evaluating rule: timeZone is not known to the API server"
    )


def test_every_mistake_is_told_at_once(schedules: Api) -> None:
    spec = {"selector": {}, "timeZone": "CET", **WHEN, "pauseAt": "@daily", "spread": "ten"}

    assert schedules.create(agb_schedule(spec), dry_run=True).complaints == [
        f'spec.pauseAt: Invalid value: "@daily": {BAD_CRON}',
        f'spec.spread: Invalid value: "ten": {BAD_SPREAD}',
        f'spec.timeZone: Invalid value: "CET": {BAD_ZONE}',
    ]


def test_a_spec_is_needed(schedules: Api) -> None:
    manifest = agb_schedule({})
    del manifest["spec"]

    assert schedules.create(manifest, dry_run=True).complaints == ["spec: Required value"]


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({**WHO, **WHEN, "suspend": True}, "spec.suspend"),
        ({**WHO, **WHEN, "schedule": "0 8 * * *"}, "spec.schedule"),
        ({**WHO, "windows": [{**WINDOW, "until": "x"}]}, "spec.windows[0].until"),
    ],
)
def test_a_misspelt_field_is_refused_by_its_name(schedules: Api, spec: Mapping[str, Any], field: str) -> None:
    verdict = schedules.create(agb_schedule(spec), dry_run=True)

    assert verdict.taken is None
    assert verdict.message.endswith(f'strict decoding error: unknown field "{field}"')
