"""`--wait`: how it ends when it is so, when it cannot be, and when time runs out."""

import subprocess
import threading
import time

from plugin.conftest import Fleet, Plugin


def test_it_ends_with_0_when_the_session_is_as_asked(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.status("s", "Running")

    def operator() -> None:
        while not fleet.spec("s").get("paused"):
            time.sleep(0.1)
        fleet.status("s", "Pausing", ready="False")
        time.sleep(1.5)
        fleet.status("s", "Paused")

    acts = threading.Thread(target=operator)
    acts.start()
    ended = agb.here("pause", "s", "--wait", "--timeout", "60s")
    acts.join()

    assert ended.code == 0
    lines = ended.out.splitlines()
    assert lines[0] == "s: Paused (Spec)"
    assert "s: Pausing ..." in lines
    assert lines[-1].startswith("s: Paused after ")


def test_it_does_not_believe_a_status_of_before_the_change(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", paused=True)
    fleet.status("s", "Running")

    ended = agb.here("resume", "s", "--wait", "--timeout", "2s")

    assert ended.code == 124


def test_it_ends_with_124_when_time_runs_out_and_says_that_the_change_stands(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.status("s", "Running")

    ended = agb.here("pause", "s", "--wait", "--timeout", "2s")

    assert ended.code == 124
    last = ended.out.splitlines()[-1]
    assert last == "s: still Running, and the operator has not looked at it since the change"
    assert ended.line == "kubectl agb: --wait: 1 of 1 not there in 2s; the change stands"
    assert fleet.spec("s")["paused"] is True


def test_it_ends_at_once_with_3_for_a_session_that_is_lost(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s", paused=True)
    fleet.status("s", "Lost", reason="SessionNotFound", ready="False")

    ended = agb.here("resume", "s", "--wait")

    assert ended.code == 3
    assert ended.out == "s: paused=false, but AGB no longer has the session\n"


def test_it_ends_at_once_with_3_for_the_loser_of_a_conflict(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.status("s", "Unknown", reason="SessionConflict", ready="False")

    ended = agb.here("pause", "s", "--wait")

    assert ended.code == 3
    assert "another AgbSession manages this session" in ended.out


def test_it_ends_at_once_with_3_where_a_schedule_keeps_it_asleep(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    fleet.asleep_now("nights")

    ended = agb.here("resume", "s", "--wait")

    assert ended.code == 3


def test_ctrl_c_ends_it_and_the_change_stands(agb: Plugin, fleet: Fleet) -> None:
    fleet.session("s")
    command = [str(agb.kubectl_program), "agb", "pause", "s", "-n", agb.namespace, "--wait"]
    with subprocess.Popen(command, env=dict(agb.env), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        while "Pending" not in run.stdout.readline():
            pass
        run.send_signal(2)
        _, err = run.communicate(timeout=30)

    assert run.returncode == 1
    assert "Traceback" not in err
    assert fleet.spec("s")["paused"] is True
