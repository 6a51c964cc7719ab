"""How a command ends that did not do what was asked: an exit code, and one line on stderr.

0 is done, 1 failed, 2 wrong usage (click's own), 3 accepted but not in effect, 124 `--wait` ran out of time.
"""

from typing import IO, Any

import click

from agb_operator.model.text import harmless


class Ending(click.ClickException):
    """Ends the command; without a message all has been said."""

    def __init__(self, message: str = "") -> None:
        super().__init__(" ".join(message.split()))

    def show(self, file: IO[Any] | None = None) -> None:
        """Write the message, if there is one."""
        if self.message:
            click.echo(f"kubectl agb: {harmless(self.message)}", err=True)


class Failed(Ending):
    """What was asked for could not be done."""


class WrongUsage(Ending):
    """Something is wrong with what was asked for; nothing has been changed."""

    exit_code = 2


class NotInEffect(Ending):
    """The change was accepted, and something else keeps it from having an effect."""

    exit_code = 3


class TimedOut(Ending):
    """`--wait` ended before what it waits for came true."""

    exit_code = 124
