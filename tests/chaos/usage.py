"""What the operators' processes hold: memory, open files and sockets, read from /proc while they live."""

import os
import statistics
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

EVERY = 1.0
MEASURABLE = 120
"""Samples that a process must have for a statement about its memory."""
GROWTH = 1.10
SLACK_MB = 6.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """One process at one moment."""

    resident_mb: float
    files: int
    sockets: int


def sample(pid: int) -> Sample | None:
    """Look at a process; None when it is gone."""
    folder = Path(f"/proc/{pid}")
    try:
        pages = int((folder / "statm").read_text().split()[1])
        names = list((folder / "fd").iterdir())
    except OSError:
        return None
    sockets = 0
    for name in names:
        with suppress(OSError):
            sockets += os.readlink(name).startswith("socket:")
    return Sample(
        resident_mb=pages * os.sysconf("SC_PAGE_SIZE") / 2**20,
        files=len(names),
        sockets=sockets,
    )


class Sampler:
    """Samples processes until told to stop. `pids` names the ones that live."""

    def __init__(self, pids: Callable[[], Iterable[int]]) -> None:
        self._pids = pids
        self.samples: dict[int, list[Sample]] = defaultdict(list)

    def run(self, done: threading.Event) -> None:
        """Sample."""
        while not done.wait(EVERY):
            for pid in self._pids():
                taken = sample(pid)
                if taken is not None:
                    self.samples[pid].append(taken)

    def longest(self) -> list[Sample]:
        """Give the samples of the process that lived longest."""
        return max(self.samples.values(), key=len, default=[])


def growth(samples: list[Sample]) -> tuple[float, float]:
    """Give the memory of a process early and late in its life, in MB: the medians of its second and last quarter."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter] or samples, samples[-quarter:]
    return statistics.median(s.resident_mb for s in early), statistics.median(s.resident_mb for s in late)


def grows(samples: list[Sample]) -> str:
    """Say so if the memory of a process grows; "" if it does not, or did not live long enough to tell."""
    if len(samples) < MEASURABLE:
        return ""
    early, late = growth(samples)
    if late <= early * GROWTH + SLACK_MB:
        return ""
    return f"the memory of an operator grew from {early:.0f} MB to {late:.0f} MB"
