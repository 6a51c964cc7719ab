"""Looks are served together, by the fewest calls, and never by an answer that is too old. In virtual time."""

import asyncio
import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf

import pytest

from agb_operator.agb.batching import BatchedObserver
from agb_operator.agb.client import Accepted, Listed
from agb_operator.agb.lanes import Lane, caller_lane
from agb_operator.agb.pages import BARREN
from agb_operator.model.errors import AgbError, ApiUnavailable, RequestRefused, Throttled
from agb_operator.model.states import Created, Observation, SessionState, state_of
from simulated import loop_clock, loop_time

pytestmark = pytest.mark.looptime

OURS = {"agb-operator-cluster": "test"}
LONG_AGO = float("-inf")


@dataclass(eq=False)
class ListedAccount:
    """Sessions behind getSession and ListSession; every call takes `latency` seconds and is written down.

    `ours` are the ids that carry our label; `hidden` ones are left out of every list.
    """

    sessions: dict[str, str]
    ours: set[str] = field(default_factory=set)
    hidden: set[str] = field(default_factory=set)
    latency: float = 0.02
    page_size: int = 100
    tells_total: bool = True
    calls: list[str] = field(default_factory=list)
    lanes: dict[str, Lane] = field(default_factory=dict)
    in_flight: int = 0
    most_in_flight: int = 0
    allows: Callable[[], float] = lambda: inf
    on_list: Callable[[str], AgbError | None] = lambda token: None
    on_get: Callable[[str], AgbError | None] = lambda session_id: None

    async def _take_time(self) -> None:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
        finally:
            self.in_flight -= 1

    def witness(self, subject: str) -> str:
        return ""

    async def observe(self, session_id: str) -> Observation:
        self.calls.append("get")
        self.lanes[session_id] = caller_lane.get()
        taken_at, status = loop_time(), self.sessions.get(session_id, "")
        await self._take_time()
        if error := self.on_get(session_id):
            raise error
        state = state_of(status) if session_id in self.sessions else SessionState.NOT_FOUND
        return Observation(session_id=session_id, status=status, state=state, taken_at=taken_at)

    async def list_page(self, *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100) -> Listed:
        self.calls.append("own" if labels else "all")
        taken_at = loop_time()
        rows = [
            Observation(session_id=session_id, status=status, state=state_of(status), taken_at=taken_at, listed=True)
            for session_id, status in self.sessions.items()
            if session_id not in self.hidden and (not labels or session_id in self.ours)
        ]
        await self._take_time()
        if error := self.on_list(token):
            raise error
        start = int(token or 0)
        end = start + min(size, self.page_size)
        return Listed(
            sessions=rows[start:end],
            next_token=str(end) if end < len(rows) else "",
            total=len(rows) if self.tells_total else None,
        )

    async def create(self, *, image_id: str, labels: Mapping[str, str]) -> Created:
        raise NotImplementedError

    async def pause(self, session_id: str) -> Accepted:
        raise NotImplementedError

    async def resume(self, session_id: str) -> Accepted:
        raise NotImplementedError

    async def release(self, session_id: str) -> Accepted:
        raise NotImplementedError

    async def set_labels(self, session_id: str, labels: Mapping[str, str]) -> Accepted:
        raise NotImplementedError

    async def get_labels(self, session_id: str) -> Mapping[str, str]:
        raise NotImplementedError


def account_of(number: int, **details: object) -> ListedAccount:
    return ListedAccount(dict.fromkeys(ids(number), "RUNNING"), **details)  # type: ignore[arg-type]


def ids(number: int, *, start: int = 0) -> list[str]:
    return [f"s{index}" for index in range(start, start + number)]


def observer() -> BatchedObserver:
    return BatchedObserver(own_labels=OURS, clock=loop_clock())


async def looks(
    observer: BatchedObserver,
    client: ListedAccount,
    session_ids: Sequence[str],
    *,
    not_before: float = LONG_AGO,
    labelled: bool = False,
) -> list[Observation]:
    return await asyncio.gather(
        *(observer.observe(client, each, not_before=not_before, labelled=labelled) for each in session_ids)
    )


# --- fewest calls ----------------------------------------------------------------------------------------------


async def test_one_look_among_thousands_is_one_call() -> None:
    client, watcher = account_of(5000), observer()
    [seen] = await looks(watcher, client, ["s77"])
    assert (seen.session_id, seen.state, seen.listed) == ("s77", SessionState.RUNNING, False)
    assert client.calls == ["get"]


async def test_thousands_of_looks_at_once_are_as_many_calls_as_pages() -> None:
    client, watcher = account_of(2000), observer()
    seen = await looks(watcher, client, ids(2000))
    assert [each.session_id for each in seen] == ids(2000)
    assert client.calls == ["all"] * 20


async def test_fewer_looks_than_pages_are_made_one_by_one_and_at_once() -> None:
    client, watcher = account_of(2000), observer()
    await looks(watcher, client, ids(2000))
    client.calls.clear()
    await asyncio.sleep(10)
    client.most_in_flight = 0
    await looks(watcher, client, ids(15))
    assert client.calls == ["get"] * 15
    assert client.most_in_flight == 15


async def test_before_the_number_of_pages_is_known_at_most_one_page_is_wasted() -> None:
    client, watcher = account_of(5000), observer()
    await looks(watcher, client, ids(10, start=4000))
    assert sorted(client.calls) == ["all"] + ["get"] * 10


async def test_several_who_look_at_one_session_share_a_call() -> None:
    client, watcher = account_of(1), observer()
    seen = await asyncio.gather(*(looks(watcher, client, ["s0"]) for _ in range(1)), looks(watcher, client, ["s0"]))
    assert [each.state for [each] in seen] == [SessionState.RUNNING] * 2
    assert len(client.calls) == 1


async def test_a_look_is_peoples_if_one_of_those_who_share_it_is_whoever_came_first() -> None:
    account, looks = account_of(4000), observer()

    async def ask(session_id: str, lane: Lane) -> None:
        caller_lane.set(lane)
        await looks.observe(account, session_id, not_before=LONG_AGO, labelled=False)

    await looks.observe_all(account, dict.fromkeys(account.sessions, False))
    await asyncio.sleep(10)
    asked = [("s1", Lane.CLOCK), ("s2", Lane.CLOCK), ("s2", Lane.PEOPLE), ("s3", Lane.PEOPLE)]
    await asyncio.gather(*(ask(session_id, lane) for session_id, lane in asked))
    assert account.lanes == {"s1": Lane.CLOCK, "s2": Lane.PEOPLE, "s3": Lane.PEOPLE}


async def test_peoples_looks_do_not_wait_behind_the_clocks() -> None:
    account, looks = account_of(5_000, latency=1.0), observer()
    await looks.observe_all(account, dict.fromkeys(account.sessions, False))

    async def ask(session_id: str, lane: Lane) -> None:
        caller_lane.set(lane)
        await looks.observe(account, session_id, not_before=LONG_AGO, labelled=False)

    await asyncio.sleep(10)
    at_eight = [asyncio.create_task(ask(f"s{number}", Lane.CLOCK)) for number in range(40)]
    await asyncio.sleep(0.1)
    started = loop_time()
    await ask("s99", Lane.PEOPLE)
    assert loop_time() - started < 1.1
    await asyncio.gather(*at_eight)


async def test_pages_smaller_than_asked_for_are_counted_as_they_are() -> None:
    client, watcher = account_of(400, page_size=10), observer()
    await looks(watcher, client, ids(30, start=370))
    assert sorted(set(client.calls)) == ["all", "get"]
    assert len(client.calls) == 31, "forty pages are more calls than thirty looks, as the first page shows"


async def test_a_service_that_tells_no_total_is_walked_to_its_end() -> None:
    client, watcher = account_of(1000, tells_total=False), observer()
    await looks(watcher, client, ids(1000))
    assert client.calls == ["all"] * 10


@pytest.mark.fleet
async def test_looks_that_trickle_in_cost_no_more_than_a_walk_each_time_its_answers_are_too_old() -> None:
    """2,000 sessions looked at twice, 200 a second: far below one call for ten looks."""
    client, watcher = account_of(2000), observer()
    started = loop_time()

    async def look_later(number: int) -> None:
        await asyncio.sleep(number / 200)
        [seen] = await looks(watcher, client, [f"s{number % 2000}"], not_before=loop_time() - 2.0)
        assert seen.taken_at >= loop_time() - 2.5

    await asyncio.gather(*(look_later(number) for number in range(4000)))
    assert loop_time() - started > 19
    assert len(client.calls) <= 400


async def test_a_few_workers_looking_at_thousands_one_after_the_other_share_walks() -> None:
    client, watcher = account_of(2000), observer()
    todo = ids(2000)

    async def worker() -> None:
        while todo:
            await looks(watcher, client, [todo.pop()])

    await asyncio.gather(*(worker() for _ in range(30)))
    assert len(client.calls) <= 60


# --- the label filter ------------------------------------------------------------------------------------------


async def test_our_sessions_are_walked_by_their_label_past_all_the_others() -> None:
    client, watcher = account_of(5000), observer()
    client.ours = set(ids(200, start=4000))
    seen = await looks(watcher, client, ids(200, start=4000), labelled=True)
    assert len(seen) == 200
    assert client.calls == ["own", "own"]


async def test_one_walk_over_all_serves_both_groups_when_that_is_cheaper() -> None:
    client, watcher = account_of(400), observer()
    client.ours = set(ids(390))
    everything = {session_id: session_id in client.ours for session_id in ids(400)}
    await watcher.observe_all(client, everything)
    await asyncio.sleep(10)
    client.calls.clear()
    await watcher.observe_all(client, everything)
    assert client.calls == ["all"] * 4


async def test_two_walks_are_made_when_ours_are_few_and_the_others_fewer() -> None:
    client, watcher = account_of(4000), observer()
    client.ours = set(ids(100))
    await watcher.observe_all(client, {**dict.fromkeys(ids(100), True), **dict.fromkeys(ids(4000)[100:], False)})
    await asyncio.sleep(10)
    await watcher.observe_all(client, dict.fromkeys(ids(100), True))
    await asyncio.sleep(10)
    client.calls.clear()
    await watcher.observe_all(client, {**dict.fromkeys(ids(100), True), "s3000": False, "s3001": False})
    assert sorted(client.calls) == ["get", "get", "own"]


# --- how old an answer may be ----------------------------------------------------------------------------------


async def test_no_answer_is_older_than_the_last_call_for_the_session() -> None:
    client, watcher = account_of(300), observer()
    await looks(watcher, client, ids(300))
    called_at = loop_time()
    client.sessions["s5"] = "PAUSING"
    seen = await looks(watcher, client, ids(300), not_before=called_at)
    assert seen[5].state == SessionState.PAUSING
    assert all(each.taken_at >= called_at for each in seen)


async def test_a_page_asked_for_before_the_last_call_does_not_answer() -> None:
    client, watcher = account_of(1000, latency=1.0), observer()
    first = asyncio.create_task(looks(watcher, client, ids(1000)))
    await asyncio.sleep(0.5)  # the first page is under way, and says that s5 is running
    client.sessions["s5"] = "PAUSING"
    [seen] = await looks(watcher, client, ["s5"], not_before=loop_time())
    assert seen.state == SessionState.PAUSING
    assert (await first)[5].state == SessionState.RUNNING


async def test_many_who_come_during_a_walk_join_it_and_are_served_by_its_next_lap() -> None:
    client, watcher = account_of(1000, latency=0.1), observer()
    first = asyncio.create_task(looks(watcher, client, ids(1000)))
    await asyncio.sleep(0.55)
    called_at = loop_time()
    client.sessions = dict.fromkeys(ids(1000), "PAUSING")
    seen = await looks(watcher, client, ids(600), not_before=called_at)  # the page of the last hundred is under way
    assert {each.state for each in seen} == {SessionState.PAUSING}
    await first
    assert client.calls == ["all"] * 16, "the rest of the first lap, and the next one as far as somebody needs it"


@pytest.mark.fleet
async def test_a_single_look_does_not_wait_behind_a_long_walk() -> None:
    client, watcher = account_of(10_000, latency=0.1), observer()
    walk = asyncio.create_task(watcher.observe_all(client, dict.fromkeys(ids(10_000), False)))
    await asyncio.sleep(1.05)
    asked_at = loop_time()
    await looks(watcher, client, ["s9999"])
    assert loop_time() - asked_at < 0.2
    assert len(await walk) == 10_000
    assert client.calls.count("all") == 100
    assert client.calls.count("get") == 1


async def test_a_sweep_answers_with_nothing_from_before_it_began() -> None:
    client, watcher = account_of(500), observer()
    await looks(watcher, client, ids(500))
    began = loop_time()
    seen = await watcher.observe_all(client, dict.fromkeys(ids(500), False))
    assert all(each.taken_at >= began for each in seen.values())


async def test_a_few_who_look_while_a_walk_goes_on_see_what_is() -> None:
    client, watcher = account_of(2000), observer()
    walk = asyncio.create_task(watcher.observe_all(client, dict.fromkeys(ids(2000), False)))
    await asyncio.sleep(0.2)
    client.sessions["s5"] = "PAUSED"  # its page has been read
    [seen] = await looks(watcher, client, ["s5"])
    assert seen.state == SessionState.PAUSED
    await walk
    assert client.calls.count("get") == 1


async def test_after_a_while_a_walk_is_forgotten() -> None:
    client, watcher = account_of(200), observer()
    await looks(watcher, client, ids(200))
    await asyncio.sleep(6)
    client.sessions["s5"] = "PAUSED"
    [seen] = await looks(watcher, client, ["s5"])
    assert seen.state == SessionState.PAUSED


# --- what a list leaves out ------------------------------------------------------------------------------------


async def test_what_is_missing_from_the_list_is_looked_at_by_itself() -> None:
    client, watcher = account_of(300), observer()
    client.hidden = {"s7", "s8"}
    del client.sessions["s9"]
    seen = await looks(watcher, client, ids(300))
    assert [seen[index].state for index in (7, 8, 9)] == [
        SessionState.RUNNING,
        SessionState.RUNNING,
        SessionState.NOT_FOUND,
    ]
    assert client.calls == ["all"] * 3 + ["get"] * 3


async def test_an_empty_list_loses_nobody() -> None:
    client, watcher = account_of(50), observer()
    client.hidden = set(ids(50))
    seen = await watcher.observe_all(client, dict.fromkeys(ids(50), False))
    assert {each.state for each in seen.values()} == {SessionState.RUNNING}
    assert client.most_in_flight <= 16


async def test_a_list_that_repeats_itself_comes_to_an_end() -> None:
    client, watcher = account_of(300), observer()
    honest = client.list_page

    async def first_page_for_ever(
        *, labels: Mapping[str, str] | None = None, token: str = "", size: int = 100
    ) -> Listed:
        page = await honest(labels=labels, size=size)
        return Listed(sessions=page.sessions, next_token=f"{token}+", total=page.total)

    client.list_page = first_page_for_ever  # type: ignore[method-assign]
    seen = await looks(watcher, client, ids(300))
    assert len(seen) == 300
    assert client.calls.count("all") == 1 + BARREN


async def test_a_page_that_shrinks_while_it_is_walked_loses_nobody() -> None:
    """Sessions released in the middle move the others forward, so that some are on no page that was read."""
    client, watcher = account_of(500, latency=0.1), observer()
    walk = asyncio.create_task(looks(watcher, client, ids(500)))
    await asyncio.sleep(0.25)
    for gone in ids(50):
        del client.sessions[gone]
    seen = await walk
    assert {each.state for each in seen} == {SessionState.RUNNING}


# --- failures --------------------------------------------------------------------------------------------------


async def test_a_token_that_goes_bad_on_the_way_leads_to_single_looks() -> None:
    client, watcher = account_of(300), observer()
    client.on_list = lambda token: RequestRefused("bad token", code="InvalidParameter") if token == "100" else None
    seen = await looks(watcher, client, ids(300))
    assert len(seen) == 300
    assert client.calls.count("all") == 2
    assert client.calls.count("get") == 200
    assert client.most_in_flight <= 16


@pytest.mark.parametrize(
    "error",
    [ApiUnavailable("gone"), Throttled("slow down", retry_after=9.0)],
    ids=["unavailable", "throttled"],
)
async def test_a_failing_list_fails_those_who_wait_instead_of_multiplying_the_calls(error: AgbError) -> None:
    client, watcher = account_of(300), observer()
    client.on_list = lambda token: error if token == "100" else None
    results = await asyncio.gather(
        *(watcher.observe(client, each, not_before=LONG_AGO, labelled=False) for each in ids(300)),
        return_exceptions=True,
    )
    served = [result for result in results if isinstance(result, Observation)]
    failed = [result for result in results if isinstance(result, AgbError)]
    assert (len(served), len(failed)) == (100, 200)
    assert {(type(each), each.message) for each in failed} == {(type(error), error.message)}
    assert len({id(each) for each in failed}) == 200, "each has an exception of its own"
    assert client.calls == ["all", "all"]
    if isinstance(error, Throttled):
        assert {each.retry_after for each in failed if isinstance(each, Throttled)} == {9.0}


async def test_after_a_failed_walk_the_next_looks_start_a_new_one() -> None:
    client, watcher = account_of(300), observer()
    client.on_list = lambda token: ApiUnavailable("gone")
    await asyncio.gather(looks(watcher, client, ids(300)), return_exceptions=True)
    client.on_list = lambda token: None
    assert len(await looks(watcher, client, ids(300))) == 300


async def test_a_look_that_fails_fails_for_those_who_asked_for_it_alone() -> None:
    client, watcher = account_of(3000), observer()
    await looks(watcher, client, ids(3000))
    await asyncio.sleep(10)
    client.on_get = lambda session_id: ApiUnavailable("gone") if session_id == "s1" else None
    results = await asyncio.gather(
        *(watcher.observe(client, each, not_before=LONG_AGO, labelled=False) for each in ids(3)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [Observation, ApiUnavailable, Observation]


async def test_a_bug_in_a_walk_hangs_nobody() -> None:
    client, watcher = account_of(300), observer()

    def burst(token: str) -> AgbError | None:
        raise ZeroDivisionError

    client.on_list = burst
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    results = await asyncio.gather(
        *(watcher.observe(client, each, not_before=LONG_AGO, labelled=False) for each in ids(300)),
        return_exceptions=True,
    )
    assert {type(result) for result in results} == {ZeroDivisionError}
    gc.collect()


@pytest.mark.parametrize("after", [0.001, 0.01, 0.03, 0.05])
@pytest.mark.parametrize("number", [1, 300])
async def test_cancelling_one_look_leaves_the_others_unharmed(after: float, number: int) -> None:
    client, watcher = account_of(300), observer()
    tasks = [
        asyncio.create_task(watcher.observe(client, "s0", not_before=LONG_AGO, labelled=False)) for _ in range(2)
    ] + [
        asyncio.create_task(watcher.observe(client, each, not_before=LONG_AGO, labelled=False)) for each in ids(number)
    ]
    await asyncio.sleep(after)
    was_done = tasks[0].done()
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError) != was_done
    assert all(isinstance(result, Observation) for result in results[1:])


async def test_when_all_give_up_a_walk_stops() -> None:
    client, watcher = account_of(10_000, latency=0.1), observer()
    walk = asyncio.create_task(watcher.observe_all(client, dict.fromkeys(ids(10_000), False)))
    await asyncio.sleep(0.55)
    walk.cancel()
    await asyncio.wait([walk])
    await asyncio.sleep(100)
    assert len(client.calls) == 6


async def test_a_sweep_leaves_out_what_could_not_be_seen() -> None:
    client, watcher = account_of(100), observer()
    client.hidden = {"s1", "s2"}
    client.on_get = lambda session_id: ApiUnavailable("gone") if session_id == "s1" else None
    seen = await watcher.observe_all(client, dict.fromkeys(ids(100), False))
    assert sorted(set(ids(100)) - set(seen)) == ["s1"]


async def test_a_sweep_that_saw_next_to_nothing_fails() -> None:
    client, watcher = account_of(1000), observer()
    client.on_list = lambda token: ApiUnavailable("gone") if token else None
    with pytest.raises(ApiUnavailable, match="gone"):
        await watcher.observe_all(client, dict.fromkeys(ids(1000), False))


async def test_a_sweep_of_nothing_is_no_call() -> None:
    client, watcher = account_of(100), observer()
    assert await watcher.observe_all(client, {}) == {}
    assert client.calls == []


async def test_an_answer_of_the_tick_in_which_the_last_call_ended_does_not_count() -> None:
    client, watcher = account_of(200), observer()
    before = (await looks(watcher, client, ids(200)))[150]
    [after] = await looks(watcher, client, ["s150"], not_before=before.taken_at)
    assert after.taken_at > before.taken_at


async def test_a_page_asked_for_in_that_tick_does_not_serve_who_waits_for_a_walk_either() -> None:
    client, watcher = account_of(300), observer()
    late: list[asyncio.Task[list[Observation]]] = []
    ended: list[float] = []

    def call_ends(token: str) -> AgbError | None:
        if token == "100":  # its answer is here, and the next page is asked for in this very tick
            ended.append(loop_time())
            late.append(asyncio.create_task(looks(watcher, client, ids(100, start=200), not_before=loop_time())))
        return None

    client.on_list = call_ends
    await looks(watcher, client, ids(300))
    assert all(seen.taken_at > ended[0] for seen in await late[0])


async def test_accounts_do_not_mix_and_are_forgotten_with_their_client() -> None:
    watcher = observer()
    mine, theirs = account_of(200), account_of(200)
    theirs.sessions = dict.fromkeys(ids(200), "PAUSED")
    seen_of_mine, seen_of_theirs = await asyncio.gather(
        looks(watcher, mine, ids(200)), looks(watcher, theirs, ids(200))
    )
    assert {each.state for each in seen_of_mine} == {SessionState.RUNNING}
    assert {each.state for each in seen_of_theirs} == {SessionState.PAUSED}
    assert len(watcher._batchers) == 2
    del mine
    gc.collect()
    assert len(watcher._batchers) == 1
