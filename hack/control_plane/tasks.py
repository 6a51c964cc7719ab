"""Long commands of other programs (pip, go): run under the guard, with progress, their output shown if they
fail."""

import re
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from .errors import NotAvailable
from .processes import Component
from .progress import Progress

_POLL = 0.5
_REQUIREMENTS = Path(__file__).parent / "requirements"


def run_task(
    task: str,
    command: Sequence[str | Path],
    *,
    expect: str,
    log: Path,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    steps: int = 0,
) -> list[str]:
    """Run a command to its end and return what it printed, by lines.

    Each line is taken for a step; `steps` is how many there will be at most, 0 if nobody knows.

    Raises:
        NotAvailable: it failed; the text holds the end of its output.
    """
    component = Component(task, command, log=log, folder=folder, environment=environment)
    with Progress(task, expect=expect) as progress:
        try:
            component.start()
            while component.running:
                progress.update(len(component.log_of_last_start().splitlines()), steps)
                time.sleep(_POLL)
            if component.exit_code:
                raise NotAvailable(component.failure(f"failed with exit code {component.exit_code}"))
            return component.log_of_last_start().splitlines()
        finally:
            component.stop()


def fetch_package(name: str, *, scratch: Path) -> Path:
    """Download the wheel that `requirements/NAME.txt` pins by hash, without what it depends on; return its path.

    Raises:
        NotAvailable: no pip, no package index, or no wheel with that hash for this machine.
    """
    if find_spec("pip") is None:
        raise NotAvailable(f"{sys.executable} has no pip to fetch a package with")
    requirements = _REQUIREMENTS / f"{name}.txt"
    options = ["--no-deps", "--require-hashes", "--only-binary=:all:", "--progress-bar=off"]
    run_task(
        f"fetching {_pinned(requirements)} with pip",
        [sys.executable, "-m", "pip", "download", *options, f"--dest={scratch}", f"--requirement={requirements}"],
        expect="seconds to a minute",
        log=scratch / "pip.log",
    )
    (wheel,) = scratch.glob("*.whl")
    return wheel


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a zip file or wheel, with the execute bits that `zipfile` leaves out."""
    with zipfile.ZipFile(archive) as file:
        for info in file.infolist():
            path = Path(file.extract(info, folder))
            if not info.is_dir() and info.external_attr >> 16 & 0o100:
                path.chmod(0o755)


def _pinned(requirements: Path) -> str:
    found = re.search(r"^(\S+==\S+)", requirements.read_text(), re.MULTILINE)
    assert found is not None
    return found.group(1).replace("==", " ")
