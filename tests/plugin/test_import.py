"""`kubectl agb import` against a simulator: what it prints, what it leaves out, and that it gives no key away."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from agb_operator.model.resource import UID_LABEL
from e2e.stack import KEY, Simulator
from kubectl_agb.__main__ import VERBS
from plugin.conftest import Ended, Fleet, Plugin


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    with Simulator(log=tmp_path_factory.mktemp("import") / "simulator.log") as running:
        yield running


def imported(agb: Plugin, simulator: Simulator, *words: str, key: str = KEY) -> Ended:
    return agb.here("import", *words, env={"AGB_API_KEY": key, "AGB_ENDPOINT": simulator.endpoint})


def test_it_prints_those_that_nobody_names_and_they_can_be_applied(
    agb: Plugin, fleet: Fleet, simulator: Simulator
) -> None:
    add = simulator.control.add_session
    running = add(KEY, labels={"team": "a", "task": "Train 7"})
    asleep = add(KEY, labels={"team": "a", "task": "Train 7"}, status="PAUSED")
    named = add(KEY, labels={"team": "a"})
    add(KEY, labels={"team": "a", UID_LABEL: "some-uid"})
    add(KEY, labels={"team": "b"})
    fleet.session("named", sessionId=named)

    ended = imported(agb, simulator, "-l", "team=a", "--name-from", "task")

    assert ended.code == 0
    assert ended.line == (
        "2 without an AgbSession; left out: 1 that an AgbSession of the cluster names, 1 that an operator has made"
    )
    found: list[dict[str, Any]] = list(yaml.safe_load_all(ended.out))
    first, second = (each["spec"] for each in found)
    assert first == {"sessionId": running, "managementPolicy": "Observe", "deletionPolicy": "Retain"}
    assert second == {"sessionId": asleep, "paused": True, "managementPolicy": "Observe", "deletionPolicy": "Retain"}
    assert found[0]["metadata"]["name"] == "train-7"
    assert found[1]["metadata"]["name"].startswith("train-7-")
    applied = agb.kubectl("apply", "-f", "-", stdin=ended.out)
    assert applied.succeeded, applied.err
    assert imported(agb, simulator, "-l", "team=a").out == ""


def test_with_manage_they_are_managed_and_a_paused_one_stays_paused(agb: Plugin, simulator: Simulator) -> None:
    simulator.control.add_session(KEY, labels={"team": "m"}, status="PAUSED")

    ended = imported(agb, simulator, "-l", "team=m", "--manage", "-o", "json")

    (item,) = json.loads(ended.out)["items"]
    assert (item["spec"]["paused"], "managementPolicy" in item["spec"]) == (True, False)


def test_it_changes_nothing_at_agb(agb: Plugin, simulator: Simulator) -> None:
    since = simulator.control.stats()["last"]

    imported(agb, simulator)

    called = {entry.endpoint for entry in simulator.control.requests(since=since)}
    assert called <= {"ListSession", "GetLabel"}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("kubeconfig", ["", "/absent"], ids=["works", "fails"])
def test_no_verb_gives_the_key_away(agb: Plugin, simulator: Simulator, verb: str, kubeconfig: str) -> None:
    words = ["s"] if verb in ("why", "pause", "resume", "auto") else []
    env = {"AGB_API_KEY": KEY, "AGB_ENDPOINT": simulator.endpoint, **({"KUBECONFIG": kubeconfig} if kubeconfig else {})}

    ended = agb.here(verb, *words, env=env)

    assert KEY not in ended.out + ended.err
    assert "Traceback" not in ended.err


def test_a_refused_key_is_not_shown(agb: Plugin, simulator: Simulator) -> None:
    secret = "akm-0123456789-secret"

    ended = imported(agb, simulator, key=secret)

    assert ended.code == 1
    assert ended.line.startswith("kubectl agb: AGB: ")
    assert secret not in ended.out + ended.err


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({}, "AGB_API_KEY is not set"),
        ({"AGB_API_KEY": "two words"}, "AGB_API_KEY: the API key holds spaces"),
        ({"AGB_API_KEY": "k-secret", "AGB_ENDPOINT": "ftp://x"}, "AGB_ENDPOINT ftp://x: "),
    ],
)
def test_without_a_usable_key_or_endpoint_it_is_wrong_usage(agb: Plugin, env: dict[str, str], said: str) -> None:
    ended = agb.here("import", env=env)

    assert ended.code == 2
    assert said in ended.line
    assert "words" not in ended.err
    assert "k-secret" not in ended.err


def test_to_manage_all_agbsessions_have_to_be_known(agb: Plugin, simulator: Simulator, tmp_path: Path) -> None:
    path = stranger(agb, tmp_path)
    env = {"AGB_API_KEY": KEY, "AGB_ENDPOINT": simulator.endpoint, "KUBECONFIG": str(path)}

    ended = agb.here("import", "--manage", env=env)

    assert ended.code == 1
    assert "--manage has to know the AgbSessions of all namespaces: you lack a right" in ended.line

    ended = agb.here("import", env=env)

    assert ended.code == 0
    assert ended.err.startswith("only the AgbSessions of one namespace could be read: you lack a right")


def stranger(agb: Plugin, folder: Path) -> Path:
    """Give the kubeconfig of somebody who may see the AgbSessions of this namespace, and nothing else."""
    account = f"{agb.namespace}:viewer"
    for words in (
        ("create", "serviceaccount", "viewer"),
        ("create", "role", "viewer", "--verb=get,list", "--resource=agbsessions.agb.cloud"),
        ("create", "rolebinding", "viewer", "--role=viewer", f"--serviceaccount={account}"),
    ):
        done = agb.kubectl(*words, "-n", agb.namespace)
        assert done.succeeded, done.err
    token = agb.kubectl("create", "token", "viewer", "-n", agb.namespace).out.strip()
    content = json.loads(agb.kubectl("config", "view", "--raw", "--flatten", "-o", "json").out)
    content["users"] = [{"name": user["name"], "user": {"token": token}} for user in content["users"]]
    path = folder / "kubeconfig"
    path.write_text(json.dumps(content))
    return path
