"""Brings a resource into each phase, so that the tests of the matrix say only what happens then."""

from collections.abc import Sequence
from typing import Any, Final

from agb_operator.model.status import Phase
from integration.world import KEY, NAMESPACE, SECRET, World

PHASES: Final[Sequence[Phase]] = tuple(Phase)
TRANSITION: Final = 20.0
"""Virtual seconds of a pause, a resume or a release: long enough for something to happen meanwhile."""
IMAGE: Final = "agb-code-space-1"
FOREIGN_WORD: Final = "MIGRATING"
"""A status that the operator does not know."""


def new_world(**options: Any) -> World:
    """Give a world in which every move takes its time, a creation included."""
    world = World(transition=TRANSITION, **options)
    world.control.configure(create_transition=TRANSITION)
    return world


async def bring(world: World, phase: Phase, **spec: Any) -> str:
    """Bring the resource `s`, made from an image, into a phase; returns its session's id, "" while it has none."""
    if phase == Phase.PENDING:
        del world.cluster.secrets[NAMESPACE, SECRET]
        world.apply(imageId=IMAGE, **spec)
        await world.ready("CredentialsMissing")
    elif phase == Phase.CREATING:
        world.apply(imageId=IMAGE, **spec)
        await world.until(lambda: world.status().get("sessionStatus") == "CREATING")
    else:
        world.apply(imageId=IMAGE, **spec)
        await world.ready("Running")
        await _bring_from_running(world, phase)
    await world.until(lambda: world.status()["phase"] == phase)
    return str(world.status().get("sessionId", ""))


async def _bring_from_running(world: World, phase: Phase) -> None:
    session_id = world.status()["sessionId"]
    match phase:
        case Phase.PAUSING:
            world.patch(paused=True)
        case Phase.PAUSED:
            world.patch(paused=True)
            await world.ready("Paused")
        case Phase.RESUMING:
            world.patch(paused=True)
            await world.ready("Paused")
            world.patch(paused=False)
        case Phase.DELETING:
            world.cluster.delete(NAMESPACE, "s")
        case Phase.LOST:
            world.control.act(session_id, "vanish")
        case Phase.UNKNOWN:
            world.control.set_status(session_id, FOREIGN_WORD)


def give_key(world: World) -> None:
    """Put the Secret in place, which the phase Pending waits for."""
    world.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)


def statuses(world: World) -> list[str]:
    """Give AGB's word for each session that lives."""
    return [str(session["status"]) for session in world.live()]
