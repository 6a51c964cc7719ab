"""The folder that keeps programs between runs and between checkouts.

A path in the cache is there completely or not at all: whatever makes it works in a scratch folder beside it,
which is renamed into place at the end. A lock per path makes the second of two runs wait for the first, and
use its result. The kernel lets go of a lock when its holder ends, so a killed run blocks nobody; its scratch
is thrown away.
"""

import fcntl
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from .progress import Progress

_LOCK_POLL = 0.2


def cache_folder(environment: Mapping[str, str]) -> Path:
    """Return the folder: AGB_OPERATOR_CACHE, else agb-operator in the user's cache folder."""
    if environment.get("AGB_OPERATOR_CACHE"):
        return Path(environment["AGB_OPERATOR_CACHE"]).expanduser().absolute()
    if environment.get("XDG_CACHE_HOME"):
        return Path(environment["XDG_CACHE_HOME"]) / "agb-operator"
    return Path.home() / ".cache" / "agb-operator"


class Cache:
    """Makes what is missing, once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def provide(self, path: Path, make: Callable[[Path], Path]) -> Path:
        """Return `path`, a file or folder in the cache; make it first if it is not there.

        `make` gets an empty scratch folder and returns the finished file or folder in it. Whatever it raises passes
        through, and nothing is kept.
        """
        if path.exists():
            return path
        with self.lock(path):
            if path.exists():
                return path
            scratch = path.with_name(f".{path.name}.partial")
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            try:
                made = make(scratch)
                _sync(made)
                made.rename(path)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
        return path

    @contextmanager
    def lock(self, path: Path) -> Iterator[None]:
        """Hold the lock of a path in the cache; say so while another run holds it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(path.with_name(f".{path.name}.lock"), os.O_CREAT | os.O_RDWR, 0o600)
        try:
            if not _try_lock(lock):
                with Progress(f"waiting for another run that works on {path.name}", expect="minutes") as progress:
                    while not _try_lock(lock):
                        progress.update()
                        time.sleep(_LOCK_POLL)
            yield
        finally:
            os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sync(path: Path) -> None:
    """Force a file to the disk, lest a power cut after the rename leave an empty program in the cache."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())
