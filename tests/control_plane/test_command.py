"""`python -m control_plane` and other programs that own a control plane clean up after themselves."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import control_plane
from control_plane_support import is_alive, wait_until


def python_path() -> dict[str, str]:
    """The environment in which `control_plane` can be imported."""
    return {**os.environ, "PYTHONPATH": str(Path(control_plane.__file__).parents[1])}


def test_the_folder_of_a_killed_owner_is_removed_by_the_next_one(tmp_path: Path) -> None:
    script = (
        "import time; from control_plane import ControlPlane; c = ControlPlane().start();"
        "print(c.etcd.pid, c.apiserver.pid, c.folder, flush=True); time.sleep(600)"
    )
    environment = python_path() | {"TMPDIR": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        etcd, apiserver, folder = owner.stdout.readline().split()
        assert is_alive(int(etcd))
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: not is_alive(int(etcd)) and not is_alive(int(apiserver)))
    assert Path(folder).exists()

    with subprocess.Popen([sys.executable, "-c", script], env=environment, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline()
        assert not Path(folder).exists()
        owner.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_the_command_prints_the_kubeconfig_line_and_cleans_up_when_told_to_end(
    tmp_path: Path, ending: signal.Signals
) -> None:
    environment = python_path() | {"TMPDIR": str(tmp_path)}
    kubeconfig = tmp_path / "kubeconfig"
    command = [sys.executable, "-m", "control_plane", f"--kubeconfig={kubeconfig}"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == f"export KUBECONFIG={kubeconfig}\n"
        assert kubeconfig.exists()
        run.send_signal(ending)
        _, told = run.communicate(timeout=60)

    assert run.returncode == 0
    assert "is ready; Ctrl-C ends it" in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_the_command_says_what_is_missing_in_one_error(tmp_path: Path) -> None:
    environment = python_path() | {"KUBEBUILDER_ASSETS": str(tmp_path)}
    command = [sys.executable, "-m", "control_plane"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert f"KUBEBUILDER_ASSETS={tmp_path} has no executable etcd and no kube-apiserver" in done.stderr
    assert "Traceback" not in done.stderr
