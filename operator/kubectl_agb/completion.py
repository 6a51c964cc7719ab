"""What a shell may complete, and the program `kubectl_complete-agb` that kubectl asks for it.

Source: `kubectl help plugin`: kubectl runs it with the words so far, and takes what cobra's `__complete` would print.
"""

from collections.abc import Sequence
from typing import Final

import click
from click.shell_completion import CompletionItem, ShellComplete

_NO_FILES: Final = ":4"
_FILES: Final = ":0"


def sessions(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the name of an AgbSession."""
    from .cluster import in_cluster
    from .fleet import read_sessions

    given = ctx.params
    where = given.get("namespace") or "", given.get("context") or ""
    try:
        bodies = in_cluster(*where, lambda cluster: cluster.sessions(cluster.namespace))
    except click.ClickException:
        return []
    return [
        CompletionItem(session.key.name, help=f"{session.status.phase or 'Pending'}, {session.status.why or '-'}")
        for session in read_sessions(bodies)
        if session.key.name.startswith(incomplete)
    ]


def answer(group: click.Group, said: Sequence[str]) -> None:
    """Answer kubectl: a completion a line, its help behind a tab, and at the end what the shell is to do."""
    *words, incomplete = said or [""]
    found = ShellComplete(group, {}, "kubectl agb", "").get_completions(words, incomplete)
    for item in found:
        if item.type == "plain":
            click.echo(f"{item.value}\t{item.help}" if item.help else item.value)
    click.echo(_FILES if any(item.type == "file" for item in found) else _NO_FILES)
