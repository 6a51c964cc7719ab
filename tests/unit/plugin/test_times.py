"""Times and durations as people write them; in every zone, with the clocks' changes."""

from datetime import timedelta
from typing import Any

import pytest

from kubectl_agb.errors import WrongUsage
from kubectl_agb.times import brief, read_coming, read_duration, read_time, read_zone, shown
from unit.policy.clockwork import utc

BERLIN = read_zone("Europe/Berlin")
NOW = utc("2026-11-25 12:00")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("18:00", "2026-11-25 17:00"),
        ("7:05", "2026-11-25 06:05"),
        ("2026-12-24T18:00", "2026-12-24 17:00"),
        ("2026-07-01T18:00", "2026-07-01 16:00"),
        ("2026-12-24T17:00:00Z", "2026-12-24 17:00"),
        ("2026-12-24t17:00:00z", "2026-12-24 17:00"),
        ("2026-12-24T17:00:00-05:00", "2026-12-24 22:00"),
        ("2027-03-28T02:30", "2027-03-28 01:00"),
        ("2027-10-31T02:30", "2027-10-31 00:30"),
    ],
)
def test_a_time(text: str, moment: str) -> None:
    assert read_time(text, "--at", zone=BERLIN, now=NOW) == utc(moment)


@pytest.mark.parametrize("text", ["", "tomorrow", "24:00", "18", "2026-11-25", "20261125T1800", "2026-W01-1T18:00"])
def test_no_time(text: str) -> None:
    with pytest.raises(WrongUsage, match="this is no time such as 18:00"):
        read_time(text, "--at", zone=BERLIN, now=NOW)


def test_a_time_of_day_that_has_passed_names_tomorrows() -> None:
    with pytest.raises(WrongUsage, match=r"^--until 10:00 has passed today; say 2026-11-26T10:00$"):
        read_coming("10:00", "--until", zone=BERLIN, now=NOW)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("1h30m", 5400), ("3d", 259200), ("1d12h", 129600), ("1500ms", 1.5)]
)
def test_a_duration(text: str, seconds: float) -> None:
    assert read_duration(text, "--for") == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0s", "0d", "2", "h", "-1h", "1h 30m", "1w", "2h3d", "1,5h"])
def test_no_duration(text: str) -> None:
    with pytest.raises(WrongUsage, match="say how long"):
        read_duration(text, "--for")


def test_times_are_shown_with_their_offset() -> None:
    assert shown(utc("2026-11-25 19:00"), BERLIN) == "Wed 25 Nov 20:00 +01:00"
    assert shown(utc("2026-07-05 19:00"), BERLIN) == "Sun 5 Jul 21:00 +02:00"
    assert brief(utc("2026-11-25 19:00"), BERLIN, NOW) == "20:00 (+01:00)"
    assert brief(utc("2026-11-26 06:00"), BERLIN, NOW) == "Thu 26 Nov 07:00 +01:00"


@pytest.mark.parametrize("name", ["", ":"])
@pytest.mark.parametrize("moment", ["2026-01-10 12:00", "2026-07-10 12:00", "2026-10-25 00:30", "2026-10-25 01:30"])
def test_the_zone_of_this_computer_needs_no_name(monkeypatch: Any, name: str, moment: str) -> None:
    monkeypatch.setenv("TZ", name)
    zone = read_zone("")

    local = utc(moment).astimezone(zone)

    assert local.utcoffset() == utc(moment).astimezone().utcoffset()
    assert local.astimezone(utc(moment).tzinfo) == utc(moment)


def test_tz_names_the_local_zone(monkeypatch: Any) -> None:
    monkeypatch.setenv("TZ", "America/St_Johns")

    assert shown(utc("2026-11-25 19:00"), read_zone("")) == "Wed 25 Nov 15:30 -03:30"


def test_a_zone_that_is_none() -> None:
    with pytest.raises(WrongUsage, match="--tz CET: there is no such time zone"):
        read_zone("CET")
