"""`make rate-table`: measures all that is promised of the rate that AGB allows, and prints it beside the goals.

Options come from the environment:

    RATE_N      sizes of the fleet: under the slowest limit, mostly, and the largest   300,2000,10000
    RATE_PARTS  what to run                                                            fleet,small,created,large
    BENCH_OUT   folder for `rate.json`, `rate.md` and `rate.svg`                       docs/benchmarks

The runs of a part replace those that `rate.json` held of it.
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from .contenders import controller_runtime, operator
from .machine import describe
from .plots import draw
from .rate import PARTS, SHARES, Limit, Result, Sizes, run_part
from .report import on_what

ROOT: Final = Path(__file__).resolve().parents[2]
LIMITS: Final = (10, 50, 200)
OURS, THEIRS = "agb-operator", "controller-runtime"
_MEANING: Final = "[performance](../performance.md#the-rate-that-agb-allows) says what the figures mean."
Row = tuple[str, str, str, str, bool | None]
"""What, figure, goal, the baseline's figure, and whether the goal is reached; None if it was not measured."""


class Results:
    """What was measured, to be asked for by contender, size and run."""

    def __init__(self, stages: Sequence[Result]) -> None:
        self._stages = stages

    def of(self, contender: str, size: int, run: str, *, created: bool = False) -> Result | None:
        """Give one run, None if it was not made."""
        for stage in self._stages:
            if (stage["contender"], stage["size"], stage["created"]) == (contender, size, created):
                run_of: Result | None = stage["scenarios"].get(run)
                return run_of
        return None

    def refusals(self) -> tuple[float, str] | None:
        """Give the largest part of late calls that were refused in a run of ours under a limit, and which run."""
        shares = [
            (result["late_refused"] / max(1, result["late_calls"]), f"{name}, N = {stage['size']:,}")
            for stage in self._stages
            for name, result in stage["scenarios"].items()
            if stage["contender"] == OURS and (name.startswith("e ") or name == "change")
        ]
        return max(shares, default=None)


def rows(results: Results, sizes: Sizes) -> Iterator[Row]:
    """Give the lines of the table."""
    for created in (False, True):
        for limit in LIMITS:
            for says_when in (True, False):
                yield _limited(results, sizes, limit=limit, says_when=says_when, created=created)
    worst = results.refusals()
    yield _row(
        "refused calls after the first 10 s, at worst", worst and worst[0] * 100, 2.0, "%", of=worst and worst[1]
    )
    yield _against(results, sizes.many, "b", 0.7, f"no limit, {sizes.many:,}, found at the start")
    for size in (sizes.many, sizes.most):
        yield _against(results, size, "b-warm", 0.95, f"no limit, {size:,}, patched while it runs")
    queue = results.of(OURS, sizes.many, "queue") or {}
    used = queue.get("capacity_used")
    yield _row("endpoint that queues: capacity used", used and used * 100, 95.0, "%", least=True)
    yield _row("endpoint that queues: slowest call", queue.get("slowest_call"), 2.0, "s")
    yield _row("endpoint that queues: calls that timed out", queue.get("timed_out"), 0.0, "")
    yield from _change(results.of(OURS, sizes.most, "change") or {})
    alone, beside = results.of(OURS, sizes.many, "b"), results.of(OURS, sizes.many, "keys")
    slowed = beside["wall"] / alone["wall"] if alone and beside and beside["finished"] else None
    yield _row("two keys, one refused all the time: time of the other, to that alone", slowed, 1.1, "x")
    limited = results.of(OURS, sizes.many, Limit(per_second=50, says_when=True).name)
    cost = limited["cpu_ms_per_flip"] / alone["cpu_ms_per_flip"] if alone and limited else None
    of = f"{limited['cpu_ms_per_flip']:.2f} ms to {alone['cpu_ms_per_flip']:.2f} ms" if alone and limited else None
    yield _row("CPU a flip under a limit of 50, to that without", cost, 1.3, "x", of=of)
    single = (results.of(OURS, sizes.most, "c") or {}).get("to_call") or {}
    p99 = single["p99"] * 1000 if single else None
    yield _row(f"single flip among {sizes.most:,} settled, p99", p99, 50.0, "ms")


def _limited(results: Results, sizes: Sizes, *, limit: int, says_when: bool, created: bool) -> Row:
    size = sizes.few if limit == LIMITS[0] else sizes.many
    name = Limit(per_second=limit, says_when=says_when).name
    ours, theirs = results.of(OURS, size, name, created=created), results.of(THEIRS, size, name)
    free = results.of(OURS, size, "b", created=created)
    goal = 1.15 * max(size / limit, free["wall"] if free else 0.0) + 5
    what = f"{size:,} flips of {'created' if created else 'adopted'} sessions at {limit} a second, "
    what += "Retry-After: 1" if says_when else "no Retry-After"
    wall = None if ours is None else ours["wall"] if ours["finished"] else float("inf")
    return _row(what, wall, goal, "s", theirs="" if created or not theirs else _finished(theirs, size))


def _finished(result: Result, size: int) -> str:
    return f"{result['wall']:.1f} s" if result["finished"] else f"{result['flips']:,} of {size:,} in time"


def _against(results: Results, size: int, run: str, goal: float, what: str) -> Row:
    ours, theirs = results.of(OURS, size, run), results.of(THEIRS, size, run)
    both = ours and theirs and ours["finished"] and theirs["finished"]
    ratio = ours["wall"] / theirs["wall"] if ours and theirs and both else None
    of = f"{ours['wall']:.1f} s" if ours else None
    return _row(
        f"{what}: to controller-runtime", ratio, goal, "x", of=of, theirs=_finished(theirs, size) if theirs else ""
    )


def _change(result: Result) -> Iterator[Row]:
    before, low, high = result.get("served") or (None, None, None)
    first, second, third = SHARES
    yield _row(
        f"limit {first:g} to {second:g}: calls let through a second, 30 s later", low, 0.85 * second, "", least=True
    )
    # More than what the machine managed before the change cannot be asked for.
    goal = 0.85 * min(third, before) if before is not None else 0.85 * third
    of = None if before is None else f"{before:.0f} before the change"
    yield _row(f"and back to {third:g}: the same", high, goal, "", least=True, of=of)
    yield _row("limit that changes: flips lost", result.get("lost"), 0.0, "")


def _row(
    what: str,
    value: float | None,
    goal: float,
    unit: str,
    *,
    least: bool = False,
    of: str | None = None,
    theirs: str = "",
) -> Row:
    asked = f"at {'least' if least else 'most'} {goal:.3g} {unit}".rstrip()
    if value is None:
        return what, "-", asked, theirs, None
    shown = "not finished" if value == float("inf") else f"{value:.3g} {unit}".rstrip()
    reached = value >= goal if least else value <= goal
    return what, shown + (f" ({of})" if of else ""), asked, theirs, reached


def table(stages: Sequence[Result], sizes: Sizes) -> str:
    """Write the table of goals and figures, in Markdown."""
    lines = [["what", "goal", "agb-operator", "controller-runtime", "reached"], ["---"] * 5]
    for what, figure, goal, theirs, reached in rows(Results(stages), sizes):
        lines.append([what, goal, figure, theirs, "not measured" if reached is None else "yes" if reached else "NO"])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def plot(stages: Sequence[Result], sizes: Sizes) -> str | None:
    """Draw the time of the flips over what AGB allows, for those that finished, beside what the limit makes of it."""
    results = Results(stages)
    lines: dict[str, list[tuple[int, float]]] = {"N / limit": [(each, sizes.many / each) for each in LIMITS[1:]]}
    for name in (OURS, THEIRS):
        for limit in LIMITS[1:]:
            run = results.of(name, sizes.many, Limit(per_second=limit, says_when=True).name)
            if run and run["finished"]:
                lines.setdefault(name, []).append((limit, run["wall"]))
    if OURS not in lines:
        return None
    return draw(f"{sizes.many:,} flips, found at the start", "s", lines, across="calls a second that AGB allows")


def measure(parts: Sequence[str], sizes: Sizes, out: Path) -> None:
    """Run the parts, and write and print what was measured after each."""
    out.mkdir(parents=True, exist_ok=True)
    file = out / "rate.json"
    results: dict[str, Any] = {"machine": describe(), "minutes": {}, "parts": {}}
    if file.exists():
        earlier = json.loads(file.read_text())
        results["minutes"], results["parts"] = earlier["minutes"], earlier["parts"]
    baseline = controller_runtime()
    for part in parts:
        began = time.monotonic()
        results["parts"][part] = asyncio.run(run_part(part, operator=operator(), baseline=baseline, sizes=sizes))
        results["minutes"][part] = round((time.monotonic() - began) / 60, 1)
        file.write_text(json.dumps(results, indent=1) + "\n")
    stages = [stage for part in results["parts"].values() for stage in part]
    text = table(stages, sizes)
    about = f"Written by `make rate-table` on {datetime.now(UTC):%Y-%m-%d}; {_MEANING}\n\n"
    about += f"{on_what(results['machine'])}\n\n"
    (out / "rate.md").write_text(f"# The rate that AGB allows\n\n{about}{text}\n![time](rate.svg)\n")
    if (svg := plot(stages, sizes)) is not None:
        (out / "rate.svg").write_text(svg)
    print(text)
    print("minutes:", ", ".join(f"{part} {minutes}" for part, minutes in results["minutes"].items()))


def main() -> int:
    """Measure, and print the table."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    few, many, most = (int(each) for each in os.environ.get("RATE_N", "300,2000,10000").split(","))
    parts = os.environ.get("RATE_PARTS", ",".join(PARTS)).split(",")
    if unknown := set(parts) - set(PARTS):
        print(f"rate-table: RATE_PARTS: {', '.join(unknown)}; there are {', '.join(PARTS)}", file=sys.stderr)
        return 2
    out = Path(os.environ.get("BENCH_OUT", ROOT / "docs" / "benchmarks"))
    measure(parts, Sizes(few=few, many=many, most=most), out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
