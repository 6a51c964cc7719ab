"""What `kubectl agb plan` lists is what then happens: an operator lives through it in virtual time, AGB's log tells."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from agb_operator.model.status import parse_timestamp
from integration.world import KEY, NAMESPACE, World
from kubectl_agb.fleet import by_namespace, read_sessions
from kubectl_agb.forecast import Forecast
from kubectl_agb.planned import objects
from simulated import EPOCH, loop_time, wall

pytestmark = pytest.mark.looptime

HOUR = 3600.0
CALLS = {"pauseSessionAsync": "Paused", "resumeSessionAsync": "Running"}
LATE = 5.0
"""Seconds after which AGB has been asked at the latest: there are no failures here, and few sessions."""


async def adopt(world: World, name: str, labels: dict[str, str], **spec: Any) -> str:
    session_id = world.control.add_session(KEY)
    manifest = {"credentials": {"secretRef": {"name": "agb-credentials"}}, "sessionId": session_id, **spec}
    world.cluster.apply(NAMESPACE, name, manifest, labels=labels)
    return session_id


async def test_an_hour_of_edges() -> None:
    async with World() as world:
        world.schedule("nights", pauseAt="10 0 * * *", resumeAt="40 0 * * *", spread="5m")
        world.schedule("often", pauseAt="20 * * * *", resumeAt="25 * * * *", selector={"matchLabels": {"often": "yes"}})
        world.schedule(
            "window",
            selector={"matchLabels": {"window": "yes"}},
            windows=[{"from": "2026-01-01T00:30", "to": "2026-01-01T00:50"}],
            exceptions=[{"from": "2026-01-01T00:35", "to": "2026-01-01T00:36"}],
        )
        ids: dict[str, str] = {}
        for name in [f"s-{number}" for number in range(12)]:
            ids[name] = await adopt(world, name, {"team": "ml"})
        ids["both"] = await adopt(world, "both", {"team": "ml", "often": "yes", "window": "yes"})
        ids["often"] = await adopt(world, "often", {"often": "yes"})
        ids["window"] = await adopt(world, "window", {"window": "yes"})
        until = {"state": "Running", "until": "2026-01-01T00:33:00Z"}
        ids["late"] = await adopt(world, "late", {"team": "ml"}, override=until)
        ids["asleep"] = await adopt(world, "asleep", {}, paused=True)
        await asyncio.sleep(60)
        now = wall()
        bodies = list(world.cluster.objects.values())
        schedules = by_namespace(world.cluster.schedules.values())

        forecast = Forecast(now=now, begin=now, end=EPOCH + timedelta(seconds=HOUR), schedules=schedules)
        planned = [
            (each["name"], each["state"], parse_timestamp(each["at"]))
            for each in objects(forecast.of(read_sessions(bodies)))
        ]
        since = world.control.stats()["last"]
        await asyncio.sleep(HOUR + 30 - loop_time())

        names = {session_id: name for name, session_id in ids.items()}
        happened = [
            (names[entry.session_id or ""], CALLS[entry.endpoint], EPOCH + timedelta(seconds=entry.time))
            for entry in world.control.requests(since=since)
            if entry.endpoint in CALLS
        ]
        assert len(planned) >= 30
        assert sorted((name, state) for name, state, _ in happened) == sorted(
            (name, state) for name, state, _ in planned
        )
        for (name, state, at), (_, _, due) in zip(in_order(happened), in_order(planned), strict=True):
            assert due is not None
            assert timedelta(0) <= at - due <= timedelta(seconds=LATE), (name, state, at, due)
        world.assert_clean()


def in_order(changes: list[Any]) -> list[Any]:
    return sorted(changes, key=lambda change: (change[0], change[2]))
