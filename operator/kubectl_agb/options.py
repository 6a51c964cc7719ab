"""The options that verbs have in common."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., object])


@dataclass(frozen=True, kw_only=True, slots=True)
class Where:
    """Which cluster is asked, and of what.

    Attributes:
        namespace: "" is the one of the context.
        context: of the kubeconfig; "" is the current one.
        everywhere: all namespaces are meant.
    """

    namespace: str = ""
    context: str = ""
    everywhere: bool = False


def cluster_options(command: F) -> F:
    """Which cluster is asked, and of what namespace."""
    return _all(
        command,
        click.option("-n", "--namespace", metavar="NS", default="", help="The namespace. [default: the context's]"),
        click.option("--context", metavar="NAME", default="", help="The context of the kubeconfig. [default: current]"),
    )


def all_namespaces_option(command: F) -> F:
    """Ask all namespaces at once."""
    return click.option("-A", "--all-namespaces", is_flag=True, help="All namespaces.")(command)


def selector_option(command: F) -> F:
    """Which AgbSessions are meant."""
    return click.option(
        "-l", "--selector", metavar="SEL", default="", help="AgbSessions by labels: team=ml,env!=prod."
    )(command)


def output_option(*more: str) -> Callable[[F], F]:
    """How the answer is written; `more` are formats in addition to table, json and yaml."""
    choice = click.Choice(["table", "json", "yaml", *more])
    return click.option("-o", "--output", type=choice, default="table", help="The output format. [default: table]")


def zone_option(command: F) -> F:
    """The time zone of all local times, those given and those shown."""
    text = "Time zone of local times, such as Europe/Berlin. [default: the local one]"
    return click.option("--tz", "zone_name", metavar="ZONE", default="", help=text)(command)


def _all(command: F, *options: Callable[[Any], Any]) -> F:
    for option in reversed(options):
        command = option(command)
    return command
