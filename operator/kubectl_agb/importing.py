"""`import`: the sessions of an AGB account that no AgbSession speaks for yet, as manifests; nothing is written.

The one part of the plugin that speaks to AGB, with the key in `AGB_API_KEY`.
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from agb_operator.agb.api_key import ApiKey
from agb_operator.agb.client import SessionClient
from agb_operator.agb.http import AgbApi
from agb_operator.agb.pages import PageWalk
from agb_operator.kube.schedule_requests import GROUP_VERSION
from agb_operator.model.errors import AgbError, SessionNotFound, Throttled
from agb_operator.model.resource import KIND, UID_LABEL, AgbSession
from agb_operator.model.states import Observation, SessionState

from .cluster import Cluster, connected
from .errors import Failed, WrongUsage
from .options import Where

_ENDPOINT: Final = "sdk-api.agb.cloud"
_AT_ONCE: Final = 5
_TRIES: Final = 6
"""Of a call that AGB wants later."""
_PAUSE: Final = 2.0
"""Seconds until then, where AGB does not say."""
_LONGEST_PAUSE: Final = 60.0
"""Seconds that a person waits for without a word."""
_OVER: Final = (SessionState.DELETING, SessionState.RELEASED, SessionState.NOT_FOUND)
_ASLEEP: Final = (SessionState.PAUSED, SessionState.PAUSING)
_LONGEST_NAME: Final = 63

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Imported:
    """What was found.

    Attributes:
        known: sessions that an AgbSession names.
        owned: sessions that an operator, of whatever cluster, has made.
        partly: why not all AgbSessions could be read; "" if they could.
    """

    manifests: Sequence[Mapping[str, Any]]
    known: int
    owned: int
    partly: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Import:
    """What was asked for.

    Attributes:
        labels: those that a session at AGB carries.
        manage: the AgbSessions are to manage their sessions, not only to observe them.
        name_from: the label that gives names; "" is none.
    """

    where: Where
    labels: tuple[str, ...]
    manage: bool
    name_from: str

    async def run(self) -> Imported:
        """Look at the account and at the cluster.

        Raises:
            WrongUsage: there is no usable key, or a label is none.
            Failed: AGB or the cluster cannot be read.
        """
        labels, key = _labels(self.labels), _key()
        async with connected(self.where.namespace, self.where.context) as cluster, _account(key) as client:
            named, partly = await self._named(cluster)
            try:
                sessions = [seen for seen in await _all(client, labels) if seen.state not in _OVER]
                fresh = [seen for seen in sessions if seen.session_id not in named]
                found = await asyncio.gather(*_in_turns(client, fresh))
            except AgbError as error:
                raise Failed(f"AGB: {key.redact(error.message)}") from None
        there = [(seen, said) for seen, said in zip(fresh, found, strict=True) if said is not None]
        free = [(seen, said) for seen, said in there if UID_LABEL not in said]
        return Imported(
            manifests=self._manifests(free, cluster.namespace),
            known=len(sessions) - len(fresh),
            owned=len(there) - len(free),
            partly=partly,
        )

    async def _named(self, cluster: Cluster) -> tuple[set[str], str]:
        """Give the sessions that AgbSessions name; to manage one that another does would be a conflict."""
        try:
            bodies, partly = await cluster.sessions(None), ""
        except Failed as error:
            if self.manage:
                raise Failed(f"--manage has to know the AgbSessions of all namespaces: {error.message}") from error
            bodies, partly = await cluster.sessions(cluster.namespace), error.message
        sessions = map(AgbSession.from_body, bodies)
        return {name for each in sessions for name in (each.adopted_id, each.status.session_id) if name}, partly

    def _manifests(
        self, found: Sequence[tuple[Observation, Mapping[str, str]]], namespace: str
    ) -> list[Mapping[str, Any]]:
        taken: set[str] = set()
        manifests: list[Mapping[str, Any]] = []
        for seen, labels in found:
            name = _unique(labels.get(self.name_from, "") or seen.session_id, seen.session_id, taken)
            spec = {
                "sessionId": seen.session_id,
                # As it is now: without this one that is managed later would be woken.
                **({"paused": True} if seen.state in _ASLEEP else {}),
                **({} if self.manage else {"managementPolicy": "Observe"}),
                "deletionPolicy": "Retain",
            }
            manifests.append(
                {
                    "apiVersion": GROUP_VERSION,
                    "kind": KIND,
                    "metadata": {"name": name, "namespace": namespace},
                    "spec": spec,
                }
            )
        return manifests


def _labels(given: Sequence[str]) -> dict[str, str]:
    labels = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise WrongUsage(f"-l {text}: say a label of sessions at AGB as NAME=VALUE")
        labels[name] = value
    return labels


def _key() -> ApiKey:
    try:
        return ApiKey(os.environ["AGB_API_KEY"])
    except KeyError:
        raise WrongUsage("AGB_API_KEY is not set: put the key of the account there") from None
    except ValueError as error:
        raise WrongUsage(f"AGB_API_KEY: {error}") from None


@asynccontextmanager
async def _account(key: ApiKey) -> AsyncIterator[SessionClient]:
    endpoint = os.environ.get("AGB_ENDPOINT", "").strip() or _ENDPOINT
    try:
        api = AgbApi(endpoint=endpoint, on_call=lambda *_: None)
    except ValueError as error:
        raise WrongUsage(f"AGB_ENDPOINT {endpoint}: {error}") from None
    try:
        yield api.client_of(key)
    finally:
        await api.aclose()


async def _all(client: SessionClient, labels: Mapping[str, str]) -> list[Observation]:
    walk = PageWalk(client=client, labels=labels)
    found: dict[str, Observation] = {}
    while not walk.ended:
        page = await _patiently(walk.next_page)
        found |= {seen.session_id: seen for seen in page.sessions}
    return list(found.values())


def _in_turns(client: SessionClient, sessions: Sequence[Observation]) -> list[Awaitable[Mapping[str, str] | None]]:
    turns = asyncio.Semaphore(_AT_ONCE)

    async def one(session_id: str) -> Mapping[str, str] | None:
        async with turns:
            try:
                return await _patiently(lambda: client.get_labels(session_id))
            except SessionNotFound:  # it has ended since the list
                return None

    return [one(seen.session_id) for seen in sessions]


async def _patiently(call: Callable[[], Awaitable[T]]) -> T:
    """Ask again while AGB wants fewer requests.

    Raises:
        Failed: it wants none for longer than anybody would wait.
    """
    for _ in range(_TRIES - 1):
        try:
            return await call()
        except Throttled as error:
            pause = error.retry_after or _PAUSE
            if pause > _LONGEST_PAUSE:
                raise Failed(f"AGB wants no calls with this key for {pause:.0f} s; try again after that") from None
            await asyncio.sleep(pause)
    return await call()


def _unique(wanted: str, session_id: str, taken: set[str]) -> str:
    """Make a text a name that no other has."""
    name = _as_name(wanted) or _as_name(session_id) or "session"
    if name in taken:
        tail = _as_name(session_id)[-12:].lstrip("-")
        name = f"{name[: _LONGEST_NAME - 13]}-{tail}"
    number, first = 2, name
    while name in taken:
        name, number = f"{first[: _LONGEST_NAME - 5]}-{number}", number + 1
    taken.add(name)
    return name


def _as_name(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower())[:_LONGEST_NAME].strip("-")
