"""Who is measured: the operator, and what people would use in its place. How each is started, and what it can do."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from control_plane.processes import free_port
from sdk_env import sdk_python

from .tools import go_program

BASELINES: Final = Path(__file__).resolve().parents[1] / "baselines"
RESYNC: Final = 60
"""Seconds between two looks at a settled session, for those that look at all."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """One program to be measured.

    `watches` is false for one that knows nothing of Kubernetes and is told by its arguments what to do.
    """

    name: str
    title: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    watches: bool = True


def operator() -> Contender:
    """The operator as it is shipped; without a lease, which costs a write every two seconds and does not grow."""
    command = (sys.executable, "-m", "agb_operator", "run", f"--resync={RESYNC}s", "--no-leader-election")
    return Contender(
        name="agb-operator",
        title="agb-operator",
        command=(*command, "--default-key-namespace=*", "--log-level=info", f"--http-address=127.0.0.1:{free_port()}"),
        environment={},
    )


def kopf_usual() -> Contender:
    """An operator as kopf's documentation teaches it."""
    script = BASELINES / "kopf_usual" / "operator.py"
    return Contender(
        name="kopf-usual",
        title="usual kopf operator",
        command=(sys.executable, "-m", "kopf", "run", "--all-namespaces", "--standalone", str(script)),
        environment={},
    )


def controller_runtime() -> Contender:
    """A plain operator in Go; built on first use (a minute) into the cache folder."""
    binary = go_program(BASELINES / "controller_runtime")
    return Contender(
        name="controller-runtime",
        title="controller-runtime",
        command=(str(binary), f"-resync={RESYNC}s"),
        environment={},
    )


def sdk_loop() -> Contender:
    """The SDK's own pause and resume, for all sessions at once; no Kubernetes."""
    return Contender(
        name="sdk-loop",
        title="SDK loop",
        command=(str(sdk_python(os.environ)), str(BASELINES / "sdk_loop" / "loop.py")),
        environment={},
        watches=False,
    )


CONTENDERS: Final = {
    "agb-operator": operator,
    "controller-runtime": controller_runtime,
    "kopf-usual": kopf_usual,
    "sdk-loop": sdk_loop,
}
