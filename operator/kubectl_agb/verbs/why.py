"""`kubectl agb why`: what is so, why, until when, and what changes it."""

import click

from ..completion import sessions
from ..options import Where, cluster_options, output_option, zone_option


@click.command()
@click.argument("name", shell_complete=sessions)
@cluster_options
@zone_option
@output_option()
def command(name: str, namespace: str, context: str, zone_name: str, output: str) -> None:
    """Show why a session is awake or asleep, until when, and how to change it."""
    from ..asking import ask
    from ..chain import lines
    from ..output import say, write_object
    from ..times import read_zone

    chain = ask(Where(namespace=namespace, context=context), name, read_zone(zone_name))
    if output == "table":
        say("\n".join(lines(chain)))
    else:
        write_object(chain.as_object(), output)
