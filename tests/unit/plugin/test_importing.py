"""How long `import` waits for an AGB that wants fewer requests."""

import pytest

from agb_operator.model.errors import Throttled
from kubectl_agb.errors import Failed
from kubectl_agb.importing import _patiently
from simulated import loop_time

pytestmark = pytest.mark.looptime


class Wanting:
    """A call that AGB wants later, so often."""

    def __init__(self, *, times: int, retry_after: float | None) -> None:
        self.times = times
        self.retry_after = retry_after

    async def __call__(self) -> str:
        if self.times:
            self.times -= 1
            raise Throttled("AGB asks for fewer requests", retry_after=self.retry_after)
        return "an answer"


@pytest.mark.parametrize(("retry_after", "waits"), [(None, 2.0), (7.0, 7.0), (0.0, 2.0)])
async def test_it_waits_as_long_as_agb_says(retry_after: float | None, waits: float) -> None:
    assert await _patiently(Wanting(times=1, retry_after=retry_after)) == "an answer"
    assert loop_time() == pytest.approx(waits, abs=0.1)


async def test_nobody_sits_before_a_command_that_waits_for_an_hour() -> None:
    with pytest.raises(Failed, match="no calls with this key for 3600 s"):
        await _patiently(Wanting(times=1, retry_after=3600.0))
    assert loop_time() < 1.0
