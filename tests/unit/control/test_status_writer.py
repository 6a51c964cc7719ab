"""What is measured of a status that is written: no span between two clocks is less than nothing."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from agb_operator.control.metrics import Metrics
from agb_operator.control.status_writer import StatusWriter
from agb_operator.control.store import Store
from agb_operator.model.clock import Clock
from agb_operator.model.resource import AgbSession
from agb_operator.model.states import DesiredState
from agb_operator.model.status import NextChange, Operation, OperationState, OperationType
from fakes import FakeCluster

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def sums(metrics: Metrics) -> dict[str, float]:
    """Give the seconds that were measured, by the histogram."""
    lines = metrics.page()[0].decode().splitlines()
    return {line.partition("_sum")[0]: float(line.rpartition(" ")[2]) for line in lines if "_sum" in line}


async def written(change: NextChange | None, *operations: Operation) -> dict[str, float]:
    """Write a status for each operation, and give what was measured."""
    cluster, metrics, store = FakeCluster(), Metrics(), Store()
    clock = Clock(now=lambda: 0.0, wall=lambda: NOW, jitter=lambda: 0.0)
    writer = StatusWriter(
        cluster=cluster, store=store, metrics=metrics, record=lambda *_: None, leads=lambda: True, clock=clock
    )
    session = AgbSession.from_body(cluster.apply("ml", "s", {"sessionId": "session-1"}))
    for operation in operations:
        status = replace(session.status, operation=operation, desired_state="Paused", next_change=change)
        session = await writer.write(session, status, ()) or session
    return sums(metrics)


@pytest.mark.parametrize(("ahead", "seconds"), [(timedelta(hours=1), 0.0), (timedelta(seconds=-5), 5.0)])
async def test_an_operation_that_began_by_a_clock_ahead_of_ours_took_no_time(ahead: timedelta, seconds: float) -> None:
    begun = Operation(type=OperationType.PAUSE, state=OperationState.IN_PROGRESS, started_at=NOW + ahead, attempts=1)
    measured = await written(None, begun, begun.ended(OperationState.SUCCEEDED, NOW))
    assert measured["agb_operation_duration_seconds"] == seconds


@pytest.mark.parametrize(("ahead", "seconds"), [(timedelta(hours=1), 0.0), (timedelta(seconds=-5), 5.0)])
async def test_an_edge_that_is_still_to_come_by_our_clock_is_not_late(ahead: timedelta, seconds: float) -> None:
    due = NextChange(at=NOW + ahead, state=DesiredState.PAUSED)
    awake = Operation(type=OperationType.RESUME, state=OperationState.SUCCEEDED, started_at=NOW, attempts=1)
    begun = Operation(type=OperationType.PAUSE, state=OperationState.IN_PROGRESS, started_at=NOW, attempts=1)
    measured = await written(due, replace(awake, finished_at=NOW), begun)
    assert measured["agb_schedule_lateness_seconds"] == seconds
