"""The work queue's promises: no key twice, no key with two workers, nothing lost, first come first served."""

import asyncio
from collections.abc import Collection, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agb_operator.control.queue import WorkQueue
from agb_operator.model.resource import ObjectKey

pytestmark = pytest.mark.looptime

A, B, C = ObjectKey("ml", "a"), ObjectKey("ml", "b"), ObjectKey("ml", "c")


def a_queue(*, workers: int = 100, by_clock: Collection[ObjectKey] = ()) -> WorkQueue:
    """A queue whose keys are all of one credential in their namespace."""
    return WorkQueue(workers=workers, tenant_of=lambda key: (key.namespace, ""), by_clock=by_clock.__contains__)


def now() -> float:
    return asyncio.get_running_loop().time()


async def none_comes(queue: WorkQueue, *, within: float = 1000.0) -> bool:
    """Tell whether no key comes for so long."""
    try:
        async with asyncio.timeout(within):
            await queue.get()
    except TimeoutError:
        return True
    return False


async def test_keys_come_in_the_order_in_which_they_were_added() -> None:
    queue = a_queue()
    for key in (B, A, C):
        queue.add(key)

    assert [await queue.get() for _ in range(3)] == [B, A, C]


CLOCK = [ObjectKey("ml", f"clock-{number}") for number in range(3)]
PEOPLE = [ObjectKey("ml", f"people-{number}") for number in range(6)]


async def test_what_people_have_changed_goes_before_the_clock_and_the_clock_has_one_turn_in_four() -> None:
    queue = a_queue(by_clock=CLOCK)
    for key in (*CLOCK, *PEOPLE):
        queue.add(key)

    came = [await queue.get() for _ in range(9)]

    assert came == [*PEOPLE[:3], CLOCK[0], *PEOPLE[3:], CLOCK[1], CLOCK[2]]


async def test_a_key_that_waits_for_the_clocks_turn_moves_up_when_somebody_changes_it() -> None:
    by_clock = {A, B, C}
    queue = a_queue(by_clock=by_clock)
    for key in (A, B, C):
        queue.add(key)
    by_clock.remove(C)
    queue.add(C)
    queue.add(C)

    assert [await queue.get() for _ in range(3)] == [C, A, B]
    assert queue.depth == 0


async def test_a_key_that_was_added_twice_comes_once() -> None:
    queue = a_queue()
    queue.add(A)
    queue.add(A)

    assert queue.depth == 1
    assert await queue.get() == A
    queue.done(A)
    assert await none_comes(queue)


async def test_a_key_that_was_added_again_keeps_its_place() -> None:
    queue = a_queue()
    for key in (A, B, A):
        queue.add(key)

    assert [await queue.get(), await queue.get()] == [A, B]


async def test_a_key_is_never_with_two_workers() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)

    assert queue.depth == 0
    assert await none_comes(queue)


async def test_a_key_that_was_added_while_a_worker_had_it_comes_once_more() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(A)
    queue.done(A)

    assert await queue.get() == A
    queue.done(A)
    assert await none_comes(queue)


async def test_a_waiting_worker_gets_a_key_at_once() -> None:
    queue = a_queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(5)
    queue.add(A)

    assert await worker == A
    assert now() == 5


async def test_each_of_several_waiting_workers_gets_a_key() -> None:
    queue = a_queue()
    workers = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(1)
    for key in (A, B, C):
        queue.add(key)

    assert [await worker for worker in workers] == [A, B, C]


# Delays


async def test_a_delayed_key_comes_when_its_time_has_come() -> None:
    queue = a_queue()
    queue.add_after(A, 30)

    assert (queue.depth, queue.is_pending(A)) == (0, True)
    assert await queue.get() == A
    assert now() == 30


@pytest.mark.parametrize("delay", [0, -1])
async def test_no_delay_is_at_once(delay: float) -> None:
    queue = a_queue()
    queue.add_after(A, delay)

    assert queue.depth == 1


@pytest.mark.parametrize("delays", [(30, 10), (10, 30)])
async def test_of_two_delays_the_earlier_one_counts(delays: tuple[float, float]) -> None:
    queue = a_queue()
    for delay in delays:
        queue.add_after(A, delay)

    assert await queue.get() == A
    assert now() == 10
    queue.done(A)
    assert await none_comes(queue)


async def test_a_delayed_key_that_is_added_comes_at_once_and_not_a_second_time() -> None:
    queue = a_queue()
    queue.add_after(A, 30)
    queue.add(A)

    assert await queue.get() == A
    assert now() == 0
    queue.done(A)
    assert await none_comes(queue)


async def test_a_delay_for_a_key_that_is_due_changes_nothing() -> None:
    queue = a_queue()
    queue.add(A)
    queue.add_after(A, 30)
    await queue.get()
    queue.done(A)

    assert not queue.is_pending(A)


async def test_a_key_whose_time_comes_while_a_worker_has_it_waits_for_that_worker() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add_after(A, 10)
    await asyncio.sleep(60)
    assert queue.depth == 0
    queue.done(A)

    assert await queue.get() == A
    assert now() == 60


# What is pending


async def test_a_key_is_pending_while_it_waits_is_worked_on_or_is_delayed() -> None:
    queue = a_queue()
    assert not queue.is_pending(A)
    queue.add(A)
    assert queue.is_pending(A)
    await queue.get()
    assert queue.is_pending(A)
    queue.add_after(A, 5)
    queue.done(A)
    assert queue.is_pending(A)
    queue.clear()
    assert not queue.is_pending(A)


async def test_clearing_drops_all_that_waits_and_leaves_the_queue_usable() -> None:
    queue = a_queue()
    queue.add(A)
    await queue.get()
    queue.add(A)
    queue.add(B)
    queue.add_after(C, 5)
    queue.clear()
    queue.done(A)

    assert queue.depth == 0
    assert await none_comes(queue)
    queue.add(A)
    assert await queue.get() == A


# Cancellation


async def test_a_cancelled_worker_leaves_its_turn_to_the_next() -> None:
    queue = a_queue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    first.cancel()
    await asyncio.sleep(1)
    queue.add(A)

    assert await second == A
    assert first.cancelled()


async def test_a_worker_that_is_cancelled_when_its_key_has_just_come_passes_it_on() -> None:
    queue = a_queue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add(A)
    first.cancel()

    assert await second == A
    assert first.cancelled()


async def test_a_key_that_comes_just_after_a_cancellation_goes_to_the_next_worker() -> None:
    queue = a_queue()
    first, second = asyncio.create_task(queue.get()), asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    first.cancel()
    queue.add(A)

    assert await second == A
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_a_key_whose_only_waiting_worker_was_cancelled_is_kept_for_the_next_one() -> None:
    queue = a_queue()
    worker = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    queue.add(A)
    worker.cancel()
    await asyncio.sleep(1)

    assert await queue.get() == A


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["add", "add_after", "cancel", "work", "wait"]), st.sampled_from([A, B, C]), st.integers(0, 5)
    ),
    max_size=60,
)


@given(steps=STEPS)
def test_whatever_happens_no_key_is_lost_and_none_has_two_workers(steps: list[tuple[str, ObjectKey, int]]) -> None:
    """Adds, delays and cancellations in any order: each key is worked on after its last add, by one worker."""
    with asyncio.Runner() as runner:
        runner.run(_any_order(iter(steps)))


async def _any_order(steps: Iterator[tuple[str, ObjectKey, int]]) -> None:
    queue = a_queue()
    added: dict[ObjectKey, int] = {}
    worked: dict[ObjectKey, int] = {}
    active: set[ObjectKey] = set()
    workers: list[asyncio.Task[None]] = []
    progress = asyncio.Event()

    async def work(rounds: int) -> None:
        while True:
            key = await queue.get()
            assert key not in active
            active.add(key)
            worked[key] = added[key]
            try:
                for _ in range(rounds):
                    await asyncio.sleep(0)
            finally:
                active.discard(key)
                queue.done(key)
                progress.set()

    def add(key: ObjectKey) -> None:
        added[key] = added.get(key, 0) + 1

    for what, key, number in steps:
        match what:
            case "add":
                add(key)
                queue.add(key)
            case "add_after":
                add(key)
                queue.add_after(key, number / 1e6)
            case "work":
                workers.append(asyncio.create_task(work(number)))
            case "cancel" if workers:
                workers.pop(number % len(workers)).cancel()
            case _:
                await asyncio.sleep(0)
    workers.append(asyncio.create_task(work(0)))
    async with asyncio.timeout(10):
        while any(queue.is_pending(key) for key in added):
            progress.clear()
            await progress.wait()
    for worker in workers:
        worker.cancel()
    results = await asyncio.gather(*workers, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results)
    assert worked == added


async def test_a_credential_whose_passes_wait_leaves_workers_for_the_others() -> None:
    queue = a_queue(workers=9)
    for number in range(100):
        queue.add(ObjectKey("a", str(number)))
    held = [await queue.get() for _ in range(3)]
    assert await none_comes(queue, within=1.0), "a third is all it gets alone"
    queue.add(ObjectKey("b", "0"))
    assert await queue.get() == ObjectKey("b", "0")
    queue.done(held[0])
    assert (await queue.get()).namespace == "a"


async def test_credentials_are_served_in_turn() -> None:
    queue = a_queue()
    for number in range(5):
        queue.add(ObjectKey("a", str(number)))
    queue.add(ObjectKey("b", "0"))
    assert [(await queue.get()).namespace for _ in range(3)] == ["a", "b", "a"]


async def test_a_worker_that_waits_gets_the_key_once_its_credential_has_a_place_again() -> None:
    queue = a_queue(workers=3)
    queue.add(A)
    queue.add(B)
    assert await queue.get() == A
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(1)
    assert not waiting.done()
    queue.done(A)
    assert await waiting == B
