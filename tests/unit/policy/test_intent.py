"""Who decides when a session sleeps: every row of the order of precedence, and every situation of the clock.

The schedules are real, the instants are Berlin's nights in November 2026 (20:00 is 19:00 UTC, 7:00 is 6:00 UTC).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agb_operator.model.override import Override
from agb_operator.model.states import DesiredState
from agb_operator.model.status import NextChange
from agb_operator.policy.intent import Intent, Schedules, Subject, decide, hear
from agb_operator.policy.schedule import Schedule
from unit.policy.clockwork import a_schedule, utc

RUNNING, PAUSED, GONE = DesiredState.RUNNING, DesiredState.PAUSED, DesiredState.GONE
DAY, NIGHT, MORNING, EVENING = (
    utc("2026-11-25 12:00"), utc("2026-11-25 22:00"), utc("2026-11-26 06:00"), utc("2026-11-25 19:00"),
)  # fmt: skip
SECOND = timedelta(seconds=1)
SESSION = Subject(uid="uid-7", labels={"team": "ml"})
ASLEEP = replace(SESSION, desired_state="Paused", why="Schedule/office-hours")
BROKEN = {"pauseAt": "0 8 * * 5-1", "resumeAt": "0 7 * * *"}


def of(*schedules: Schedule) -> Schedules:
    return Schedules(existing=schedules)


def said(intent: Intent) -> tuple[str, str]:
    return str(intent.state), intent.why


def until(text: str, state: DesiredState) -> Override:
    return Override(state=state, until=utc(text))


def change(at: datetime, state: DesiredState) -> NextChange:
    return NextChange(at=at, state=state)


class TestWhoWins:
    """From top to bottom, the first that speaks decides."""

    def test_deletion_comes_before_everything_and_leaves_why_and_next_change_as_they_were(self) -> None:
        before = change(MORNING, RUNNING)
        going = replace(
            ASLEEP, deleting=True, paused=True, override=until("2026-11-25 23:00", RUNNING), next_change=before
        )

        intent = decide(going, of(a_schedule()), NIGHT)

        assert intent == Intent(state=GONE, why="Schedule/office-hours", next_change=before, look_again=None)

    @pytest.mark.parametrize("state", [RUNNING, PAUSED])
    @pytest.mark.parametrize("paused", [True, False])
    @pytest.mark.parametrize("now", [DAY, NIGHT])
    def test_an_override_in_force_wins_over_paused_and_schedules(
        self, state: DesiredState, paused: bool, now: datetime
    ) -> None:
        session = replace(SESSION, paused=paused, override=until("2026-11-25 22:30", state))

        assert said(decide(session, of(a_schedule()), now)) == (str(state), "Override")

    def test_an_override_holds_until_its_end_and_not_at_it(self) -> None:
        session = replace(SESSION, override=until("2026-11-25 12:00", PAUSED))

        assert said(decide(session, Schedules(), DAY - SECOND)) == ("Paused", "Override")
        assert said(decide(session, Schedules(), DAY)) == ("Running", "Default")

    def test_an_override_that_has_passed_means_nothing_for_ever(self) -> None:
        session = replace(SESSION, override=until("2020-01-01 00:00", PAUSED))

        assert decide(session, of(a_schedule()), DAY) == decide(SESSION, of(a_schedule()), DAY)

    def test_paused_wins_over_schedules(self) -> None:
        session = replace(SESSION, paused=True)

        assert said(decide(session, of(a_schedule()), DAY)) == ("Paused", "Spec")
        assert said(decide(session, of(a_schedule()), NIGHT)) == ("Paused", "Spec")

    def test_paused_false_asks_for_nothing_and_switches_no_schedule_off(self) -> None:
        assert said(decide(replace(SESSION, paused=False), of(a_schedule()), NIGHT)) == (
            "Paused",
            "Schedule/office-hours",
        )

    def test_with_nothing_that_asks_it_is_running(self) -> None:
        assert said(decide(SESSION, Schedules(), NIGHT)) == ("Running", "Default")
        assert said(decide(SESSION, of(a_schedule()), DAY)) == ("Running", "Default")

    def test_a_schedule_that_does_not_select_the_session_has_no_say(self) -> None:
        other = a_schedule(selector={"matchLabels": {"team": "vision"}})

        assert decide(SESSION, of(other), NIGHT) == decide(SESSION, Schedules(), NIGHT)

    def test_a_session_kept_out_by_label_is_not_selected(self) -> None:
        never = {"matchExpressions": [{"key": "sleep", "operator": "NotIn", "values": ["never"]}]}
        kept_out = replace(SESSION, labels={"team": "ml", "sleep": "never"})

        assert said(decide(SESSION, of(a_schedule(selector=never)), NIGHT)) == ("Paused", "Schedule/office-hours")
        assert said(decide(kept_out, of(a_schedule(selector=never)), NIGHT)) == ("Running", "Default")


class TestOverrides:
    """What an override does at its end, and what comes next."""

    def test_running_on_paused_true_is_running_until_it_ends_then_paused(self) -> None:
        session = replace(SESSION, paused=True, override=until("2026-11-25 22:00", RUNNING))

        intent = decide(session, Schedules(), DAY)

        assert said(intent) == ("Running", "Override")
        assert intent.next_change == change(NIGHT, PAUSED)
        assert said(decide(session, Schedules(), NIGHT)) == ("Paused", "Spec")

    def test_running_that_ends_inside_a_window_is_paused_at_its_end_without_a_share(self) -> None:
        session = replace(SESSION, override=until("2026-11-25 22:00", RUNNING))

        intent = decide(session, of(a_schedule(spread="4h")), utc("2026-11-25 21:00"))

        assert intent.next_change == change(NIGHT, PAUSED)

    def test_paused_that_ends_while_nothing_asks_wakes(self) -> None:
        session = replace(SESSION, override=until("2026-11-25 22:00", PAUSED))

        assert decide(session, Schedules(), DAY).next_change == change(NIGHT, RUNNING)
        assert said(decide(session, Schedules(), NIGHT)) == ("Running", "Default")

    def test_paused_that_ends_on_paused_true_stays_paused(self) -> None:
        session = replace(SESSION, paused=True, override=until("2026-11-25 22:00", PAUSED))

        assert decide(session, Schedules(), DAY).next_change is None
        assert said(decide(session, Schedules(), NIGHT)) == ("Paused", "Spec")

    def test_paused_that_ends_inside_a_window_sleeps_on_to_the_windows_end(self) -> None:
        session = replace(SESSION, override=until("2026-11-25 22:00", PAUSED))

        assert decide(session, of(a_schedule()), DAY).next_change == change(MORNING, RUNNING)

    def test_it_is_looked_at_again_when_the_override_ends(self) -> None:
        session = replace(SESSION, override=until("2026-11-25 22:00", PAUSED))

        assert decide(session, of(a_schedule()), DAY).look_again == NIGHT

    def test_one_until_the_end_of_time_never_changes(self) -> None:
        session = replace(SESSION, override=until("9999-12-31 23:59", PAUSED))

        assert decide(session, of(a_schedule()), DAY).next_change is None


class TestSeveralSchedules:
    """They are a union, and the one that asks longest is named."""

    def test_asleep_while_any_asks(self) -> None:
        late = a_schedule("late", pauseAt="0 22 * * *", resumeAt="0 9 * * *")
        both = of(a_schedule(), late)

        asleep = {hour: decide(SESSION, both, utc(f"2026-11-26 {hour:02}:30")).state == PAUSED for hour in range(24)}

        assert [hour for hour, paused in asleep.items() if not paused] == list(range(8, 19))

    def test_why_names_the_one_that_asks_longest(self) -> None:
        early, late = a_schedule("early"), a_schedule("late", pauseAt="0 22 * * *", resumeAt="0 9 * * *")

        assert decide(SESSION, of(early, late), utc("2026-11-25 20:00")).why == "Schedule/early"
        assert decide(SESSION, of(early, late), NIGHT).why == "Schedule/late"
        assert decide(SESSION, of(early, late), NIGHT).next_change == change(utc("2026-11-26 08:00"), RUNNING)

    def test_one_that_asks_without_end_asks_longest(self) -> None:
        without_end = a_schedule("freeze", windows=[{"from": "2026-11-01T00:00", "to": "2030-01-01T00:00"}])

        intent = decide(SESSION, of(a_schedule(), without_end), NIGHT)

        assert said(intent) == ("Paused", "Schedule/freeze")
        assert intent.next_change is None

    def test_the_share_counts_in_who_asks_longest(self) -> None:
        shared = a_schedule("z", spread="4h")
        assert shared.share(SESSION.uid) > SECOND

        assert decide(SESSION, of(a_schedule("a"), shared), utc("2026-11-26 05:00")).why == "Schedule/z"

    def test_of_equals_the_one_that_began_first_so_nothing_is_written_when_another_joins_in(self) -> None:
        first, second = a_schedule("z"), a_schedule("a", pauseAt="0 22 * * *", resumeAt="0 7 * * 1-5")

        before, after = (decide(SESSION, of(first, second), now) for now in (NIGHT - timedelta(hours=2), NIGHT))

        assert (before.state, before.why, before.next_change) == (after.state, after.why, after.next_change)
        assert after.why == "Schedule/z"

    def test_of_equals_that_began_together_the_first_by_name(self) -> None:
        assert decide(SESSION, of(a_schedule("b"), a_schedule("a")), NIGHT).why == "Schedule/a"

    def test_which_began_first_is_still_known_after_a_restart(self) -> None:
        """Long into a freeze that both ask for: a list that began a moment ago would know neither beginning."""
        first = a_schedule("z", windows=[{"from": "2026-06-01T00:00", "to": "2026-12-31T00:00"}])
        second = a_schedule("a", windows=[{"from": "2026-06-02T00:00", "to": "2026-12-31T00:00"}])

        assert decide(SESSION, of(second, first), NIGHT).why == "Schedule/z"

    def test_one_until_seven_and_one_from_seven_leave_no_gap_whatever_the_share(self) -> None:
        night = a_schedule("night", pauseAt="0 20 * * *", resumeAt="0 7 * * *", spread="10m")
        day = a_schedule("day", pauseAt="0 7 * * *", resumeAt="0 20 * * *", spread="10m")

        for n in range(20):
            session = replace(SESSION, uid=f"uid-{n}")
            edges = {MORNING, MORNING + night.share(session.uid), MORNING + day.share(session.uid)}
            for moment in (edge + second * SECOND for edge in edges for second in (-1, 0, 1)):
                assert decide(session, of(night, day), moment).state == PAUSED

    def test_a_union_without_a_gap_never_changes(self) -> None:
        night = a_schedule("night", pauseAt="0 20 * * *", resumeAt="0 7 * * *")
        day = a_schedule("day", pauseAt="0 7 * * *", resumeAt="0 20 * * *")

        assert decide(SESSION, of(night, day), NIGHT).next_change is None

    def test_a_gap_far_away_is_found(self) -> None:
        night = a_schedule("night", pauseAt="0 20 * * *", resumeAt="0 7 * * *")
        gap = [{"from": "2026-12-24T07:00", "to": "2026-12-24T20:00"}]
        day = a_schedule("day", pauseAt="0 7 * * *", resumeAt="0 20 * * *", exceptions=gap)

        assert decide(SESSION, of(night, day), NIGHT).next_change == change(utc("2026-12-24 06:00"), RUNNING)

    def test_an_exception_of_one_does_not_silence_the_other(self) -> None:
        excepted = a_schedule("a", exceptions=[{"from": "2026-11-25T12:00", "to": "2026-11-26T12:00"}])

        assert said(decide(SESSION, of(excepted, a_schedule("b")), NIGHT)) == ("Paused", "Schedule/b")


class TestSpread:
    """A session sees the clock of a schedule late by its share."""

    def test_edges_come_late_by_the_share_of_the_session(self) -> None:
        schedule = a_schedule(spread="10m")
        share = schedule.share(SESSION.uid)
        assert share > SECOND

        assert decide(SESSION, of(schedule), EVENING + share - SECOND).state == RUNNING
        assert decide(SESSION, of(schedule), EVENING + share).state == PAUSED
        assert decide(SESSION, of(schedule), EVENING + share).next_change == change(MORNING + share, RUNNING)

    def test_an_exception_inside_a_pause_wakes_and_sleeps_by_the_share(self) -> None:
        schedule = a_schedule(spread="10m", exceptions=[{"from": "2026-11-25T22:00", "to": "2026-11-25T23:00"}])
        share, begin, end = schedule.share(SESSION.uid), utc("2026-11-25 21:00"), utc("2026-11-25 22:00")

        states = [decide(SESSION, of(schedule), at + share).state for at in (begin - SECOND, begin, end - SECOND, end)]

        assert states == [PAUSED, RUNNING, RUNNING, PAUSED]

    def test_a_schedule_made_inside_its_window_asks_at_once_if_the_share_has_passed(self) -> None:
        assert decide(SESSION, of(a_schedule(spread="4h")), EVENING + timedelta(hours=4)).state == PAUSED

    def test_a_spread_raised_inside_the_window_wakes_those_whose_share_has_not_come(self) -> None:
        raised = a_schedule(spread="4h")

        assert decide(ASLEEP, of(raised), EVENING + SECOND).state == RUNNING


class TestLevelTriggered:
    """Nothing is remembered: what is wanted follows from the clock."""

    def test_down_over_an_edge_it_is_caught_up(self) -> None:
        assert decide(SESSION, of(a_schedule()), utc("2026-11-25 19:10")).state == PAUSED

    def test_down_over_the_whole_window_nothing_is_wanted(self) -> None:
        awake = replace(SESSION, desired_state="Running", why="Default")

        assert said(decide(awake, of(a_schedule()), utc("2026-11-26 07:00"))) == ("Running", "Default")

    def test_an_edited_schedule_leaves_no_old_plan(self) -> None:
        edited = a_schedule(pauseAt="0 23 * * *", resumeAt="0 7 * * *")

        intent = decide(ASLEEP, of(edited), utc("2026-11-25 20:00"))

        assert said(intent) == ("Running", "Default")
        assert intent.next_change == change(NIGHT, PAUSED)

    @pytest.mark.parametrize(
        "schedules",
        [Schedules(), of(a_schedule(enabled=False)), of(a_schedule(selector={"matchLabels": {"team": "other"}}))],
        ids=["deleted", "not enabled", "no longer selects"],
    )
    def test_one_that_no_longer_asks_lets_its_sessions_wake(self, schedules: Schedules) -> None:
        assert said(decide(ASLEEP, schedules, NIGHT)) == ("Running", "Default")

    def test_a_repeated_decision_is_the_same_all_through_a_night(self) -> None:
        schedules = of(a_schedule())

        intents = [decide(ASLEEP, schedules, EVENING + minutes * timedelta(minutes=1)) for minutes in range(660)]

        assert {(intent.state, intent.why, intent.next_change) for intent in intents} == {
            (PAUSED, "Schedule/office-hours", change(MORNING, RUNNING))
        }


class TestNextChange:
    """When the clock alone changes what is wanted, and when to look again."""

    def test_by_day_it_is_the_evening_and_by_night_the_morning(self) -> None:
        assert decide(SESSION, of(a_schedule()), DAY).next_change == change(EVENING, PAUSED)
        assert decide(SESSION, of(a_schedule()), NIGHT).next_change == change(MORNING, RUNNING)

    def test_without_a_schedule_or_an_override_there_is_none(self) -> None:
        intent = decide(SESSION, Schedules(), DAY)

        assert (intent.next_change, intent.look_again) == (None, None)

    def test_paused_by_the_spec_no_schedule_changes_anything(self) -> None:
        intent = decide(replace(SESSION, paused=True), of(a_schedule()), DAY)

        assert (intent.next_change, intent.look_again) == (None, None)

    def test_one_further_away_than_400_days_is_absent_and_looked_for_again(self) -> None:
        far = a_schedule(timeZone="UTC", windows=[{"from": "2028-01-01T00:00", "to": "2028-01-02T00:00"}])

        intent = decide(SESSION, of(far), DAY)

        assert intent.next_change is None
        assert intent.look_again == DAY + timedelta(days=1)

    def test_it_is_looked_at_again_when_only_why_changes(self) -> None:
        early, late = a_schedule("early"), a_schedule("late", pauseAt="0 22 * * *", resumeAt="0 9 * * *")

        assert decide(SESSION, of(early, late), utc("2026-11-25 20:00")).look_again == utc("2026-11-25 21:00")

    @pytest.mark.parametrize("now", [DAY, NIGHT, MORNING, EVENING, EVENING - SECOND])
    def test_looking_again_lies_in_the_future_and_nothing_changes_before(self, now: datetime) -> None:
        schedules = of(a_schedule(spread="10m"), a_schedule("b", pauseAt="30 21 * * *", resumeAt="0 6 * * *"))
        intent = decide(SESSION, schedules, now)

        assert intent.look_again is not None
        assert intent.look_again > now
        before = decide(SESSION, schedules, intent.look_again - SECOND)
        assert (before.state, before.why, before.next_change) == (intent.state, intent.why, intent.next_change)


class TestFailStatic:
    """Nobody wakes because of a typo, a missing right or a missing kind."""

    @pytest.mark.parametrize(
        "broken",
        [
            a_schedule(**BROKEN),
            a_schedule(timeZone="Europe/Berln"),
            a_schedule(selector={"matchLabels": {"not a key!": "x"}}),
            a_schedule(daysOff=["2026-11-31"]),
        ],
        ids=["cron", "zone", "selector", "date"],
    )
    def test_a_sleeper_of_a_schedule_that_cannot_be_used_sleeps_on_and_nothing_is_written(
        self, broken: Schedule
    ) -> None:
        assert broken.problem
        for now in (NIGHT, DAY):
            intent = decide(ASLEEP, of(broken), now)
            assert said(intent) == ("Paused", "Schedule/office-hours")
            assert intent.next_change is None, "nobody knows when it ends"

    def test_one_who_is_awake_is_not_put_to_sleep_by_it(self) -> None:
        awake = replace(SESSION, desired_state="Running", why="Default")

        assert said(decide(awake, of(a_schedule(**BROKEN)), NIGHT)) == ("Running", "Default")

    def test_nobody_wakes_by_the_end_of_another_schedule_meanwhile(self) -> None:
        broken, other = a_schedule("broken", **BROKEN), a_schedule("other")
        asleep = replace(ASLEEP, why="Schedule/other")

        assert said(decide(asleep, of(broken, other), NIGHT)) == ("Paused", "Schedule/other")
        assert decide(asleep, of(broken, other), NIGHT).next_change is None
        assert said(decide(asleep, of(broken, other), DAY)) == ("Paused", "Schedule/broken")

    def test_schedules_that_work_may_still_put_others_to_sleep(self) -> None:
        awake = replace(SESSION, desired_state="Running", why="Default")

        intent = decide(awake, of(a_schedule("broken", **BROKEN), a_schedule("works")), NIGHT)

        assert said(intent) == ("Paused", "Schedule/works")

    def test_a_broken_schedule_that_does_not_select_the_session_keeps_nobody_asleep(self) -> None:
        elsewhere = a_schedule("elsewhere", selector={"matchLabels": {"team": "other"}}, **BROKEN)

        assert said(decide(ASLEEP, of(elsewhere), DAY)) == ("Running", "Default")

    def test_a_broken_schedule_that_is_not_enabled_keeps_nobody_asleep(self) -> None:
        assert said(decide(ASLEEP, of(a_schedule(enabled=False, **BROKEN)), NIGHT)) == ("Running", "Default")

    @pytest.mark.parametrize("now", [DAY, NIGHT])
    def test_where_schedules_cannot_be_read_sleepers_stay_and_nobody_is_paused_or_woken(self, now: datetime) -> None:
        unreadable = Schedules(existing=[a_schedule()], readable=False)
        awake = replace(SESSION, desired_state="Running", why="Default")

        assert said(decide(ASLEEP, unreadable, now)) == ("Paused", "Schedule/office-hours")
        assert said(decide(awake, unreadable, now)) == ("Running", "Default")
        assert decide(ASLEEP, unreadable, now).look_again is None

    @pytest.mark.parametrize(
        "unusable", [of(a_schedule(**BROKEN)), Schedules(readable=False)], ids=["broken", "unreadable"]
    )
    @pytest.mark.parametrize(
        ("people", "expected"),
        [
            (lambda s: replace(s, override=until("2026-11-25 23:00", RUNNING)), ("Running", "Override")),
            (lambda s: replace(s, paused=True), ("Paused", "Spec")),
            (lambda s: replace(s, deleting=True), ("Gone", "Schedule/office-hours")),
        ],
        ids=["override", "paused", "deletion"],
    )
    def test_override_paused_and_deletion_count_all_the_same(
        self, unusable: Schedules, people: Callable[[Subject], Subject], expected: tuple[str, str]
    ) -> None:
        assert said(decide(people(ASLEEP), unusable, NIGHT)) == expected

    @pytest.mark.parametrize("why", ["Spec", ""], ids=["Spec", "written before there was a why"])
    def test_what_a_person_had_paused_a_person_wakes(self, why: str) -> None:
        session = replace(SESSION, paused=False, desired_state="Paused", why=why)

        assert said(decide(session, Schedules(readable=False), NIGHT)) == ("Running", "Default")

    def test_the_end_of_an_override_wakes_nobody_by_the_clock(self) -> None:
        lapsed = until("2026-11-25 21:00", PAUSED)
        session = replace(SESSION, override=lapsed, desired_state="Paused", why="Override")

        assert decide(session, of(a_schedule(**BROKEN)), utc("2026-11-25 20:00")).next_change is None
        assert said(decide(session, of(a_schedule(**BROKEN)), NIGHT)) == ("Paused", "Schedule/office-hours")
        assert said(decide(session, Schedules(readable=False), NIGHT)) == ("Paused", "Override")

    def test_an_override_that_a_person_takes_back_wakes(self) -> None:
        session = replace(SESSION, override=None, desired_state="Paused", why="Override")

        assert said(decide(session, Schedules(readable=False), NIGHT)) == ("Running", "Default")


class TestDeletedSchedules:
    """What a deleted schedule asked for holds a little longer."""

    HELD: Mapping[str, Schedule] = {"works": a_schedule(), "broken": a_schedule(**BROKEN)}

    @pytest.mark.parametrize("kind", HELD)
    def test_a_sleeper_sleeps_on_while_it_is_heard_then_wakes(self, kind: str) -> None:
        assert said(decide(ASLEEP, Schedules(deleted=[self.HELD[kind]]), NIGHT)) == ("Paused", "Schedule/office-hours")
        assert said(decide(ASLEEP, Schedules(), NIGHT)) == ("Running", "Default")

    def test_nothing_is_written_meanwhile(self) -> None:
        before = decide(ASLEEP, of(a_schedule()), NIGHT)

        held = decide(ASLEEP, Schedules(deleted=[self.HELD["works"]]), NIGHT)

        assert (held.state, held.why, held.next_change) == (before.state, before.why, before.next_change)

    def test_by_day_nothing_is_written_either(self) -> None:
        awake = replace(SESSION, desired_state="Running")

        assert decide(awake, Schedules(deleted=[self.HELD["works"]]), DAY).next_change == change(EVENING, PAUSED)

    def test_it_sends_nobody_to_sleep(self) -> None:
        awake = replace(SESSION, desired_state="Running", why="Default")

        assert said(decide(awake, Schedules(deleted=[self.HELD["works"]]), NIGHT)) == ("Running", "Default")

    def test_one_made_again_takes_over_without_a_change(self) -> None:
        again = decide(ASLEEP, of(a_schedule()), NIGHT + 3 * SECOND)

        assert (again.state, again.why) == (PAUSED, "Schedule/office-hours")

    def test_renamed_the_new_one_first_nothing_but_why_changes(self) -> None:
        both = Schedules(existing=[a_schedule("new")], deleted=[self.HELD["works"]])

        assert decide(ASLEEP, both, NIGHT).state == PAUSED
        assert said(decide(ASLEEP, of(a_schedule("new")), NIGHT + 10 * SECOND)) == ("Paused", "Schedule/new")


def test_what_each_schedule_says_can_be_heard_one_by_one() -> None:
    schedules = of(a_schedule("a", spread="10m"), a_schedule("b", **BROKEN), a_schedule("c", enabled=False))

    heard = hear(SESSION, schedules, NIGHT)

    share = schedules.existing[0].share(SESSION.uid)
    assert [(voice.schedule.name, voice.asks, voice.until) for voice in heard] == [
        ("a", True, MORNING + share),
        ("b", False, None),
    ]


@st.composite
def nights(draw: st.DrawFn, name: str) -> Schedule:
    """A schedule with a sleep of some hours a day, perhaps unusable, in a week with a change of the clocks."""
    pause, resume = (f"{draw(st.integers(0, 59))} {draw(st.integers(0, 23))} * * *" for _ in range(2))
    broken = draw(st.integers(0, 9)) == 0
    return a_schedule(
        name,
        pauseAt="0 8 * * 5-1" if broken else pause,
        resumeAt=resume if resume != pause else "30 12 * * 1-5",
        spread=draw(st.sampled_from(["0s", "10m", "4h"])),
    )


@settings(max_examples=settings().max_examples * 3 // 5, deadline=None)
@given(
    schedules=st.tuples(nights("a"), nights("b"), nights("c")).flatmap(
        lambda three: st.integers(0, 3).map(lambda n: three[:n])
    ),
    ends=st.none() | st.integers(-600, 3000),
    state=st.sampled_from([RUNNING, PAUSED]),
    uid=st.integers(0, 99).map(str),
)
def test_what_is_foretold_comes_true_and_between_two_looks_nothing_changes(
    schedules: tuple[Schedule, ...], ends: int | None, state: DesiredState, uid: str
) -> None:
    """Live through some days, looking again only when told to, with the status that each look would have written."""
    now = utc("2027-10-29 12:00")
    override = None if ends is None else Override(state=state, until=now + ends * timedelta(minutes=1))
    session = Subject(uid=uid, override=override)
    intent = decide(session, of(*schedules), now)
    for _ in range(12):
        session = replace(session, desired_state=str(intent.state), why=intent.why)
        if intent.look_again is None:
            later = decide(session, of(*schedules), now + timedelta(days=30))
            assert (later.state, later.why) == (intent.state, intent.why)
            return
        before, after = (decide(session, of(*schedules), intent.look_again - wait) for wait in (SECOND, 0 * SECOND))
        assert (before.state, before.why, before.next_change) == (intent.state, intent.why, intent.next_change)
        if after.state != intent.state:
            assert intent.next_change == change(intent.look_again, after.state)
        else:
            assert after.next_change == intent.next_change
        now, intent = intent.look_again, after
