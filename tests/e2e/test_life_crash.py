"""Sessions come into being once and end once, also if the operator dies in the middle or is away."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agb_simulator.effects import Delay
from chart_rbac import InstalledOperator
from e2e.stack import ALL_DAY, Operator, Simulator, eventually
from e2e.tenant import Tenant

IMAGE = "agb-code-space-1"
Start = Callable[[], Operator]


@pytest.fixture
def start(rights: InstalledOperator, simulator: Simulator, tmp_path: Path) -> Iterator[Start]:
    """Start operators, each after the end of the one before."""
    with ExitStack() as stack:

        def begin() -> Operator:
            operator = Operator(
                "--resync=1s",
                "--no-leader-election",
                kubeconfig=rights.kubeconfig,
                endpoint=simulator.endpoint,
                log=tmp_path / "operator.log",
            )
            return stack.enter_context(operator).ready()

        yield begin


def test_a_kill_when_agb_has_the_call_and_nobody_the_id_leaves_one_session(
    new_tenant: Callable[..., Tenant], start: Start
) -> None:
    tenant = new_tenant()
    tenant.control.add_fault(Delay(seconds=5.0), endpoint="createSession", count=1)
    first = start()
    tenant.apply("a", imageId=IMAGE)
    eventually(lambda: "createSession" in tenant.calls(), every=0.01)
    first.kill()
    assert "sessionId" not in tenant.status("a")
    start()
    tenant.wait("a", "Ready", seconds=40)
    assert tenant.calls().count("createSession") == 1
    live = [session["sessionId"] for session in tenant.control.sessions() if session["live"]]
    assert live == [tenant.status("a")["sessionId"]]


def test_a_deletion_goes_on_where_a_killed_operator_left_it(new_tenant: Callable[..., Tenant], start: Start) -> None:
    tenant = new_tenant()
    first = start()
    tenant.apply("a", imageId=IMAGE, paused=True)
    tenant.wait("a", "Paused")
    session_id = tenant.status("a")["sessionId"]
    tenant.must("delete", "agbsession", "a", "--wait=false")
    eventually(lambda: "resumeSessionAsync" in tenant.calls(session_id), every=0.01)
    first.kill()
    start()
    tenant.must("wait", "--for=delete", "agbsession/a", "--timeout=20s")
    assert tenant.calls(session_id)[-2:] == ["resumeSessionAsync", "releaseSessionAsync"]
    assert tenant.control.session(session_id)["live"] is False
    assert tenant.illegal_calls() == 0


def test_what_is_deleted_while_no_operator_runs_is_released_by_the_next_one(
    new_tenant: Callable[..., Tenant], start: Start
) -> None:
    tenant = new_tenant()
    first = start()
    tenant.apply("released", imageId=IMAGE)
    tenant.apply("retained", imageId=IMAGE, deletionPolicy="Retain")
    for name in ("released", "retained"):
        tenant.wait(name, "Ready")
    sessions = {name: tenant.status(name)["sessionId"] for name in ("released", "retained")}
    assert first.stop() == 0
    tenant.must("delete", "agbsession", "retained", "--timeout=10s")
    tenant.must("delete", "agbsession", "released", "--wait=false")
    tenant.must("get", "agbsession", "released")
    start()
    tenant.must("wait", "--for=delete", "agbsession/released", "--timeout=20s")
    assert {name: tenant.control.session(session_id)["live"] for name, session_id in sessions.items()} == {
        "released": False,
        "retained": True,
    }


@pytest.mark.parametrize("moment", ["before it", "while AGB's answer is on its way", "once AGB has answered"])
def test_a_kill_about_a_moment_of_the_clock_leaves_one_call(
    new_tenant: Callable[..., Tenant], start: Start, moment: str
) -> None:
    tenant = new_tenant()
    first = start()
    session_id = tenant.adopt("a")
    tenant.must("label", "agbsession", "a", "team=ml")
    tenant.schedule(**ALL_DAY)
    tenant.until_phase("a", "Paused")
    until = datetime.now(UTC) + timedelta(seconds=8)
    tenant.patch("a", override={"state": "Running", "until": until.strftime("%Y-%m-%dT%H:%M:%SZ")})
    tenant.until_phase("a", "Running")
    tenant.fresh_start()

    if moment == "before it":
        first.kill()
        assert tenant.calls() == []
        eventually(lambda: datetime.now(UTC) > until)
    else:
        if moment == "while AGB's answer is on its way":
            tenant.control.add_fault(Delay(seconds=5.0), endpoint="pauseSessionAsync", count=1)
        eventually(lambda: tenant.calls() != [], every=0.01)
        first.kill()
        assert tenant.status("a")["phase"] != "Paused"
    start()

    status = tenant.until_phase("a", "Paused", within=40)
    assert (status["why"], tenant.calls(session_id)) == ("Schedule/nights", ["pauseSessionAsync"])
