"""The results as a table for people: Markdown, one row for each scenario, size and contender."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

Trials = Sequence[Mapping[str, Any]]

TITLES: Final = {
    "adopt": "first start: every AgbSession is new",
    "a": "(a) cold start beside a settled fleet",
    "b": "(b) all flip at once, found at the start",
    "b-warm": "(b) all flip while the contender runs",
    "c": "(c) one flips, all others are settled",
    "d": "(d) all are settled",
    "e": "(e) as (b), and AGB answers 429 above 50 requests a second",
}


def markdown(results: Mapping[str, Any]) -> str:
    """Write the tables of all scenarios that were run."""
    trials: Trials = results["trials"]
    parts = [_about(results)]
    for name, title in TITLES.items():
        rows = [
            (trial["size"], trial["contender"], trial["scenarios"][name])
            for trial in sorted(trials, key=lambda trial: trial["size"])
            if name in trial["scenarios"]
        ]
        if rows:
            heads, cells = _COLUMNS[name] if name in _COLUMNS else _COLUMNS["flips"]
            lines = [[f"{size:,}", contender, *cells(result)] for size, contender, result in rows]
            parts.append(f"## {title}\n\n{_table(['N', 'contender', *heads], lines)}")
    return "\n\n".join(parts) + "\n"


def _about(results: Mapping[str, Any]) -> str:
    return (
        "# Results\n\n"
        "Written by `make bench`; [performance.md](../performance.md) says what they mean.\n\n"
        f"Measured on {_day(results)} in {results['minutes']} minutes; "
        "`results.json` holds more, and when each was measured.\n"
        f"{on_what(results['machine'])}"
    )


def on_what(machine: Mapping[str, Any]) -> str:
    """Name the machine and the versions that something was measured on."""
    packages = ", ".join(f"{name} {version}" for name, version in machine["packages"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores, "
        f"{machine['memory_gib']} GiB, Linux {machine['kernel']}, load before the run {machine['load_before']:.1f}.\n"
        f"Kubernetes {machine['kubernetes']}, etcd {machine['etcd']}, Python {machine['python']}, {packages}.\n"
        "API server, etcd, simulator, contender and harness share these cores."
    )


def _day(results: Mapping[str, Any]) -> str:
    days = {r["measured"]["started"][:10] for trial in results["trials"] for r in trial["scenarios"].values()}
    return ", ".join(sorted(days))


def _flips(result: Mapping[str, Any]) -> list[str]:
    latency = result.get("latency") or {}
    done = f"{result['flips']:,}" + ("" if result["finished"] else " (not all)")
    return [
        done,
        _seconds(result["wall"]),
        _seconds(result.get("seconds_to_last_write")),
        _seconds(latency.get("p50")),
        _seconds(latency.get("p99")),
        _number(result.get("slowest_to_median")),
        _number(result.get("writes_per_flip")),
        _number(result["calls_per_flip"]),
        f"{result['counts']['refused_calls']:,}",
        _number(result["cpu_ms_per_flip"]),
        _number(result.get("peak"), 0),
    ]


def _cold(result: Mapping[str, Any]) -> list[str]:
    counts = result["counts"]
    return [
        _seconds(result["seconds_to_first_call"]),
        _number(sum(counts["writes"].values()), 0),
        _number(sum(counts["calls"].values()), 0),
        _seconds(result["cpu"]),
        _number(result["rss"], 0),
        _number(result["peak"], 0),
    ]


def _single(result: Mapping[str, Any]) -> list[str]:
    call, settled = result["to_call"] or {}, result["to_settled"] or {}
    milliseconds = [None if (value := call.get(name)) is None else value * 1000 for name in ("p50", "p99")]
    return [
        str(result["flips"]),
        str(result["lost"]),
        *(_number(value, 0) for value in milliseconds),
        _seconds(settled.get("p50")),
        _seconds(settled.get("p99")),
    ]


def _idle(result: Mapping[str, Any]) -> list[str]:
    counts = result["counts"]
    return [
        _seconds(result["seconds"]),
        _number(sum(counts["writes"].values()), 0),
        _number(sum(counts["calls"].values()) * 60 / result["seconds"], 0),
        _number(result["cpu_share"] * 100, 2),
        _number(result["rss"], 0),
    ]


_COLUMNS: Final = {
    "flips": (
        [
            "flips",
            "wall",
            "last write",
            "p50",
            "p99",
            "slowest/median",
            "writes/flip",
            "AGB calls/flip",
            "429s",
            "CPU ms/flip",
            "MiB",
        ],
        _flips,
    ),
    "a": (["first patch to call", "writes", "AGB calls", "CPU", "MiB", "peak MiB"], _cold),
    "c": (["flips", "lost", "ms to call p50", "p99", "to settled p50", "p99"], _single),
    "d": (["for", "writes", "AGB calls/min", "CPU %", "MiB"], _idle),
}


def _table(heads: list[str], rows: list[list[str]]) -> str:
    lines = [heads, ["---"] * 2 + ["---:"] * (len(heads) - 2), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} s"


def _number(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
