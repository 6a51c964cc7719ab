"""The pinned versions, and the platform they are for.

The same versions stand in `gomod/go.mod` and `requirements/`; a test holds them together.
"""

import platform
from dataclasses import dataclass

from .errors import NotAvailable

KUBERNETES = "1.37.2"
ETCD = "3.7.0"
HELM = "4.3.1"
GO = "1.27.3"
"""Of the Go toolchain that a PyPI package brings where there is none."""
OLDEST_GO = (1, 26)
"""The least that Kubernetes' own go.mod accepts."""
LAYER_KUBECTL = "1.37.1"
"""Of the kubectl in the PyPI package that brings Helm as well."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Platform:
    """Operating system and processor, by the names that Go and the release servers use."""

    system: str
    machine: str

    def __str__(self) -> str:
        return f"{self.system}-{self.machine}"

    @classmethod
    def here(cls) -> "Platform":
        """Return the platform of this machine.

        Raises:
            NotAvailable: nobody publishes Kubernetes for this processor.
        """
        machines = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
        machine = platform.machine().lower()
        if machine not in machines:
            raise NotAvailable(f"no control plane for the processor type {machine!r}; known: amd64, arm64")
        return cls(system=platform.system().lower(), machine=machines[machine])


def minor(version: str) -> tuple[int, int]:
    """Return major and minor of a version such as `v1.37.2` or `1.32.4-dispatcher`.

    Raises:
        ValueError: that is no version.
    """
    first, second, *_ = version.removeprefix("v").split(".")
    return int(first), int(second)
