"""The official AGB SDK in a virtual environment of its own, kept in the cache folder.

The SDK pins what it likes and writes a log file beside itself, so it stays out of the project's environment.
`hack/requirements/sdk.txt` locks it with hashes; a changed lock or another Python makes a new environment.
Safe when two runs start at once: the second waits for the first.
"""

import hashlib
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

from control_plane.cache import Cache, cache_folder

REQUIREMENTS = Path(__file__).parent / "requirements" / "sdk.txt"


class SdkNotAvailable(Exception):
    """The SDK could not be installed; the text says why and what to do next."""


def sdk_python(environment: Mapping[str, str]) -> Path:
    """Return a Python that can `import agb`; installs the SDK first if needed (half a minute, 60 MB).

    `environment` says where the cache is. Raises `SdkNotAvailable`.
    """
    made_of = f"{sys.version}\n{sys.base_prefix}\n".encode() + REQUIREMENTS.read_bytes()
    name = f"sdk-{hashlib.sha256(made_of).hexdigest()[:16]}"
    cache = Cache(cache_folder(environment))
    return cache.provide(cache.folder / name, _install) / "bin" / "python"


def _install(scratch: Path) -> Path:
    folder = scratch / "venv"
    venv.create(folder, with_pip=True, symlinks=True)
    command = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--require-hashes"]
    command += ["--disable-pip-version-check", "--no-input", "--only-binary=:all:", "-r", str(REQUIREMENTS)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SdkNotAvailable(
            f"the AGB SDK could not be installed from {REQUIREMENTS.name}; check that pip reaches its "
            f"package index (proxy, PIP_INDEX_URL), then run again. pip said:\n{done.stderr.strip()[-2000:]}"
        )
    return folder
