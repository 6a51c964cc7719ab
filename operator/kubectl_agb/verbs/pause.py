"""`kubectl agb pause`."""

from typing import Any

import click

from .changes import change, time_options, which_options

_EPILOG = """
Without a time it sets paused: true and removes any override: it sleeps until somebody wakes it. With a time it sets an
override, which ends by itself.

\b
Examples:
  kubectl agb pause batch-7 --wait
  kubectl agb pause -l team=ml --until 2026-11-30T07:00 --reason "long weekend"
"""


@click.command(epilog=_EPILOG)
@time_options
@which_options
def command(**said: Any) -> None:
    """Pause sessions, until further notice or for a limited time."""
    change("pause", **said)
