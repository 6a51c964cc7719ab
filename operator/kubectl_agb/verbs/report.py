"""`kubectl agb report`: what pausing saved, and what has slept for long."""

from typing import Any, Final

import click
from click.core import ParameterSource

from ..options import Where, all_namespaces_option, cluster_options, output_option, selector_option

SORTS: Final = ("group", "sessions", "running", "paused", "asleep", "pauses", "cost", "saved")

_EPILOG: Final = """
The rates are what one hour costs you. The HTML is one file that needs no network. Deleted AgbSessions are not in the
report.

--asleep-for lists instead the sessions that have slept at least this long; each counts against the account's limit.

\b
Examples:
  kubectl agb report -A --by label:team --month 2026-11
  kubectl agb report --rate-running 0.12 --rate-paused 0.02 --currency EUR
  kubectl agb report -A -o html > report.html
  kubectl agb report -A --asleep-for 30d
"""


@click.command(epilog=_EPILOG)
@selector_option
@click.option(
    "--by", metavar="GROUP", default="namespace", help="namespace, label:KEY, image or schedule. [default: namespace]"
)
@click.option("--month", metavar="MONTH", default="", help="A month of UTC, such as 2026-11. [default: this one]")
@click.option("--sort", type=click.Choice(SORTS), default="paused", help="By which column. [default: paused]")
@click.option(
    "--rate-running",
    metavar="RATE",
    envvar="AGB_RATE_RUNNING",
    default="",
    help="What one hour awake costs. [AGB_RATE_RUNNING]",
)
@click.option(
    "--rate-paused",
    metavar="RATE",
    envvar="AGB_RATE_PAUSED",
    default="",
    help="What one hour asleep costs. [AGB_RATE_PAUSED]",
)
@click.option("--currency", metavar="TEXT", default="", help="The unit of the rates, such as EUR.")
@click.option("--asleep-for", metavar="TIME", default="", help="List sessions that have slept this long, such as 30d.")
@cluster_options
@all_namespaces_option
@output_option("csv", "html")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    namespace: str,
    context: str,
    all_namespaces: bool,
    selector: str,
    asleep_for: str,
    output: str,
    **asked: Any,
) -> None:
    """Show how long sessions ran and slept in a month, and what that saved."""
    from ..errors import WrongUsage
    from ..reporting import Request, find_sleepers, sum_up, write_report, write_sleepers

    where = Where(namespace=namespace, context=context, everywhere=all_namespaces)
    if not asleep_for:
        write_report(sum_up(Request(where=where, selector=selector, **asked)), output)
        return
    for name in asked:
        if ctx.get_parameter_source(name) == ParameterSource.COMMANDLINE:
            raise WrongUsage(f"--{name.replace('_', '-')} and --asleep-for cannot go together: one sums, one lists")
    if output == "html":
        raise WrongUsage("--asleep-for is a list: say -o table, csv, json or yaml")
    found, now = find_sleepers(where, selector, asleep_for)
    write_sleepers(found, output, now, asleep_for)
