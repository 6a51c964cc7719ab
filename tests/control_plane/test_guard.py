"""No component outlives whoever asked for it, however that one ends."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import control_plane
from control_plane import StartFailed
from control_plane.processes import Component
from control_plane_support import is_alive, wait_until

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]

OWNER = """
import os, sys, time
from pathlib import Path
from control_plane.processes import Component

component = Component("sleeper", [sys.executable, "-c", "import time; time.sleep(600)"], log=Path(sys.argv[1]))
component.start()
if sys.argv[2] == "with a child that holds the pipe" and os.fork() == 0:
    time.sleep(600)
print(component.pid, flush=True)
while True:  # an interrupt that comes just before a sleep is raised only after it
    time.sleep(0.05)
"""


@pytest.mark.parametrize("circumstance", ["alone", "with a child that holds the pipe"])
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_component_ends_when_its_owner_does(tmp_path: Path, circumstance: str, ending: signal.Signals) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(control_plane.__file__).parents[1])}
    command = [sys.executable, "-c", OWNER, str(tmp_path / "log"), circumstance]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    ) as owner:
        try:
            assert owner.stdout is not None
            pid = int(owner.stdout.readline())
            assert is_alive(pid)
            owner.send_signal(ending)
            owner.wait(timeout=30)
            wait_until(lambda: not is_alive(pid))
        finally:
            with contextlib.suppress(ProcessLookupError):  # alone, it left nobody in its group
                os.killpg(owner.pid, signal.SIGKILL)


def test_a_component_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    component = Component("sleeper", SLEEPER, log=tmp_path / "log")
    starter = threading.Thread(target=component.start)
    starter.start()
    starter.join()
    try:
        wait_until(lambda: component.pid != 0)
        assert is_alive(component.pid)
        assert component.running
    finally:
        component.stop()


def test_a_component_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    component = Component("sleeper", SLEEPER, log=tmp_path / "log")
    component.start()
    pid = component.pid
    guard = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

    os.kill(guard, signal.SIGKILL)

    wait_until(lambda: not is_alive(pid))
    component.stop()


def test_stop_and_kill_return_when_the_program_is_gone(tmp_path: Path) -> None:
    component = Component("sleeper", SLEEPER, log=tmp_path / "log")
    for end in (component.stop, component.kill):
        component.start()
        pid = component.pid
        end()
        assert not is_alive(pid)
        assert not component.running


def test_the_exit_code_is_that_of_the_program(tmp_path: Path) -> None:
    component = Component("quitter", [sys.executable, "-c", "raise SystemExit(7)"], log=tmp_path / "log")
    component.start()
    wait_until(lambda: not component.running)

    assert component.exit_code == 7
    component.stop()


def test_a_program_that_cannot_be_executed_is_a_failed_start(tmp_path: Path) -> None:
    component = Component("ghost", [tmp_path / "no-such-program"], log=tmp_path / "log")

    with pytest.raises(StartFailed, match=r"ghost did not start(.|\n)*no-such-program"):
        component.start()


def test_a_program_that_ends_early_is_reported_with_its_last_words(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "import sys; sys.exit('no such flag: --fly')"]
    component = Component("quitter", command, log=tmp_path / "log")
    component.start()

    with pytest.raises(StartFailed, match=r"ended while it started(.|\n)*no such flag: --fly"):
        component.wait_ready(lambda: False, timeout=30)
    component.stop()


def test_a_program_that_never_gets_ready_is_reported(tmp_path: Path) -> None:
    component = Component("sleeper", SLEEPER, log=tmp_path / "log")
    component.start()

    with pytest.raises(StartFailed, match="was not ready after 0 s"):
        component.wait_ready(lambda: False, timeout=0.1)
    component.stop()
