"""A world in which everything can go wrong: a judged operator, a cluster that fails, a wall clock that jumps.

Owns how a world is made to misbehave, how it is put in order again, and what must then be true of every resource. What
is done to it, and when, is for the tests to say.
"""

import asyncio
import copy
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final, assert_never

import httpx

from agb_operator.control.memory import SUSPICIOUS
from agb_operator.model.errors import ClusterForbidden, ClusterUnavailable
from agb_operator.model.resource import AgbSession
from agb_simulator import Settings
from integration.restart_points import Gate, GatedCluster, GatedTransport
from integration.world import KEY, NAMESPACE, SECRET, World
from properties.judge import Judge
from simulated import SimulatedTransport, loop_time, wall

PATIENCE: Final = 3 * 3600.0
"""Seconds within which all is in order once nothing goes wrong any more: a lost session is replaced 3 times an hour."""
STRAYS_TOLD: Final = 700.0
"""Seconds after which a resource has been told of a session that lives beside its own: two rounds of looking."""
QUIET: Final = 900.0
"""Seconds for which nothing is written in a world that is in order: longer than the slowest look again."""


class Strike(StrEnum):
    """What happens to one write of the operator at the API server."""

    CONFLICT = "somebody else changes the object first"
    REFUSED = "it is not carried out"
    LOST = "it is carried out, and the answer gets lost"
    FORBIDDEN = "it is not allowed"
    SLOW = "it takes seconds"


class RoughCluster(GatedCluster):
    """A cluster whose next writes meet the strikes, one each; every change goes to the judge."""

    def __init__(self, gate: Gate) -> None:
        super().__init__(gate)
        self.strikes: deque[Strike] = deque()
        self.judge: Judge | None = None
        self.writes = 0
        self._before: dict[str, dict[str, Any]] = {}
        self._touched = 0
        self._told_by = 0.0

    def apply(self, namespace: str, name: str, spec: Mapping[str, Any], **metadata: Any) -> dict[str, Any]:
        if (namespace, name) not in self.objects:
            metadata["creationTimestamp"] = f"{wall():%Y-%m-%dT%H:%M:%SZ}"
        return super().apply(namespace, name, spec, **metadata)

    async def patch_status(
        self, namespace: str, name: str, *, resource_version: str, patch: Mapping[str, Any]
    ) -> dict[str, Any]:
        strike = await self._strike(namespace, name)
        answer = await super().patch_status(namespace, name, resource_version=resource_version, patch=patch)
        return self._on_its_way(answer, strike)

    async def set_finalizers(
        self, namespace: str, name: str, *, resource_version: str, finalizers: list[str]
    ) -> dict[str, Any]:
        strike = await self._strike(namespace, name)
        answer = await super().set_finalizers(namespace, name, resource_version=resource_version, finalizers=finalizers)
        return self._on_its_way(answer, strike)

    async def _strike(self, namespace: str, name: str) -> Strike | None:
        strike = self.strikes.popleft() if self.strikes else None
        match strike:
            case Strike.CONFLICT:
                known = self.objects.get((namespace, name))
                if known is not None:
                    self._touched += 1
                    known["metadata"]["labels"] = {"touched": str(self._touched)}
                    self._changed("MODIFIED", known)
            case Strike.REFUSED:
                raise ClusterUnavailable("the API server is not there", http_status=503)
            case Strike.FORBIDDEN:
                raise ClusterForbidden("the API server does not allow it", http_status=403)
            case Strike.SLOW:
                await asyncio.sleep(7.0)
            case Strike.LOST | None:
                pass
            case _:
                assert_never(strike)
        return strike

    def _on_its_way(self, answer: dict[str, Any], strike: Strike | None) -> dict[str, Any]:
        if strike == Strike.LOST:
            raise ClusterUnavailable("the connection broke before an answer came")
        return answer

    def _changed(self, kind: str, known: dict[str, Any]) -> None:
        self.writes += 1
        uid = known["metadata"]["uid"]
        if kind == "MODIFIED" and self.judge is not None:
            self.judge.written(self._before[uid], known)
        self._before[uid] = copy.deepcopy(known)
        super()._changed(kind, known)

    def _tell(self, kind: str, known: dict[str, Any]) -> None:
        # A watch may be late, but it tells everything in order.
        loop = asyncio.get_running_loop()
        self._told_by = max(self._told_by + 1e-5, loop.time() + self.watch_delay)
        body = copy.deepcopy(known)
        for listener in self.listeners:
            loop.call_at(self._told_by, listener, kind, body)


class JudgedTransport(httpx.AsyncBaseTransport):
    """The simulator, with the judge looking on."""

    def __init__(self, inner: httpx.AsyncBaseTransport, judge: Judge, operator: int) -> None:
        self._inner = inner
        self._judge = judge
        self._operator = operator

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        sent_at = loop_time()
        self._judge.sent(self._operator, request)
        answer: httpx.Response | None = None
        try:
            answer = await self._inner.handle_async_request(request)
        finally:
            self._judge.answered(self._operator, request, sent_at, answer)
        return answer


class RoughWorld(World):
    """A world that a test may treat roughly; `judge` complains of the operator.

    Attributes:
        set_forward: seconds by which the operator's wall clock is ahead.
        let_be: uids of resources whose sessions may outlive them, because somebody has said so.
        home: the account that the operator's key opens.
    """

    doubts_mass_loss = True
    """Whether people must look into it when most sessions of a key have vanished."""

    def __init__(self, **options: Any) -> None:
        self.gate = Gate()
        self.set_forward = 0.0
        self.let_be: set[str] = set()
        self._judge: Judge | None = None
        self._operators = 0
        self._lenient: set[str] = set()
        self.rough: Final = RoughCluster(self.gate)
        super().__init__(cluster=self.rough, wall=self.wall, **options)
        self.rough.judge = self.judge
        self.home: Final = self.judge.home

    @property
    def judge(self) -> Judge:
        if self._judge is None:
            self._judge = Judge(self.control, self.rough.objects)
        return self._judge

    def wall(self) -> datetime:
        """The time of day as the operator's machine has it."""
        return wall() + timedelta(seconds=self.set_forward)

    def transport(self) -> httpx.AsyncBaseTransport:
        self._operators += 1
        judged = JudgedTransport(SimulatedTransport(self.api), self.judge, self._operators)
        return GatedTransport(judged, self.gate)

    def resources(self) -> list[AgbSession]:
        """Read all resources."""
        return [AgbSession.from_body(body) for body in self.cluster.objects.values()]

    def delete(self, name: str) -> None:
        """Delete a resource, as kubectl does."""
        session = self.session(name)
        if not session.has_finalizer and session.uid in self._lenient:
            self.let_be.add(session.uid)
        self.cluster.delete(NAMESPACE, name)
        self.note_policies()

    def note_policies(self) -> None:
        """Note whose sessions may be left alone; to be called after each change of a resource."""
        for session in self.resources():
            if not session.deletes_session or session.observe_only or session.abandoned:
                self._lenient.add(session.uid)
                if session.deleting:
                    self.let_be.add(session.uid)

    async def kill_operator(self, *, down: float) -> None:
        """Kill the operator and start another one a while later."""
        await self.operator.kill()
        await asyncio.sleep(down)
        self.operator = self._make()
        self.operator.start()

    async def replace_operator(self, *, overlap: float) -> None:
        """Start another operator while the present one goes on for a moment."""
        old, self.operator = self.operator, self._make()
        self.operator.start()
        await asyncio.sleep(overlap)
        await old.kill()

    # How it ends

    async def put_in_order(self) -> None:
        """Stop everything that goes wrong; what AGB left unfinished for ever ends now."""
        self.rough.strikes.clear()
        self.control.clear_faults()
        self.control.configure(**asdict(Settings(accept_any_key=False)))
        self.control.add_key(KEY)
        self.control.allow_pause(KEY, allowed=True)
        self.cluster.put_secret(NAMESPACE, SECRET, apiKey=KEY)
        self.cluster.watch_delay = 0.002
        before = {s["sessionId"]: s["status"] for s in self.live()}
        await asyncio.sleep(400.0)
        for session in self.live():
            session_id, status = session["sessionId"], session["status"]
            if before.get(session_id) == status and status not in ("RUNNING", "PAUSED"):
                if status == "DELETING":
                    self.control.act(session_id, "vanish")
                else:
                    self.control.set_status(session_id, "PAUSED" if status == "PAUSING" else "RUNNING")

    async def assert_settles(self) -> None:
        """All comes to be as the resources say, and then nothing is written any more."""
        deadline = loop_time() + PATIENCE
        while wrong := self.wrong():
            assert loop_time() < deadline, wrong
            await asyncio.sleep(60.0)
            self._read_messages()
        await asyncio.sleep(STRAYS_TOLD)
        writes, settled = self.rough.writes, copy.deepcopy(self.cluster.objects)
        await asyncio.sleep(QUIET)
        changed = [(settled[name], body) for name, body in self.cluster.objects.items() if settled[name] != body]
        assert self.rough.writes == writes, changed
        assert not self.wrong(), self.wrong()

    def _read_messages(self) -> None:
        """Do as people do who read the messages: where AGB has nothing left they let go, or confirm the loss."""
        there = {s["sessionId"] for s in self.live()}
        for session in self.resources():
            ready, stalled = session.status.condition("Ready"), session.status.condition("Stalled")
            suspect = ready is not None and ready.reason == "ApiUnavailable"
            blocked = stalled is not None and stalled.reason == "DeletionBlocked"
            if session.deleting and suspect and blocked and session.session_id not in there and not session.abandoned:
                self.cluster.annotate(session.key.namespace, session.key.name, abandon="true")
                self.note_policies()
            else:
                self.confirm_loss(session)

    def confirm_loss(self, session: AgbSession) -> None:
        """Say that a session is lost, where the message asks for that and AGB has none."""
        ready, id_ = session.status.condition("Ready"), session.session_id
        lost = id_ and all(each["sessionId"] != id_ for each in self.live())
        if lost and ready is not None and "confirm-lost" in ready.message:
            self.cluster.annotate(session.key.namespace, session.key.name, confirm_lost=id_)

    def wrong(self) -> list[str]:
        """Say what is not as it should be once nothing goes wrong any more."""
        known = {s["sessionId"]: s for s in self.control.sessions() if s["account"] == self.home}
        live = {session_id: s for session_id, s in known.items() if s["live"]}
        orphans = {s["sessionId"] for s in self.live()} - set(live)
        resources = self.resources()
        lost = [s for s in resources if s.session_id and s.session_id not in live]
        suspect = self.doubts_mass_loss and len(lost) >= SUSPICIOUS and 2 * len(lost) > len(resources)
        told: list[str] = []
        for session in resources:
            if session.session_id in orphans and not session.deleting:
                continue  # its key opened another account for a while: nobody can say what becomes of it
            relabelled = session.session_id in self.judge.relabelled
            if text := _wrong(session, resources, live=live, known=known, suspect=suspect, relabelled=relabelled):
                told.append(f"{session.key}: {text}")
        return [*told, *self.nobodys()]

    def nobodys(self) -> list[str]:
        """Say which sessions live that no resource has, though nobody has said that they may."""
        owners = {s.uid: s for s in self.resources()}
        told = []
        for seen in self.live():
            session_id, uid = seen["sessionId"], self.judge.owner(seen)
            owner = owners.get(uid)
            if not uid or uid in self.let_be or session_id in self.judge.foreign or seen["account"] != self.home:
                continue
            if owner is None or (owner.session_id != session_id and not owner.observe_only):
                told.append(f"{session_id} of {uid} is nobody's")
        return told


def _wrong(
    session: AgbSession,
    resources: list[AgbSession],
    *,
    live: Mapping[str, Mapping[str, Any]],
    known: Collection[str],
    suspect: bool,
    relabelled: bool,
) -> str:
    ready = session.status.condition("Ready")
    if session.deleting:
        return f"still being deleted: {session.status}"
    if ready is None or ready.observed_generation != session.generation:
        return "not looked at"
    there = live.get(session.session_id)
    word = "Paused" if session.paused else "Running"
    if suspect and there is None and ready.reason == "ApiUnavailable":
        return ""  # most sessions of the key have vanished together: that is for people to look into
    contested = any(_manages(other, session) for other in resources)
    if session.observe_only:
        right = "Observed" if there else "SessionNotFound"
    elif contested and session.session_id in known:
        right = "SessionConflict"  # also over one that was released, as long as AGB speaks of it
    elif there is None:
        right = word if session.recreate and not session.paused else "SessionNotFound"
    else:
        right = word
    if ready.reason != right:
        return f"Ready is {ready.reason} instead of {right}: {ready.message}"
    if right == word and (there is None or there["status"] != word.upper()):
        return f"AGB has {there} instead of {word}"
    if there is not None and right != "SessionConflict" and session.status.session_status != there["status"]:
        return f"says {session.status.session_status}, and AGB says {there['status']}"
    if right == word and session.image_id and there is not None and not relabelled:
        labels = session.session_labels("test")
        return "" if there["labels"] == labels else f"AGB has labels {there['labels']} instead of {labels}"
    return ""


def _manages(other: AgbSession, session: AgbSession) -> bool:
    same = bool(other.session_id) and other.session_id == session.session_id
    return same and other.precedence < session.precedence and not other.observe_only
