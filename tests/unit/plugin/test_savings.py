"""What `kubectl agb report` adds up: sums equal the statuses, and wrong words are refused with what is right."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from click.testing import CliRunner, Result

from kubectl_agb.__main__ import main
from kubectl_agb.errors import WrongUsage
from kubectl_agb.reporting import write_sleepers
from kubectl_agb.savings import Rates, Report, Sums, amount, notes, report, sleepers
from kubectl_agb.savings_options import NO_GROUP, known_month, read_grouping
from kubectl_agb.verbs.report import SORTS

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
HOUR = 3600
RATES = Rates(running=0.12, paused=0.02, currency="EUR")


def month(name: str, running: int = 0, paused: int = 0, pauses: int = 0, resumes: int = 0) -> dict[str, Any]:
    return {
        "month": name,
        "runningSeconds": running,
        "pausedSeconds": paused,
        "pauses": pauses,
        "resumes": resumes,
    }


def a_session(
    name: str,
    *months: Mapping[str, Any],
    state: str = "None",
    until: str = "2026-11-28T00:00:00Z",
    namespace: str = "ml",
    team: str = "",
    image: str = "image-a",
    why: str = "Default",
) -> dict[str, Any]:
    return {
        "metadata": {"namespace": namespace, "name": name, **({"labels": {"team": team}} if team else {})},
        "spec": {"imageId": image} if image else {"sessionId": "session-1"},
        "status": {"why": why, "usage": {"state": state, "countedUntil": until, "months": list(months)}},
    }


FLEET = [
    a_session("a", month("2026-10", 90, 10), month("2026-11", 100, 300, 3, 2), team="ml", why="Schedule/nights"),
    a_session("b", month("2026-11", 50, 50, 1, 1), team="ml", state="Paused"),
    a_session("c", month("2026-11", 500, 7, 1, 0), team="vision", namespace="web", why="Schedule/nights", image=""),
    a_session("d", month("2026-10", 5)),
    {"metadata": {"namespace": "ml", "name": "new"}, "spec": {"imageId": "image-a"}, "status": {}},
]


def report_of(by: str = "label:team", *, which: str = "2026-11", sort: str = "paused", wide: bool = False) -> Report:
    grouping = read_grouping(by, all_namespaces=wide)
    return report(FLEET, grouping=grouping, month=which, now=NOW, sort=sort, rates=RATES)


def groups(found: Report) -> dict[str, tuple[int, int, int]]:
    return {name: (sums.sessions, sums.running_seconds, sums.paused_seconds) for name, sums in found.groups}


def test_the_sums_are_those_of_the_statuses_and_what_is_open_until_now() -> None:
    found = report_of()

    assert groups(found) == {"ml": (2, 150, 350 + 12 * HOUR), "vision": (1, 500, 7)}
    assert found.total == Sums(sessions=3, running_seconds=650, paused_seconds=357 + 12 * HOUR, pauses=5, resumes=3)


def test_another_month_is_summed_by_itself() -> None:
    assert groups(report_of(which="2026-10")) == {"ml": (1, 90, 10), NO_GROUP: (1, 5, 0)}


def test_every_month_from_the_first_known_one_on_is_told_for_the_line() -> None:
    early = [*FLEET, a_session("e", month("2026-08", 1))]
    grouping = read_grouping("namespace", all_namespaces=False)

    found = report(early, grouping=grouping, month="2026-11", now=NOW, sort="group", rates=None)

    assert [(name, sums.running_seconds) for name, sums in found.months] == [
        ("2026-08", 1),
        ("2026-09", 0),
        ("2026-10", 95),
        ("2026-11", 650),
    ]


def test_what_no_operator_has_counted_yet_is_said() -> None:
    assert report_of().not_counted == 1
    assert notes(report_of())[0].startswith("not counted yet: 1.")


@pytest.mark.parametrize(
    ("by", "wide", "expected"),
    [
        ("namespace", False, {"ml", "web"}),
        ("image", False, {"image-a", "(adopted)"}),
        ("schedule", False, {"nights", NO_GROUP}),
        ("schedule", True, {"ml/nights", "web/nights", NO_GROUP}),
        ("label:no-such-label", False, {NO_GROUP}),
    ],
)
def test_groups_are_what_was_asked_for(by: str, wide: bool, expected: set[str]) -> None:
    assert set(groups(report_of(by, wide=wide))) == expected


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("group", "ml"),
        ("sessions", "ml"),
        ("running", "vision"),
        ("paused", "ml"),
        ("asleep", "ml"),
        ("pauses", "ml"),
        ("cost", "ml"),
        ("saved", "ml"),
    ],
)
def test_rows_come_in_the_order_that_was_asked_for(sort: str, first: str) -> None:
    assert report_of(sort=sort).groups[0][0] == first


def test_every_column_can_be_sorted_by() -> None:
    assert all(report_of(sort=sort).groups for sort in SORTS)


def test_saved_is_what_the_paused_hours_would_have_cost_running_less_what_they_cost_paused() -> None:
    sums = Sums(sessions=1, running_seconds=100 * HOUR, paused_seconds=200 * HOUR)

    assert RATES.cost(sums) == pytest.approx(100 * 0.12 + 200 * 0.02)
    assert RATES.saved(sums) == pytest.approx(200 * 0.12 - 200 * 0.02)


def test_a_group_without_any_time_has_slept_nothing() -> None:
    assert Sums().asleep == 0.0


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0"), (0.4, "0.40"), (12.34, "12.3"), (21340.4, "21,340"), (-4112.0, "-4,112")]
)
def test_small_amounts_show_their_fractions(number: float, text: str) -> None:
    assert amount(number) == text


def asleep(name: str, *, flipped: str, counted: str = "", truth: str = "True") -> dict[str, Any]:
    usage = {"state": "Paused", "countedUntil": counted, "months": []} if counted else None
    condition = {"type": "Paused", "status": truth, "reason": "Paused", "lastTransitionTime": flipped}
    status = {"sessionId": f"id-{name}", "why": "Spec", "conditions": [condition], "usage": usage}
    return {"metadata": {"namespace": "ml", "name": name}, "spec": {}, "status": status}


def test_sleepers_are_told_by_the_earlier_of_what_the_usage_and_the_condition_say() -> None:
    bodies = [
        asleep("condition", flipped="2026-10-01T00:00:00Z", counted="2026-11-20T00:00:00Z"),
        asleep("usage", flipped="2026-11-20T00:00:00Z", counted="2026-10-02T00:00:00Z"),
        asleep("never-counted", flipped="2026-10-03T00:00:00Z"),
        asleep("short", flipped="2026-11-20T00:00:00Z"),
        asleep("awake", flipped="2026-10-01T00:00:00Z", truth="False"),
    ]

    found = sleepers(bodies, longer_than=timedelta(days=30), now=NOW)

    assert [sleeper.name for sleeper in found] == ["condition", "usage", "never-counted"]


def run(*args: str, env: Mapping[str, str] | None = None) -> Result:
    return CliRunner().invoke(main, ["report", *args], env={"KUBECONFIG": "/nowhere", **(env or {})})


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--month", "2026-13"], "say a year and a month, such as 2026-11"),
        (["--month", "november"], "say a year and a month, such as 2026-11"),
        (["--month", "2026-11-01"], "say a year and a month, such as 2026-11"),
        (["--by", "team"], "say namespace, label:KEY such as label:team, image or schedule"),
        (["--by", "label:"], "say namespace, label:KEY such as label:team, image or schedule"),
        (["--rate-running", "-0.1", "--rate-paused", "0"], "say what one hour costs, 0 or more"),
        (["--rate-running", "0.1", "--rate-paused", "-1"], "say what one hour costs, 0 or more"),
        (["--rate-running", "nan", "--rate-paused", "0"], "say what one hour costs, 0 or more"),
        (["--rate-running", "1 EUR", "--rate-paused", "0"], "say what one hour costs, 0 or more"),
        (["--rate-running", "0.1"], "--rate-paused is missing"),
        (["--rate-paused", "0.1"], "--rate-running is missing"),
        (["--sort", "cost"], "needs --rate-running and --rate-paused"),
        (["--sort", "size"], "'group', 'sessions', 'running'"),
        (["--asleep-for", "0s"], "such as 30m, 2h or 3d"),
        (["--asleep-for", "soon"], "such as 30m, 2h or 3d"),
        (["--asleep-for", "30d", "--by", "image"], "cannot go together"),
        (["--asleep-for", "30d", "-o", "html"], "say -o table, csv, json or yaml"),
    ],
)
def test_what_is_wrong_ends_with_two_and_says_what_is_right(args: list[str], says: str) -> None:
    result = run(*args)

    assert result.exit_code == 2
    assert says in " ".join(result.output.split())


def test_rates_may_stand_in_the_environment() -> None:
    result = run(env={"AGB_RATE_RUNNING": "-1", "AGB_RATE_PAUSED": "0"})

    assert result.exit_code == 2
    assert "--rate-running -1: say what one hour costs" in result.output


def test_rates_in_the_environment_are_no_reason_to_refuse_a_list_of_sleepers() -> None:
    result = run("--asleep-for", "30d", env={"AGB_RATE_RUNNING": "1", "AGB_RATE_PAUSED": "0"})

    assert result.exit_code == 1  # there is no cluster
    assert "cannot go together" not in result.output


@pytest.mark.parametrize(
    ("text", "says"), [("2026-12", "has not begun; it is 2026-11 now"), ("2025-10", "2025-11 to 2026-11")]
)
def test_a_month_that_cannot_be_known_is_refused_with_those_that_can(text: str, says: str) -> None:
    with pytest.raises(WrongUsage, match=says) as refused:
        known_month(text, NOW)

    assert refused.value.exit_code == 2


def test_without_a_word_it_is_this_month() -> None:
    assert known_month("", NOW) == "2026-11"
    assert known_month("2025-11", NOW) == "2025-11"


def test_the_list_of_sleepers_says_how_an_adopted_one_is_ended(capsys: pytest.CaptureFixture[str]) -> None:
    write_sleepers([], "table", NOW, "30d")

    said = " ".join(capsys.readouterr().out.split())
    assert said.endswith("To end one, delete its AgbSession; an adopted one needs deletionPolicy: Delete first.")
