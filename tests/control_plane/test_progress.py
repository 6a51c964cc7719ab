"""Long tasks say what they are, how long they take, and how they ended."""

import io

import pytest

from control_plane import progress
from control_plane.progress import Progress, duration


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class Clock:
    """Stands in for `time` and goes on only when told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_log_gets_a_line_at_both_ends_and_every_half_minute_between(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress("building etcd", expect="about a minute", stream=stream) as task:
        for _ in range(70):
            clock.now += 1
            task.update(7)

    assert stream.getvalue().splitlines() == [
        "control-plane: building etcd (about a minute) ...",
        "control-plane: building etcd: 30 s so far, 7 steps",
        "control-plane: building etcd: 1 min 0 s so far, 7 steps",
        "control-plane: building etcd: done after 1 min 10 s",
    ]


def test_a_terminal_shows_one_line_that_changes_each_second(clock: Clock) -> None:
    stream = Terminal()
    with Progress("building etcd", expect="about a minute", stream=stream) as task:
        for _ in range(3):
            clock.now += 1
            task.update()

    lines = stream.getvalue().splitlines()
    assert lines[0] == "control-plane: building etcd (about a minute) ..."
    assert [part for line in lines[1:] for part in line.split("\x1b[K") if part] == [
        "control-plane: building etcd: 1 s so far",
        "control-plane: building etcd: 2 s so far",
        "control-plane: building etcd: 3 s so far",
        "control-plane: building etcd: done after 3 s",
    ]


def test_a_task_with_known_steps_says_how_far_it_is_and_how_long_still(clock: Clock) -> None:
    stream = io.StringIO()
    with Progress("building etcd", expect="about a minute", stream=stream) as task:
        for steps in (1, 50, 100, 200, 250):
            clock.now += 30
            task.update(steps, 200)

    assert [line.partition(" so far")[2] for line in stream.getvalue().splitlines()[1:-1]] == [
        ", 1 of 200 steps",
        ", 50 of 200 steps, about 3 min 0 s still",
        ", 100 of 200 steps, about 1 min 30 s still",
        ", 200 of 200 steps, nearly done",
        ", 200 of 200 steps, nearly done",
    ]


def test_a_task_that_fails_is_said_to_be_given_up(clock: Clock) -> None:
    stream = io.StringIO()
    with pytest.raises(KeyError), Progress("building etcd", expect="about a minute", stream=stream):
        raise KeyError

    assert stream.getvalue().endswith("building etcd: given up after 0 s\n")


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0 s"), (59.4, "59 s"), (60, "1 min 0 s"), (372, "6 min 12 s")])
def test_durations_read_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text
