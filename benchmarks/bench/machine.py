"""On what was measured: processor, memory, kernel, and the versions of all that took part."""

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from control_plane.versions import ETCD, KUBERNETES

_PACKAGES = ("agb-operator", "kopf", "kubernetes", "httpx", "aiohttp", "uvloop")


def describe() -> dict[str, Any]:
    """Describe this machine and its load at this moment."""
    cpuinfo = Path("/proc/cpuinfo").read_text()
    models = [line.partition(":")[2].strip() for line in cpuinfo.splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1])
    return {
        "processor": models[0] if models else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 1024**2, 1),
        "kernel": platform.release(),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        "kubernetes": KUBERNETES,
        "etcd": ETCD,
        "packages": {name: version(name) for name in _PACKAGES},
    }
