"""From the operator before AgbPauseSchedules to this one and back: nobody is called, nothing is rewritten.

The CRD is the first chart's, which is kept; the statuses are what that chart's operator left. An operator of that time
knows `spec.paused` alone, so a way back is right when each session is as `paused` says before it takes over.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agb_simulator.control import SimulatorControl
from conftest import CRDS
from control_plane import AuditLog, ControlPlane
from e2e.stack import ALL_DAY, KEY, Operator, Simulator, eventually, manifest, nights, until_established
from kubectl import Kubectl

pytestmark = pytest.mark.timeout(300)

CHART_BEFORE = Path(__file__).resolve().parents[1] / "chart" / "before" / "agb-operator-0.1.0.tgz"
FLEET = 50
SINCE = "2026-06-01T08:00:00Z"
NEW = {"why", "nextChange", "usage", "seenWith"}
"""The fields of a status that the operator before did not know."""
CHANGING = ("createSession", "pauseSessionAsync", "resumeSessionAsync", "releaseSessionAsync", "SetLabel")
LOOKS = 4
"""Lists of the account after which every session has been looked at more than once."""


def name_of(number: int) -> str:
    return f"s-{number:02}"


def is_paused(number: int) -> bool:
    return number % 2 == 1


def left_behind(session_id: str, *, paused: bool) -> dict[str, Any]:
    """Give the status of a settled session as the operator before wrote it."""
    word = "Paused" if paused else "Running"
    text = "paused, as asked; its state is kept." if paused else "running, as asked."

    def condition(kind: str, status: bool, message: str) -> dict[str, Any]:
        return {
            "type": kind,
            "status": str(status),
            "reason": word,
            "message": message,
            "observedGeneration": 1,
            "lastTransitionTime": SINCE,
        }

    operation = {
        "type": "Pause",
        "state": "Succeeded",
        "startedAt": SINCE,
        "finishedAt": SINCE,
        "attempts": 1,
        "requestId": "80BB957B-2C05-46AB-ADFF-CDF70B644673",
    }
    return {
        "observedGeneration": 1,
        "phase": word,
        "desiredState": word,
        "sessionId": session_id,
        "sessionStatus": word.upper(),
        "conditions": [
            condition("Ready", True, f"The session is {text}"),
            condition("Paused", paused, f"AGB says {word.upper()}."),
        ],
        **({"lastOperation": operation} if paused else {}),
    }


class Fleet:
    """Fifty AgbSessions, each second one asleep, and what has happened to them."""

    def __init__(self, kubectl: Kubectl, control: SimulatorControl, audit: AuditLog) -> None:
        self.kubectl = kubectl
        self.control = control
        self._audit = audit
        ids = [control.add_session(KEY, status="PAUSED" if is_paused(n) else "RUNNING") for n in range(FLEET)]
        bodies = [
            {
                **manifest(name_of(n), "default", sessionId=ids[n], paused=is_paused(n)),
                "status": left_behind(ids[n], paused=is_paused(n)),
            }
            for n in range(FLEET)
        ]
        for body in bodies:
            body["metadata"]["labels"] = {"team": "ml" if body["metadata"]["name"] < name_of(FLEET // 2) else "web"}
        listed = {"apiVersion": "v1", "kind": "List", "items": bodies}
        self.must("create", "--filename=-", stdin=json.dumps(listed))
        self.must("apply", "--server-side", "--subresource=status", "--filename=-", stdin=json.dumps(listed))
        self.begin()

    def must(self, *args: str, stdin: str | None = None) -> str:
        answer = self.kubectl(*args, stdin=stdin)
        assert answer.succeeded, (args, answer.err)
        return answer.out

    def begin(self) -> None:
        """Count from here."""
        self._audit.read_new()
        self._since = self.control.stats()["last"]
        self._writes: Counter[str] = Counter()
        self.before = self.read()

    def read(self) -> dict[str, dict[str, Any]]:
        items = json.loads(self.must("get", "agbsessions", "--output=json"))["items"]
        return {item["metadata"]["name"]: item for item in items}

    def writes(self) -> Counter[str]:
        """Count what the operator has written, by object."""
        for event in self._audit.read_new():
            if event.is_write and event.user_agent.startswith("agb-operator"):
                self._writes[f"{event.resource}/{event.subresource} {event.name}"] += 1
        return Counter(self._writes)

    def until_looked_at(self) -> None:
        """Wait until an operator has looked at all of them some times."""
        begun = self.control.stats()["last"]

        def lists() -> bool:
            found = self.control.requests(since=begun)
            return sum(entry.endpoint == "ListSession" for entry in found) >= LOOKS

        eventually(lists, within=60.0)

    def calls(self) -> list[str]:
        """Give the calls that changed a session."""
        return [entry.endpoint for entry in self.control.requests(since=self._since) if entry.endpoint in CHANGING]

    def patch(self, name: str, **spec: Any) -> None:
        self.must("patch", "agbsession", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def words_of(self, item: dict[str, Any]) -> str:
        """Give AGB's word for one's session."""
        return str(self.control.session(item["spec"]["sessionId"])["status"])

    def until_words(self, wanted: dict[str, str]) -> None:
        """Wait until AGB says so of these."""

        def found() -> bool:
            items = self.read()
            assert {name: self.words_of(items[name]) for name in wanted} == wanted
            return True

        eventually(found, within=60.0)

    def ready_without_schedules(self) -> bool:
        """Tell whether all are Ready for their present spec, and no WHY speaks of a schedule or an override."""
        return all(
            item["status"]["why"] in ("Spec", "Default")
            and item["status"]["observedGeneration"] == item["metadata"]["generation"]
            and item["status"]["conditions"][0]["status"] == "True"
            for item in self.read().values()
        )

    def assert_rewritten_in_new_fields_only(self) -> None:
        for name, item in self.read().items():
            before = self.before[name]
            assert item["spec"] == before["spec"]
            for field in ("generation", "labels", "annotations", "finalizers"):
                assert item["metadata"].get(field) == before["metadata"].get(field)
            old = {field: value for field, value in item["status"].items() if field not in NEW}
            assert old == {field: value for field, value in before["status"].items() if field not in NEW}


class World:
    """A cluster with the CRD of the first chart, AGB, and the fleet; operators come and go."""

    def __init__(
        self, plane: ControlPlane, kubectl: Kubectl, simulator: Simulator, *, helm: Path, folder: Path
    ) -> None:
        command = [str(helm), "template", "agb-operator", str(CHART_BEFORE), "--show-only=templates/crd.yaml"]
        rendered = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
        self._crd_before = folder / "crd-before.yaml"
        self._crd_before.write_text(rendered)
        self._plane, self._kubectl, self._simulator, self._folder = plane, kubectl, simulator, folder
        self.go_back()
        self.fleet = Fleet(kubectl, simulator.control, plane.audit_events())

    def go_back(self) -> None:
        """Bring the CRD of sessions to what it was, as `helm rollback` does; that of schedules is kept."""
        assert "override" not in self._crd_before.read_text()
        self._replace(self._crd_before)

    def upgrade(self) -> None:
        """Bring the CRDs of today."""
        self._replace(CRDS)

    def _replace(self, crds: Path) -> None:
        answer = self._kubectl("apply", "--server-side", "--force-conflicts", f"--filename={crds}")
        assert answer.succeeded, answer.err
        until_established(self._kubectl, f"--filename={crds}")

    def operator(self, *, resync: str = "1s") -> Operator:
        return Operator(
            f"--resync={resync}",
            "--no-leader-election",
            "--default-key-namespace=*",
            kubeconfig=self._plane.kubeconfig,
            endpoint=self._simulator.endpoint,
            log=self._folder / "operator.log",
            env={"AGB_API_KEY": KEY},
        )


@pytest.fixture
def world(kubectl_program: Path, helm_program: Path, tmp_path: Path) -> Iterator[World]:
    with ControlPlane() as plane, Simulator("--transition=200ms", log=tmp_path / "simulator.log") as simulator:
        kubectl = Kubectl(program=kubectl_program, kubeconfig=plane.kubeconfig, home=tmp_path)
        yield World(plane, kubectl, simulator, helm=helm_program, folder=tmp_path)


def test_an_upgrade_looks_and_writes_each_status_once_to_say_what_is_new(world: World) -> None:
    world.upgrade()
    fleet = world.fleet
    with world.operator() as operator:
        operator.ready()
        eventually(lambda: all("why" in item["status"] for item in fleet.read().values()))
        fleet.until_looked_at()
        fleet.writes()
        fleet.until_looked_at()
        writes = fleet.writes()

    assert fleet.calls() == []
    assert set(writes) == {f"agbsessions/status {name_of(number)}" for number in range(FLEET)}
    assert set(writes.values()) == {1}
    fleet.assert_rewritten_in_new_fields_only()
    found = [(item["status"]["desiredState"], item["status"]["why"]) for item in fleet.read().values()]
    assert found == [("Paused", "Spec") if is_paused(number) else ("Running", "Default") for number in range(FLEET)]


def test_without_the_new_crds_all_works_as_before(world: World) -> None:
    fleet = world.fleet
    with world.operator() as operator:
        operator.ready()
        fleet.until_looked_at()
        assert fleet.calls() == []
        fleet.assert_rewritten_in_new_fields_only()
        eventually(lambda: len(fleet.writes()) == FLEET, within=60.0)
        fleet.until_looked_at()
        assert set(fleet.writes().values()) == {1}, "what the CRD does not keep is not written again and again"

        fleet.patch("s-00", paused=True)
        fleet.patch("s-01", paused=False)
        fleet.until_words({"s-00": "PAUSED", "s-01": "RUNNING"})
        fleet.must("wait", "--for=condition=Paused", "agbsession/s-00", "--timeout=20s")
        assert sorted(fleet.calls()) == ["pauseSessionAsync", "resumeSessionAsync"]

        fleet.control.act(fleet.before["s-02"]["spec"]["sessionId"], "pause")
        fleet.until_words({"s-02": "PAUSED"})
        fleet.until_words({"s-02": "RUNNING"})
        assert operator.text().count("there is no AgbPauseSchedule resource") == 1


def test_the_way_back_leaves_each_session_as_paused_says(world: World) -> None:
    world.upgrade()
    fleet = world.fleet
    asleep_by_schedule = [name_of(number) for number in range(FLEET // 2)]
    until = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    with world.operator() as operator:
        operator.ready()
        fleet.must("apply", "--filename=-", stdin=json.dumps(nights("default", **ALL_DAY)))
        fleet.patch("s-40", override={"state": "Paused", "until": until})
        fleet.patch("s-41", override={"state": "Running", "until": until})
        fleet.until_words({**dict.fromkeys(asleep_by_schedule, "PAUSED"), "s-40": "PAUSED", "s-41": "RUNNING"})

        # As docs/how-to/upgrade.md says.
        fleet.begin()
        fleet.patch("s-00", paused=True)
        fleet.patch("s-40", override=None, paused=True)
        fleet.patch("s-41", override=None)
        disabled = '{"spec":{"enabled":false}}'
        fleet.must("patch", "agbpauseschedule", "nights", "-n", "default", "--type=merge", "-p", disabled)
        eventually(fleet.ready_without_schedules, within=60.0)

    calls = Counter(fleet.calls())
    awake_again = [name for number, name in enumerate(asleep_by_schedule) if not is_paused(number) and name != "s-00"]
    assert calls == {"resumeSessionAsync": len(awake_again), "pauseSessionAsync": 1}, "s-41 goes back to sleep"
    world.go_back()
    for name, item in fleet.read().items():
        assert item["spec"].get("override") is None
        word = "PAUSED" if item["spec"]["paused"] else "RUNNING"
        assert (fleet.words_of(item), item["status"]["sessionStatus"]) == (word, word), name
        assert item["status"]["desiredState"].upper() == word

    fleet.begin()
    with world.operator() as operator:
        operator.ready()
        fleet.until_looked_at()
    assert fleet.calls() == []
