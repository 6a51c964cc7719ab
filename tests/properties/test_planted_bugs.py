"""The life machines find bugs: each one planted here makes them fail within a thousand lives or so."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from agb_operator.model.states import Observation
from agb_operator.policy.wording import needs_finalizer
from fakes import FakeCluster
from integration.restart_points import Trusting
from integration.world import World
from properties.life_machine import CalmLife, RoughLife

SEARCH = settings(
    max_examples=1500,
    stateful_step_count=30,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    report_multiple_bugs=False,
)

Plant = Callable[[pytest.MonkeyPatch], None]


def no_look_before_acting(patch: pytest.MonkeyPatch) -> None:
    make = World._make

    def blind(world: World) -> Any:
        world._options["wrap"] = lambda client: Trusting(client, world.cluster)
        return make(world)

    patch.setattr(World, "_make", blind)


def no_look_up_before_a_create(patch: pytest.MonkeyPatch) -> None:
    async def finds_nothing(*_: Any) -> list[Observation]:
        return []

    patch.setattr("agb_operator.control.evidence.Gatherer._listed", finds_nothing)


def no_grace_period(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agb_operator.policy.creation.LABELS_SHOW", 0.0)


def no_release_of_duplicates(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agb_operator.policy.decide.after_the_step", lambda given, draft: draft)


def finalizer_off_before_the_release(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        "agb_operator.policy.decide.needs_finalizer", lambda session: needs_finalizer(session) and not session.deleting
    )


def writes_without_a_change(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("agb_operator.control.status_writer.merge_patch", lambda before, after: dict(after))


def writes_without_resource_version(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(FakeCluster, "_guarded", lambda cluster, namespace, name, version: cluster._known(namespace, name))


@pytest.mark.parametrize(
    ("plant", "life"),
    [
        (no_look_before_acting, CalmLife),
        (no_look_up_before_a_create, CalmLife),
        (no_grace_period, CalmLife),
        (no_release_of_duplicates, RoughLife),
        (finalizer_off_before_the_release, CalmLife),
        (writes_without_a_change, CalmLife),
        (writes_without_resource_version, RoughLife),
    ],
)
def test_the_machines_find_a_planted_bug(plant: Plant, life: type[CalmLife], monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(life, settings=SEARCH)
