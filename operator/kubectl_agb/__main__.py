"""The command `kubectl-agb`, which kubectl runs as `kubectl agb`: arguments in, an exit code out.

What each verb does is in `verbs`; they are imported when they are called.
"""

import sys
from typing import Final

import click

from agb_operator import __version__

from .lazy import LazyGroup, Verb

VERBS: Final = {
    "why": Verb("kubectl_agb.verbs.why", "Show why a session is awake or asleep, until when, and how to change it."),
    "plan": Verb("kubectl_agb.verbs.plan", "Show what the clock will do to sessions; change nothing."),
    "pause": Verb("kubectl_agb.verbs.pause", "Pause sessions, until further notice or for a limited time."),
    "resume": Verb("kubectl_agb.verbs.resume", "Wake sessions, until further notice or for a limited time."),
    "auto": Verb("kubectl_agb.verbs.auto", "Let the clock decide again, and show what it decides."),
    "report": Verb("kubectl_agb.verbs.report", "Show how long sessions ran and slept in a month, and what that saved."),
    "import": Verb("kubectl_agb.verbs.import_", "Print AgbSessions for the sessions of an AGB account that have none."),
}

_EPILOG: Final = """
Times are such as 18:00, 2026-12-24T18:00 (both in --tz) or 2026-12-24T17:00:00Z; durations such as 90m, 2h or 3d.

\b
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 accepted but not in effect,
            124 --wait ran out of time.
"""


@click.group(
    cls=LazyGroup,
    verbs=VERBS,
    epilog=_EPILOG,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="kubectl agb", message="%(prog)s %(version)s")
def main() -> None:
    """Ask why AGB sessions sleep, see what the clock will do, pause them and wake them.

    It reads and writes with your own rights, and answers by the rules of the operator itself.
    """


def run() -> None:
    """Be the program."""
    main(prog_name="kubectl agb")


def complete() -> None:
    """Be the program `kubectl_complete-agb`."""
    from .completion import answer

    answer(main, sys.argv[1:])


if __name__ == "__main__":
    run()
