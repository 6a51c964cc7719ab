"""The command `agb-operator`: flags and environment in, an exit code out.

0 ends what was asked to end, 1 is a start or a run that failed, 2 a setting that is wrong. Each says why in one
line on stderr. What a flag may hold is `settings`' to know; the heavy imports wait until `run` needs them, so that
`--help` answers at once.
"""

import asyncio
import gc
import sys
from collections.abc import Callable
from typing import Any

import click

from . import __version__
from .process.flags import Variable
from .process.settings import OPTIONS, settings_of

_VARIABLES = [f"{option.variables[0]:14}  {option.meaning}" for option in OPTIONS if isinstance(option, Variable)]
_EPILOG = """
Environment: every flag can be given as AGB_OPERATOR_<FLAG>, such as AGB_OPERATOR_RESYNC=60s; repeatable ones take
several values, separated by commas or spaces. A flag wins over its variable.

\b
{}
KUBECONFIG      Kubeconfig files, as for kubectl; else ~/.kube/config, else the pod's service account

\b
Examples:
  AGB_API_KEY=akm-... agb-operator run --default-key-namespace '*'
  agb-operator run --namespace ml --namespace research --log-format json
""".format("\n".join(_VARIABLES))


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


@main.command(params=[*OPTIONS], epilog=_EPILOG, context_settings={"max_content_width": 110})
def run(**given: Any) -> None:
    """Run the operator until SIGTERM or SIGINT."""
    settings = settings_of(given)
    # Imported late: --help and version need none of it.
    from .model.errors import StartupError
    from .process import run as app
    from .process.logs import configure_logs, hide

    configure_logs(settings.log_format, settings.log_level)
    if settings.api_key is not None:
        hide(settings.api_key)
    # What has been imported lives until the end, and so does most of what is read: to look through it less often saves
    # three hundredths of the CPU in a burst, and halves the longest pause.
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            code = runner.run(app.run(settings))
    except StartupError as exc:
        click.echo(f"agb-operator: {exc}", err=True)
        sys.exit(1)
    sys.exit(code)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Choose uvloop's event loop, a third less CPU, where it exists."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main(prog_name="agb-operator")
