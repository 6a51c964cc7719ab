"""The simulator is faithful enough for the official SDK: its pause, resume, list and delete work unchanged."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from agb_simulator import SimulatorControl
from sdk_env import sdk_python

KEY = "simulator-key-a"
STORY = Path(__file__).parent / "sdk_story.py"


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the SDK told after living through one session's life, plus the simulator's counts."""
    python = sdk_python(os.environ)
    command = [sys.executable, "-m", "agb_simulator", "--port", "0", "--transition", "200ms", "--api-key", KEY]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert simulator.stdout is not None
    with simulator, simulator.stdout as out:
        try:
            address = json.loads(out.readline())["address"]
            control = SimulatorControl.over_http(address)
            control.configure(finish_for=0)
            told = subprocess.run(
                [python, STORY, address, KEY],
                # The SDK reads a .env file in the current folder and AGB_* of the environment.
                cwd=tmp_path_factory.mktemp("sdk"),
                env={"AGB_LOG_LEVEL": "CRITICAL", "PATH": os.environ["PATH"]},
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
            )
            assert told.returncode == 0, told.stderr
            result: dict[str, Any] = json.loads(told.stdout)
            result["stats"] = control.stats()
        finally:
            simulator.terminate()
            simulator.wait(timeout=20)
    return result


def test_the_sdk_creates_and_reads_a_session(story: dict[str, Any]) -> None:
    assert story["create"]["success"], story["create"]
    assert "resourceId=" in story["create"]["url"]
    assert story["get"]["success"], story["get"]
    assert story["get"]["status"] == "RUNNING"
    assert story["get"]["urlDiffers"]


def test_the_sdk_reads_and_replaces_labels(story: dict[str, Any]) -> None:
    assert story["labels"] == {"project": "batch-job", "owner": "sdk.story:1"}
    assert story["set_labels"]["success"], story["set_labels"]
    assert story["labels_after"] == {"project": "other"}


def test_the_sdk_lists_by_label_and_by_page(story: dict[str, Any]) -> None:
    assert story["list_by_label"]["found"], story["list_by_label"]
    assert story["list_no_match"]["success"], "no match is an empty success"
    assert story["pages"] == [2, 2, 1]
    assert story["total"] == 5
    assert story["distinct"] == 5
    assert story["list_page_4"]["error"] == "Cannot reach page 4: No more pages available"


def test_the_sdk_pauses_and_resumes_with_its_own_polling(story: dict[str, Any]) -> None:
    assert story["pause"]["success"], story["pause"]
    assert story["paused_status"] == "PAUSED"
    assert story["paused_usable"]
    assert story["resume"]["success"], story["resume"]
    assert story["resumed_status"] == "RUNNING"
    assert story["pause_again"]["success"] is False
    assert "PAUSED" in story["pause_again"]["error"]


def test_a_paused_session_cannot_be_deleted_and_stays_paused(story: dict[str, Any]) -> None:
    assert story["delete_paused"]["success"] is False
    assert story["delete_paused"]["error"].startswith("[InvalidMcpSession.Status]")
    assert story["still"] == "PAUSED"


def test_the_sdk_deletes_a_running_session_once(story: dict[str, Any]) -> None:
    assert story["delete"]["success"], story["delete"]
    assert story["delete_again"]["success"] is False
    assert story["delete_again"]["error"].startswith("[InvalidMcpSession.NotFound]")


def test_an_unknown_session_is_not_found_by_code_and_status(story: dict[str, Any]) -> None:
    assert story["get_unknown"]["success"] is False
    assert story["get_unknown"]["code"] == "InvalidMcpSession.NotFound"
    assert story["get_unknown"]["http"] == 400


@pytest.mark.parametrize("call", ["wrong_key_get", "wrong_key_list", "wrong_key_create"])
def test_a_wrong_key_is_refused(story: dict[str, Any], call: str) -> None:
    assert story[call]["success"] is False
    assert "API key" in story[call]["error"]


def test_every_answer_the_sdk_read_carries_a_request_id(story: dict[str, Any]) -> None:
    answers = {name: told for name, told in story.items() if isinstance(told, dict) and "requestId" in told}
    assert len(answers) > 15
    assert [name for name, told in answers.items() if not told["requestId"]] == []


def test_the_log_tells_legal_calls_from_illegal_ones(story: dict[str, Any]) -> None:
    endpoints = story["stats"]["endpoints"]
    assert endpoints["pauseSessionAsync"]["illegal"] == 1
    assert endpoints["releaseSessionAsync"]["illegal"] == 1
    assert endpoints["releaseSessionAsync"]["notFound"] == 1
    assert endpoints["resumeSessionAsync"]["illegal"] == 0
