"""The metrics page shows what happened, in Prometheus' style, with label sets that stay small."""

import re
from collections import Counter
from math import inf

import pytest
from prometheus_client.parser import text_string_to_metric_families

from agb_operator import __version__
from agb_operator.control.metrics import Metrics
from agb_operator.model.status import Phase


def samples(metrics: Metrics) -> dict[str, float]:
    """Read the page as `name{label="value"}` -> value."""
    found = {}
    for family in text_string_to_metric_families(metrics.page()[0].decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[sample.name + (f"{{{labels}}}" if labels else "")] = sample.value
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def test_sessions_are_counted_at_each_scrape_and_vanish_with_the_last_one(metrics: Metrics) -> None:
    phases: Counter[tuple[str, str]] = Counter({("ml", "Paused"): 2, ("web", "Running"): 1})
    stalled = Counter({("ml", "SessionNotFound"): 1})
    metrics.show(
        phases=lambda: phases, stalled=lambda: stalled, depth=lambda: 7, open_breakers=dict, rate_limit=lambda: 12.5
    )
    before = samples(metrics)
    assert before['agb_sessions{namespace="ml",phase="Paused"}'] == 2
    assert before['agb_sessions_stalled{namespace="ml",reason="SessionNotFound"}'] == 1
    assert before["agb_workqueue_depth"] == 7
    assert before["agb_api_rate_limit"] == 12.5
    del phases["web", "Running"]
    after = samples(metrics)
    assert 'agb_sessions{namespace="ml",phase="Paused"}' in after
    assert not any("web" in name for name in after)


def test_what_schedules_ask_for_and_what_is_wanted_is_read_at_each_scrape(metrics: Metrics) -> None:
    metrics.show_seconds(lambda: {("ml", "Paused"): 12.5})
    metrics.show_schedules(
        asks=lambda: {("ml", "Paused"): 2},
        invalid=lambda: {("ml",): 1},
        unsettled=dict,
        wanted=lambda: {("ml", "Paused", "Schedule"): 20, ("ml", "Running", "Default"): 3},
    )
    metrics.edge(1.5)
    metrics.override("Running")

    shown = samples(metrics)
    assert shown['agb_session_seconds_total{namespace="ml",state="Paused"}'] == 12.5
    assert shown['agb_schedules{asks="Paused",namespace="ml"}'] == 2
    assert shown['agb_schedules_invalid{namespace="ml"}'] == 1
    assert not any(name.startswith("agb_schedules_unsettled") for name in shown)
    assert shown['agb_sessions_wanted{namespace="ml",state="Paused",why="Schedule"}'] == 20
    assert shown["agb_schedule_lateness_seconds_sum"] == 1.5
    assert shown['agb_override_changes_total{state="Running"}'] == 1


def test_sessions_of_no_resource_are_counted_at_each_scrape(metrics: Metrics) -> None:
    counts = iter((2, 0))
    metrics.show_orphans(lambda: next(counts))

    assert samples(metrics)["agb_sessions_without_resource"] == 2
    assert samples(metrics)["agb_sessions_without_resource"] == 0


def test_an_operation_is_measured_by_its_kind_and_result(metrics: Metrics) -> None:
    metrics.operation("Pause", "Succeeded", 3.0)
    metrics.operation("Pause", "Failed", 700.0)
    found = samples(metrics)
    assert found['agb_operation_duration_seconds_sum{operation="Pause",result="Succeeded"}'] == 3
    assert found['agb_operation_duration_seconds_bucket{le="5.0",operation="Pause",result="Succeeded"}'] == 1
    assert found['agb_operation_duration_seconds_count{operation="Pause",result="Failed"}'] == 1


def test_an_api_call_is_counted_and_timed(metrics: Metrics) -> None:
    metrics.api_call("getSession", "200", 0.02)
    metrics.api_call("getSession", "error", 20.0)
    metrics.throttled()
    found = samples(metrics)
    assert found['agb_api_requests_total{code="200",endpoint="getSession"}'] == 1
    assert found['agb_api_requests_total{code="error",endpoint="getSession"}'] == 1
    assert found['agb_api_request_duration_seconds_count{endpoint="getSession"}'] == 2
    assert found["agb_api_throttled_total"] == 1


def test_a_server_cannot_grow_the_set_of_codes(metrics: Metrics) -> None:
    for code in [*map(str, range(100, 1000)), "", "²00", "error"]:
        metrics.api_call("getSession", code, 0.1)
    codes = {name for name in samples(metrics) if name.startswith("agb_api_requests_total")}
    assert len(codes) < 30
    assert samples(metrics)['agb_api_requests_total{code="4xx",endpoint="getSession"}'] > 0


def test_ten_thousand_sessions_make_no_more_series_than_phases(metrics: Metrics) -> None:
    words = [str(phase) for phase in Phase]
    phases = Counter(("ml", words[number % len(words)]) for number in range(10_000))
    metrics.show(phases=lambda: phases, stalled=Counter, depth=lambda: 0, open_breakers=dict, rate_limit=lambda: inf)
    for number in range(10_000):
        metrics.operation("Pause", "Succeeded", number / 100)
        metrics.reconcile_error("ApiUnavailable")
    series = [line for line in metrics.page()[0].decode().splitlines() if line.startswith("agb_")]
    assert len([line for line in series if line.startswith("agb_sessions{")]) == len(words)
    assert len(series) < 100


def test_breakers_are_counted_by_kind_and_shown_before_the_first_opens(metrics: Metrics) -> None:
    breakers = {"credentials": 0, "endpoint": 0}
    metrics.show(
        phases=Counter, stalled=Counter, depth=lambda: 0, open_breakers=lambda: breakers, rate_limit=lambda: inf
    )
    assert samples(metrics)['agb_api_breaker_open{kind="credentials"}'] == 0
    breakers["credentials"] = 1
    found = samples(metrics)
    assert found['agb_api_breaker_open{kind="credentials"}'] == 1
    assert found['agb_api_breaker_open{kind="endpoint"}'] == 0


def test_errors_drift_leadership_watch_and_lag_are_shown(metrics: Metrics) -> None:
    metrics.reconcile_error("Throttled")
    metrics.drift()
    metrics.leader(True)
    metrics.loop_lag(0.25)
    metrics.watch_activity()
    found = samples(metrics)
    assert found['agb_reconcile_errors_total{reason="Throttled"}'] == 1
    assert found['agb_reconcile_errors_total{reason="Unforeseen"}'] == 0
    assert found["agb_drift_total"] == 1
    assert found["agb_leader"] == 1
    assert found["agb_event_loop_lag_seconds"] == 0.25
    assert found["agb_watch_last_activity_timestamp_seconds"] > 1_700_000_000
    metrics.leader(False)
    assert samples(metrics)["agb_leader"] == 0


def test_the_build_and_the_process_are_described(metrics: Metrics) -> None:
    found = samples(metrics)
    assert any(name.startswith("agb_build_info") and __version__ in name for name in found)
    assert found["process_resident_memory_bytes"] > 0
    assert "process_open_fds" in found
    assert any(name.startswith("python_gc_collections_total") for name in found)


def test_two_sets_of_metrics_share_nothing(metrics: Metrics) -> None:
    metrics.drift()
    assert samples(Metrics())["agb_drift_total"] == 0


def test_the_page_follows_the_naming_rules(metrics: Metrics) -> None:
    """promtool's rules: help and type for each, base units, counters end in _total, no series nobody reads."""
    metrics.show(
        phases=lambda: {("ml", "Paused"): 1},
        stalled=lambda: {("ml", "SessionConflict"): 1},
        depth=lambda: 0,
        open_breakers=dict,
        rate_limit=lambda: inf,
    )
    page = metrics.page()[0].decode()
    kinds = dict(re.findall(r"^# TYPE (agb_\w+) (\w+)$", page, re.MULTILINE))
    helps = dict(re.findall(r"^# HELP (agb_\w+) (.+)$", page, re.MULTILINE))
    assert kinds.keys() == helps.keys()
    assert len(kinds) >= 14
    for name, kind in kinds.items():
        assert name.endswith("_total") == (kind == "counter"), name
        assert not re.search(r"_(created|milliseconds|ms|minutes|count|sum|bucket)$", name), name
        assert helps[name].endswith("."), name


def test_the_page_speaks_openmetrics_to_those_who_ask(metrics: Metrics) -> None:
    page, content_type = metrics.page("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert page.endswith(b"# EOF\n")
    assert metrics.page()[1].startswith("text/plain")
