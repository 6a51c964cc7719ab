"""What a program costs the machine, read from /proc: processor time and memory of it and all its children."""

import os
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_MEBI = 1024.0 * 1024.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """`cpu` in seconds since the program began, `rss` and `peak` (the largest `rss` ever) in MiB."""

    cpu: float
    rss: float
    peak: float


def usage_of(pid: int) -> Usage:
    """Read the usage of a process and its living descendants; the ended ones count once their parent took note.

    Raises:
        ProcessLookupError: there is no such process.
    """
    cpu = rss = peak = 0.0
    for member in _tree(pid):
        try:
            stat, status = Path(f"/proc/{member}/stat").read_text(), Path(f"/proc/{member}/status").read_text()
        except OSError:
            if member == pid:
                raise ProcessLookupError(f"process {pid} has ended") from None
            continue
        # proc(5): utime, stime, cutime and cstime are the fields 14 to 17; the name in field 2 may hold spaces.
        cpu += sum(int(ticks) for ticks in stat.rpartition(")")[2].split()[11:15]) / _TICKS
        fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
        rss += _bytes(fields, "VmRSS") / _MEBI
        peak += _bytes(fields, "VmHWM") / _MEBI
    return Usage(cpu=cpu, rss=rss, peak=peak)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                found.extend(int(child) for child in task.read_text().split())
            except OSError:
                continue  # it has just ended
    return found


def _bytes(fields: dict[str, str], name: str) -> int:
    return int(fields.get(name, "0 kB").split()[0]) * 1024
