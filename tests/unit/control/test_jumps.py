"""Jumps of the time of day that the monotonic clock did not go with."""

from datetime import UTC, datetime, timedelta

from agb_operator.control.jumps import Jumps
from agb_operator.model.clock import Clock

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)


class Machine:
    """A machine whose two clocks can be moved."""

    def __init__(self) -> None:
        self.now, self.set_by = 50.0, 0.0

    def clock(self) -> Clock:
        return Clock(
            now=lambda: self.now,
            wall=lambda: EPOCH + timedelta(seconds=self.now + self.set_by),
            jitter=lambda: 0.0,
        )


def test_time_that_goes_by_is_no_jump() -> None:
    machine = Machine()
    jumps = Jumps(machine.clock())
    machine.now += 10**7

    assert jumps.ahead() == 0.0


def test_jumps_add_up_and_a_clock_set_back_takes_its_part_off_again() -> None:
    machine = Machine()
    jumps = Jumps(machine.clock())

    seen = []
    for machine.set_by in (3600.0, 3600.0, 7200.0, 0.0, -60.0):
        machine.now += 5
        seen.append(round(jumps.ahead()))

    assert seen == [3600, 3600, 7200, 0, -60]


def test_what_whole_seconds_cannot_tell_is_no_jump_until_it_has_added_up() -> None:
    machine = Machine()
    jumps = Jumps(machine.clock())

    machine.set_by = 1.5
    assert jumps.ahead() == 0.0
    machine.set_by = 3.0
    assert round(jumps.ahead(), 3) == 3.0
