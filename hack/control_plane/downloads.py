"""Files from release servers, used only if they match their published checksum.

The checksum comes from the same server over TLS, as its publishers mean it: it catches what is damaged,
truncated or half published. A server that cannot be reached is asked once per run: machines without a network
fall through fast.
"""

import hashlib
import http.client
import re
import tarfile
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from .errors import BadDownload, NotAvailable, Unreachable
from .progress import Progress

TIMEOUT = 5.0
"""Seconds to connect, and between two pieces of an answer."""
_CHUNK = 1 << 18


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """A published file and where its checksum stands."""

    url: str
    checksum_url: str
    """A text with the SHA-256 alone, or lines of `SHA256  FILE`."""
    member: str = ""
    """The one wanted file if the published one is a `.tar.gz`; empty if it is the program itself."""


class Downloads:
    """Downloads releases; remembers which servers did not answer."""

    def __init__(self, *, timeout: float = TIMEOUT) -> None:
        self._timeout = timeout
        self._unreachable: dict[str, str] = {}

    def fetch(self, release: Release, *, name: str, scratch: Path) -> Path:
        """Download a release into the folder `scratch` and return the verified, executable program in it.

        Raises:
            Unreachable: the server cannot be reached, in this call or an earlier one.
            BadDownload: what arrived is incomplete or does not match the checksum.
            NotAvailable: the server has no such file.
        """
        file_name = release.url.rsplit("/", 1)[-1]
        expected = _checksum_in(self._read(release.checksum_url), file_name, source=release.checksum_url)
        downloaded = scratch / f"{name}.download"
        with Progress(f"downloading {release.url}", expect="seconds to a minute") as progress:
            actual = self._save(release.url, downloaded, progress)
        if actual != expected:
            raise BadDownload(f"{release.url} has SHA-256 {actual}, its server says {expected}; not used")
        program = scratch / name
        if release.member:
            _extract(downloaded, release.member, program)
        else:
            downloaded.rename(program)
        program.chmod(0o755)
        return program

    def _read(self, url: str) -> str:
        with self._open(url) as answer:
            try:
                return answer.read(1 << 20).decode(errors="replace")
            except (OSError, http.client.HTTPException) as exc:
                raise BadDownload(f"{url} broke off: {exc}") from exc

    def _save(self, url: str, path: Path, progress: Progress) -> str:
        digest = hashlib.sha256()
        with self._open(url) as answer, path.open("wb") as file:
            size = answer.length
            try:
                while chunk := answer.read(_CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
                    progress.update(file.tell() >> 20, (size or 0) >> 20, unit="MB")
            except (OSError, http.client.HTTPException) as exc:
                raise BadDownload(f"{url} broke off after {file.tell()} bytes: {exc}") from exc
            if size is not None and file.tell() != size:
                raise BadDownload(f"{url} broke off after {file.tell()} of {size} bytes")
        return digest.hexdigest()

    def _open(self, url: str) -> http.client.HTTPResponse:
        server = urlsplit(url).netloc
        if server in self._unreachable:
            raise Unreachable(self._unreachable[server])
        try:
            answer = urllib.request.urlopen(url, timeout=self._timeout)
        except urllib.error.HTTPError as exc:
            exc.close()
            raise NotAvailable(f"{url} answers {exc.code} {exc.reason}") from exc
        except (OSError, http.client.HTTPException) as exc:
            reason = exc.reason if isinstance(exc, urllib.error.URLError) else exc
            self._unreachable[server] = f"{server} cannot be reached ({reason})"
            raise Unreachable(self._unreachable[server]) from exc
        assert isinstance(answer, http.client.HTTPResponse)
        return answer


def _checksum_in(text: str, file_name: str, *, source: str) -> str:
    for line in text.splitlines():
        digest, _, name = line.strip().partition(" ")
        if re.fullmatch(r"[0-9a-fA-F]{64}", digest) and name.strip().lstrip("*") in ("", file_name):
            return digest.lower()
    raise BadDownload(f"{source} holds no SHA-256 of {file_name}")


def _extract(archive: Path, member: str, program: Path) -> None:
    try:
        with tarfile.open(archive) as tar, program.open("wb") as file:
            content = tar.extractfile(member)
            if content is None:
                raise BadDownload(f"{member} in {archive.name} is no file")
            while chunk := content.read(_CHUNK):
                file.write(chunk)
    except (KeyError, tarfile.TarError, EOFError) as exc:
        raise BadDownload(f"no {member} in {archive.name}: {exc}") from exc
