"""`kubectl agb plan`: what the clock will do."""

import asyncio
from typing import Any

import click

from ..options import Where, all_namespaces_option, cluster_options, output_option, selector_option, zone_option

_EPILOG = """
Without NAME and -l it covers all AgbSessions of the namespace; without a time, the next seven days.

-f and --delete answer as if that were applied. If the files hold both AgbSessions and AgbPauseSchedules, the plan is
made from them alone, without a cluster.

\b
Examples:
  kubectl agb plan --week
  kubectl agb plan -l team=ml -f office-hours.yaml --until 2026-11-30T12:00
  kubectl agb plan --delete office-hours
"""


@click.command(epilog=_EPILOG)
@click.argument("names", metavar="[NAME]...", nargs=-1)
@selector_option
@click.option("--at", metavar="TIME", default="", help="Say what is wanted at that time.")
@click.option("--from", "begin", metavar="TIME", default="", help="Begin at that time. [default: now]")
@click.option("--until", metavar="TIME", default="", help="End at that time. [default: seven days later]")
@click.option("--week", is_flag=True, help="Draw seven days, from today on.")
@click.option("-f", "--filename", "files", metavar="FILE", multiple=True, help="As if FILE were applied; - is stdin.")
@click.option("--delete", metavar="SCHEDULE", multiple=True, help="As if that AgbPauseSchedule were deleted.")
@cluster_options
@all_namespaces_option
@zone_option
@output_option()
def command(
    namespace: str, context: str, all_namespaces: bool, zone_name: str, output: str, at: str, week: bool, **asked: Any
) -> None:
    """Show what the clock will do to sessions; change nothing."""
    from .. import picture
    from ..output import paragraph, say, write_objects
    from ..planned import Words, objects, states
    from ..planning import Request, plan
    from ..times import read_zone

    zone = read_zone(zone_name)
    where = Where(namespace=namespace, context=context, everywhere=all_namespaces)
    found = asyncio.run(plan(Request(where=where, at=at, week=week, **asked), zone))
    if output != "table":
        write_objects(states(found.members) if at else objects(found.members), output)
        return
    words = Words(forecast=found.forecast, members=found.members, zone=zone, many=all_namespaces)
    if not found.members:
        say("There are no such AgbSessions, so the clock has nothing to do.")
        return
    if week:
        click.echo("\n".join(picture.draw(found.members, now=found.forecast.now, zone=zone)))
    else:
        say(words.state_table() if at else words.change_table())
    if not at:
        say("\n".join(map(paragraph, words.notes())))
    if found.alone:
        say("All of this is from the files: no cluster was asked.")
