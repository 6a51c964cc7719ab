"""The options of the verbs that change sessions."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import click

from ..completion import sessions
from ..options import Where, all_namespaces_option, cluster_options, output_option, selector_option, zone_option

F = TypeVar("F", bound=Callable[..., object])


def which_options(command: F) -> F:
    """Which sessions, and how it is done."""
    for option in (
        output_option(),
        zone_option,
        click.option("--dry-run", type=click.Choice(["server", "client"]), default=None, help="Change nothing."),
        click.option("--yes", "agreed", is_flag=True, help="Go on with more than 20 sessions, or more than 7 days."),
        click.option("--timeout", metavar="DURATION", default="10m", help="How long --wait waits. [default: 10m]"),
        click.option("--wait", is_flag=True, help="Wait until it is so."),
        all_namespaces_option,
        cluster_options,
        click.option("--all", "everything", is_flag=True, help="All AgbSessions of the namespace."),
        selector_option,
        click.argument("names", metavar="[NAME]...", nargs=-1, shell_complete=sessions),
    ):
        command = option(command)
    return command


def time_options(command: F) -> F:
    """Until when."""
    for option in (
        click.option("--reason", metavar="TEXT", default="", help="Why, for those who read the status."),
        click.option("--until", metavar="TIME", default="", help="Until that time; then the clock decides again."),
        click.option("--for", "lasting", metavar="DURATION", default="", help="For that long, such as 2h."),
    ):
        command = option(command)
    return command


def change(
    verb: str,
    *,
    names: tuple[str, ...],
    selector: str,
    everything: bool,
    namespace: str,
    context: str,
    all_namespaces: bool,
    dry_run: str | None,
    **said: Any,
) -> None:
    """Do it."""
    from ..carrying import Command
    from ..orders import Verb
    from ..targets import Targets

    where = Where(namespace=namespace, context=context, everywhere=all_namespaces)
    targets = Targets(where=where, names=names, selector=selector, everything=everything)
    asyncio.run(Command(verb=Verb(verb), targets=targets, dry_run=dry_run or "", **said).run())
