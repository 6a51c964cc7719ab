"""An API key as a value that can be passed around, compared and logged without being shown.

The one way to the text is `reveal()`, so a search for it finds every place that handles a secret.
"""

import hashlib
import re
from typing import Final, NoReturn

_SHOWN: Final = "[api key]"


class ApiKey:
    """One account's secret.

    Args:
        value: the text; white space around it is dropped, since Secrets made from a file end in a newline.

    Raises:
        ValueError: it is empty, holds characters that no HTTP header can carry, or is certainly something else (a
            token, a certificate, JSON): that would only tell AGB a secret. The message does not quote it.

    Attributes:
        fingerprint: eight hexadecimal digits that tell keys apart in logs and cannot be turned back.
    """

    __slots__ = ("_value", "fingerprint")

    def __init__(self, value: str) -> None:
        value = value.strip()
        if not value:
            raise ValueError("the API key is empty")
        if "\ufeff" in value:
            raise ValueError("the API key begins with a byte order mark, as some editors write it: save it without one")
        other = _something_else(value)
        if other:
            raise ValueError(f"it is {other}, not an API key")
        if not (value.isascii() and value.isprintable() and " " not in value):
            raise ValueError("the API key holds spaces, line breaks or characters outside ASCII")
        self._value = value
        self.fingerprint = hashlib.sha256(value.encode()).hexdigest()[:8]

    def reveal(self) -> str:
        """Return the secret itself, for the header that carries it and for nothing else."""
        return self._value

    def witness(self, subject: str) -> str:
        """Name the key for one subject, such as a session, so that a status can tell that the same key was used.

        It is a truncated SHA-256 over both, so it neither gives the key away nor links one subject to another.
        """
        return hashlib.sha256(f"{subject}\n{self._value}".encode()).hexdigest()[:16]

    def redact(self, text: str) -> str:
        """Return `text` without the secret, should a remote text repeat it."""
        return text.replace(self._value, _SHOWN)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiKey) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return f"ApiKey(fingerprint={self.fingerprint!r})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("an API key is not pickled: its text would leave the process")


def _something_else(value: str) -> str:
    """Say what a text is that is certainly no key, "" if it may be one; no shape of a key is documented."""
    if value.startswith("-----BEGIN "):
        return "PEM"
    if re.fullmatch(r"eyJ[\w-]+\.[\w-]+\.[\w-]*", value, re.ASCII):
        return "a JSON Web Token"
    if value[0] in "{[":
        return "JSON"
    return ""
