"""How log records look, and what never gets into them.

It owns the two formats (text for people, JSON for machines), the loudness of the libraries, and a second safety
net for secrets: keys that are known are blanked in every value that enters a line, tracebacks included. The first
net is that nobody logs one. A finished line is never touched: a key may be any text, and a tenant whose key is a word
of ours, or the name of another tenant's resource, must not blank that. Modules add fields to a record with `extra=`,
see `FIELDS`.
"""

import json
import logging
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final, TextIO

from ..agb.api_key import ApiKey
from ..model.resource import ObjectKey
from ..model.text import harmless

FIELDS: Final[Mapping[str, str]] = {
    "namespace": "namespace",
    "resource": "name",
    "session_id": "session",
    "request_id": "request",
}
"""Fields of a record, as in `extra=` and as written. (`extra` cannot hold `name`: that is the logger's.)"""

_HIDDEN: Final = "[redacted]"
_SHORTEST: Final = 6
"""Characters of a key that is blanked: a shorter one is no secret, and hides half of all words."""
_KNOWN_KEYS: Final = 1000
"""Keys kept for blanking; each costs a search of every record. With more of them the oldest is forgotten."""
_QUIET: Final = ("asyncio", "aiohttp", "kubernetes")
"""Libraries whose information repeats ours, request by request."""


def configure_logs(log_format: str, level: str, *, stream: TextIO | None = None) -> None:
    """Write all records of `level` and above as `text` or `json`, to stderr unless told otherwise."""
    # No format of ours shows them, and each record would look them up.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    debug = root.level <= logging.DEBUG
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("kopf").setLevel(logging.INFO if debug else logging.WARNING)
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)  # a line for each event of each object
    logging.captureWarnings(True)


def hide(secret: ApiKey | str) -> None:
    """Blank this in whatever is logged from now on."""
    text = secret if isinstance(secret, str) else secret.reveal()
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.hide(text)


class RedactingFormatter(logging.Formatter):
    """Blanks known secrets in the values of a record, and what is no visible character."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: dict[str, None] = {}

    def hide(self, secret: str) -> None:
        """Blank `secret` from now on, also where a value quotes it with escapes."""
        for text in (secret, repr(secret)[1:-1], json.dumps(secret)[1:-1]):
            if len(text) >= _SHORTEST:
                self._secrets.pop(text, None)
                self._secrets[text] = None
        while len(self._secrets) > _KNOWN_KEYS:
            del self._secrets[next(iter(self._secrets))]

    def blank(self, text: str) -> str:
        """Return the text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def message(self, record: logging.LogRecord) -> str:
        """Write the message: our own words as they are, what they speak of without secrets."""
        if not record.args:
            return self.blank(record.getMessage())
        if isinstance(record.args, Mapping):
            return str(record.msg) % {name: self._shown(value) for name, value in record.args.items()}
        return str(record.msg) % tuple(map(self._shown, record.args))

    def _shown(self, value: object) -> object:
        # Names of objects and numbers are ours; everything else may hold what somebody else has said.
        return value if isinstance(value, ObjectKey | Enum | int | float) else _Blanked(value, self.blank)

    def moment(self, record: logging.LogRecord) -> str:
        """Write when it happened, in UTC, to the millisecond."""
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Collect the record's own fields that say something."""
        values = {shown: getattr(record, field, "") for field, shown in FIELDS.items()}
        ours = ("namespace", "name")
        return {
            shown: str(value) if shown in ours else self.blank(str(value)) for shown, value in values.items() if value
        }

    def trace(self, record: logging.LogRecord) -> str:
        """Write the record's exception and stack, if it has any."""
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        parts += [self.formatStack(record.stack_info)] if record.stack_info else []
        return self.blank("\n".join(parts))


@dataclass(frozen=True, slots=True)
class _Blanked:
    """A value of a message, without secrets however it is written."""

    value: object
    blank: Callable[[str], str]

    def __str__(self) -> str:
        return self.blank(str(self.value))

    def __repr__(self) -> str:
        return self.blank(repr(self.value))


class JsonFormatter(RedactingFormatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, message, the record's fields, and the exception as a field."""
        content = {
            "time": self.moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": self.message(record),
            **self.fields(record),
        }
        trace = self.trace(record)
        if trace:
            content["exception"] = trace
        return json.dumps({name: harmless(text, keep="\n\t") for name, text in content.items()}, ensure_ascii=False)


class TextFormatter(RedactingFormatter):
    """One line for people; only a traceback takes more."""

    def format(self, record: logging.LogRecord) -> str:
        """Write time, level, module and message, and the fields that the message does not tell already."""
        message = self.message(record)
        more = "".join(f" {name}={value}" for name, value in self.fields(record).items() if value not in message)
        module = record.name.rpartition(".")[2] if record.name.startswith("agb_operator.") else record.name
        # A text from outside must not be able to forge a record.
        line = harmless(f"{self.moment(record)} {record.levelname:<7} {module}: {message}{more}")
        trace = self.trace(record)
        return harmless(f"{line}\n{trace}", keep="\n\t") if trace else line
