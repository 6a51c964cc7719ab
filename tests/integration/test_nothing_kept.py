"""Nothing is kept of resources that are gone, in no table of any part: fleets come and go for months."""

import asyncio
from collections import deque
from collections.abc import Iterator, Mapping, Set
from types import FunctionType, MethodType
from typing import Any

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.batching import BatchedObserver
from agb_operator.control.event_recorder import EventRecorder
from agb_operator.control.informer import Informer
from agb_operator.control.metrics import Metrics
from agb_operator.model.errors import Conflict
from agb_operator.model.resource import ObjectKey
from agb_operator.model.states import Observation
from agb_simulator.effects import Delay
from fakes import FakeCluster
from integration.world import KEY, NAMESPACE, SECRET, World

pytestmark = pytest.mark.looptime
IMAGE = "agb-code-space-1"

OTHERS = (EventRecorder, BatchedObserver, Metrics, FakeCluster)
"""Not looked into: a budget of Events is kept while it refills, and what a walk has told until the next one."""


def attributes(thing: object) -> Iterator[tuple[str, object]]:
    """Give what an object of the operator holds."""
    names = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in (*names, *getattr(thing, "__dict__", ())):
        if hasattr(thing, name):
            yield name, getattr(thing, name)


def kept(thing: object, gone: Set[object], path: str, known: set[int]) -> Iterator[str]:
    """Name the tables that have an entry for an object by its name or uid, or for a key."""
    if id(thing) in known or isinstance(thing, OTHERS):
        return
    known.add(id(thing))
    if isinstance(thing, Mapping):
        yield from (f"{path}[{key}]" for key in thing if _names(key, gone))
        for key, value in thing.items():
            yield from kept(value, gone, f"{path}[{key}]", known)
    elif isinstance(thing, list | tuple | set | frozenset | deque):
        yield from (f"{path}: {each}" for each in thing if _names(each, gone))
        for each in thing:
            yield from kept(each, gone, f"{path}[]", known)
    elif isinstance(thing, FunctionType):
        for cell in thing.__closure__ or ():
            yield from kept(cell.cell_contents, gone, path, known)
    elif isinstance(thing, MethodType):
        yield from kept(thing.__self__, gone, path, known)
    elif type(thing).__module__.startswith("agb_operator."):
        for name, value in attributes(thing):
            yield from kept(value, gone, f"{path}.{name}", known)


def _names(entry: Any, gone: Set[object]) -> bool:
    if isinstance(entry, ObjectKey):
        return entry.name in gone
    if isinstance(entry, tuple):
        return any(_names(each, gone) for each in entry)
    return isinstance(entry, str | ApiKey) and entry in gone


@pytest.fixture
def no_deletion_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the watch be interrupted whenever something is deleted; the next list does not have it any more."""
    event = Informer.event

    def told(self: Informer, kind: str | None, body: dict[str, Any]) -> None:
        if kind != "DELETED":
            event(self, kind, body)

    monkeypatch.setattr(Informer, "event", told)


async def conflict(*_: Any, **__: Any) -> dict[str, Any]:
    raise Conflict("somebody else writes", http_status=409)


async def test_nothing_is_kept_of_what_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    async with World() as world:
        names = ["adopted", "created", "crashing", "in-a-look", "observer"]
        shared = world.control.add_session(KEY)
        for name in names[:3]:
            source = "imageId" if name == "created" else "sessionId"
            world.apply(name, **{source: IMAGE if name == "created" else world.control.add_session(KEY)})
        world.apply("in-a-look", sessionId=shared)
        world.apply("observer", sessionId=shared, managementPolicy="Observe")
        await asyncio.sleep(30.0)
        world.schedule(pauseAt="0 20 * * *", resumeAt="0 7 * * *")
        await asyncio.sleep(120.0)
        uids = {name: world.session(name).uid for name in names}
        sessions = {name: world.session(name).session_id for name in names}
        look = BatchedObserver.observe

        async def observe(self: BatchedObserver, client: Any, session_id: str, **how: Any) -> Observation:
            if session_id == sessions["crashing"]:
                raise RuntimeError("a bug")
            return await look(self, client, session_id, **how)

        monkeypatch.setattr(BatchedObserver, "observe", observe)
        world.patch("crashing", paused=True)
        world.control.add_fault(Delay(seconds=3.0), count=2)
        world.patch("observer", paused=True)  # a reason to look at the session of the other one, too
        await asyncio.sleep(1.5)
        for name in names:
            world.cluster.delete(NAMESPACE, name)
        world.cluster.delete_schedule(NAMESPACE, "nights")
        await world.until(lambda: not world.cluster.objects)
        await asyncio.sleep(1000.0)

        gone = {*names, *uids.values(), *sessions.values(), "nights", ApiKey(KEY)}
        assert list(kept(world.operator.parts, gone, "parts", set())) == []


@pytest.mark.usefixtures("no_deletion_is_told")
@pytest.mark.parametrize("how", ["by our last write", "404 to a write", "404 to the look after a conflict", "replaced"])
async def test_nothing_is_kept_of_what_is_gone_although_the_watch_does_not_tell(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        if how == "by our last write":
            world.apply("one", sessionId=session_id, deletionPolicy="Delete")
            await world.ready("Running", "one")
        else:
            world.apply("one", sessionId=session_id, managementPolicy="Observe")
            await world.ready("Observed", "one")
        uid = world.session("one").uid
        world.cluster.delete(NAMESPACE, "one")
        await world.until(lambda: not world.exists("one"))
        if how == "replaced":
            world.apply("one", sessionId=session_id, managementPolicy="Observe")
            await world.ready("Observed", "one")
            assert list(kept(world.operator.parts, {uid}, "parts", set())) == []
            return
        if how == "404 to the look after a conflict":
            monkeypatch.setattr(world.cluster, "patch_status", conflict)
        world.control.set_status(session_id, "PAUSED")  # the next resync has a reason to write
        await asyncio.sleep(1000.0)

        gone = {"one", uid, session_id, ApiKey(KEY)}
        assert list(kept(world.operator.parts, gone, "parts", set())) == []
        assert world.samples("agb_sessions_wanted") == []


@pytest.mark.usefixtures("no_deletion_is_told")
async def test_who_waits_for_a_session_has_it_although_the_watch_does_not_tell_that_its_manager_is_gone() -> None:
    async with World() as world:
        session_id = world.control.add_session(KEY)
        world.apply("older", sessionId=session_id, deletionPolicy="Delete")
        await world.ready("Running", "older")
        world.apply("younger", sessionId=session_id)
        await world.ready("SessionConflict", "younger")
        world.cluster.annotate(NAMESPACE, "older", abandon="true")
        world.cluster.delete(NAMESPACE, "older")
        await world.until(lambda: not world.exists("older"))

        await world.ready("Running", "younger", within=10.0)


async def test_nothing_is_kept_of_what_goes_while_another_one_is_vouched_for_by_its_session() -> None:
    async with World() as world:
        ids = {name: world.control.add_session(KEY) for name in ("lost", "gone")}
        for name, session_id in ids.items():
            world.apply(name, sessionId=session_id, managementPolicy="Observe")
            await world.ready("Observed", name)
        await asyncio.sleep(30.0)
        world.control.add_fault(Delay(seconds=10.0), endpoint="getSession", session_id=ids["gone"])
        world.control.act(ids["lost"], "vanish")
        requests = len(world.control.requests())

        def asked() -> bool:
            return any(entry.session_id == ids["gone"] for entry in world.control.requests()[requests:])

        await world.until(asked)
        await asyncio.sleep(1.0)
        uid = world.session("gone").uid
        world.cluster.delete(NAMESPACE, "gone")
        await asyncio.sleep(1000.0)
        assert list(kept(world.operator.parts, {"gone", uid, ids["gone"]}, "parts", set())) == []


async def test_nothing_is_kept_of_keys_that_were_replaced() -> None:
    async with World() as world:
        world.apply("one", sessionId=world.control.add_session(KEY))
        await world.ready("Running", "one")
        for number in range(3):
            world.control.add_key(f"simulator-key-{number}", shares_with=KEY)
            world.cluster.put_secret(NAMESPACE, SECRET, apiKey=f"simulator-key-{number}")
            await asyncio.sleep(300.0)

        replaced = [ApiKey(key) for key in (KEY, "simulator-key-0")]  # the one before is kept, for deletions
        gone = {*replaced, *(key.fingerprint for key in replaced)}
        assert list(kept(world.operator.parts, gone, "parts", set())) == []
