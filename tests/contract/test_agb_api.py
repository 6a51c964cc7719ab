"""The operator's API client and the simulator agree about AGB: they share no code, only the written facts."""

import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.model.errors import (
    AgbError,
    ApiUnavailable,
    CredentialsRejected,
    IllegalState,
    NotSupported,
    QuotaExceeded,
    RequestRefused,
    SessionNotFound,
    Throttled,
)
from agb_operator.model.states import SessionState
from agb_simulator import Api, Server, Settings, SimulatorControl
from agb_simulator.effects import (
    BareCreate,
    BusinessError,
    CreateFailed,
    Delay,
    Effect,
    HttpError,
    InvalidToken,
    LostAnswer,
    RawAnswer,
    Shape,
    StatusValue,
)

KEY = "simulator-key-a"
OTHER = "simulator-key-b"
IMPATIENT = 3.0
"""Seconds that the client waits in tests of answers that never come."""


class Agb:
    """A simulator on a port whose clock moves only when told to, and the client under test."""

    def __init__(self) -> None:
        simulator = Api(settings=Settings(transition=10.0), keys=(KEY, OTHER), seed=1)
        self.control = SimulatorControl.in_process(simulator)
        self.control.freeze()
        self.server = Server(simulator)
        self.counted: list[tuple[str, str]] = []

    def open(self, *, timeout: float) -> None:
        self.api = AgbApi(
            endpoint=self.server.address + "/",
            timeout=timeout,
            on_call=lambda call, code, _seconds: self.counted.append((call, code)),
        )
        self.client = self.client_of(KEY)

    def client_of(self, key: str) -> SessionClient:
        return self.api.client_of(ApiKey(key))

    async def state(self, session_id: str) -> SessionState:
        return (await self.client.observe(session_id)).state


@pytest.fixture
async def agb(request: pytest.FixtureRequest) -> AsyncIterator[Agb]:
    agb = Agb()
    async with agb.server:
        agb.open(timeout=getattr(request, "param", 60.0))
        yield agb
        await agb.api.aclose()


# --- a session's life ------------------------------------------------------------------------------------------


async def test_a_session_lives_from_create_to_release(agb: Agb) -> None:
    created = await agb.client.create(image_id="agb-code-space-1", labels={"owner": "a"})
    states = [await agb.state(created.session_id)]
    for call in (agb.client.pause, agb.client.resume, agb.client.release):
        accepted = await call(created.session_id)
        assert accepted.request_id
        states.append(await agb.state(created.session_id))
        agb.control.advance(10.0)
        states.append(await agb.state(created.session_id))
    agb.control.advance(60.0)
    states.append(await agb.state(created.session_id))
    assert states == [
        SessionState.RUNNING,
        SessionState.PAUSING,
        SessionState.PAUSED,
        SessionState.RESUMING,
        SessionState.RUNNING,
        SessionState.DELETING,
        SessionState.RELEASED,
        SessionState.NOT_FOUND,
    ]
    assert agb.control.stats()["illegal"] == 0


async def test_labels_are_stored_at_creation_replaced_as_a_whole_and_filtered_by(agb: Agb) -> None:
    labels = {"project": "a", "text": "ünï&=cödé"}
    created = await agb.client.create(image_id="agb-code-space-1", labels=labels)
    await agb.client.create(image_id="agb-code-space-1", labels={"project": "a"})
    assert await agb.client.get_labels(created.session_id) == labels
    page = await agb.client.list_page(labels=labels)
    assert [seen.session_id for seen in page.sessions] == [created.session_id]
    await agb.client.set_labels(created.session_id, {"project": "b"})
    assert await agb.client.get_labels(created.session_id) == {"project": "b"}
    assert list((await agb.client.list_page(labels=labels)).sessions) == []


async def test_a_session_without_labels_has_an_empty_set(agb: Agb) -> None:
    created = await agb.client.create(image_id="agb-code-space-1", labels={})
    assert await agb.client.get_labels(created.session_id) == {}


async def test_pages_follow_one_another_and_tell_the_total(agb: Agb) -> None:
    added = agb.control.add_sessions(KEY, count=250)
    agb.control.set_status(added[7], "PAUSED")
    listed, token, sizes = {}, "", []
    while True:
        page = await agb.client.list_page(token=token)
        assert page.total == 250
        sizes.append(len(page.sessions))
        listed.update({seen.session_id: seen.state for seen in page.sessions})
        token = page.next_token
        if not token:
            break
    assert sizes == [100, 100, 50]
    assert list(listed) == added
    assert listed[added[7]] == SessionState.PAUSED


async def test_another_keys_session_is_not_found_and_its_list_is_empty(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    other = agb.client_of(OTHER)
    assert (await other.observe(session_id)).state == SessionState.NOT_FOUND
    assert list((await other.list_page()).sessions) == []


async def test_request_ids_are_those_of_the_service(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    accepted = await agb.client.pause(session_id)
    assert [entry.request_id for entry in agb.control.requests()] == [accepted.request_id]


async def test_each_call_is_counted_by_its_name_and_status(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    await agb.client.pause(session_id)
    with pytest.raises(IllegalState):
        await agb.client.pause(session_id)
    agb.control.add_fault(LostAnswer(), count=1)
    with pytest.raises(ApiUnavailable):
        await agb.client.observe(session_id)
    assert [call for call, _ in agb.counted] == ["pauseSessionAsync", "pauseSessionAsync", "getSession"]
    assert [code[0] for _, code in agb.counted] == ["2", "4", "e"]


# --- refusals --------------------------------------------------------------------------------------------------


async def test_calls_in_the_wrong_state_are_illegal_states(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY, status="PAUSED")
    for call in (agb.client.pause, agb.client.release):
        with pytest.raises(IllegalState):
            await call(session_id)
    assert await agb.state(session_id) == SessionState.PAUSED


async def test_calls_for_an_unknown_session_say_so(agb: Agb) -> None:
    for call in (agb.client.pause, agb.client.resume, agb.client.release, agb.client.get_labels):
        with pytest.raises(SessionNotFound):
            await call("session-unknown")


async def test_a_key_that_is_not_known_is_rejected_on_every_call(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    agb.control.revoke_key(KEY)
    for call in (agb.client.observe, agb.client.pause, agb.client.release):
        with pytest.raises(CredentialsRejected) as caught:
            await call(session_id)
        assert KEY not in str(caught.value)


async def test_an_account_without_pause_does_not_support_it(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    agb.control.allow_pause(KEY, False)
    with pytest.raises(NotSupported):
        await agb.client.pause(session_id)
    assert await agb.state(session_id) == SessionState.RUNNING


async def test_limits_and_unknown_images_are_told_apart(agb: Agb) -> None:
    agb.control.configure(refused_images={"nothing-like-it"})
    with pytest.raises(RequestRefused) as caught:
        await agb.client.create(image_id="nothing-like-it", labels={})
    assert caught.value.about_image
    agb.control.configure(session_limit=0)
    with pytest.raises(QuotaExceeded):
        await agb.client.create(image_id="agb-code-space-1", labels={})


@pytest.mark.parametrize("send_retry_after", [True, False])
async def test_the_rate_limit_is_told_with_its_time(agb: Agb, send_retry_after: bool) -> None:
    agb.control.configure(rate_limit=1.0, send_retry_after=send_retry_after)
    await agb.client.list_page()
    with pytest.raises(Throttled) as caught:
        await agb.client.list_page()
    assert caught.value.retry_after == (1.0 if send_retry_after else None)


async def test_a_wrong_path_below_the_endpoint_looks_like_a_wrong_address(agb: Agb) -> None:
    api = AgbApi(endpoint=agb.server.address + "/elsewhere", on_call=lambda *_: None)
    try:
        with pytest.raises(ApiUnavailable, match="wrong address"):
            await api.client_of(ApiKey(KEY)).observe("session-1")
    finally:
        await api.aclose()


async def test_a_page_token_that_went_bad_is_refused(agb: Agb) -> None:
    agb.control.add_sessions(KEY, count=150)
    page = await agb.client.list_page()
    agb.control.add_fault(InvalidToken())
    with pytest.raises(RequestRefused):
        await agb.client.list_page(token=page.next_token)


# --- answers that are lost or deformed -------------------------------------------------------------------------

AMBIGUOUS: list[Effect] = [
    LostAnswer(),
    HttpError(status=502, html=True, applied=True),
    HttpError(status=500, applied=True),
    RawAnswer(body="{", applied=True),
    RawAnswer(body="", applied=True),
    BusinessError(applied=True),
]


@pytest.mark.parametrize("effect", AMBIGUOUS, ids=lambda effect: f"{effect.kind}-{effect}"[:60])
async def test_a_pause_that_took_effect_is_never_reported_as_surely_failed(agb: Agb, effect: Effect) -> None:
    session_id = agb.control.add_session(KEY)
    agb.control.add_fault(effect, endpoint="pauseSessionAsync", count=1)
    with pytest.raises(ApiUnavailable) as caught:
        await agb.client.pause(session_id)
    assert caught.value.outcome_unknown
    assert await agb.state(session_id) == SessionState.PAUSING


@pytest.mark.parametrize("agb", [IMPATIENT], indirect=True)
async def test_a_pause_whose_answer_never_comes_may_have_taken_effect(agb: Agb) -> None:
    session_id = agb.control.add_session(KEY)
    agb.control.add_fault(Delay(seconds=300.0), endpoint="pauseSessionAsync")
    with pytest.raises(ApiUnavailable, match="no answer") as caught:
        await agb.client.pause(session_id)
    assert caught.value.outcome_unknown
    assert await agb.state(session_id) == SessionState.PAUSING


@pytest.mark.parametrize("effect", [LostAnswer(), HttpError(status=504, html=True, applied=True), CreateFailed()])
async def test_a_create_whose_answer_was_lost_is_found_by_its_label(agb: Agb, effect: Effect) -> None:
    agb.control.add_fault(effect, endpoint="createSession", count=1)
    with pytest.raises(ApiUnavailable) as caught:
        await agb.client.create(image_id="agb-code-space-1", labels={"uid": "u-1"})
    found = await agb.client.list_page(labels={"uid": "u-1"})
    assert caught.value.outcome_unknown == bool(found.sessions)


SHAPES = [
    Shape(pascal_case=True),
    Shape(no_code=True),
    Shape(no_request_id=True),
    Shape(enveloped=True),
    Shape(pascal_case=True, no_code=True, no_request_id=True, enveloped=True),
]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
async def test_every_call_reads_answers_of_every_known_shape(agb: Agb, shape: Shape) -> None:
    agb.control.add_fault(shape)
    created = await agb.client.create(image_id="agb-code-space-1", labels={"a": "b"})
    assert await agb.state(created.session_id) == SessionState.RUNNING
    assert await agb.client.get_labels(created.session_id) == {"a": "b"}
    await agb.client.set_labels(created.session_id, {"a": "c"})
    assert [seen.session_id for seen in (await agb.client.list_page()).sessions] == [created.session_id]
    accepted = await agb.client.pause(created.session_id)
    assert accepted.request_id, "the header has one when the body has none"


@pytest.mark.parametrize("shape", [Shape(pascal_case=True), Shape(no_request_id=True), Shape(enveloped=True)], ids=str)
async def test_a_lost_session_is_read_in_every_known_shape(agb: Agb, shape: Shape) -> None:
    agb.control.add_fault(shape)
    assert await agb.state("session-unknown") == SessionState.NOT_FOUND


async def test_without_its_code_a_lost_session_is_not_believed(agb: Agb) -> None:
    agb.control.add_fault(Shape(no_code=True))
    with pytest.raises(ApiUnavailable):
        await agb.state("session-unknown")


@pytest.mark.parametrize("effect", [Shape(null_data=True), StatusValue(status=None), StatusValue(status="ODD")])
async def test_a_status_nobody_knows_is_unknown(agb: Agb, effect: Effect) -> None:
    session_id = agb.control.add_session(KEY)
    agb.control.add_fault(effect)
    assert await agb.state(session_id) == SessionState.UNKNOWN


async def test_a_create_that_answers_with_nothing_but_the_id_has_succeeded(agb: Agb) -> None:
    agb.control.add_fault(BareCreate())
    created = await agb.client.create(image_id="agb-code-space-1", labels={})
    assert await agb.state(created.session_id) == SessionState.RUNNING


async def test_repeated_calls_may_be_accepted_without_effect(agb: Agb) -> None:
    agb.control.configure(repeat_policy="accept")
    session_id = agb.control.add_session(KEY, status="PAUSED")
    await agb.client.pause(session_id)
    assert await agb.state(session_id) == SessionState.PAUSED


async def test_neither_the_key_nor_the_viewer_address_shows_anywhere(
    agb: Agb, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything the client returns, raises and logs in a life with faults."""
    caplog.set_level(logging.DEBUG)
    session_id = agb.control.add_session(KEY)
    texts: list[str] = [repr(agb.client), repr(agb.api)]
    leak = json.dumps({"success": False, "code": KEY, "message": f"{KEY} https://viewer.example/?authcode=x1"})
    faults: list[Effect | None] = [None, *AMBIGUOUS, RawAnswer(status=400, body=leak), RawAnswer(body=leak)]
    calls: list[Callable[[str], Awaitable[object]]] = [agb.client.observe, agb.client.pause, agb.client.get_labels]
    for fault in faults:
        for call in calls:
            if fault is not None:
                agb.control.add_fault(fault, count=1)
            try:
                texts.append(repr(await call(session_id)))
            except AgbError as error:
                texts.append(f"{error!r} {error} {vars(error)} {error.__context__}")
            agb.control.clear_faults()
    shown = "\n".join([*texts, caplog.text])
    assert "getSession" in shown
    assert KEY not in shown
    assert "resourceUrl" not in shown
    assert "authcode" not in shown
