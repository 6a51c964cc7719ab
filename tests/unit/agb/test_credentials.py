"""When a Secret that cannot be read is read again; in virtual time."""

import asyncio
import itertools
import json
from contextlib import suppress
from dataclasses import dataclass, field
from math import inf

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.credentials import FRESH, Credentials
from agb_operator.agb.guard import Guard, Guards
from agb_operator.agb.replies import Reply, read_reply
from agb_operator.agb.requests import Request, client_over
from agb_operator.model.errors import ApiUnavailable, ClusterUnavailable
from simulated import loop_clock, loop_time
from unit.builders import a_session

pytestmark = pytest.mark.looptime

SESSION = a_session(credentials={"secretRef": {"name": "agb-credentials"}})
OFTEN = 0.125
"""Seconds between two passes that need the key."""


@dataclass
class Secrets:
    """An API server that serves Secrets only while it is well."""

    is_well: bool = False
    read_at: list[float] = field(default_factory=list)

    async def read_secret(self, namespace: str, name: str) -> dict[str, bytes]:
        self.read_at.append(loop_time())
        if not self.is_well:
            raise ClusterUnavailable("it fails", http_status=500)
        return {"apiKey": b"some-key"}

    def gaps(self, since: int = 0) -> list[float]:
        return [later - earlier for earlier, later in itertools.pairwise(self.read_at[since:])]


def credentials_of(secrets: Secrets, *, jitter: float) -> Credentials:
    def client_of(key: ApiKey, guard: Guard) -> SessionClient:
        async def send(request: Request) -> Reply:
            return read_reply(status=200, body=json.dumps({"success": True, "data": {"status": "RUNNING"}}).encode())

        return client_over(guard.around(send))

    clock = loop_clock(jitter=jitter)
    return Credentials(
        secrets=secrets,
        open_client=client_of,
        guards=Guards(most=inf, clock=clock, on_throttled=lambda: None),
        own_key=None,
        own_key_namespaces=(),
        clock=clock,
        on_key=lambda key: None,
    )


async def asked_for(credentials: Credentials, seconds: float) -> None:
    """Ask for the key all the time, whether or not it is known."""
    for _ in range(int(seconds / OFTEN)):
        with suppress(ApiUnavailable):
            await credentials.client_of(SESSION)
        await asyncio.sleep(OFTEN)


@pytest.mark.parametrize(("jitter", "share"), [(0.0, 0.5), (1.0, 1.0)])
async def test_a_secret_that_was_never_read_is_read_again_with_growing_gaps(jitter: float, share: float) -> None:
    secrets = Secrets()
    await asked_for(credentials_of(secrets, jitter=jitter), 120.0)

    assert secrets.gaps()[:7] == [share * seconds for seconds in (1, 2, 4, 8, 16, 20, 20)]


async def test_a_key_that_is_known_serves_on_and_gaps_begin_anew_after_a_read() -> None:
    secrets = Secrets()
    credentials = credentials_of(secrets, jitter=1.0)
    await asked_for(credentials, 40.0)
    secrets.is_well = True
    await asked_for(credentials, 30.0)
    secrets.is_well = False
    failed = len(secrets.read_at)
    await asked_for(credentials, FRESH + 40.0)

    await credentials.client_of(SESSION)  # it is given
    assert secrets.gaps(failed)[:4] == [1, 2, 4, 8]
