"""A kill before and after every single request of every verb: the same end state, one session, no call twice.

The requests are those of an undisturbed run, recorded; nobody has to think of the dangerous moments.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from agb_operator.model.states import Observation
from integration.restart_points import GatedWorld, Point
from integration.world import KEY, NAMESPACE
from simulated import EPOCH

pytestmark = pytest.mark.looptime

IMAGE = "agb-code-space-1"
LONG_AFTER = 120.0
"""Seconds after which nothing that a kill has left can still come to light: grace periods, resyncs."""
ALWAYS = {"from": "2025-01-01T00:00", "to": "2027-01-01T00:00"}
"""A window of a schedule."""
EDGE = EPOCH + timedelta(minutes=5)
"""When the window begins or ends of those stories that nobody but the clock tells."""
ACTIONS = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync")
"""The calls that must not be made twice; labels may be set again."""

Step = Callable[[GatedWorld], Awaitable[None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Story:
    """What people do to one resource, and what must come of it.

    Attributes:
        name: a word for the report.
        before: brings the world to where the story begins.
        change: what is done then.
        ends: the reason of Ready in the end, "" if the resource is gone.
        calls: how often each action is called, wherever the operator is killed.
        sessions: how many sessions exist in the end.
    """

    name: str
    before: Step
    change: Callable[[GatedWorld], None]
    ends: str
    calls: dict[str, int] = field(default_factory=dict)
    sessions: int = 1


async def nothing(_: GatedWorld) -> None:
    """Begin with an empty world."""


def a_session(reason: str, **spec: Any) -> Step:
    async def before(world: GatedWorld) -> None:
        world.apply(**{"imageId": IMAGE, **spec})
        await world.ready(reason)

    return before


async def an_adopted_session(world: GatedWorld) -> None:
    world.control.add_session(key=KEY, session_id="session-1")
    world.apply(sessionId="session-1", deletionPolicy="Delete")
    await world.ready("Running")


def a_session_asleep_by_a_schedule(world: GatedWorld) -> Awaitable[None]:
    world.schedule(selector={}, windows=[ALWAYS])
    return a_session("Paused")(world)


def just_before_the_clock(reason: str, **window: str) -> Step:
    """Begin a second before a window of a schedule begins or ends."""

    async def before(world: GatedWorld) -> None:
        world.schedule(selector={}, windows=[{**ALWAYS, **window}])
        await a_session(reason)(world)
        await asyncio.sleep((EDGE - world.wall()).total_seconds() - 1)

    return before


STORIES = (
    Story(
        name="create",
        before=nothing,
        change=lambda world: world.apply(imageId=IMAGE, labels={"team": "a"}),
        ends="Running",
        calls={"createSession": 1},
    ),
    Story(
        name="create paused",
        before=nothing,
        change=lambda world: world.apply(imageId=IMAGE, paused=True),
        ends="Paused",
        calls={"createSession": 1, "pauseSessionAsync": 1},
    ),
    Story(
        name="pause",
        before=a_session("Running"),
        change=lambda world: world.patch(paused=True),
        ends="Paused",
        calls={"pauseSessionAsync": 1},
    ),
    Story(
        name="resume",
        before=a_session("Paused", paused=True),
        change=lambda world: world.patch(paused=False),
        ends="Running",
        calls={"resumeSessionAsync": 1},
    ),
    Story(
        name="fall asleep by a schedule",
        before=a_session("Running"),
        change=lambda world: world.schedule(selector={}, windows=[ALWAYS]),
        ends="Paused",
        calls={"pauseSessionAsync": 1},
    ),
    Story(
        name="wake as a schedule ends",
        before=a_session_asleep_by_a_schedule,
        change=lambda world: world.schedule(selector={}, windows=[ALWAYS], enabled=False),
        ends="Running",
        calls={"resumeSessionAsync": 1},
    ),
    Story(
        name="fall asleep by the clock",
        before=just_before_the_clock("Running", **{"from": "2026-01-01T00:05"}),
        change=lambda _: None,
        ends="Paused",
        calls={"pauseSessionAsync": 1},
    ),
    Story(
        name="wake by the clock",
        before=just_before_the_clock("Paused", to="2026-01-01T00:05"),
        change=lambda _: None,
        ends="Running",
        calls={"resumeSessionAsync": 1},
    ),
    Story(
        name="delete while running",
        before=a_session("Running"),
        change=lambda world: world.cluster.delete(NAMESPACE, "s"),
        ends="",
        calls={"releaseSessionAsync": 1},
        sessions=0,
    ),
    Story(
        name="delete while paused",
        before=a_session("Paused", paused=True),
        change=lambda world: world.cluster.delete(NAMESPACE, "s"),
        ends="",
        calls={"resumeSessionAsync": 1, "releaseSessionAsync": 1},
        sessions=0,
    ),
    Story(
        name="set labels",
        before=a_session("Running", labels={"team": "a"}),
        change=lambda world: world.patch(labels={"team": "b"}),
        ends="Running",
    ),
    Story(
        name="recreate",
        before=a_session("Running", onSessionLost="Recreate"),
        change=lambda world: world.control.act(world.status()["sessionId"], "vanish"),
        ends="Running",
        calls={"createSession": 1},
    ),
    Story(
        name="adopt",
        before=an_adopted_session,
        change=lambda world: world.patch(paused=True),
        ends="Paused",
        calls={"pauseSessionAsync": 1},
    ),
    Story(
        name="end an adopted session",
        before=an_adopted_session,
        change=lambda world: world.cluster.delete(NAMESPACE, "s"),
        ends="",
        calls={"releaseSessionAsync": 1},
        sessions=0,
    ),
)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_kill_at_any_request_changes_nothing_of_the_end(story: Story, subtests: pytest.Subtests) -> None:
    for point in await recorded(story):
        with subtests.test(msg=str(point)):
            await killed(story, point)


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
async def test_a_connection_that_breaks_at_any_request_changes_nothing_of_the_end(
    story: Story, subtests: pytest.Subtests
) -> None:
    for point in await recorded(story):
        with subtests.test(msg=str(point)):
            await broken_off(story, point)


async def test_the_kills_find_an_operator_that_does_not_look_for_what_it_has_created(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def finds_nothing(*_: Any) -> list[Observation]:
        return []

    monkeypatch.setattr("agb_operator.control.evidence.Gatherer._listed", finds_nothing)
    assert await found("create")


async def test_the_kills_find_an_operator_that_trusts_the_status_instead_of_looking() -> None:
    assert await found("pause", trusting=True)


async def found(name: str, **options: Any) -> bool:
    """Tell whether a kill at any point makes the story end otherwise."""
    story = next(story for story in STORIES if story.name == name)
    for point in await recorded(story):
        try:
            await killed(story, point, **options)
        except AssertionError:
            return True
    return False


async def killed(story: Story, point: Point, **options: Any) -> None:
    """Live through the story with a kill at one point."""
    async with GatedWorld(**options) as world:
        before = await begun(story, world)
        world.gate.hold(point)
        story.change(world)
        await world.gate.reached()
        await world.restart()
        await finish(story, world, before)


async def broken_off(story: Story, point: Point) -> None:
    """Live through the story with a connection that breaks at one point."""
    async with GatedWorld() as world:
        before = await begun(story, world)
        world.gate.break_off(point)
        story.change(world)
        await world.gate.reached()
        await finish(story, world, before)


async def recorded(story: Story) -> list[Point]:
    """Give the points of an undisturbed run."""
    async with GatedWorld() as world:
        before = await begun(story, world)
        story.change(world)
        await finish(story, world, before, quiet=0.0)
        points = world.gate.points()
    assert points, "the undisturbed run made no request"
    return points


async def begun(story: Story, world: GatedWorld) -> Counter[str]:
    """Bring the world to where the story begins; gives the calls made until then."""
    await story.before(world)
    await world.until(lambda: not world.exists() or not world.operator.parts.queue.is_pending(world.session().key))
    world.gate.passed = []
    return actions(world)


async def finish(story: Story, world: GatedWorld, before: Counter[str], *, quiet: float = LONG_AFTER) -> None:
    """Wait for the end of the story, and long after it; then judge the operator by what AGB has seen."""
    await world.until(lambda: ended(story, world), within=600, every=0.5)
    await asyncio.sleep(quiet)
    assert dict(actions(world) - before) == dict(story.calls)
    assert len(world.live()) == story.sessions
    assert ended(story, world), world.cluster.objects
    world.assert_clean()


def ended(story: Story, world: GatedWorld) -> bool:
    """Tell whether all is as the story ends, in the status and at AGB."""
    if not story.ends or not world.exists():
        return not story.ends and not world.exists()
    session, ready = world.session(), world.condition("Ready")
    if (ready.get("reason"), ready.get("observedGeneration")) != (story.ends, session.generation):
        return False
    live = [seen for seen in world.live() if seen["sessionId"] == session.session_id]
    labels = session.session_labels("test") if session.image_id else {}
    return [(seen["status"], seen["labels"]) for seen in live] == [(story.ends.upper(), labels)]


def actions(world: GatedWorld) -> Counter[str]:
    """Count the calls that must not be made twice."""
    return Counter(entry.endpoint for entry in world.control.requests() if entry.endpoint in ACTIONS)
