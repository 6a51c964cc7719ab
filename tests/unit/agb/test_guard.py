"""The guard around an account: who waits, who is sent away, and how many calls reach the API. In virtual time."""

import asyncio
import itertools
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from agb_operator.agb.bucket import TokenBucket
from agb_operator.agb.client import SessionClient
from agb_operator.agb.guard import Guard, Guards
from agb_operator.agb.lanes import Lane, caller_lane
from agb_operator.agb.replies import Call, Reply, read_reply
from agb_operator.agb.requests import Request, client_over
from agb_operator.model.clock import Clock
from agb_operator.model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsRejected,
    EndpointUnreachable,
    IllegalState,
    NotLeading,
    Throttled,
)
from agb_operator.model.states import Observation
from simulated import loop_time

pytestmark = pytest.mark.looptime

REFUSED = CredentialsRejected("AGB refuses the API key", http_status=401)
DEAD = EndpointUnreachable("cannot connect to the AGB endpoint")
FAILS = ApiUnavailable("AGB failed to serve the call", http_status=503)
FORBIDDEN = CredentialsRejected("AGB refuses the API key", http_status=403, code="AccessDenied")


@dataclass
class ScriptedApi:
    """Answers every request by `answer`, after `latency` seconds, and writes down when it came and what it was."""

    answer: AgbError | Callable[[], AgbError | None] | None = None
    latency: float = 0.1
    called_at: list[float] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    async def send(self, request: Request) -> Reply:
        self.called_at.append(loop_time())
        self.calls.append(request.call)
        await asyncio.sleep(self.latency)
        error = self.answer() if callable(self.answer) else self.answer
        if error is not None:
            raise error
        data: object = (
            [] if request.call is Call.LIST else {"status": "RUNNING", "sessionId": request.session_id or "new"}
        )
        return read_reply(status=200, body=json.dumps({"success": True, "data": data}).encode())


@dataclass
class Watched:
    """Guards with chance in our hands, and what they make known."""

    most: float = 1000.0
    random: float = 0.0
    throttled: int = 0

    def __post_init__(self) -> None:
        self.guards = Guards(most=self.most, clock=clock(lambda: self.random), on_throttled=self._count)
        self.made: list[Guard] = []

    def _count(self) -> None:
        self.throttled += 1

    def guard(self, api: ScriptedApi, *, namespace: str = "ml") -> SessionClient:
        guard = self.guards.new(f"key {len(self.made)}")
        guard.bucket.key.per_second = self.most  # as it has become in use
        guard.standing.namespaces |= {namespace}
        self.made.append(guard)
        return client_over(guard.around(api.send))

    @property
    def open(self) -> list[str]:
        """What is held back at present."""
        known = [guard.standing for guard in self.made]
        kinds = ["key"] * sum(standing.key.open_since is not None for standing in known)
        kinds += ["account"] * sum(standing.account.open_since is not None for standing in known)
        return kinds + ["endpoint"] * self.guards.endpoint.is_dead


def clock(jitter: Callable[[], float] = lambda: 0.0) -> Clock:
    return Clock(now=loop_time, wall=lambda: datetime.now(UTC), jitter=jitter)


def bucket_of(*, most: float) -> TokenBucket:
    return TokenBucket(most=most, clock=clock())


def gaps_between(times: list[float]) -> list[float]:
    return [later - earlier for earlier, later in itertools.pairwise(times)]


async def outcomes(*calls: Coroutine[Any, Any, object]) -> list[object]:
    return await asyncio.gather(*calls, return_exceptions=True)


async def test_every_request_passes_the_guard_as_it_is() -> None:
    api = ScriptedApi()
    client = Watched().guard(api)
    await client.observe("s")
    await client.list_page(labels={"a": "b"}, token="T", size=7)
    await client.create(image_id="i", labels={"a": "b"})
    await client.pause("p")
    await client.resume("r")
    await client.release("x")
    await client.set_labels("l", {"a": "b"})
    await client.get_labels("g")
    assert api.calls == [
        Call.GET, Call.LIST, Call.CREATE, Call.PAUSE, Call.RESUME, Call.RELEASE, Call.SET_LABELS, Call.GET_LABELS,
    ]  # fmt: skip


# --- token bucket ----------------------------------------------------------------------------------------------


async def test_a_bucket_lets_its_rate_through() -> None:
    bucket = bucket_of(most=10)
    started, times = loop_time(), []
    for _ in range(25):
        await bucket.take(Call.GET, Lane.PEOPLE)
        times.append(loop_time() - started)
    assert times[0] == 0
    assert times[24] == pytest.approx(2.4, abs=0.01)


async def test_callers_get_through_in_the_order_they_came() -> None:
    bucket = bucket_of(most=10)
    order = []

    async def caller(number: int) -> None:
        await bucket.take(Call.GET, Lane.PEOPLE)
        order.append(number)

    await asyncio.gather(*(caller(number) for number in range(50)))
    assert order == list(range(50))


async def test_a_page_waits_behind_thirty_one_others_and_no_more() -> None:
    bucket = bucket_of(most=10)
    order: list[str] = []

    async def caller(name: str, lane: Lane = Lane.PEOPLE) -> None:
        await bucket.take(Call.GET, lane)
        order.append(name)

    await bucket.take(Call.GET, Lane.PEOPLE)
    many = [caller(str(number)) for number in range(70)]
    await asyncio.gather(*many, *(caller(f"page {number}", Lane.PAGES) for number in range(4)))
    assert [place for place, name in enumerate(order) if name.startswith("page")] == [31, 63, 72, 73]
    assert order[72:] == ["page 2", "page 3"], "once nobody else waits, every turn is theirs"


async def take_turn(bucket: TokenBucket, lane: Lane, order: list[Lane]) -> None:
    await bucket.take(Call.GET, lane)
    order.append(lane)


async def test_the_clock_gets_one_turn_in_four_while_people_wait_and_all_of_them_afterwards() -> None:
    bucket = bucket_of(most=10)
    order: list[Lane] = []
    await bucket.take(Call.GET, Lane.PEOPLE)
    by_the_clock = [asyncio.create_task(take_turn(bucket, Lane.CLOCK, order)) for _ in range(100)]
    await asyncio.sleep(0)
    await asyncio.gather(*(take_turn(bucket, Lane.PEOPLE, order) for _ in range(30)))
    assert order.count(Lane.CLOCK) == pytest.approx(30 / 3, abs=1)
    assert {order[start : start + 4].count(Lane.CLOCK) for start in range(0, 36, 4)} == {1}
    await asyncio.gather(*by_the_clock)


async def test_a_page_gets_its_turn_while_the_clock_and_people_wait() -> None:
    bucket = bucket_of(most=10)
    order: list[Lane] = []
    await bucket.take(Call.GET, Lane.PEOPLE)
    lanes = [Lane.CLOCK] * 40 + [Lane.PEOPLE] * 80 + [Lane.PAGES] * 2
    await asyncio.gather(*(take_turn(bucket, lane, order) for lane in lanes))
    assert [place for place, lane in enumerate(order) if lane is Lane.PAGES] == [31, 63]


async def test_what_the_clock_causes_is_called_after_what_people_cause() -> None:
    api = ScriptedApi()
    client = Watched(most=10).guard(api)
    await client.observe("first")
    ended: list[str] = []

    async def call(name: str, lane: Lane) -> None:
        caller_lane.set(lane)
        await client.pause(name)
        ended.append(name)

    at_eight = [asyncio.create_task(call("clock", Lane.CLOCK)) for _ in range(20)]
    await asyncio.sleep(0)
    people = [asyncio.create_task(call("people", Lane.PEOPLE)) for _ in range(6)]
    await asyncio.gather(*at_eight, *people)
    assert ended[:9].count("people") == 6


async def test_a_page_of_a_list_does_not_wait_behind_all_other_calls() -> None:
    client = Watched(most=10).guard(ScriptedApi())
    await client.observe("first")
    calls = [asyncio.create_task(client.pause(str(number))) for number in range(50)]
    await asyncio.sleep(0)
    started = loop_time()
    await client.list_page()
    assert loop_time() - started < 3.5, "behind some calls, not behind all fifty"
    await asyncio.gather(*calls)


async def test_a_caller_that_gives_up_takes_nobody_elses_turn() -> None:
    bucket = bucket_of(most=1)
    await bucket.take(Call.GET, Lane.PEOPLE)
    impatient = asyncio.create_task(bucket.take(Call.GET, Lane.PEOPLE))
    patient = asyncio.create_task(bucket.take(Call.GET, Lane.PEOPLE))
    await asyncio.sleep(0.5)
    impatient.cancel()
    started = loop_time()
    await patient
    assert loop_time() - started == pytest.approx(0.5, abs=0.01)


async def test_a_turn_given_to_a_caller_that_is_cancelled_at_that_moment_goes_to_the_next() -> None:
    bucket = bucket_of(most=1)
    await bucket.take(Call.GET, Lane.PEOPLE)
    impatient = asyncio.create_task(bucket.take(Call.GET, Lane.PEOPLE))
    patient = asyncio.create_task(bucket.take(Call.GET, Lane.PEOPLE))
    await asyncio.sleep(0)
    # The loop runs this right after the bucket's own timer, and so before the first in line wakes up.
    asyncio.get_running_loop().call_at(loop_time() + 1.0 + 1e-10, impatient.cancel)
    await asyncio.wait_for(patient, timeout=1.5)
    with pytest.raises(asyncio.CancelledError):
        await impatient


async def test_an_idle_bucket_saves_up_next_to_nothing() -> None:
    bucket = bucket_of(most=10)
    await asyncio.sleep(3600)
    started = loop_time()
    for _ in range(11):
        await bucket.take(Call.GET, Lane.PEOPLE)
    assert loop_time() - started == pytest.approx(1.0, abs=0.01)


# --- throttling ------------------------------------------------------------------------------------------------


async def test_a_retry_after_holds_that_kind_of_call() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=Throttled("slow down", retry_after=20.0))
    client = watched.guard(guarded)
    with pytest.raises(Throttled):
        await client.create(image_id="i", labels={})
    guarded.answer = None
    await client.pause("b")
    with pytest.raises(Throttled) as caught:
        await client.create(image_id="i", labels={})
    assert caught.value.retry_after == pytest.approx(19.9)
    await asyncio.sleep(20.0)
    await client.create(image_id="i", labels={})
    assert guarded.calls == [Call.CREATE, Call.PAUSE, Call.CREATE]
    assert watched.throttled == 1


@pytest.mark.parametrize(("apart", "held"), [(9.0, True), (11.0, False)])
async def test_two_kinds_that_are_refused_within_ten_seconds_hold_the_key(apart: float, held: bool) -> None:
    guarded = ScriptedApi(answer=Throttled("slow down", retry_after=20.0), latency=0.0)
    client = Watched().guard(guarded)
    await outcomes(client.create(image_id="i", labels={}))
    await asyncio.sleep(apart)
    await outcomes(client.pause("a"))
    guarded.answer = None
    [outcome] = await outcomes(client.observe("b"))
    assert isinstance(outcome, Throttled) is held
    await asyncio.sleep(20.0)
    await client.observe("b")


async def test_those_who_wait_for_another_kind_of_call_are_not_sent_away() -> None:
    guarded = ScriptedApi(latency=0.01)
    guarded.answer = lambda: Throttled("slow down", retry_after=60.0) if guarded.calls[-1] is Call.CREATE else None
    client = Watched(most=10).guard(guarded)
    creates = outcomes(*(client.create(image_id="i", labels={}) for _ in range(5)))
    pauses = outcomes(*(client.pause(f"s{number}") for number in range(20)))
    refused, paused = await asyncio.gather(creates, pauses)
    assert loop_time() < 2.6
    assert all(isinstance(outcome, Throttled) for outcome in refused)
    assert not any(isinstance(outcome, Throttled) for outcome in paused)
    assert guarded.calls.count(Call.CREATE) == 1


async def test_another_key_is_not_held_up() -> None:
    watched = Watched()
    with pytest.raises(Throttled):
        await watched.guard(ScriptedApi(answer=Throttled("slow down", retry_after=20.0))).pause("a")
    await watched.guard(ScriptedApi()).pause("b")


async def test_a_short_retry_after_is_sat_out_and_the_call_sent_again() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: Throttled("slow down", retry_after=2.0) if loop_time() < 1 else None)
    await watched.guard(guarded).pause("a")
    assert guarded.called_at == pytest.approx([0.0, 2.1], abs=0.01)
    assert watched.throttled == 1


async def test_a_call_that_is_throttled_again_and_again_is_given_back() -> None:
    guarded = ScriptedApi(answer=lambda: Throttled("slow down", retry_after=1.0))
    with pytest.raises(Throttled) as caught:
        await Watched().guard(guarded).pause("a")
    assert caught.value.retry_after == pytest.approx(1.0)
    assert len(guarded.calls) == 3


async def test_nothing_but_a_throttled_call_is_sent_again() -> None:
    for error in (DEAD, REFUSED, IllegalState("not now", http_status=409)):
        guarded = ScriptedApi(answer=error)
        with pytest.raises(type(error)):
            await Watched().guard(guarded).pause("a")
        assert guarded.calls == [Call.PAUSE]


async def test_those_who_wait_already_are_sent_away_when_a_long_retry_after_comes() -> None:
    watched = Watched(most=1)
    guarded = ScriptedApi(answer=lambda: Throttled("slow down", retry_after=60.0))
    client = watched.guard(guarded)
    results = await outcomes(*(client.observe(f"s{number}") for number in range(20)))
    assert all(isinstance(result, Throttled) and result.retry_after for result in results)
    assert len(guarded.calls) == 1
    assert loop_time() < 5


async def test_without_a_time_the_breaks_grow_and_are_jittered() -> None:
    guarded = ScriptedApi(answer=lambda: Throttled("slow down"), latency=0.0)
    client = Watched(random=0.5).guard(guarded)
    while len(guarded.calls) < 12:
        [result] = await outcomes(client.observe("s"))
        assert isinstance(result, Throttled)
        assert result.retry_after is not None
        await asyncio.sleep(result.retry_after)
    gaps = gaps_between(guarded.called_at)
    assert gaps[:7] == pytest.approx([0.5, 1, 2, 4, 8, 16, 30], abs=0.01)
    assert max(gaps) == pytest.approx(30.0, abs=0.01)


async def test_calls_that_left_before_the_break_do_not_prolong_it() -> None:
    guarded = ScriptedApi(latency=0.0)
    client = Watched(random=1.0).guard(guarded)
    await client.observe("s")
    guarded.latency = 0.5
    guarded.answer = lambda: Throttled("slow down") if loop_time() < 1 else None
    await asyncio.gather(*(client.observe(f"s{number}") for number in range(50)))
    assert len(guarded.calls) == 1 + 50 + 50
    assert guarded.called_at[51] == pytest.approx(1.5, abs=0.01)


async def test_success_makes_the_next_break_short_again() -> None:
    guarded = ScriptedApi(answer=lambda: Throttled("slow down"), latency=0.0)
    client = Watched(random=1.0).guard(guarded)
    await outcomes(client.observe("s"))
    guarded.answer = None
    await asyncio.sleep(10)
    await client.observe("s")
    guarded.answer = lambda: Throttled("slow down") if len(guarded.calls) == 5 else None
    await client.observe("s")
    assert guarded.called_at[5] - guarded.called_at[4] == pytest.approx(1.0)


async def test_after_a_break_the_key_starts_with_one_call_and_not_with_a_burst() -> None:
    guarded = ScriptedApi(latency=0.0)
    guarded.answer = lambda: Throttled("slow down", retry_after=2.0) if len(guarded.calls) == 1 else None
    client = Watched(most=10).guard(guarded)
    await asyncio.gather(*(client.observe(f"s{number}") for number in range(11)))
    assert guarded.called_at[1] == pytest.approx(2.0)
    assert guarded.called_at[-1] == pytest.approx(3.0)


async def test_a_retry_after_of_years_is_not_believed() -> None:
    guarded = ScriptedApi(answer=Throttled("slow down", retry_after=1e9))
    client = Watched().guard(guarded)
    await outcomes(client.observe("s"))
    guarded.answer = None
    await asyncio.sleep(3601)
    await client.observe("s")


# --- breaker of the key ----------------------------------------------------------------------------------------


async def test_fifty_resources_with_a_refused_key_make_fewer_than_thirty_calls_in_ten_minutes() -> None:
    watched = Watched(random=1.0)
    guarded = ScriptedApi(answer=lambda: REFUSED)
    client = watched.guard(guarded)

    async def resource(number: int) -> None:
        while loop_time() < 600:
            with pytest.raises(CredentialsRejected):
                await client.observe(f"s{number}")
            await asyncio.sleep(5 + number / 10)

    await asyncio.gather(*(resource(number) for number in range(50)))
    assert 3 <= len(guarded.calls) < 30
    assert watched.open == ["key"]


async def test_a_refused_key_is_tried_at_growing_intervals() -> None:
    guarded = ScriptedApi(answer=lambda: REFUSED, latency=0.0)
    client = Watched().guard(guarded)
    while loop_time() < 2000:
        await outcomes(client.observe("s"))
        await asyncio.sleep(1)
    gaps = gaps_between(guarded.called_at)
    assert gaps == pytest.approx([30, 60, 120, 240, 300, 300, 300, 300, 300], abs=1.01)


async def test_a_key_that_works_again_serves_everybody_after_one_try() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: REFUSED)
    client = watched.guard(guarded)
    await outcomes(client.observe("s"))
    guarded.answer = None
    await asyncio.sleep(31)
    results = await outcomes(*(client.observe(f"s{number}") for number in range(10)))
    assert [type(result) for result in results] == [Observation] + [CredentialsRejected] * 9
    assert len(guarded.calls) == 2
    await client.observe("s")
    assert watched.open == []


async def test_a_cancelled_try_leaves_the_next_caller_free_to_try() -> None:
    guarded = ScriptedApi(answer=lambda: REFUSED)
    client = Watched().guard(guarded)
    await outcomes(client.observe("s"))
    guarded.answer = None
    await asyncio.sleep(31)
    trial = asyncio.create_task(client.observe("s"))
    await asyncio.sleep(0.01)
    trial.cancel()
    await outcomes(trial_done(trial))
    await client.observe("s")


async def trial_done(task: asyncio.Task[Observation]) -> None:
    await task


async def test_a_new_key_is_a_new_account_and_is_tried_at_once() -> None:
    watched = Watched()
    await outcomes(watched.guard(ScriptedApi(answer=lambda: REFUSED)).observe("s"))
    await watched.guard(ScriptedApi()).observe("s")


async def test_the_first_call_of_a_key_goes_alone() -> None:
    guarded = ScriptedApi()
    client = Watched().guard(guarded)
    await asyncio.gather(*(client.observe(f"s{number}") for number in range(10)))
    assert guarded.called_at == pytest.approx([0.0] + [0.1] * 9, abs=0.01)


async def test_cancelling_the_first_call_sets_the_others_free() -> None:
    guarded = ScriptedApi(latency=1000.0)
    client = Watched().guard(guarded)
    first = asyncio.create_task(client.observe("first"))
    others = [asyncio.create_task(client.observe(f"s{number}")) for number in range(5)]
    await asyncio.sleep(1)
    guarded.latency = 0.1
    first.cancel()
    await asyncio.wait_for(asyncio.gather(*others), timeout=1)


async def test_other_refusals_do_not_count_against_the_key() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: IllegalState("not now", http_status=409))
    client = watched.guard(guarded)
    for _ in range(20):
        with pytest.raises(IllegalState):
            await client.pause("s")
    assert len(guarded.calls) == 20
    assert watched.open == []


# --- breaker of the endpoint -----------------------------------------------------------------------------------


async def test_a_dead_endpoint_is_left_alone_by_all_keys() -> None:
    watched = Watched()
    accounts = [ScriptedApi(answer=lambda: DEAD, latency=0.0) for _ in range(5)]
    clients = [watched.guard(guarded) for guarded in accounts]
    for client in clients:
        await outcomes(client.pause("s"))
    assert watched.open == ["endpoint"]
    bystander = ScriptedApi()
    with pytest.raises(ApiUnavailable, match="cannot connect") as caught:
        await watched.guard(bystander).pause("s")
    assert not caught.value.outcome_unknown, "nothing was sent"
    assert bystander.calls == []


async def test_a_dead_endpoint_is_tried_by_one_call_at_a_time_at_most_half_a_minute_apart() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: DEAD, latency=0.2)
    client = watched.guard(guarded)

    async def resource() -> None:
        while loop_time() < 600:
            await outcomes(client.observe("s"))
            await asyncio.sleep(0.5)

    await asyncio.gather(*(resource() for _ in range(20)))
    tried = sorted(guarded.called_at)
    tried = [at for at in tried if at > 1]
    gaps = gaps_between(tried)
    assert min(gaps) >= 1
    assert 30 <= max(gaps) < 31.5
    assert len(tried) > 15


async def test_an_endpoint_that_is_back_is_found_by_the_next_try() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: DEAD, latency=0.0)
    client = watched.guard(guarded)
    while loop_time() < 300:
        await outcomes(client.observe("s"))
        await asyncio.sleep(1)
    guarded.answer = None
    back_at = loop_time()
    await asyncio.sleep(30)
    await client.observe("s")
    assert loop_time() - back_at <= 31
    assert watched.open == []


@pytest.mark.parametrize(
    "error",
    [
        ApiUnavailable("unknown code", http_status=400, code="Strange.Code"),
        Throttled("slow down", retry_after=0.0),
        IllegalState("not now", http_status=409),
    ],
    ids=["unknown code", "throttled", "refused"],
)
async def test_an_endpoint_that_answers_is_not_dead(error: AgbError) -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: error, latency=0.0)
    client = watched.guard(guarded)
    for number in range(20):
        await outcomes(client.observe("s"))
        assert len(guarded.calls) > number
    assert watched.open == []


async def test_failures_with_answers_between_them_do_not_open_the_breaker() -> None:
    watched = Watched()
    guarded = ScriptedApi(latency=0.0)
    guarded.answer = lambda: DEAD if len(guarded.calls) % 5 else None
    client = watched.guard(guarded)
    for _ in range(50):
        await outcomes(client.observe("s"))
    assert len(guarded.calls) == 50
    assert watched.open == []


async def test_many_calls_failing_at_once_open_it_once_and_only_shortly() -> None:
    watched = Watched()
    guarded = ScriptedApi(latency=0.0)
    client = watched.guard(guarded)
    await client.observe("s")
    guarded.answer, guarded.latency = lambda: DEAD, 0.5
    await outcomes(*(client.observe(f"s{number}") for number in range(100)))
    guarded.answer = None
    await asyncio.sleep(1.01)
    await client.observe("s")
    assert watched.open == []


async def test_a_dead_endpoint_says_nothing_of_the_key() -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: REFUSED)
    client = watched.guard(guarded)
    await outcomes(client.observe("s"))
    guarded.answer = lambda: DEAD
    await asyncio.sleep(31)
    with pytest.raises(ApiUnavailable):
        await client.observe("s")
    assert watched.open == ["key"]
    guarded.answer = None
    await client.observe("s")
    assert watched.open == []


@pytest.mark.parametrize("error", [DEAD, REFUSED], ids=["endpoint", "key"])
async def test_a_call_that_was_not_sent_for_want_of_the_lease_closes_no_breaker(error: AgbError) -> None:
    watched = Watched()
    guarded = ScriptedApi(answer=lambda: error, latency=0.0)
    client = watched.guard(guarded)
    for _ in range(5):
        await outcomes(client.observe("s"))
    guarded.answer = lambda: NotLeading("another replica may be at work")
    await asyncio.sleep(31)
    with pytest.raises(NotLeading):
        await client.observe("s")
    assert len(watched.open) == 1


# --- whose fault it is -----------------------------------------------------------------------------------------


async def test_what_one_account_is_answered_is_never_held_against_another() -> None:
    watched = Watched()
    mine, theirs = ScriptedApi(), ScriptedApi(answer=lambda: FAILS, latency=0.0)
    client = watched.guard(theirs)
    await outcomes(*(client.pause(f"s{number}") for number in range(200)))
    assert watched.open == ["account"]
    await watched.guard(mine, namespace="other").pause("s")


async def test_an_account_that_fails_is_tried_by_one_call_at_a_time_at_most_half_a_minute_apart() -> None:
    api = ScriptedApi(answer=lambda: FAILS, latency=0.2)
    client = Watched().guard(api)

    async def resource(number: int) -> None:
        while loop_time() < 600:
            await outcomes(client.observe(f"s{number}"))
            await asyncio.sleep(0.5)

    await asyncio.gather(*(resource(number) for number in range(20)))
    gaps = gaps_between(sorted(at for at in api.called_at if at > 2))
    assert min(gaps) >= 1
    assert 30 <= max(gaps) < 31.5


async def test_a_session_that_fails_holds_up_no_other() -> None:
    watched = Watched()
    sick = ScriptedApi(latency=0.0)
    client = watched.guard(sick)
    await client.observe("healthy")
    sick.answer = lambda: FAILS
    for _ in range(20):
        await outcomes(client.pause("sick"))
    assert len(sick.calls) < 20, "it is left alone itself"
    sick.answer = None
    await client.pause("healthy")
    assert watched.open == []


@pytest.mark.parametrize("call", ["observe", "pause"])
async def test_one_session_that_is_forbidden_is_not_the_key(call: str) -> None:
    watched = Watched()
    api = ScriptedApi(answer=lambda: FORBIDDEN, latency=0.0)
    client = watched.guard(api)
    for _ in range(3):
        await outcomes(getattr(client, call)("forbidden"))
    assert len(api.calls) == 1
    api.answer = None
    await client.pause("healthy")
    api.answer = lambda: FORBIDDEN
    await outcomes(client.pause("forbidden too"))
    assert watched.open == [], "others have fared well meanwhile"
    await outcomes(client.pause("a third"))
    assert watched.open == ["key"]
    with pytest.raises(CredentialsRejected):
        await client.pause("healthy")
    assert len(api.calls) == 4


async def test_a_list_that_is_forbidden_is_that_kind_of_call() -> None:
    api = ScriptedApi(answer=lambda: FORBIDDEN, latency=0.0)
    client = Watched().guard(api)
    for _ in range(3):
        await outcomes(client.list_page())
    assert len(api.calls) == 1
    api.answer = None
    await client.observe("s")
    await asyncio.sleep(31)
    await client.list_page()


async def test_an_endpoint_that_fails_for_keys_of_two_namespaces_counts_as_dead_until_one_of_them_succeeds() -> None:
    watched = Watched()
    apis = [ScriptedApi(answer=lambda: FAILS, latency=0.0) for _ in range(3)]
    same, other = [watched.guard(apis[0]), watched.guard(apis[1])], watched.guard(apis[2], namespace="other")
    for client in same:
        await outcomes(*(client.pause(f"s{number}") for number in range(9)))
    assert watched.open == ["account", "account"], "one tenant's keys say nothing of the endpoint"
    await outcomes(*(other.pause(f"s{number}") for number in range(9)))
    assert watched.open == ["account"] * 3 + ["endpoint"]
    for api in apis:
        api.answer = None
    await asyncio.sleep(1)
    await other.pause("s")
    calls = len(apis[0].calls)
    await same[0].pause("s")
    assert len(apis[0].calls) == calls + 1, "set free by the success of another key"


async def test_a_breaker_that_opens_again_waits_as_shortly_as_at_first() -> None:
    api = ScriptedApi(answer=lambda: DEAD, latency=0.0)
    client = Watched().guard(api)
    while loop_time() < 300:
        await outcomes(client.observe("s"))
        await asyncio.sleep(1)
    api.answer = None
    await asyncio.sleep(30)
    await client.observe("s")
    api.answer = lambda: DEAD
    await outcomes(*(client.observe("s") for _ in range(6)))
    api.answer = None
    await asyncio.sleep(1.01)
    await client.observe("s")


async def test_a_key_that_hangs_leaves_connections_to_the_others() -> None:
    watched = Watched(most=10_000)
    hangs = ScriptedApi()
    client = watched.guard(hangs)
    await client.observe("first")
    hangs.latency = 1000.0
    hung = [asyncio.create_task(client.pause(f"s{number}")) for number in range(500)]
    await asyncio.sleep(1)
    assert len(hangs.calls) == 1 + 64
    started = loop_time()
    await watched.guard(ScriptedApi()).pause("s")
    assert loop_time() - started == pytest.approx(0.1)
    for task in hung:
        task.cancel()
    await asyncio.gather(*hung, return_exceptions=True)
