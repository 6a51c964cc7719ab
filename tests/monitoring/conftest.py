"""promtool, for all tests of alerts and metrics."""

from pathlib import Path

import pytest

import prometheus


@pytest.fixture(scope="session")
def promtool() -> Path:
    return prometheus.find("promtool")
