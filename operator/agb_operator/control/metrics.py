"""What the operator counts and measures, in Prometheus' words.

It owns names, units, help texts and label sets, in a registry of its own. What is a state (sessions by phase, queue
depth) is read where it lives, at each scrape, so that series of deleted things vanish. No label holds the name of an
object, and every label but `namespace` has a closed set of values.
"""

import platform
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from .. import __version__

_OPERATION_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0)
_LATENESS_BUCKETS: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_REQUEST_BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 60.0)
_CODES: Final = frozenset({"200", "400", "401", "403", "404", "409", "429", "500", "502", "503", "504", "error"})
"""Codes that a person would ask for; the others are told by their class."""

Counts = Callable[[], Mapping[tuple[str, str], int] | Mapping[tuple[str], int] | Mapping[tuple[str, str, str], int]]
"""Reads how many objects there are, by the values of the labels."""


class Metrics:
    """The operator's metrics and the page that shows them."""

    def __init__(self) -> None:
        # The library adds a `_created` series to each counter and histogram, half as many again, and nobody reads them.
        disable_created_metrics()
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._operations = Histogram(
            "agb_operation_duration_seconds",
            "Time from the start of an operation on a session to its end, as in status.lastOperation.",
            ["operation", "result"],
            buckets=_OPERATION_BUCKETS,
            registry=registry,
        )
        self._calls = Counter(
            "agb_api_requests",
            "Requests to the AGB API, by HTTP status or 'error' where no answer came.",
            ["endpoint", "code"],
            registry=registry,
        )
        self._call_seconds = Histogram(
            "agb_api_request_duration_seconds",
            "Time until the AGB API answered or failed to.",
            ["endpoint"],
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self._throttled = Counter(
            "agb_api_throttled",
            "Answers of the AGB API that asked for fewer requests (HTTP 429).",
            registry=registry,
        )
        self._errors = Counter(
            "agb_reconcile_errors",
            "Passes that met an error, by the reason that the condition shows; 'Unforeseen' is a bug.",
            ["reason"],
            registry=registry,
        )
        self._drift = Counter(
            "agb_drift",
            "Settled sessions that were found paused or resumed by somebody else.",
            registry=registry,
        )
        self._lateness = Histogram(
            "agb_schedule_lateness_seconds",
            "Time from the moment at which the clock wants a session paused or awake until AGB accepted the call.",
            buckets=_LATENESS_BUCKETS,
            registry=registry,
        )
        self._overrides = Counter(
            "agb_override_changes",
            "Overrides that people or clients set, by the state that they ask for.",
            ["state"],
            registry=registry,
        )
        self._leader = Gauge("agb_leader", "1 while this replica leads, 0 while it is on standby.", registry=registry)
        self._watch = Gauge(
            "agb_watch_last_activity_timestamp_seconds",
            "When the watch last showed a sign of life, as a Unix time; 0 before the first.",
            registry=registry,
        )
        self._loop_lag = Gauge(
            "agb_event_loop_lag_seconds",
            "How late the event loop ran a timer that was just due.",
            registry=registry,
        )
        Gauge(
            "agb_build_info",
            "Always 1; the labels tell the version of the operator and of Python.",
            ["version", "python"],
            registry=registry,
        ).labels(__version__, platform.python_version()).set(1)
        # Series that alerts look at exist from the start: a counter's first increase is no increase otherwise.
        self._errors.labels("Unforeseen")

    def show(
        self,
        *,
        phases: Counts,
        stalled: Counts,
        depth: Callable[[], int],
        open_breakers: Callable[[], Mapping[str, int]],
        rate_limit: Callable[[], float],
    ) -> None:
        """Show states that live elsewhere, read at each scrape; to be called once."""
        self._registry.register(_Counted("agb_sessions", "AgbSessions by phase.", ("namespace", "phase"), phases))
        self._registry.register(
            _Counted(
                "agb_sessions_stalled",
                "AgbSessions that wait for a person, by the reason of their condition Stalled.",
                ("namespace", "reason"),
                stalled,
            )
        )
        self._registry.register(
            _Counted(
                "agb_api_breaker_open",
                "Circuit breakers that hold requests back: 'credentials' for a refused API key, 'account' for an "
                "account that AGB fails to serve, 'endpoint' for a dead API.",
                ("kind",),
                lambda: {(kind,): number for kind, number in open_breakers().items()},
            )
        )
        Gauge(
            "agb_api_rate_limit",
            "Calls to AGB a second that are found to be allowed: the lowest of all API keys and kinds of call. +Inf "
            "while AGB has refused none and --api-qps sets no bound.",
            registry=self._registry,
        ).set_function(rate_limit)
        Gauge("agb_workqueue_depth", "AgbSessions that wait for a worker.", registry=self._registry).set_function(depth)

    def show_orphans(self, count: Callable[[], int]) -> None:
        """Show how many sessions are nobody's, read at each scrape; to be called once at most."""
        Gauge(
            "agb_sessions_without_resource",
            "Living sessions with this cluster's label and the UID of no AgbSession; only where --cluster-name is set.",
            registry=self._registry,
        ).set_function(count)

    def show_schedules(self, *, asks: Counts, invalid: Counts, unsettled: Counts, wanted: Counts) -> None:
        """Show what schedules ask for and what is wanted of sessions, read at each scrape; to be called once."""
        for name, documentation, labels, counts in (
            ("agb_schedules", "AgbPauseSchedules by what they ask for.", ("namespace", "asks"), asks),
            ("agb_schedules_invalid", "AgbPauseSchedules that cannot be used.", ("namespace",), invalid),
            (
                "agb_schedules_unsettled",
                "AgbPauseSchedules with a session that is not Ready in its desired state.",
                ("namespace",),
                unsettled,
            ),
            (
                "agb_sessions_wanted",
                "AgbSessions by desired state and by what decides it: Default, Spec, Override or Schedule.",
                ("namespace", "state", "why"),
                wanted,
            ),
        ):
            self._registry.register(_Counted(name, documentation, labels, counts))

    def show_seconds(self, sums: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        """Show how long sessions ran and slept, read at each scrape; to be called once."""
        self._registry.register(_SessionSeconds(sums))

    def operation(self, operation: str, result: str, seconds: float) -> None:
        """Count an operation that ended as `result` (Succeeded, Failed) after `seconds`."""
        self._operations.labels(operation, result).observe(seconds)

    def api_call(self, endpoint: str, code: str, seconds: float) -> None:
        """Count a request to AGB: its call, the HTTP status or "error", and how long it took."""
        self._calls.labels(endpoint, _folded(code)).inc()
        self._call_seconds.labels(endpoint).observe(seconds)

    def throttled(self) -> None:
        """Count an answer that asked for fewer requests."""
        self._throttled.inc()

    def reconcile_error(self, reason: str) -> None:
        """Count a pass that met an error."""
        self._errors.labels(reason).inc()

    def drift(self) -> None:
        """Count a session that somebody else paused or resumed."""
        self._drift.inc()

    def edge(self, seconds: float) -> None:
        """Measure how late AGB accepted what the clock wants."""
        self._lateness.observe(seconds)

    def override(self, state: str) -> None:
        """Count an override that is new."""
        self._overrides.labels(state).inc()

    def leader(self, leads: bool) -> None:
        """Note whether this replica works."""
        self._leader.set(leads)

    def watch_activity(self) -> None:
        """Note that the watch showed a sign of life."""
        self._watch.set_to_current_time()

    def loop_lag(self, seconds: float) -> None:
        """Note how late the event loop is."""
        self._loop_lag.set(seconds)

    def page(self, accept: str = "") -> tuple[bytes, str]:
        """Write the page in the format that an Accept header asks for; returns it with its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Counted(Collector):
    """A gauge whose series are read anew at each scrape."""

    def __init__(self, name: str, documentation: str, labels: tuple[str, ...], counts: Counts) -> None:
        self._family = (name, documentation, labels)
        self._counts = counts

    def collect(self) -> Iterable[GaugeMetricFamily]:
        name, documentation, labels = self._family
        family = GaugeMetricFamily(name, documentation, labels=labels)
        for values, count in sorted(self._counts().items()):
            family.add_metric(values, count)
        return [family]


class _SessionSeconds(Collector):
    """A counter that goes on by itself: it is worked out at each scrape."""

    def __init__(self, sums: Callable[[], Mapping[tuple[str, str], float]]) -> None:
        self._sums = sums

    def collect(self) -> Iterable[CounterMetricFamily]:
        family = CounterMetricFamily(
            "agb_session_seconds",
            "Time that sessions ran or slept while this replica worked, by namespace and state (Running, Paused).",
            labels=("namespace", "state"),
        )
        for values, seconds in sorted(self._sums().items()):
            family.add_metric(values, seconds)
        return [family]


def _folded(code: str) -> str:
    """Keep the set of codes closed, whatever a server sends."""
    if code in _CODES:
        return code
    return f"{code[0]}xx" if len(code) == 3 and code.isascii() and code.isdigit() and code[0] in "12345" else "other"
