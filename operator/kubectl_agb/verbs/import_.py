"""`kubectl agb import`: manifests for the sessions of an account."""

import asyncio

import click

from ..options import Where, cluster_options

_EPILOG = """
It lists the sessions of the AGB account whose key is in AGB_API_KEY, at AGB_ENDPOINT. It leaves out those that an
AgbSession of the cluster names, and those that an operator has made. It writes nothing.

The AgbSessions only observe unless you pass --manage, and deleting one leaves its session alive. If the operator has
no key of its own for the namespace, add spec.credentials.

\b
Examples:
  kubectl agb import -l team=ml --name-from task > sessions.yaml
  kubectl agb import --manage | kubectl apply -f -
"""


@click.command(epilog=_EPILOG)
@click.option("-l", "--label", "labels", metavar="K=V", multiple=True, help="Only sessions at AGB with this label.")
@click.option("--manage", is_flag=True, help="AgbSessions that pause and resume; without it they only observe.")
@click.option("--name-from", metavar="LABEL", default="", help="Take names from this label at AGB, if it is there.")
@cluster_options
@click.option("-o", "--output", type=click.Choice(["yaml", "json"]), default="yaml", help="[default: yaml]")
def command(labels: tuple[str, ...], manage: bool, name_from: str, namespace: str, context: str, output: str) -> None:
    """Print AgbSessions for the sessions of an AGB account that have none."""
    from ..importing import Import
    from ..output import say, write_manifests

    where = Where(namespace=namespace, context=context)
    found = asyncio.run(Import(where=where, labels=labels, manage=manage, name_from=name_from).run())
    write_manifests(found.manifests, output)
    if found.partly:
        say(f"only the AgbSessions of one namespace could be read: {found.partly}", err=True)
    say(
        f"{len(found.manifests)} without an AgbSession; left out: {found.known} that an AgbSession of the cluster "
        f"names, {found.owned} that an operator has made",
        err=True,
    )
