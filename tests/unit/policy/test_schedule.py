"""What one schedule asks for, and when: each sentence of the contract about the clock."""

from calendar import isleap
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from agb_operator.model.schedule import AgbPauseSchedule, instant, zone_named
from agb_operator.policy.schedule import FAR, Schedule, changes, ticks
from unit.policy import minutes
from unit.policy.clockwork import BERLIN, NIGHTS, a_body, a_schedule, utc

ZONES = (
    "Europe/Berlin", "America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "America/Santiago", "Asia/Beirut",
    "Africa/Cairo", "Pacific/Chatham", "Asia/Gaza", "Asia/Kolkata", "UTC",
)  # fmt: skip
"""Changes by an hour and by half of one, at midnight, at a quarter to, given up, with Ramadan, and none at all."""
MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)


def asks(schedule: Schedule, *moments: str) -> list[bool]:
    return [schedule.span(utc(moment)).asks for moment in moments]


def zone_of(name: str) -> ZoneInfo:
    """The zone by the pinned data: those of the machine may be older, and say something else."""
    zone = zone_named(name)
    assert zone is not None
    return zone


# Spans


def test_it_asks_from_pauseAt_on_and_until_resumeAt_which_does_not_belong_to_it() -> None:  # noqa: N802
    schedule = a_schedule()

    before, begin, last, end = "2026-11-24 18:59:59", "2026-11-24 19:00", "2026-11-25 05:59:59", "2026-11-25 06:00"

    assert asks(schedule, before, begin, last, end) == [False, True, True, False]


def test_nights_and_the_weekend_are_one_pair() -> None:
    friday_night = a_schedule().span(utc("2026-11-28 12:00"))

    assert friday_night.asks
    assert (friday_night.since, friday_night.until) == (utc("2026-11-27 19:00"), utc("2026-11-30 06:00"))


def test_over_the_years_end_there_is_no_special_case() -> None:
    span = a_schedule(pauseAt="0 20 24 12 *", resumeAt="0 7 4 1 *").span(utc("2027-01-01 00:00"))

    assert (span.asks, span.since, span.until) == (True, utc("2026-12-24 19:00"), utc("2027-01-04 06:00"))


def test_a_window_asks_by_date_and_is_half_open() -> None:
    schedule = a_schedule(windows=[{"from": "2026-12-05T22:00", "to": "2026-12-06T06:00", "reason": "maintenance"}])

    moments = ("2026-12-05 20:59:59", "2026-12-05 21:00", "2026-12-06 04:59:59", "2026-12-06 05:00")
    assert asks(schedule, *moments) == [False, True, True, False]


def test_windows_that_are_over_never_ask_again() -> None:
    schedule = a_schedule(windows=[{"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}])

    assert schedule.span(utc("2027-01-01 00:00")).until is None


def test_a_window_and_a_night_that_touch_are_one_span() -> None:
    schedule = a_schedule(**NIGHTS, windows=[{"from": "2026-11-25T07:00", "to": "2026-11-25T20:00"}])

    span = schedule.span(utc("2026-11-25 06:00"))
    assert (span.asks, span.since, span.until) == (True, utc("2026-11-24 19:00"), utc("2026-11-26 06:00"))


def test_inside_an_exception_nothing_is_asked_for_and_after_it_the_night_goes_on() -> None:
    schedule = a_schedule(exceptions=[{"from": "2026-11-24T22:00", "to": "2026-11-24T23:00"}])

    moments = ("2026-11-24 20:59", "2026-11-24 21:00", "2026-11-24 21:59:59", "2026-11-24 22:00")
    assert asks(schedule, *moments) == [True, False, False, True]


def test_a_window_inside_an_exception_of_the_same_schedule_loses() -> None:
    schedule = a_schedule(
        windows=[{"from": "2026-12-05T22:00", "to": "2026-12-06T06:00"}],
        exceptions=[{"from": "2026-12-05T00:00", "to": "2026-12-07T00:00"}],
    )

    assert not schedule.span(utc("2026-12-05 22:00")).asks


def test_one_that_is_not_enabled_is_as_if_it_did_not_exist() -> None:
    schedule = a_schedule(enabled=False)

    assert not schedule.span(utc("2026-11-24 22:00")).asks
    assert not schedule.selects({})


def test_what_ticks_once_in_four_years_is_heard() -> None:
    schedule = a_schedule(pauseAt="0 0 29 2 *", resumeAt="0 0 1 3 *", timeZone="UTC")

    assert asks(schedule, "2027-02-28 12:00", "2028-02-29 12:00", "2028-03-01 12:00") == [False, True, False]


def test_the_rarest_tick_is_found_40_years_back() -> None:
    """Between 2088 and 2128 no 29th of February is a Sunday."""
    for cron in ("0 7 29 2 */7", "0 7 * 2 SUN#5"):
        assert ticks(cron, UTC, utc("2128-02-29 06:59"))[0] == utc("2088-02-29 07:00")


def test_a_tie_is_awake() -> None:
    schedule = a_schedule(pauseAt="0 8 * * *", resumeAt="0 8 * * 1-7")

    assert not any(asks(schedule, "2026-11-25 06:59", "2026-11-25 07:00", "2026-11-25 12:00"))


# Days off


def test_on_a_day_off_the_night_before_goes_on_to_the_next_resumeAt_that_counts() -> None:  # noqa: N802
    span = a_schedule(daysOff=["2026-12-25"]).span(utc("2026-12-25 12:00"))

    assert (span.asks, span.since, span.until) == (True, utc("2026-12-24 19:00"), utc("2026-12-28 06:00"))


def test_pauseAt_of_a_day_off_counts() -> None:  # noqa: N802
    by_day = a_schedule(pauseAt="0 9 * * *", resumeAt="0 17 * * *", daysOff=["2026-11-25"])

    span = by_day.span(utc("2026-11-25 20:00"))
    assert (span.asks, span.since, span.until) == (True, utc("2026-11-25 08:00"), utc("2026-11-26 16:00"))


def test_a_day_off_on_the_only_day_of_a_weekly_resumeAt_is_a_week_more() -> None:  # noqa: N802
    weekly = a_schedule(pauseAt="0 20 * * 5", resumeAt="0 7 * * 1", daysOff=["2026-11-30"])

    assert weekly.span(utc("2026-11-29 00:00")).until == utc("2026-12-07 06:00")


def test_a_day_off_is_a_date_of_the_schedules_own_zone() -> None:
    in_kiritimati = a_schedule(
        timeZone="Pacific/Kiritimati", pauseAt="0 20 * * *", resumeAt="0 7 * * *", daysOff=["2026-11-25"]
    )

    assert asks(in_kiritimati, "2026-11-24 17:30", "2026-11-25 16:59", "2026-11-25 17:00") == [True, True, False]


def test_a_schedule_made_on_a_day_off_knows_that_its_resumeAt_did_not_come() -> None:  # noqa: N802
    days = [f"2026-12-{day:02}" for day in range(1, 32)]

    assert a_schedule(daysOff=days).span(utc("2026-12-31 12:00")).since == utc("2026-11-30 19:00")


def test_a_tie_on_a_day_off_is_a_pause() -> None:
    tie: dict[str, Any] = {"pauseAt": "0 8 * * *", "resumeAt": "0 8 * * 1-7", "daysOff": ["2026-11-25"]}

    moments = ("2026-11-25 06:59", "2026-11-25 07:00", "2026-11-26 06:59", "2026-11-26 07:00")
    assert asks(a_schedule(**tie), *moments) == [False, True, True, False]
    assert asks(a_schedule(**tie), "2026-11-25 12:00") == [True], "also to one who begins after it"


def test_a_rare_resumeAt_that_is_always_off_is_looked_for_no_further_back_than_the_calendar_goes() -> None:  # noqa: N802
    """Sundays that are a 29th of February come 66 times before 2027, less often than a schedule may have days off."""
    leap_days = [date(year, 2, 29) for year in range(4, 2027, 4) if isleap(year)]
    off = [day.isoformat() for day in leap_days if day.isoweekday() == 7]
    schedule = a_schedule(pauseAt="0 20 * * *", resumeAt="0 7 29 2 */7", daysOff=off)

    assert schedule.problem == ""
    assert schedule.span(utc("2026-11-25 12:00")) == (True, None, None)


# The change of the clocks


def test_a_tick_that_the_clocks_leave_out_comes_when_the_gap_ends() -> None:
    schedule = a_schedule(pauseAt="30 2 * * *", resumeAt="0 7 * * *")

    assert schedule.span(utc("2027-03-28 02:00")).since == utc("2027-03-28 01:00")


def test_both_ticks_in_the_gap_are_a_tie_and_there_is_no_pause_that_night() -> None:
    schedule = a_schedule(pauseAt="10 2 * * *", resumeAt="50 2 * * *")

    assert not any(asks(schedule, "2027-03-28 00:59", "2027-03-28 01:00", "2027-03-28 01:30"))
    assert asks(schedule, "2027-03-27 01:10", "2027-03-29 00:10") == [True, True], "the nights around are as ever"


def test_a_whole_window_in_the_gap_is_empty() -> None:
    schedule = a_schedule(windows=[{"from": "2027-03-28T02:10", "to": "2027-03-28T02:50"}])

    assert schedule.problem == ""
    assert schedule.span(utc("2027-03-28 00:00")).until is None


def test_a_bound_in_the_gap_comes_when_the_gap_ends() -> None:
    schedule = a_schedule(windows=[{"from": "2027-03-28T02:30", "to": "2027-03-28T06:00"}])

    span = schedule.span(utc("2027-03-28 01:00"))
    assert (span.asks, span.since, span.until) == (True, utc("2027-03-28 01:00"), utc("2027-03-28 04:00"))


def test_in_an_hour_that_comes_twice_a_tick_comes_once_the_first_time() -> None:
    schedule = a_schedule(pauseAt="30 2 * * *", resumeAt="0 12 * * *")

    assert asks(schedule, "2027-10-31 00:29", "2027-10-31 00:30", "2027-10-31 01:29") == [False, True, True]


def test_a_window_in_an_hour_that_comes_twice_is_never_shorter_than_it_reads() -> None:
    schedule = a_schedule(windows=[{"from": "2027-10-31T02:15", "to": "2027-10-31T02:45"}])

    span = schedule.span(utc("2027-10-31 01:00"))
    assert (span.asks, span.since, span.until) == (True, utc("2027-10-31 00:15"), utc("2027-10-31 01:45"))


def test_hours_with_a_star_tick_by_the_clock_on_the_wall_too() -> None:
    _, following = ticks("30 */2 * * *", zone_of(BERLIN), utc("2027-10-30 23:00"))

    assert [next(following) for _ in range(2)] == [utc("2027-10-31 00:30"), utc("2027-10-31 03:30")]


def test_the_trap_is_real_cronsim_going_back_inside_a_doubled_hour_may_give_yesterdays_tick() -> None:
    """If this fails, cronsim has mended it, and `ticks` may become simpler."""
    zone, at = zone_of(BERLIN), utc("2027-10-31 01:10")

    back = next(CronSim("30 2 * * *", at.astimezone(zone), reverse=True)).astimezone(UTC)

    assert back == utc("2027-10-30 00:30")
    assert ticks("30 2 * * *", zone, at)[0] == utc("2027-10-31 00:30")


# Against the slow and obvious evaluation


SLOW = settings(max_examples=settings().max_examples // 4)
"""An example takes a tenth of a second."""


@lru_cache
def turns(zone: str, year: int) -> list[datetime]:
    """The instants of a year at which the clocks of a zone are changed, to the hour."""
    first = datetime(year, 1, 1, tzinfo=UTC)
    hours = [first + timedelta(hours=hour) for hour in range(366 * 24)]
    offsets = [hour.astimezone(zone_of(zone)).utcoffset() for hour in hours]
    return [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[str, datetime]:
    """A zone, and the midnight (UTC) before a change of its clocks, or before any day if it has none."""
    zone, year = draw(st.sampled_from(ZONES)), draw(st.integers(2026, 2036))
    found = turns(zone, year) or [datetime(year, draw(st.integers(1, 12)), 15, tzinfo=UTC)]
    return zone, draw(st.sampled_from(found)).replace(hour=0)


def crons() -> st.SearchStrategy[str]:
    """Mostly in the hours in which clocks are changed."""
    hours = st.one_of(
        st.integers(0, 4).map(str), st.integers(0, 23).map(str), st.sampled_from(["*", "*/2", "1-3", "0,2,23", "2/5"])
    )
    weekdays = st.sampled_from(["*", "*", "*", "1-5", "SUN", "SAT,SUN", "7", "MON-THU/2"])
    return st.builds(lambda minute, hour, day: f"{minute} {hour} * * {day}", st.integers(0, 59), hours, weekdays)


@SLOW
@given(place=around_a_change(), cron=crons())
def test_the_last_tick_is_that_of_the_slow_evaluation_at_every_minute(place: tuple[str, datetime], cron: str) -> None:
    name, day = place
    zone, last = zone_of(name), None
    for wall in minutes.minutes(zone, day - 8 * minutes.DAY, day + 2 * minutes.DAY):
        last = wall.moment if minutes.ticks(cron, wall) else last
        if wall.moment >= day and wall.moment.minute % 7 == 0:
            assert ticks(cron, zone, wall.moment)[0] == last, wall.moment


@SLOW
@given(place=around_a_change(), pause=crons(), resume=crons(), data=st.data())
def test_what_is_asked_for_is_that_of_the_slow_evaluation_at_every_minute(
    place: tuple[str, datetime], pause: str, resume: str, data: st.DataObject
) -> None:
    zone, day = place
    clocks = st.integers(0, 3 * 24 * 60).map(lambda n: day.replace(tzinfo=None) - minutes.DAY + n * MINUTE)
    spans = st.lists(st.tuples(clocks, clocks).map(sorted).filter(lambda pair: pair[0] < pair[1]), max_size=2)

    def drawn() -> list[dict[str, str]]:
        return [{"from": f"{a:%Y-%m-%dT%H:%M}", "to": f"{b:%Y-%m-%dT%H:%M}"} for a, b in data.draw(spans)]

    spec: dict[str, Any] = {"timeZone": zone, "pauseAt": pause, "resumeAt": resume, "windows": drawn()}
    spec |= {"exceptions": drawn(), "daysOff": data.draw(st.sampled_from([[], [f"{day:%Y-%m-%d}"]]))}
    if pause == resume:
        return
    schedule = a_schedule(**spec)
    assert schedule.problem == ""

    slow = minutes.asks(spec, zone_of(zone), day - 9 * minutes.DAY, day + 2 * minutes.DAY)
    shown = [(moment, asked) for moment, asked in slow if moment >= day - minutes.DAY]

    assert [(moment, schedule.span(moment).asks) for moment, _ in shown] == shown


@pytest.mark.parametrize(
    ("cron", "moments"),
    [
        ("0 22 L * *", ("2027-01-31", "2027-02-28", "2027-03-31")),
        ("0 22 LW * *", ("2027-01-29", "2027-02-26", "2027-03-31")),
        ("0 22 * * SUN#1", ("2027-01-03", "2027-02-07", "2027-03-07")),
        ("0 22 */10 * *", ("2027-01-01", "2027-01-11", "2027-01-21", "2027-01-31", "2027-02-01")),
    ],
)
def test_months_ends_and_nth_weekdays_are_what_they_say(cron: str, moments: tuple[str, ...]) -> None:
    _, following = ticks(cron, UTC, utc("2026-12-31 23:00"))

    assert [next(following) for _ in moments] == [utc(f"{day} 22:00") for day in moments]
    assert all(minutes.matches(cron, utc(f"{day} 22:00")) for day in moments)


@pytest.mark.parametrize("zone", ["Australia/Lord_Howe", "Asia/Gaza", "Asia/Kolkata"])
def test_half_an_hour_ramadan_and_no_change_at_all_make_two_flips_a_day(zone: str) -> None:
    schedule = a_schedule(timeZone=zone, pauseAt="0 20 * * *", resumeAt="0 7 * * *").resource

    year = [moment for moment, _ in until(schedule, utc("2028-01-01 00:00"), utc("2027-01-01 00:00"))]

    assert len(year) == 2 * 365


def until(schedule: AgbPauseSchedule, end: datetime, since: datetime) -> list[tuple[datetime, bool]]:
    found = []
    events = changes(schedule, since)
    next(events)
    for moment, asked in events:
        if moment >= end:
            break
        found.append((moment, asked))
    return found


# Spread


def test_a_session_has_always_the_same_share_of_the_spread() -> None:
    one, other = (a_schedule(name, spread="10m") for name in ("a", "b"))

    shares = [one.share(f"uid-{n}") for n in range(1000)]

    assert shares == [other.share(f"uid-{n}") for n in range(1000)], "of one spread, there is no gap between two"
    assert min(shares) >= timedelta(0)
    assert max(shares) <= timedelta(minutes=10)
    assert all(share % SECOND == timedelta(0) for share in shares)
    assert 70 <= sum(share < timedelta(minutes=1) for share in shares) <= 130, "about one in ten, evenly"


def test_a_share_is_the_same_in_every_process() -> None:
    """A restart must not move it, and `kubectl agb plan` must name the same moment."""
    schedule = a_schedule(spread="10m")

    shares = [schedule.share(uid) for uid in ("uid-1", "7f8c9d1e-2a3b-4c5d-8e6f-0123456789ab")]

    assert shares == [timedelta(seconds=108), timedelta(seconds=176)]


def test_without_a_spread_or_a_uid_there_is_no_share() -> None:
    assert a_schedule().share("uid-1") == timedelta(0)
    assert a_schedule(spread="10m").share("") == timedelta(0)


def test_the_end_of_a_spread_is_a_share_too() -> None:
    schedule = a_schedule(spread="1s")

    assert {schedule.share(f"uid-{n}") for n in range(100)} == {timedelta(0), timedelta(seconds=1)}


# The list of changes


def test_the_answer_does_not_depend_on_what_was_asked_before() -> None:
    used = a_schedule(daysOff=["2026-12-25"])
    moments = [utc("2026-11-01 00:00") + n * timedelta(hours=11) for n in range(150)]

    there = [used.span(moment) for moment in moments]
    back = [used.span(moment) for moment in reversed(moments)]

    assert there == back[::-1] == [a_schedule(daysOff=["2026-12-25"]).span(moment) for moment in moments]


def test_since_is_known_however_long_ago_the_pause_began() -> None:
    schedule = a_schedule(windows=[{"from": "2026-01-10T00:00", "to": "2027-06-01T00:00"}])

    assert schedule.span(utc("2026-12-31 00:00")).since == utc("2026-01-09 23:00")


def test_a_window_may_be_as_long_as_the_calendar() -> None:
    schedule = a_schedule(timeZone="UTC", windows=[{"from": "0001-01-01T00:00", "to": "9999-12-31T23:59"}])

    assert schedule.problem == ""
    assert schedule.span(utc("2026-12-31 00:00")) == (True, None, None)


def test_what_began_more_than_400_days_ago_is_no_longer_told_however_long_the_list_is() -> None:
    freeze: dict[str, Any] = {"windows": [{"from": "2025-01-01T00:00", "to": "2028-01-01T00:00"}]}
    used, late = a_schedule(**freeze), utc("2026-12-31 00:00")

    assert used.span(utc("2025-06-01 00:00")).since == utc("2024-12-31 23:00")
    assert used.span(late) == a_schedule(**freeze).span(late)
    assert used.span(late).since is None


def test_a_change_further_away_than_400_days_is_not_told() -> None:
    schedule = a_schedule(timeZone="UTC", windows=[{"from": "2028-01-01T00:00", "to": "2028-01-02T00:00"}])

    far, near = utc("2028-01-01 00:00") - FAR - SECOND, utc("2028-01-01 00:00") - FAR

    assert schedule.span(far).until is None
    assert schedule.span(near).until == utc("2028-01-01 00:00")


# Local times


@pytest.mark.parametrize(
    ("local", "last", "expected"),
    [
        ("2027-03-28T01:59", False, "2027-03-28 00:59"),
        ("2027-03-28T02:00", False, "2027-03-28 01:00"),
        ("2027-03-28T02:59", True, "2027-03-28 01:00"),
        ("2027-03-28T03:00", False, "2027-03-28 01:00"),
        ("2027-10-31T02:30", False, "2027-10-31 00:30"),
        ("2027-10-31T02:30", True, "2027-10-31 01:30"),
    ],
)
def test_a_local_time_is_the_instant_at_which_the_clock_shows_it(local: str, last: bool, expected: str) -> None:
    assert instant(datetime.fromisoformat(local), zone_of(BERLIN), last=last) == utc(expected)


def test_a_day_that_a_zone_leaves_out_altogether_comes_when_the_gap_ends() -> None:
    assert instant(datetime.fromisoformat("2011-12-30T12:00"), zone_of("Pacific/Apia"), last=False) == utc(
        "2011-12-30 10:00"
    )


def test_zones_come_from_the_pinned_package_whatever_the_machine_has() -> None:
    zone = zone_named(BERLIN)

    assert zone is not None
    assert zone is not ZoneInfo(BERLIN)
    assert str(zone) == BERLIN


def test_a_body_of_nothing_is_read_all_the_same() -> None:
    schedule = Schedule(AgbPauseSchedule.from_body({}))

    assert schedule.problem
    assert not schedule.span(utc("2026-11-25 22:00")).asks


def test_the_resource_is_read_with_its_metadata() -> None:
    resource = AgbPauseSchedule.from_body(a_body(**NIGHTS))

    assert (resource.namespace, resource.name, resource.generation) == ("ml", "office-hours", 1)
    assert resource.problem == ""
