"""The set-up of a run: API server, simulator, and two operators, each behind proxies and in a kubelet's care."""

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from chaos.api import Sessions
from chaos.journal import Journal, Life
from chaos.verdict import UID
from control_plane import ControlPlane, find_kubectl
from e2e.stack import KEY, Simulator, until_established
from kubectl import Kubectl
from kubelet import Kubelet
from proxy import Proxy
from reliability.replicas import Identity, Replica, identity

NAMESPACE = "chaos"
CRDS = Path(__file__).resolve().parents[2] / "crds"
AGB_TIMEOUT = 6.0
OTHERS: Mapping[str, Mapping[str, str]] = {
    "session-others-1": {},
    "session-others-2": {UID: "uid-elsewhere", "agb-operator-cluster": "elsewhere", "agb-operator-name": "s000"},
}
"""Sessions in the account that are no operator's business, and their labels."""


class Member:
    """One operator: its two networks, and the kubelet that keeps it running."""

    def __init__(self, name: str, who: Identity, *, agb: Proxy, api: Proxy, journal: Journal, bug: str) -> None:
        self.name = name
        self.who = who
        self.agb = agb
        self.api = api
        self._journal = journal
        self._program = ("-m", "chaos.planted", bug) if bug else ("-m", "agb_operator")
        self.kubelet = Kubelet(self._start)

    @property
    def replica(self) -> Replica:
        """Its present process."""
        replica = self.kubelet.operator
        assert isinstance(replica, Replica)
        return replica

    def _start(self) -> Replica:
        started = time.time()
        replica = Replica(
            self.who,
            "--resync=5s",
            endpoint=f"http://127.0.0.1:{self.agb.port}",
            env={
                "AGB_TIMEOUT_MS": f"{AGB_TIMEOUT * 1000:.0f}",
                "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            },
            program=self._program,
        )
        self._journal.started(
            Life(replica=self.name, fingerprint=self.who.fingerprint, pid=replica.pid, started=started)
        )
        return replica


class Stage:
    """Everything that runs, until the `with` block ends.

    Args:
        folder: for logs and credentials.
        journal: told of each operator's start.
        bug: planted into the operators; "" for none, see `planted`.
        seed: makes the simulator's choices repeatable.
    """

    def __init__(self, *, folder: Path, journal: Journal, bug: str = "", seed: int = 0) -> None:
        self._folder = folder
        self._journal = journal
        self._bug = bug
        self._seed = seed
        self._stack = ExitStack()
        self.request_log = folder / "requests.jsonl"
        self.members: list[Member] = []

    def __enter__(self) -> Self:
        with self._stack:
            self._build()
            self._stack = self._stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def _build(self) -> None:
        enter = self._stack.enter_context
        self.plane = enter(ControlPlane())
        flags = ("--transition=1s", "--latency=100ms", f"--seed={self._seed}", f"--request-log={self.request_log}")
        self.simulator = enter(Simulator(*flags, log=self._folder / "simulator.log"))
        for session_id, labels in OTHERS.items():
            self.simulator.control.add_session(KEY, session_id=session_id, labels=labels)
        self.kubectl = Kubectl(program=find_kubectl(), kubeconfig=self.plane.kubeconfig, home=self._folder)
        self._must("apply", f"--filename={CRDS}")
        until_established(self.kubectl, f"--filename={CRDS}")
        self._must("create", "namespace", NAMESPACE)
        user = self._identity("user")
        token = json.loads(self._must("config", "view", "--raw", "--output=json", f"--kubeconfig={user.kubeconfig}"))
        self._token = token["users"][0]["user"]["token"]
        for name in ("first", "second"):
            agb = enter(Proxy(_port(self.simulator.endpoint)))
            api = enter(Proxy(_port(self.plane.server_url)))
            who = self._identity(name, server=f"https://127.0.0.1:{api.port}")
            member = Member(name, who, agb=agb, api=api, journal=self._journal, bug=self._bug)
            self.members.append(member)
            enter(member.kubelet)

    def sessions(self) -> Sessions:
        """Open a way of its own to the AgbSessions; closed with the stage."""
        sessions = Sessions(self.plane, NAMESPACE, self._token)
        self._stack.callback(sessions.close)
        return sessions

    def leader(self) -> Member | None:
        """Give the operator that says it leads."""
        return next((member for member in self.members if member.replica.leads), None)

    def _identity(self, name: str, *, server: str = "") -> Identity:
        return identity(
            name,
            namespace=NAMESPACE,
            kubectl=self.kubectl,
            control_plane=self.plane,
            control=self.simulator.control,
            folder=self._folder,
            server=server,
        )

    def _must(self, *args: str) -> str:
        answer = self.kubectl(*args)
        assert answer.succeeded, (args, answer.err)
        return answer.out


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
