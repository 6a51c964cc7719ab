"""The picture of a week has a cell for each hour that the clock shows, on days of 23 and 25 hours as well."""

import pytest

from agb_operator.policy.intent import Schedules
from kubectl_agb import picture
from kubectl_agb.forecast import Forecast
from kubectl_agb.times import read_zone
from unit.plugin.test_forecast import schedule, session
from unit.policy.clockwork import utc

BERLIN = read_zone("Europe/Berlin")


def picture_of(now: str, *sessions: str, **spec: str) -> list[str]:
    """Draw the week of sessions that all hear one schedule."""
    begin = utc(now)
    end = picture.midnight(picture.week(begin, BERLIN)[-1], BERLIN)
    known = Schedules(existing=(schedule("hours", spec),))
    forecast = Forecast(now=begin, begin=begin, end=end, schedules={"ml": known})
    return list(picture.draw(forecast.of([session(uid, "hours") for uid in sessions]), now=begin, zone=BERLIN))


def drawn(now: str, *sessions: str, **spec: str) -> dict[str, str]:
    """Draw the first day; gives what stands beside each label."""
    lines = picture_of(now, *sessions, **spec)
    return {line.partition("  ")[0]: line.partition("  ")[2][:24] for line in lines[2:3]}


def test_a_common_day_begins_now() -> None:
    found = drawn("2026-11-25 10:30", "a", pauseAt="0 20 * * *", resumeAt="0 7 * * *")

    assert found == {"s-a": " " * 11 + "." * 9 + "#" * 4}


@pytest.mark.parametrize(
    ("why", "now", "resume", "cells"),
    [
        ("an hour that is left out is no hour", "2027-03-27 23:00", "30 3 * * *", "## +...................."),
        ("an hour that comes twice is one cell", "2027-10-30 22:00", "0 3 * * *", "###....................."),
        ("a part of a doubled hour", "2027-10-30 22:00", "30 2 * * *", "##+....................."),
    ],
)
def test_days_on_which_the_clocks_change(why: str, now: str, resume: str, cells: str) -> None:
    found = drawn(now, "a", pauseAt="59 23 * * *", resumeAt=resume)

    assert found["s-a"][:23] == cells[:23], why


def test_a_group_is_drawn_as_one_and_where_its_members_differ_as_partly() -> None:
    found = drawn("2026-11-25 11:00", "a", "b", "c", pauseAt="0 20 * * *", resumeAt="0 7 * * *", spread="4h")

    (label,) = found
    assert label == "s-a +2"
    assert found[label].startswith(" " * 12 + "." * 8 + "+")


@pytest.mark.parametrize(
    ("now", "says"),
    [
        ("2026-11-25 10:30", "Hours are at +01:00; --tz shows another zone."),
        ("2027-03-25 10:30", "Hours are at +01:00, from Sun 28 Mar at +02:00; --tz shows another zone."),
    ],
)
def test_it_says_which_zone_its_hours_are_of(now: str, says: str) -> None:
    assert picture_of(now, "a", pauseAt="0 20 * * *", resumeAt="0 7 * * *")[-1] == says
