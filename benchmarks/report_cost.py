"""What `kubectl agb report` costs with 10,000 AgbSessions that have 13 months each, and how much larger they are.

    make report-cost

It fills a control plane of its own, runs the report as a user does, and prints a line for each format. The numbers in
docs/performance.md come from it.
"""

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import yaml

from agb_operator.model.status import ConditionDraft, Phase, Reason, SessionStatus, Truth, Usage, UsageMonth, UsageState
from agb_operator.model.status_json import status_to_dict
from agb_operator.policy.usage import kept_months
from bench.kube import NAMESPACE, User
from control_plane import ControlPlane

ROOT: Final = Path(__file__).resolve().parents[1]
SESSIONS: Final = 10_000
AT_ONCE: Final = 40
NOW: Final = datetime.now(UTC)


def status(number: int, *, counted: bool) -> dict[str, Any]:
    """Give the status of a session that sleeps, as the operator writes it."""
    months = tuple(
        UsageMonth(month=month, running_seconds=1_200_345 + number, paused_seconds=1_391_655, pauses=22, resumes=22)
        for month in kept_months(NOW)
    )
    usage = Usage(state=UsageState.PAUSED, counted_until=NOW, months=months)
    ready = ConditionDraft(status=Truth.TRUE, reason=Reason.PAUSED, message="The session is paused, as asked.")
    paused = ConditionDraft(status=Truth.TRUE, reason=Reason.PAUSED, message="AGB says PAUSED.")
    base = SessionStatus(
        phase=Phase.PAUSED,
        session_id=f"session-{number}",
        session_status="PAUSED",
        desired_state="Paused",
        why="Spec",
        usage=usage if counted else None,
    )
    return status_to_dict(base.saying({"Ready": ready, "Paused": paused}, generation=1, now=NOW))


async def fill(cluster: ControlPlane) -> tuple[int, int]:
    """Create the AgbSessions; gives the bytes of one before and after it was counted, managedFields included."""
    async with User(cluster.kubeconfig) as user:
        await user.install(yaml.safe_load((ROOT / "crds" / "agbsessions.yaml").read_text()))
        names = [f"s-{number:05}" for number in range(SESSIONS)]
        await user.create({name: f"session-{number}" for number, name in enumerate(names)})
        await user.write_status(names[0], status(0, counted=False))
        before = len(await user.read(names[0]))
        limit = asyncio.Semaphore(AT_ONCE)

        async def write(number: int) -> None:
            async with limit:
                await user.write_status(names[number], status(number, counted=True))

        await asyncio.gather(*(write(number) for number in range(SESSIONS)))
        return before, len(await user.read(names[0]))


def reported(cluster: ControlPlane, *arguments: str) -> tuple[str, bytes]:
    """Run the report; gives how long it took and what it printed."""
    began, used = time.perf_counter(), _cpu()
    done = subprocess.run(
        [sys.executable, "-m", "kubectl_agb", "report", "-n", NAMESPACE, *arguments],
        env={**os.environ, "KUBECONFIG": str(cluster.kubeconfig)},
        capture_output=True,
        check=True,
    )
    return f"{time.perf_counter() - began:.1f} s, of which {_cpu() - used:.1f} s of its own CPU", done.stdout


def _cpu() -> float:
    """Give the CPU seconds of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure, and print what was seen."""
    with ControlPlane() as cluster:
        before, after = asyncio.run(fill(cluster))
        print(f"one AgbSession: {before} bytes, {after} with 13 months: {after - before} more")
        for form in ("table", "json", "csv", "html"):
            took, out = reported(cluster, "--by", "image", "-o", form)
            print(f"report -o {form}: {took}")
            if form == "json":
                assert json.loads(out)["total"]["sessions"] == SESSIONS
        print(f"report --asleep-for 30d: {reported(cluster, '--asleep-for', '30d')[0]}")


if __name__ == "__main__":
    main()
