"""How long a session ran and slept: spans go to their months of UTC, and no clock that is set counts anything."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.model.status import ConditionDraft, Phase, Reason, SessionStatus, Truth, Usage, UsageMonth, UsageState
from agb_operator.model.status_json import status_from_dict, status_to_dict
from agb_operator.policy.usage import MONTHS, count, counts_as, total, until

RUNNING, PAUSED, NONE = UsageState.RUNNING, UsageState.PAUSED, UsageState.NONE


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"{text}Z")


def counted(*steps: tuple[str, UsageState]) -> Usage:
    """Count one step after the other."""
    usage: Usage | None = None
    for moment, state in steps:
        usage = count(usage, state, at(moment))
    assert usage is not None
    return usage


def test_the_first_count_begins_now_and_counts_nothing_of_what_was_before() -> None:
    assert count(None, RUNNING, at("2026-11-25T19:04:12")) == Usage(
        state=RUNNING, counted_until=at("2026-11-25T19:04:12")
    )


def test_a_state_that_stays_changes_nothing_so_nothing_is_written() -> None:
    usage = counted(("2026-11-01T00:00:00", RUNNING))

    assert count(usage, RUNNING, at("2026-11-30T00:00:00")) is usage


def test_a_span_counts_when_it_ends_as_what_it_was() -> None:
    usage = counted(
        ("2026-11-02T08:00:00", RUNNING),
        ("2026-11-02T20:00:00", PAUSED),
        ("2026-11-03T07:00:00", RUNNING),
        ("2026-11-03T08:00:00", NONE),
        ("2026-11-03T09:00:00", PAUSED),
        ("2026-11-03T10:00:00", RUNNING),
    )

    assert usage.months == (
        UsageMonth(month="2026-11", running_seconds=13 * 3600, paused_seconds=12 * 3600, pauses=1, resumes=2),
    )
    assert (usage.state, usage.counted_until) == (RUNNING, at("2026-11-03T10:00:00"))


DAY = 86400


@pytest.mark.parametrize(
    ("start", "end", "months"),
    [
        ("2026-11-30T23:59:59", "2026-12-01T00:00:00", {"2026-11": 1}),
        ("2026-12-01T00:00:00", "2026-12-01T00:00:01", {"2026-12": 1}),
        ("2026-11-30T23:00:00", "2026-12-01T02:00:00", {"2026-11": 3600, "2026-12": 7200}),
        ("2026-12-31T22:00:00", "2027-01-01T01:00:00", {"2026-12": 7200, "2027-01": 3600}),
        ("2028-02-28T00:00:00", "2028-03-01T12:00:00", {"2028-02": 2 * DAY, "2028-03": DAY // 2}),
        ("2027-02-28T00:00:00", "2027-03-01T12:00:00", {"2027-02": DAY, "2027-03": DAY // 2}),
        ("2026-09-15T00:00:00", "2026-12-15T00:00:00", {"2026-09": 16, "2026-10": 31, "2026-11": 30, "2026-12": 14}),
    ],
    ids=["last second", "first second", "month's end", "year's end", "leap day", "no leap day", "several months"],
)
@pytest.mark.parametrize("state", [RUNNING, PAUSED])
def test_a_span_over_a_months_end_is_split(start: str, end: str, months: dict[str, int], state: UsageState) -> None:
    usage = counted((start, state), (end, NONE))
    days = DAY if len(months) == 4 else 1

    assert {m.month: m.paused_seconds if state == PAUSED else m.running_seconds for m in usage.months} == {
        month: amount * days for month, amount in months.items()
    }


def test_the_zone_that_a_time_is_told_in_does_not_matter() -> None:
    berlin = datetime.fromisoformat("2026-12-01T00:30:00+01:00")

    usage = count(counted(("2026-11-30T23:00:00", RUNNING)), PAUSED, berlin)

    assert [(m.month, m.running_seconds) for m in usage.months] == [("2026-11", 1800)]


def test_thirteen_months_are_kept_and_the_oldest_goes() -> None:
    usage = counted(("2025-10-15T00:00:00", RUNNING), ("2025-10-16T00:00:00", PAUSED))
    for month in range(14):
        year, number = divmod(2025 * 12 + 10 + month, 12)
        moment = datetime(year, number + 1, 2, tzinfo=UTC)
        usage = count(usage, RUNNING if month % 2 == 0 else PAUSED, moment)

    assert [m.month for m in usage.months] == [
        *("2025-12", "2026-01", "2026-02", "2026-03", "2026-04", "2026-05", "2026-06"),
        *("2026-07", "2026-08", "2026-09", "2026-10", "2026-11", "2026-12"),
    ]
    assert len(usage.months) == MONTHS


def test_one_span_of_years_leaves_its_last_thirteen_months() -> None:
    usage = counted(("0001-01-01T00:00:00", RUNNING), ("2026-12-02T00:00:00", PAUSED))

    assert [usage.months[0].month, usage.months[-1].month, len(usage.months)] == ["2025-12", "2026-12", 13]
    assert usage.months[-1].running_seconds == DAY


def test_a_weekend_asleep_is_one_span() -> None:
    usage = counted(("2026-11-27T19:00:00", PAUSED), ("2026-11-30T06:00:00", RUNNING))

    assert usage.months[0].paused_seconds == 59 * 3600


def test_a_clock_set_back_counts_nothing_and_the_next_span_counts_from_there() -> None:
    ahead = counted(("2026-11-25T13:00:00", RUNNING))

    back = count(ahead, PAUSED, at("2026-11-25T12:10:00"))
    later = count(back, RUNNING, at("2026-11-25T12:40:00"))

    assert back == Usage(
        state=PAUSED, counted_until=at("2026-11-25T12:10:00"), months=(UsageMonth(month="2026-11", pauses=1),)
    )
    assert later.months == (UsageMonth(month="2026-11", paused_seconds=1800, pauses=1, resumes=1),)


def test_of_a_jump_ahead_the_difference_alone_is_left_out() -> None:
    usage = counted(("2026-11-25T12:00:00", RUNNING))

    jump = (at("2031-01-01T00:00:00") - at("2026-11-25T12:00:00")).total_seconds()

    jumped = count(usage, PAUSED, at("2031-01-01T01:00:00"), left_out=jump)

    assert [(m.month, m.running_seconds) for m in jumped.months] == [("2026-11", 3600), ("2031-01", 0)]


def test_fractions_of_a_second_are_neither_lost_nor_won_over_many_spans() -> None:
    start, usage = at("2026-11-25T12:00:00"), counted(("2026-11-25T12:00:00", RUNNING))
    for number in range(1, 1001):
        usage = count(usage, PAUSED if number % 2 else RUNNING, start + timedelta(seconds=1.7 * number))

    whole = total(usage)

    assert whole.running_seconds + whole.paused_seconds == 1700


def test_a_reader_adds_what_is_open() -> None:
    usage = counted(("2026-11-30T23:00:00", RUNNING), ("2026-11-30T23:30:00", PAUSED))

    read = until(usage, at("2026-12-01T01:00:00"))

    assert read.months == (
        UsageMonth(month="2026-11", running_seconds=1800, paused_seconds=1800, pauses=1),
        UsageMonth(month="2026-12", paused_seconds=3600),
    )


def test_a_reader_whose_clock_is_behind_adds_nothing() -> None:
    usage = counted(("2026-11-30T23:00:00", RUNNING))

    assert until(usage, at("2026-11-30T22:00:00")) == usage


def status(
    phase: Phase | None, *, word: str = "", session: str = "session-1", before: UsageState = NONE
) -> SessionStatus:
    usage = Usage(state=before, counted_until=at("2026-11-25T12:00:00"))
    return SessionStatus(phase=phase, session_id=session, session_status=word, usage=usage)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (status(None), NONE),
        (status(Phase.PENDING), NONE),
        (status(Phase.CREATING, session=""), NONE),
        (status(Phase.CREATING), RUNNING),
        (status(Phase.RUNNING, word="RUNNING"), RUNNING),
        (status(Phase.PAUSING, word="PAUSING"), RUNNING),
        (status(Phase.PAUSED, word="PAUSED"), PAUSED),
        (status(Phase.RESUMING, word="RESUMING"), RUNNING),
        (status(Phase.LOST, word="PAUSED", before=PAUSED), NONE),
        (status(Phase.UNKNOWN, word="PAUSED", before=PAUSED), PAUSED),
        (status(Phase.UNKNOWN, word="RUNNING", before=RUNNING), RUNNING),
        (status(Phase.DELETING, word="PAUSED"), PAUSED),
        (status(Phase.DELETING, word="RUNNING"), RUNNING),
        (status(Phase.DELETING, word="DELETING"), RUNNING),
        (status(Phase.DELETING, word="FINISH", before=RUNNING), NONE),
        (status(Phase.DELETING, word="", before=PAUSED), PAUSED),
    ],
)
def test_paused_is_what_the_api_calls_so_and_everything_on_its_way_runs(
    given: SessionStatus, expected: UsageState
) -> None:
    assert counts_as(given) == expected


def test_a_session_that_another_resource_manages_is_counted_there() -> None:
    conflict = ConditionDraft(status=Truth.FALSE, reason=Reason.SESSION_CONFLICT, message="m")

    loser = status(Phase.UNKNOWN, before=RUNNING).saying(
        {"Ready": conflict}, generation=1, now=at("2026-11-25T12:00:00")
    )

    assert counts_as(loser) == NONE


MOMENTS = st.integers(min_value=0, max_value=366 * DAY * 1000).map(
    lambda milliseconds: datetime(2024, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
)


@given(
    moments=st.lists(MOMENTS, min_size=2, max_size=12).map(sorted),
    states=st.lists(st.sampled_from([RUNNING, PAUSED]), min_size=12, max_size=12),
)
def test_whatever_the_spans_what_is_counted_is_the_time_that_went_by(
    moments: list[datetime], states: list[UsageState]
) -> None:
    usage: Usage | None = None
    for moment, state in zip(moments, states, strict=False):
        usage = count(usage, state, moment)
    assert usage is not None

    end = moments[-1].replace(microsecond=0)
    whole = total(until(usage, end))

    began = moments[0].replace(microsecond=0)
    assert whole.running_seconds + whole.paused_seconds == (end - began).total_seconds()
    assert abs(whole.pauses - whole.resumes) <= 1


def test_what_does_not_fit_is_read_as_if_it_were_not_there() -> None:
    body = {"usage": {"state": "Paused", "countedUntil": "2026-11-25T12:00:00Z", "months": [{"month": "2026-13"}, 7]}}

    assert status_from_dict(body).usage == counted(("2026-11-25T12:00:00", PAUSED))
    assert status_from_dict({"usage": {"state": "Asleep"}}).usage is None


def test_a_year_of_flips_fits_into_a_kilobyte_and_a_half() -> None:
    full = tuple(
        UsageMonth(
            month=f"2026-{n % 12 + 1:02}", running_seconds=2678400, paused_seconds=2678400, pauses=99, resumes=99
        )
        for n in range(MONTHS)
    )
    usage = Usage(state=PAUSED, counted_until=at("2026-11-25T12:00:00"), months=full)

    written = status_to_dict(SessionStatus(usage=usage))["usage"]

    assert len(json.dumps(written, separators=(",", ":"))) < 1400
