"""`make bench`: runs every contender at every size through the scenarios, and writes what was measured.

Options come from the environment:

    BENCH_N           sizes of the fleet                               100,1000,2000,10000
    BENCH_CONTENDERS  agb-operator,controller-runtime,kopf-usual,sdk-loop
    BENCH_SCENARIOS   letters of the scenarios                         abcde
    BENCH_SETTLED     seconds of scenario (d)                          300
    BENCH_DEADLINE    seconds that any other scenario may take         900
    BENCH_SAMPLES     flips of scenario (c), each way                  100
    BENCH_OUT         folder for the results                           docs/benchmarks
    BENCH_ADD         1: replace only what is measured again           0
"""

import asyncio
import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from .contenders import CONTENDERS
from .machine import describe
from .plots import plots
from .report import markdown
from .scenarios import Limits, Trial
from .stage import Stage

logger = logging.getLogger("bench")
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """What is to be run."""

    sizes: tuple[int, ...]
    contenders: tuple[str, ...]
    scenarios: str
    limits: Limits
    out: Path
    add: bool

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """Read the options; raises `ValueError` with what is wrong."""
        names = tuple(environment.get("BENCH_CONTENDERS", ",".join(CONTENDERS)).split(","))
        unknown = set(names) - set(CONTENDERS)
        if unknown:
            raise ValueError(f"BENCH_CONTENDERS: {', '.join(unknown)}; there are {', '.join(CONTENDERS)}")
        return cls(
            sizes=tuple(int(size) for size in environment.get("BENCH_N", "100,1000,2000,10000").split(",")),
            contenders=names,
            scenarios=environment.get("BENCH_SCENARIOS", "abcde"),
            limits=Limits(
                settled=float(environment.get("BENCH_SETTLED", "300")),
                deadline=float(environment.get("BENCH_DEADLINE", "900")),
                samples=int(environment.get("BENCH_SAMPLES", "100")),
            ),
            out=Path(environment.get("BENCH_OUT", ROOT / "docs" / "benchmarks")),
            add=environment.get("BENCH_ADD", "0") == "1",
        )


async def measure(options: Options) -> dict[str, Any]:
    """Run all trials; returns the results as they go to the JSON file."""
    results: dict[str, Any] = {"machine": describe(), "minutes": 0.0, "trials": []}
    if options.add:
        earlier = json.loads((options.out / "results.json").read_text())
        results |= {"minutes": earlier["minutes"], "trials": earlier["trials"]}
    contenders = [CONTENDERS[name]() for name in options.contenders]
    for size in options.sizes:
        for contender in contenders:
            began, measured = time.monotonic(), {"started": datetime.now(UTC).isoformat(timespec="seconds")}
            measured["load_before"] = f"{os.getloadavg()[0]:.1f}"
            async with Stage(contender, size) as stage:
                trial = Trial(stage, scenarios=options.scenarios, limits=options.limits)
                await trial.run()
            for result in trial.results.values():
                result["measured"] = measured
            _merge(results["trials"], {"contender": contender.name, "size": size, "scenarios": trial.results})
            results["minutes"] = round(results["minutes"] + (time.monotonic() - began) / 60, 1)
            _save(options.out, results)
    return results


def _merge(trials: list[dict[str, Any]], new: dict[str, Any]) -> None:
    """Put in what was measured of a contender at a size, in place of what was measured before."""
    for trial in trials:
        if (trial["contender"], trial["size"]) == (new["contender"], new["size"]):
            trial["scenarios"] |= new["scenarios"]
            return
    trials.append(new)


def _save(folder: Path, results: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.json").write_text(json.dumps(results, indent=1) + "\n")
    (folder / "README.md").write_text(markdown(results))
    for name, svg in plots(results).items():
        (folder / name).write_text(svg)


def main() -> int:
    """Run the benchmark."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        options = Options.from_environment(os.environ)
    except ValueError as exc:
        print(f"bench: {exc}", file=sys.stderr)
        return 2
    asyncio.run(measure(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
