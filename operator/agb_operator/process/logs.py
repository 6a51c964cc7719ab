"""How log records look, and what never gets into them.

It owns the two formats (text for people, JSON for machines), the loudness of the libraries, and a second safety
net for secrets: keys that are known are blanked in everything that is written, tracebacks included. The first
net is that nobody logs one. Modules add fields to a record with `extra=`, see `FIELDS`.
"""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Final, TextIO

from ..agb.api_key import ApiKey

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
_QUIET: Final = ("asyncio", "aiohttp", "httpx", "httpcore", "kubernetes", "client")
"""Libraries whose information repeats ours, request by request."""


def configure_logs(log_format: str, level: str, *, stream: TextIO | None = None) -> None:
    """Write all records of `level` and above as `text` or `json`, to stderr unless told otherwise."""
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


def hide(key: ApiKey) -> None:
    """Blank this key in whatever is logged from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler.formatter, RedactingFormatter):
            handler.formatter.hide(key.reveal())


class RedactingFormatter(logging.Formatter):
    """Blanks known secrets in the finished text, wherever in the record they came from."""

    def __init__(self) -> None:
        super().__init__()
        self._secrets: dict[str, None] = {}

    def hide(self, secret: str) -> None:
        """Blank `secret` from now on, also where JSON writes it with escapes."""
        for text in (secret, json.dumps(secret)[1:-1]):
            if len(text) >= _SHORTEST:
                self._secrets.pop(text, None)
                self._secrets[text] = None
        while len(self._secrets) > _KNOWN_KEYS:
            del self._secrets[next(iter(self._secrets))]

    def format(self, record: logging.LogRecord) -> str:
        """Write the record without secrets."""
        text = self.write(record)
        for secret in self._secrets:
            text = text.replace(secret, _HIDDEN)
        return text

    def write(self, record: logging.LogRecord) -> str:
        """Write the record; subclasses say how."""
        raise NotImplementedError

    def moment(self, record: logging.LogRecord) -> str:
        """Write when it happened, in UTC, to the millisecond."""
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03}Z"

    def fields(self, record: logging.LogRecord) -> dict[str, str]:
        """Collect the record's own fields that say something."""
        values = {shown: getattr(record, field, "") for field, shown in FIELDS.items()}
        return {shown: str(value) for shown, value in values.items() if value}

    def trace(self, record: logging.LogRecord) -> str:
        """Write the record's exception and stack, if it has any."""
        parts = [self.formatException(record.exc_info)] if record.exc_info and record.exc_info[0] else []
        parts += [self.formatStack(record.stack_info)] if record.stack_info else []
        return "\n".join(parts)


class JsonFormatter(RedactingFormatter):
    """One JSON object a line."""

    def write(self, record: logging.LogRecord) -> str:
        """Write time, level, logger, message, the record's fields, and the exception as a field."""
        content: dict[str, object] = {
            "time": self.moment(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self.fields(record),
        }
        trace = self.trace(record)
        if trace:
            content["exception"] = trace
        return json.dumps(content, ensure_ascii=False)


class TextFormatter(RedactingFormatter):
    """One line for people; only a traceback takes more."""

    def write(self, record: logging.LogRecord) -> str:
        """Write time, level, module and message, and the fields that the message does not tell already."""
        # A text from outside must not be able to forge a record.
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        more = "".join(f" {name}={value}" for name, value in self.fields(record).items() if value not in message)
        module = record.name.rpartition(".")[2] if record.name.startswith("agb_operator.") else record.name
        line = f"{self.moment(record)} {record.levelname:<7} {module}: {message}{more}"
        trace = self.trace(record)
        return f"{line}\n{trace}" if trace else line
