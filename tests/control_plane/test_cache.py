"""The cache makes each thing once, also for runs that start together, and never serves half of one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import control_plane
from control_plane.cache import Cache, cache_folder
from control_plane_support import wait_until

MAKER = """
import sys, time
from pathlib import Path
from control_plane.cache import Cache

folder = Path(sys.argv[1])

def make(scratch):
    with (folder / "makers").open("a") as log:
        log.write("one more\\n")
    (scratch / "tool").write_text("half")
    while not (folder / "go-on").exists():
        time.sleep(0.02)
    (scratch / "tool").write_text("complete")
    return scratch / "tool"

print(Cache(folder / "cache").provide(folder / "cache" / "tool-1" / "tool", make).read_text())
"""


def start_maker(folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(control_plane.__file__).parents[1])}
    command = [sys.executable, "-c", MAKER, str(folder)]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, bufsize=1
    )


def test_two_runs_at_once_make_it_once_and_the_second_says_that_it_waits(tmp_path: Path) -> None:
    with start_maker(tmp_path) as first:
        wait_until((tmp_path / "makers").exists)
        with start_maker(tmp_path) as second:
            assert second.stderr is not None
            waiting = second.stderr.readline()
            (tmp_path / "go-on").touch()
            outputs = [run.communicate(timeout=30)[0] for run in (first, second)]

    assert "waiting for another run that works on tool" in waiting
    assert outputs == ["complete\n", "complete\n"]
    assert (tmp_path / "makers").read_text() == "one more\n"


def test_what_a_killed_run_left_is_neither_used_nor_in_the_way(tmp_path: Path) -> None:
    with start_maker(tmp_path) as killed:
        wait_until((tmp_path / "cache" / "tool-1" / ".tool.partial" / "tool").exists)
        killed.send_signal(signal.SIGKILL)
    assert not (tmp_path / "cache" / "tool-1" / "tool").exists()
    (tmp_path / "go-on").touch()

    with start_maker(tmp_path) as next_run:
        output, _ = next_run.communicate(timeout=30)

    assert output == "complete\n"
    assert (tmp_path / "makers").read_text() == "one more\n" * 2
    assert not (tmp_path / "cache" / "tool-1" / ".tool.partial").exists()


def test_a_maker_that_fails_leaves_nothing_and_its_error_passes_through(tmp_path: Path) -> None:
    target = tmp_path / "tool-1" / "tool"

    def fail(scratch: Path) -> Path:
        (scratch / "tool").write_text("half")
        raise ConnectionError("gone")

    with pytest.raises(ConnectionError, match="gone"):
        Cache(tmp_path).provide(target, fail)

    assert [path.name for path in target.parent.iterdir()] == [".tool.lock"]


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    target = tmp_path / "tool-1" / "tool"
    target.parent.mkdir()
    target.write_text("made before")

    def fail(_scratch: Path) -> Path:
        raise AssertionError("made again")

    assert Cache(tmp_path).provide(target, fail).read_text() == "made before"


def test_a_folder_can_be_provided_as_a_whole(tmp_path: Path) -> None:
    def make(scratch: Path) -> Path:
        (scratch / "go" / "bin").mkdir(parents=True)
        (scratch / "go" / "bin" / "go").write_text("go itself")
        return scratch / "go"

    folder = Cache(tmp_path).provide(tmp_path / "go-1", make)

    assert (folder / "bin" / "go").read_text() == "go itself"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"AGB_OPERATOR_CACHE": "/elsewhere", "XDG_CACHE_HOME": "/xdg"}, Path("/elsewhere")),
        ({"XDG_CACHE_HOME": "/xdg"}, Path("/xdg/agb-operator")),
        ({}, Path.home() / ".cache" / "agb-operator"),
    ],
)
def test_the_folder_follows_the_environment(environment: dict[str, str], expected: Path) -> None:
    assert cache_folder(environment) == expected
