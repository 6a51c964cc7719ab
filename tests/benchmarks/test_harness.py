"""The benchmark's harness measures a fleet of five, so that it works when somebody wants to measure ten thousand."""

import json
import os
from pathlib import Path
from xml.etree import ElementTree

import pytest

import mass_loss
from bench.__main__ import Options, measure
from bench.usage import usage_of


async def test_a_run_with_five_sessions_finds_the_writes_that_the_operator_promises(tmp_path: Path) -> None:
    environment = {
        "BENCH_N": "5",
        "BENCH_CONTENDERS": "agb-operator",
        "BENCH_SCENARIOS": "b",
        "BENCH_DEADLINE": "60",
        "BENCH_OUT": str(tmp_path),
    }

    await measure(Options.from_environment(environment))

    (trial,) = json.loads((tmp_path / "results.json").read_text())["trials"]
    flips = trial["scenarios"]["b"]
    assert (flips["finished"], flips["flips"], flips["paused_at_agb"]) == (True, 5, 5)
    assert flips["counts"]["writes"] == {"agbsessions/status": 10, "events": 5}
    assert flips["counts"]["calls"]["pauseSessionAsync"] == 5
    assert flips["wall"] >= 3.0, "a pause takes three seconds at the simulator"
    assert flips["cpu_ms_per_flip"] > 0
    assert "| 5 | agb-operator | 5 |" in (tmp_path / "README.md").read_text()
    drawn = ElementTree.parse(tmp_path / "wall.svg").getroot()
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"


def test_usage_is_that_of_a_living_process() -> None:
    before = usage_of(os.getpid())
    sum(number * number for number in range(2_000_000))
    after = usage_of(os.getpid())

    assert after.cpu > before.cpu
    assert 0 < after.rss <= after.peak


def test_an_ended_process_has_no_usage(tmp_path: Path) -> None:
    with pytest.raises(ProcessLookupError):
        usage_of(2**22 + 1)


def test_an_unknown_contender_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="nobody; there are agb-operator"):
        Options.from_environment({"BENCH_CONTENDERS": "nobody"})


async def test_a_mass_loss_is_measured_until_all_sessions_are_held_back(capsys: pytest.CaptureFixture[str]) -> None:
    await mass_loss.run(20)

    well, _, after = capsys.readouterr().out.splitlines()
    assert well.endswith(" 0 held back")
    assert after.endswith(" 20 held back")
