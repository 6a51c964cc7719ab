"""A part that crashes or hangs never leaves a living process that does nothing.

In virtual time: a part is replaced by one that fails. What a kubelet then does is in the other tests of this folder.
"""

import asyncio
from contextlib import suppress
from typing import Any

import pytest

from agb_operator.agb.batching import BatchedObserver
from agb_operator.control.claims import Claims
from agb_operator.control.informer import Informer
from agb_operator.control.memory import Memory
from agb_operator.control.metrics import Metrics
from agb_operator.control.queue import WorkQueue
from agb_operator.control.relist import Relist
from agb_operator.control.store import Store
from agb_operator.control.workers import PASS_DEADLINE, Workers
from agb_operator.model.resource import AgbSession, ObjectKey
from agb_operator.model.states import Observation
from fakes import FakeCluster
from integration.world import KEY, World
from simulated import loop_time
from unit.builders import no_schedules

pytestmark = pytest.mark.looptime

A, B = ObjectKey("ml", "a"), ObjectKey("ml", "b")


def a_queue(*, workers: int = 100) -> WorkQueue:
    """A queue whose keys are all of one credential in their namespace."""
    return WorkQueue(workers=workers, tenant_of=lambda key: (key.namespace, ""), by_clock=lambda _: False)


def errors(metrics: Metrics) -> str:
    """Give the line that counts unforeseen errors."""
    page = metrics.page()[0].decode()
    return next(
        line for line in page.splitlines() if line.startswith('agb_reconcile_errors_total{reason="Unforeseen"}')
    )


@pytest.fixture
def queue() -> WorkQueue:
    return a_queue()


async def test_an_unforeseen_error_touches_one_session_and_is_counted_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with World() as world:
        for name in ("bad", "good"):
            world.apply(name, sessionId=world.control.add_session(KEY))
            await world.ready("Running", name)
        look = BatchedObserver.observe
        bad = world.session("bad").session_id

        async def observe(self: BatchedObserver, client: Any, session_id: str, **how: Any) -> Observation:
            if session_id == bad:
                raise RuntimeError("a bug")
            return await look(self, client, session_id, **how)

        monkeypatch.setattr(BatchedObserver, "observe", observe)
        world.patch("bad", paused=True)
        world.patch("good", paused=True)
        await world.ready("Paused", "good")
        assert not errors(world.operator.parts.metrics).endswith(" 0.0")
        assert "ml/bad: a pass ended in an unforeseen way" in caplog.text
        monkeypatch.undo()
        await world.ready("Paused", "bad", within=400)


async def test_a_pass_that_hangs_is_given_up_and_the_other_sessions_are_served_meanwhile(queue: WorkQueue) -> None:
    served: list[ObjectKey] = []

    async def reconcile(key: ObjectKey) -> float | None:
        if key == A and A not in served:
            served.append(A)
            await asyncio.Event().wait()
        served.append(key)
        return None

    metrics = Metrics()
    working = Workers(queue=queue, reconcile=reconcile, count=2, metrics=metrics, on_pass=lambda: None)
    task = asyncio.create_task(working.run())
    queue.add(A)
    queue.add(B)
    await asyncio.sleep(1)
    assert served == [A, B]
    await asyncio.sleep(PASS_DEADLINE + 5)
    assert served == [A, B, A]
    assert errors(metrics).endswith(" 1.0")
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_pass_that_cannot_even_be_given_up_fails_the_probe_although_others_get_on(queue: WorkQueue) -> None:
    over = asyncio.Event()

    async def reconcile(key: ObjectKey) -> float | None:
        while key == A and not over.is_set():  # a pass that cannot be cancelled
            with suppress(asyncio.CancelledError):
                await over.wait()
        return None if key == A else 1.0

    working = Workers(queue=queue, reconcile=reconcile, count=2, metrics=Metrics(), on_pass=lambda: None)
    task = asyncio.create_task(working.run())
    queue.add(A)
    queue.add(B)
    await asyncio.sleep(PASS_DEADLINE)
    assert working.problem() == ""
    await asyncio.sleep(60)
    assert working.problem().startswith("a pass over ml/a has been under way")
    over.set()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_worker_that_crashes_ends_all_of_them(queue: WorkQueue, monkeypatch: pytest.MonkeyPatch) -> None:
    async def reconcile(_: ObjectKey) -> float | None:
        return 1.0

    def add_after(self: WorkQueue, key: ObjectKey, seconds: float) -> None:
        raise RuntimeError(f"a bug: {key} {seconds}")

    monkeypatch.setattr(WorkQueue, "add_after", add_after)
    working = Workers(queue=queue, reconcile=reconcile, count=2, metrics=Metrics(), on_pass=lambda: None)
    queue.add(A)
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(working.run(), 5)
    assert caught.group_contains(RuntimeError, match="a bug")


def a_relist(cluster: FakeCluster, store: Store) -> Relist:
    informer = Informer(
        store=store,
        queue=a_queue(),
        claims=Claims(store=store),
        memory=Memory(clock=loop_time),
        intents=no_schedules(),
        metrics=Metrics(),
        on_activity=lambda: None,
    )
    return Relist(
        cluster=cluster,
        store=store,
        informer=informer,
        namespaces=("ml",),
        interval=300.0,
    )


async def test_what_was_deleted_in_a_gap_of_the_watch_is_found_by_the_next_round() -> None:
    cluster, store = FakeCluster(), Store()
    for name in ("stays", "goes"):
        store.put(AgbSession.from_body(cluster.apply("ml", name, {"sessionId": f"session-{name}"})))
    cluster.delete("ml", "goes")
    cluster.apply("ml", "new", {"sessionId": "session-new"})
    relist = a_relist(cluster, store)
    task = asyncio.create_task(relist.run())
    await asyncio.sleep(299)
    assert ObjectKey("ml", "goes") in {session.key for session in store}
    await asyncio.sleep(2)
    assert sorted(session.key.name for session in store) == ["new", "stays"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_was_deleted_in_a_gap_of_the_watch_is_told_by_its_next_list_at_once() -> None:
    cluster, store = FakeCluster(), Store()
    for name in ("stays", "goes"):
        store.put(AgbSession.from_body(cluster.apply("ml", name, {"sessionId": f"session-{name}"})))
    cluster.delete("ml", "goes")
    cluster.apply("ml", "new", {"sessionId": "session-new"})
    relist = a_relist(cluster, store)
    task = asyncio.create_task(relist.run())
    relist.note_list()
    await asyncio.sleep(1)

    assert [session.key.name for session in store] == ["stays"], "what the list brings is the watch's to tell"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_first_list_costs_no_second_one_since_nothing_can_be_gone_yet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, store = FakeCluster(), Store()
    asked: list[str | None] = []

    async def list_names(namespace: str | None = None) -> dict[tuple[str, str], str]:
        asked.append(namespace)
        return {}

    monkeypatch.setattr(cluster, "list_names", list_names)
    relist = a_relist(cluster, store)
    task = asyncio.create_task(relist.run())
    relist.note_list()
    await asyncio.sleep(1)
    assert asked == []
    store.put(AgbSession.from_body(cluster.apply("ml", "known", {"sessionId": "session-known"})))
    relist.note_list()
    await asyncio.sleep(1)

    assert asked == ["ml"]
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_unforeseen_error_in_a_read_ends_the_part_and_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster, store = FakeCluster(), Store()

    async def read(*_: str) -> dict[str, Any]:
        raise RuntimeError("a bug")

    monkeypatch.setattr(cluster, "read", read)
    relist = a_relist(cluster, store)
    relist.fetch(A)

    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(relist.run(), 5)
    assert caught.group_contains(RuntimeError, match="a bug")
