"""The temporary folder of a control plane, also after an end that cleaned up nothing.

The owner holds a lock on a file in it. The kernel lets go of the lock when the owner ends, however it ends;
the next control plane to start on this machine then removes the folder.
"""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

_PREFIX = "agb-control-plane-"
_LOCK = "owner.lock"


class Folder:
    """A locked temporary folder."""

    def __init__(self) -> None:
        remove_abandoned()
        self.path = Path(tempfile.mkdtemp(prefix=_PREFIX))
        # Locked before it has its name: another start must never see our lock file without our lock.
        unnamed = self.path / f".{_LOCK}"
        self._lock = os.open(unnamed, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        unnamed.rename(self.path / _LOCK)

    def remove(self) -> None:
        """Remove the folder and let go of the lock."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._lock)


def remove_abandoned() -> None:
    """Remove the folders whose owners are gone; one without a lock file is just being made."""
    for path in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        try:
            lock = os.open(path / _LOCK, os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
        finally:
            os.close(lock)
