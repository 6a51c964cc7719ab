"""What the administrator decides: one value, read from flags and environment by click.

It owns names, defaults, bounds and the texts of help and errors, each in `OPTIONS` alone; what a setting does is told
by the module that obeys it. A flag wins over its variable `AGB_OPERATOR_<FLAG>`, and that over the default. The AGB
account is set by the SDK's own variables, which have no flags: a key on a command line is shown by `ps`.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

import click

from ..agb.api_key import ApiKey
from .flags import Matching, Setting, SettingsError, Text, Variable

ALL: Final = "*"
"""Stands for every namespace."""
POD_NAMESPACE_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
DEFAULT_CLUSTER_NAME: Final = "kubernetes"
"""Several installations may share an account under this name."""
_ADDRESS: Final = re.compile(r"(?P<host>[^\s:\[\]/@]+|\[[0-9A-Fa-f:.%]+\]|):(?P<port>\d{1,5})", re.ASCII)


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

    namespaces: tuple[str, ...]
    default_key_namespaces: tuple[str, ...]
    resync: float
    workers: int
    api_qps: float | None
    http_address: Address
    leader_election: bool
    lease_namespace: str
    lease_name: str
    cluster_name: str
    log_format: LogFormat
    log_level: str
    api_key: ApiKey | None
    endpoint: str
    api_timeout: float


NAMESPACE: Final = Matching(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
A_NAMESPACE: Final = "a namespace: up to 63 lower-case letters, digits and dashes"


def _namespaces(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    names = " ".join(values).replace(",", " ").split()
    if values and not names:
        raise click.BadParameter("names none")
    return tuple(NAMESPACE.convert(name, param, ctx) for name in dict.fromkeys(names))


def _namespaces_or_all(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    return (ALL,) if ALL in " ".join(values).replace(",", " ").split() else _namespaces(ctx, param, values)


def _duration(text: str) -> float:
    from ..model.resource import parse_duration  # late: --help needs no model

    duration = parse_duration(text)
    if duration is None or duration.total_seconds() < 1:
        raise ValueError
    return duration.total_seconds()


def _address(text: str) -> Address:
    match = _ADDRESS.fullmatch(text)
    if match is None or int(match["port"]) > 65535:
        raise ValueError
    return Address(host=match["host"].strip("[]"), port=int(match["port"]))


def _endpoint(text: str) -> str:
    from ..agb.transport import normalise_endpoint  # late: --help needs no HTTP

    if "@" in text or urlsplit(text if "://" in text else f"https://{text}").path not in ("", "/"):
        raise ValueError("must be a host or an https:// address, without a user and without a path")
    return normalise_endpoint(text)


def _own_namespace() -> str:
    """Find the namespace that the pod runs in; `default` outside of one."""
    try:
        return POD_NAMESPACE_FILE.read_text(encoding="utf-8").strip() or "default"
    except OSError:
        return "default"


_LEVELS: Final = ("debug", "info", "warning", "error")

OPTIONS: Final[Sequence[Setting]] = (
    Setting(
        "--namespace",
        "namespaces",
        "NS",
        multiple=True,
        callback=_namespaces,
        right=A_NAMESPACE,
        help="Watch this namespace only; repeatable. None: the whole cluster.",
    ),
    Setting(
        "--default-key-namespace",
        "default_key_namespaces",
        "NS",
        multiple=True,
        callback=_namespaces_or_all,
        right=A_NAMESPACE,
        help="AgbSessions in this namespace that name no Secret use the operator's own key (AGB_API_KEY); repeatable, "
        "'*' is every namespace. None: each AgbSession has to name a Secret.",
    ),
    Setting(
        "--resync",
        "resync",
        "TIME",
        type=_duration,
        default="60s",
        right="a duration of at least 1s, such as 60s, 10m or 1h30m",
        help="How often stable sessions are checked for changes made elsewhere. Checks are batched: a hundred sessions "
        "take about one request.",
    ),
    Setting(
        "--workers",
        "workers",
        "N",
        type=Matching(r"\d+", click.IntRange(1, 10_000)),
        default="256",
        right="a whole number from 1 to 10000",
        help="AgbSessions worked on at the same time; one that waits for an answer is cheap.",
    ),
    Setting(
        "--api-qps",
        "api_qps",
        "N",
        type=Matching(r"\d{1,6}(\.\d{1,6})?", click.FloatRange(0.01, 10_000)),
        right="requests a second, a number from 0.01 to 10000",
        help="Most requests a second to AGB for each API key. Without it the operator finds out by itself how many AGB "
        "allows.",
    ),
    Setting(
        "--http-address",
        "http_address",
        "[HOST]:PORT",
        type=_address,
        default=":8080",
        right="HOST:PORT with a port from 0 to 65535, such as :8080, 0.0.0.0:8080, [::1]:8080 or 127.0.0.1:0",
        help="Where /healthz, /readyz and /metrics are served; without HOST on every interface, by IPv4 and IPv6. "
        "Port 0 takes a free one and logs it.",
    ),
    Setting(
        "--leader-election/--no-leader-election",
        "leader_election",
        "",
        default=True,
        right="true or false",
        help="Let a Lease decide which of several replicas works. Without it, be sure to run only one.",
    ),
    Setting(
        "--lease-namespace",
        "lease_namespace",
        "NS",
        type=NAMESPACE,
        right=A_NAMESPACE,
        also="POD_NAMESPACE",
        default=_own_namespace,
        show_default=False,
        help="Namespace of that Lease. [default: the pod's own, else default]",
    ),
    Setting(
        "--lease-name",
        "lease_name",
        "NAME",
        type=Matching(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?"),
        default="agb-operator",
        right="a Lease's name: lower-case letters, digits, dashes and dots",
        help="Name of that Lease; operators that share it work one at a time.",
    ),
    Setting(
        "--cluster-name",
        "cluster_name",
        "NAME",
        type=Matching(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"),
        default=DEFAULT_CLUSTER_NAME,
        right="up to 63 letters, digits, dashes, dots and underscores",
        help="Value of the label agb-operator-cluster on sessions; it tells apart clusters that share an AGB account.",
    ),
    Setting(
        "--log-format",
        "log_format",
        "text|json",
        type=click.Choice(LogFormat, case_sensitive=False),
        default="text",
        right=f"one of {', '.join(LogFormat)}",
        help="How log records are written, one a line.",
    ),
    Setting(
        "--log-level",
        "log_level",
        "LEVEL",
        type=click.Choice(_LEVELS, case_sensitive=False),
        default="info",
        right=f"one of {', '.join(_LEVELS)}",
        help="The least severe records to write: debug, info, warning or error.",
    ),
    Variable(
        "AGB_API_KEY",
        "api_key",
        type=Text(ApiKey),
        hide_input=True,
        help="The operator's own AGB key, see --default-key-namespace.",
    ),
    Variable(
        "AGB_ENDPOINT",
        "endpoint",
        type=Text(_endpoint),
        default="https://sdk-api.agb.cloud",
        help="Host or address of the AGB API.",
    ),
    Variable(
        "AGB_TIMEOUT_MS",
        "api_timeout",
        type=Matching(r"\d+", click.IntRange(1000, 3_600_000)),  # the SDK divides by 1000 without a remainder
        default="60000",
        right="a whole number from 1000 to 3600000",
        callback=lambda _ctx, _param, value: value / 1000,
        help="Time for one request to AGB, in milliseconds, at least 1000.",
    ),
)


def settings_of(given: Mapping[str, Any]) -> Settings:
    """Make settings of what click has read by `OPTIONS`.

    Raises:
        SettingsError: two of them do not go together.
    """
    settings = Settings(**given)
    if settings.default_key_namespaces and settings.api_key is None:
        raise SettingsError(
            "--default-key-namespace allows the use of the operator's own key, and there is none: set AGB_API_KEY"
        )
    return settings


def read_settings(arguments: Sequence[str] = ()) -> Settings:
    """Read the settings from a command line and the environment.

    Raises:
        SettingsError: one of them is wrong.
    """
    return settings_of(click.Command("run", params=[*OPTIONS]).make_context("run", [*arguments]).params)
