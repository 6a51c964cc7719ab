"""What is wrong in a command is told in one line that says what is right, with exit code 2, and nothing changes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from plugin.conftest import Fleet, Plugin

YESTERDAY = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%dT%H:%M")
SCHEDULE = "{apiVersion: agb.cloud/v1alpha1, kind: AgbPauseSchedule, metadata: {name: n}, spec: "
WRONG = [
    (("resume", "s", "--for", "0s"), "--for 0s: say how long, longer than 0s, such as 30m, 2h or 3d"),
    (("resume", "s", "--for", "soon"), "--for soon: say how long"),
    (("resume", "s", "--for", "-2h"), "--for -2h: say how long"),
    (("resume", "s", "--for", "5000d"), "3650 days are the most"),
    (("pause", "s", "--for", "1h", "--until", "18:00"), "use --for or --until, not both"),
    (("pause", "s", "--until", "tomorrow"), "--until tomorrow: this is no time such as 18:00"),
    (("pause", "s", "--until", "25:00"), "--until 25:00: this is no time"),
    (("pause", "s", "--until", "2026-02-30T10:00"), "this is no time"),
    (("pause", "s", "--until", YESTERDAY), "has passed"),
    (("pause", "s", "--for", "8d"), "--for 8d is more than 7 days away: add --yes if you mean it"),
    (("pause", "s", "--reason", "because"), "--reason goes with --for or --until"),
    (("pause", "s", "--for", "1h", "--reason", " "), "--reason: say why in 1 to 256 characters"),
    (("pause", "s", "--for", "1h", "--tz", "CET"), "--tz CET: there is no such time zone"),
    (("pause", "s", "--for", "1h", "--tz", "Europe/Berln"), "there is no such time zone"),
    (("pause",), "choose the AgbSessions: their names, or -l SELECTOR, or --all"),
    (("pause", "s", "--all"), "choose the AgbSessions"),
    (("pause", "s", "-A"), "-A does not go with names"),
    (("pause", "-l", "a b"), "-l a b: this is not a label selector such as team=ml,env!=prod"),
    (("pause", "-l", "bad key=x"), "-l bad key=x"),
    (("pause", "UPPER"), "'UPPER' cannot be the name of a Kubernetes object"),
    (("pause", "a/../b"), "cannot be the name of a Kubernetes object"),
    (("pause", "s", "--wait", "--dry-run=client"), "--wait does not go with --dry-run"),
    (("pause", "s", "--wait", "--timeout", "x"), "--timeout x: say how long"),
    (("plan", "s", "-l", "a=b"), "name the sessions, or use -l: not both"),
    (("plan", "--at", "23:59", "--week"), "use only one of --at, --week, and --from with --until"),
    (("plan", "--until", YESTERDAY), "has passed"),
    (("plan", "--at", YESTERDAY), "has passed"),
    (("plan", "--until", "2099-01-01T00:00"), "the clock is followed for 400 days"),
    (("plan", "--delete", "absent"), "--delete absent: there is no AgbPauseSchedule of this name"),
    (("plan", "-f", "absent.yaml"), "-f absent.yaml: No such file or directory"),
]


@pytest.fixture(scope="module")
def agb(new_plugin: Callable[[], Plugin]) -> Plugin:
    """One namespace for all: nothing here changes anything."""
    return new_plugin()


@pytest.fixture(scope="module")
def fleet(agb: Plugin) -> Fleet:
    """Its only session is `s`."""
    fleet = Fleet(agb=agb)
    fleet.session("s")
    return fleet


@pytest.mark.parametrize(("words", "said"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_words(agb: Plugin, fleet: Fleet, words: tuple[str, ...], said: str) -> None:
    ended = agb.within(*words)

    assert (ended.code, ended.out) == (2, ""), ended
    assert ended.line.startswith("kubectl agb: ")
    assert said in ended.line


def test_none_of_these_has_changed_anything(agb: Plugin, fleet: Fleet) -> None:
    metadata = fleet.get("s")["metadata"]

    assert metadata["generation"] == 1
    assert {entry["manager"] for entry in metadata["managedFields"]} == {"kubectl-client-side-apply"}


def test_a_time_of_day_that_has_passed_is_said_with_the_day_it_would_be_tomorrow(agb: Plugin, fleet: Fleet) -> None:
    ended = agb.here("pause", "s", "--until", "00:00", "--tz", "UTC")

    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert ended.code == 2
    assert ended.line == f"kubectl agb: --until 00:00 has passed today; say {tomorrow}T00:00"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "this is not YAML"),
        ("kind: Deployment", "there is no AgbSession and no AgbPauseSchedule in the files"),
        ("{apiVersion: agb.cloud/v1alpha1, kind: AgbSession, metadata: {}}", "an AgbSession has no metadata.name"),
        (
            SCHEDULE + "{selector: {}, timeZone: UTC, pauseAt: 0 8 30 2 *, resumeAt: 0 9 * * *}}",
            "AgbPauseSchedule n: spec.pauseAt is '0 8 30 2 *': bad day-of-month",
        ),
    ],
)
def test_files_that_cannot_be_used(agb: Plugin, text: str, said: str) -> None:
    ended = agb.here("plan", "-f", "-", stdin=text)

    assert ended.code == 2
    assert said in ended.line


def test_no_cluster(agb: Plugin) -> None:
    ended = agb("why", "s", env={"KUBECONFIG": "/absent", "HOME": "/absent"})

    assert ended.code == 1
    assert ended.line == "kubectl agb: KUBECONFIG=/absent names no file that exists: correct it, or unset it"


def test_a_cluster_that_does_not_answer(agb: Plugin, tmp_path: Path) -> None:
    config = """{apiVersion: v1, kind: Config, current-context: c, contexts: [{name: c, context: {cluster: c}}],
        clusters: [{name: c, cluster: {server: "http://127.0.0.1:1"}}]}"""
    path = tmp_path / "kubeconfig"
    path.write_text(config)

    ended = agb("why", "s", env={"KUBECONFIG": str(path)})

    assert ended.code == 1
    assert ended.line.startswith("kubectl agb: cannot reach the API server at http://127.0.0.1:1: ")


def test_a_context_that_does_not_exist(agb: Plugin) -> None:
    ended = agb.here("why", "s", "--context", "absent")

    assert ended.code == 1
    assert "the context 'absent' does not exist" in ended.line


def test_a_right_that_is_missing_is_named(agb: Plugin, fleet: Fleet, tmp_path: Path) -> None:
    account = agb.kubectl("create", "serviceaccount", "nobody", "-n", agb.namespace)
    assert account.succeeded
    token = agb.kubectl("create", "token", "nobody", "-n", agb.namespace).out.strip()
    config = agb.kubectl("config", "view", "--raw", "--flatten", "-o", "json").out
    content = json.loads(config)
    content["users"] = [{"name": user["name"], "user": {"token": token}} for user in content["users"]]
    path = tmp_path / "nobody.json"
    path.write_text(json.dumps(content))

    ended = agb.here("why", "s", env={"KUBECONFIG": str(path)})

    assert ended.code == 1
    assert ended.line.startswith('kubectl agb: you lack a right: agbsessions.agb.cloud "s" is forbidden: User')
    assert 'cannot get resource "agbsessions"' in ended.line
    assert token not in ended.err
