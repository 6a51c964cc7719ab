"""What the administrator decides: one value, read from flags and environment by one parser.

It owns names, defaults, bounds and the texts of the errors; what a setting does is told by the module that
obeys it. A flag wins over its variable `AGB_OPERATOR_<FLAG>`, and that over the default. The settings of the AGB
account are the SDK's own variables and have no flags: a key on a command line is shown by `ps`.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from ..agb.api_key import ApiKey
from ..agb.transport import normalise_endpoint
from ..model.resource import parse_duration

ALL: Final = "*"
"""Stands for every namespace."""
POD_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
_LABEL: Final = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_SUBDOMAIN: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_CLUSTER_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_ADDRESS: Final = re.compile(r"(?P<host>[^\s:\[\]/@]+|\[[0-9A-Fa-f:.%]+\]|):(?P<port>\d{1,5})", re.ASCII)


DEFAULT_CLUSTER_NAME: Final = "kubernetes"
"""Several installations may share an account under this name."""


class LogFormat(StrEnum):
    """How a log record is written."""

    TEXT = "text"
    JSON = "json"


class Address(NamedTuple):
    """Where to listen: a host ("" is every interface) and a port (0 takes a free one)."""

    host: str
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Everything that is set from outside.

    Attributes:
        namespaces: the ones to watch; none is the whole cluster.
        default_key_namespaces: where AgbSessions may use the operator's own key; `*` is everywhere.
        resync: seconds between two looks at a settled session.
        workers: AgbSessions worked on at the same time.
        api_qps: requests a second to AGB that no API key exceeds; None leaves it to what AGB allows.
        http_address: where /healthz, /readyz and /metrics are served.
        leader_election: whether a Lease decides which replica works.
        lease_namespace: where that Lease is.
        lease_name: its name; operators that share it work one at a time.
        cluster_name: tells clusters apart that share an AGB account, as a label on their sessions.
        log_format: text or JSON lines.
        log_level: the least severe level that is written.
        api_key: the operator's own AGB key, if it has one.
        endpoint: the AGB API's address.
        api_timeout: seconds that one AGB request may take.
    """

    namespaces: tuple[str, ...] = ()
    default_key_namespaces: tuple[str, ...] = ()
    resync: float = 60.0
    workers: int = 256
    api_qps: float | None = None
    http_address: Address = field(default_factory=lambda: _address(":8080"))
    leader_election: bool = True
    lease_namespace: str = "default"
    lease_name: str = "agb-operator"
    cluster_name: str = DEFAULT_CLUSTER_NAME
    log_format: LogFormat = LogFormat.TEXT
    log_level: str = "info"
    api_key: ApiKey | None = None
    endpoint: str = "https://sdk-api.agb.cloud"
    api_timeout: float = 60.0


class SettingsError(ValueError):
    """A setting is wrong; the message is one line: which one, what was given, what is right."""


Flags = Mapping[str, str | Sequence[str] | bool | None]
"""What the command line gave, by the flag's name with underscores; None or () where it gave nothing."""


def read_settings(
    flags: Flags, environ: Mapping[str, str], *, pod_namespace_file: Path = POD_NAMESPACE_FILE
) -> Settings:
    """Read the settings from the command line and the environment.

    Raises:
        SettingsError: one of them is wrong.
    """
    given: dict[str, Any] = {}
    for flag, (attribute, read) in _FLAGS.items():
        where, text = _find(flag, flags, environ)
        if where:
            given[attribute] = _checked(where, text, read)
    for variable, (attribute, read) in _VARIABLES.items():
        text = environ.get(variable, "").strip()
        if text:
            given[attribute] = _checked(variable, text, read, secret=read is ApiKey)
    given.setdefault("lease_namespace", _own_namespace(environ, pod_namespace_file))
    settings = replace(Settings(), **given)
    if settings.default_key_namespaces and settings.api_key is None:
        raise SettingsError(
            "--default-key-namespace allows the use of the operator's own key, and there is none: set AGB_API_KEY"
        )
    return settings


def _find(flag: str, flags: Flags, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return where a setting was given ("" for nowhere) and as what; several values are joined by spaces."""
    value = flags.get(flag)
    if value is not None and value != ():
        name = "--" + flag.replace("_", "-")
        if isinstance(value, bool):
            return name, "true" if value else "false"
        return name, value if isinstance(value, str) else " ".join(value)
    variable = "AGB_OPERATOR_" + flag.upper()
    text = environ.get(variable, "").strip()
    return (variable, text) if text else ("", "")


def _checked(where: str, text: str, read: Callable[[str], object], *, secret: bool = False) -> object:
    try:
        return read(text)
    except ValueError as exc:
        raise SettingsError(f"{where}: {exc}" if secret else f"{where} {text!r}: {exc}") from None


def _own_namespace(environ: Mapping[str, str], file: Path) -> str:
    """Find the namespace that the pod runs in; `default` outside of one."""
    named = environ.get("POD_NAMESPACE", "").strip()
    if named:
        return str(_checked("POD_NAMESPACE", named, _namespace))
    try:
        return file.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if pattern.fullmatch(text) is None:
            raise ValueError(f"must be {what}")
        return text

    return read


_namespace = _matching(_LABEL, "a namespace: up to 63 lower-case letters, digits and dashes")


def _namespaces(text: str) -> tuple[str, ...]:
    names = text.replace(",", " ").split()
    if not names:
        raise ValueError("must name a namespace")
    return tuple(dict.fromkeys(map(_namespace, names)))


def _namespaces_or_all(text: str) -> tuple[str, ...]:
    names = text.replace(",", " ").split()
    return (ALL,) if ALL in names else _namespaces(text)


def _duration(text: str) -> float:
    duration = parse_duration(text)
    if duration is None or duration.total_seconds() < 1:
        raise ValueError("must be a duration of at least 1s, such as 60s, 10m or 1h30m")
    return duration.total_seconds()


def _whole(least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        # int() would take "1_000", " 7" and digits of other scripts.
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _rate(text: str) -> float:
    if re.fullmatch(r"\d{1,6}(\.\d{1,6})?", text, re.ASCII) is None or not 0.01 <= float(text) <= 10_000:
        raise ValueError("must be requests a second, a number from 0.01 to 10000")
    return float(text)


def _address(text: str) -> Address:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError(
            "must be HOST:PORT with a port from 0 to 65535, such as :8080, 0.0.0.0:8080, [::1]:8080 or 127.0.0.1:0"
        )
    return Address(host=match["host"].strip("[]"), port=int(match["port"]))


def _truth(text: str) -> bool:
    match text.lower():
        case "true" | "1" | "yes" | "on":
            return True
        case "false" | "0" | "no" | "off":
            return False
    raise ValueError("must be true or false")


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.lower()

    return read


def _log_format(text: str) -> LogFormat:
    return LogFormat(_one_of(*LogFormat)(text))


def _endpoint(text: str) -> str:
    if "@" in text or urlsplit(text if "://" in text else f"https://{text}").path not in ("", "/"):
        raise ValueError("must be a host or an https:// address, without a user and without a path")
    return normalise_endpoint(text)


def _milliseconds(text: str) -> float:
    # The SDK divides by 1000 without a remainder, so below that it waits for no answer at all.
    return _whole(1000, 3_600_000)(text) / 1000


_FLAGS: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "namespace": ("namespaces", _namespaces),
    "default_key_namespace": ("default_key_namespaces", _namespaces_or_all),
    "resync": ("resync", _duration),
    "workers": ("workers", _whole(1, 10_000)),
    "api_qps": ("api_qps", _rate),
    "http_address": ("http_address", _address),
    "leader_election": ("leader_election", _truth),
    "lease_namespace": ("lease_namespace", _namespace),
    "lease_name": ("lease_name", _matching(_SUBDOMAIN, "a Lease's name: lower-case letters, digits, dashes and dots")),
    "cluster_name": (
        "cluster_name",
        _matching(_CLUSTER_NAME, "up to 63 letters, digits, dashes, dots and underscores"),
    ),
    "log_format": ("log_format", _log_format),
    "log_level": ("log_level", _one_of("debug", "info", "warning", "error")),
}
_VARIABLES: Final[Mapping[str, tuple[str, Callable[[str], object]]]] = {
    "AGB_API_KEY": ("api_key", ApiKey),
    "AGB_ENDPOINT": ("endpoint", _endpoint),
    "AGB_TIMEOUT_MS": ("api_timeout", _milliseconds),
}
