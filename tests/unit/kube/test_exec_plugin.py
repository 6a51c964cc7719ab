"""An exec plugin is asked with a bound, and nothing of it is left behind."""

import asyncio
import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agb_operator.kube.exec_plugin import run_plugin
from agb_operator.kube.kubeconfig import BadConfig
from control_plane_support import is_alive, wait_until, write_program

VERSION = "client.authentication.k8s.io/v1"


def sleeper(folder: Path) -> tuple[Path, Path]:
    """A plugin that waits for a child that waits for ever; the child's pid is in the second file."""
    pids = folder / "pids"
    return write_program(folder / "login", f"sleep 3600 &\necho $! > {pids}\nwait"), pids


async def until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_until, condition)


def pid_in(pids: Path) -> int:
    return int(pids.read_text().strip() or 0) if pids.exists() else 0


async def started(pids: Path) -> int:
    await until(lambda: pid_in(pids) > 0)
    return pid_in(pids)


async def test_one_that_never_answers_is_given_up_with_all_it_has_started(tmp_path: Path) -> None:
    plugin, pids = sleeper(tmp_path)
    with pytest.raises(BadConfig, match=r"login gave no answer in 0\.5 s"):
        await run_plugin({"command": str(plugin), "apiVersion": VERSION}, {}, seconds=0.5)
    child = await started(pids)
    await until(lambda: not is_alive(child))


async def test_the_end_of_the_process_does_not_wait_for_it(tmp_path: Path) -> None:
    plugin, pids = sleeper(tmp_path)
    asking = asyncio.create_task(run_plugin({"command": str(plugin), "apiVersion": VERSION}, {}))
    child = await started(pids)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await until(lambda: not is_alive(child))


async def test_a_client_certificate_is_taken_as_a_kubeconfig_writes_it(tmp_path: Path) -> None:
    status = {"clientCertificateData": "certificate", "clientKeyData": "key"}
    answer = json.dumps({"apiVersion": VERSION, "kind": "ExecCredential", "status": status})
    plugin = write_program(tmp_path / "login", f"echo '{answer}'")
    given = await run_plugin({"command": str(plugin), "apiVersion": VERSION}, {})
    assert {name: base64.b64decode(text).decode() for name, text in given.items()} == {
        "client-certificate-data": "certificate",
        "client-key-data": "key",
    }


async def test_it_is_told_that_nobody_can_be_asked(tmp_path: Path) -> None:
    plugin = write_program(tmp_path / "login", 'echo "$KUBERNETES_EXEC_INFO" > info; exit 1')
    folder = os.getcwd()
    os.chdir(tmp_path)
    try:
        with pytest.raises(BadConfig, match="it said nothing"):
            await run_plugin({"command": str(plugin), "apiVersion": VERSION}, {})
    finally:
        os.chdir(folder)
    assert json.loads((tmp_path / "info").read_text())["spec"] == {"interactive": False}
