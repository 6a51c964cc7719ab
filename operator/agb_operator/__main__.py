"""The command `agb-operator`: flags and environment in, an exit code out.

0 ends what was asked to end, 1 is a start or a run that failed, 2 a setting that is wrong. Each says why in one
line on stderr. What a flag may hold is `settings`' to know; the heavy imports wait until `run` needs them, so that
`--help` answers at once.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from typing import NoReturn, TypeVar

import click

from . import __version__

F = TypeVar("F", bound=Callable[..., object])

_EPILOG = """
Environment: every flag can be given as AGB_OPERATOR_<FLAG>, such as AGB_OPERATOR_RESYNC=60s; repeatable ones take
several values, separated by commas or spaces. A flag wins over its variable.

\b
AGB_API_KEY     the operator's own AGB key, see --default-key-namespace
AGB_ENDPOINT    host or address of the AGB API [default: sdk-api.agb.cloud]
AGB_TIMEOUT_MS  time for one request to AGB, in milliseconds [default: 60000]
KUBECONFIG      kubeconfig files, as for kubectl; else ~/.kube/config, else the pod's service account

\b
Examples:
  AGB_API_KEY=akm-... agb-operator run --default-key-namespace '*'
  agb-operator run --namespace ml --namespace research --log-format json
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="agb-operator", message="%(prog)s %(version)s")
def main() -> None:
    """Pause and resume AGB cloud sessions as Kubernetes resources.

    `agb-operator run` watches the AgbSessions of a cluster and makes the sessions at AGB what they ask for.
    """


@main.command()
def version() -> None:
    """Print the version."""
    click.echo(f"agb-operator {__version__}")


def _flag(name: str, metavar: str, help: str, default: str = "", *, multiple: bool = False) -> Callable[[F], F]:  # noqa: A002
    """Declare a flag that `settings` reads: click only carries the text."""
    shown = f"{help} [default: {default}]" if default else help
    return click.option(name, metavar=metavar, help=shown, multiple=multiple)


@main.command(epilog=_EPILOG, context_settings={"max_content_width": 110})
@_flag("--namespace", "NS", "Watch this namespace only; repeatable. None: the whole cluster.", multiple=True)
@_flag(
    "--default-key-namespace",
    "NS",
    "AgbSessions in this namespace that name no Secret use the operator's own key (AGB_API_KEY); repeatable, '*' is "
    "every namespace. None: each AgbSession has to name a Secret.",
    multiple=True,
)
@_flag(
    "--resync",
    "TIME",
    "How often stable sessions are checked for changes made elsewhere. Checks are batched: a hundred sessions take "
    "about one request.",
    "60s",
)
@_flag("--workers", "N", "AgbSessions worked on at the same time; one that waits for an answer is cheap.", "256")
@_flag(
    "--api-qps",
    "N",
    "Most requests a second to AGB for each API key. Without it the operator finds out by itself how many AGB allows.",
)
@_flag(
    "--http-address",
    "[HOST]:PORT",
    "Where /healthz, /readyz and /metrics are served; without HOST on every interface, by IPv4 and IPv6. "
    "Port 0 takes a free one and logs it.",
    ":8080",
)
@click.option(
    "--leader-election/--no-leader-election",
    default=None,
    help="Let a Lease decide which of several replicas works. Without it, be sure to run only one. "
    "[default: leader-election]",
)
@_flag("--lease-namespace", "NS", "Namespace of that Lease. [default: the pod's own, else default]")
@_flag("--lease-name", "NAME", "Name of that Lease; operators that share it work one at a time.", "agb-operator")
@_flag(
    "--cluster-name",
    "NAME",
    "Value of the label agb-operator-cluster on sessions; it tells apart clusters that share an AGB account.",
    "kubernetes",
)
@_flag("--log-format", "text|json", "How log records are written, one a line.", "text")
@_flag("--log-level", "LEVEL", "The least severe records to write: debug, info, warning or error.", "info")
def run(**flags: str | Sequence[str] | bool | None) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    # Imported late: --help and version need none of it.
    from .model.errors import StartupError
    from .process.settings import SettingsError, read_settings

    try:
        settings = read_settings(flags, os.environ)
    except SettingsError as exc:
        _fail(str(exc), code=2)
    from .process import run as app
    from .process.logs import configure_logs, hide

    configure_logs(settings.log_format, settings.log_level)
    if settings.api_key is not None:
        hide(settings.api_key)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(app.run(settings))
    except StartupError as exc:
        _fail(str(exc), code=1)
    sys.exit(code)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Choose uvloop's event loop, a third less CPU, where it exists."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _fail(message: str, *, code: int) -> NoReturn:
    click.echo(f"agb-operator: {message}", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main(prog_name="agb-operator")
