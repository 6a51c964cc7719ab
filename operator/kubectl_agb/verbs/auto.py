"""`kubectl agb auto`."""

from typing import Any

import click

from .changes import change, which_options

_EPILOG = """
It removes the override and paused: true, so that schedules alone decide; where none asks for a pause, the session runs.

\b
Example:
  kubectl agb auto batch-7
"""


@click.command(epilog=_EPILOG)
@which_options
def command(**said: Any) -> None:
    """Let the clock decide again, and show what it decides."""
    change("auto", **said)
