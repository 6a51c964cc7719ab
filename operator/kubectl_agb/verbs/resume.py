"""`kubectl agb resume`."""

from typing import Any

import click

from .changes import change, time_options, which_options

_EPILOG = """
Without a time it sets paused: false, and removes an override that says Paused; a schedule may still keep the session
asleep (exit code 3). With a time it sets an override, which wins over schedules and ends by itself.

\b
Examples:
  kubectl agb resume batch-7 --for 2h --reason demo --wait
  kubectl agb resume batch-7 batch-8 --until 18:00
"""


@click.command(epilog=_EPILOG)
@time_options
@which_options
def command(**said: Any) -> None:
    """Wake sessions, until further notice or for a limited time."""
    change("resume", **said)
