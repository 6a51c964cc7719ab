"""Run one program, and never let it outlive whoever asked for it.

This file is a program of its own (`python guard.py OWNER_PID PROGRAM ARG...`), not imported by the rest.
Between a test run and etcd stands one of these, because each simpler way leaks: `atexit` does not run after
SIGKILL, and Linux' parent-death signal fires when the *thread* that started the child ends, which a test
framework does all the time. The guard has one thread, so the parent-death signal is reliable for its own
child, and it watches its owner in two ways: standard input reaches its end when the owner is gone, and the
parent's process id changes, in case some other child of the owner still holds the pipe. SIGTERM asks it for
an orderly end.

It prints the process id of the program, and ends with the program's exit code (128 + signal if it was
killed).
"""

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable

GRACE = 10.0
"""Seconds between SIGTERM and SIGKILL."""
OWNER_CHECK = 1.0
"""Seconds between two looks at the owner's process id."""
_PR_SET_PDEATHSIG = 1


def main(owner: int, command: list[str]) -> int:
    """Run `command` until it ends or the owner does; return its exit code."""
    # Ctrl-C in a terminal belongs to the owner, which stops things in the right order.
    for ignored in (signal.SIGINT, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    wakeup_read, wakeup_write = os.pipe()
    os.set_blocking(wakeup_write, False)
    signal.set_wakeup_fd(wakeup_write)
    asked_to_stop = False

    def stop(_signum: int, _frame: object) -> None:
        nonlocal asked_to_stop
        asked_to_stop = True

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=2, preexec_fn=_before_exec())
    sys.stdout.write(f"{child.pid}\n")
    sys.stdout.flush()
    while child.poll() is None and not asked_to_stop:
        readable, _, _ = select.select([0, wakeup_read], [], [], OWNER_CHECK)
        if wakeup_read in readable:
            os.read(wakeup_read, 512)
        if 0 in readable or os.getppid() != owner:
            child.kill()  # nobody is left to need an orderly end, which the order of the ends makes slow
            break
    code = _end(child)
    return code if code >= 0 else 128 - code


def _end(child: subprocess.Popen[bytes]) -> int:
    child.terminate()
    try:
        return child.wait(timeout=GRACE)
    except subprocess.TimeoutExpired:
        child.kill()
        return child.wait()


def _before_exec() -> Callable[[], None]:
    """Make what the child does before exec: die with the guard, and heed the signals the guard ignores."""
    prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None
    guard = os.getpid()

    def prepare() -> None:
        if prctl is not None:
            prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != guard:  # the guard was killed before the line above
                os._exit(1)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_DFL)

    return prepare


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
    except OSError as exc:
        sys.exit(f"cannot run {sys.argv[2]}: {exc}")
