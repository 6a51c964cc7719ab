"""How answers are written: tables, JSON and YAML; one line for what is done while somebody waits."""

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import click

from agb_operator.model.text import harmless


def table(headers: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Lay out a table as kubectl does: no lines, columns three spaces apart, the last one not filled up."""
    from tabulate import tabulate

    text = tabulate(list(rows), headers=list(headers), tablefmt="plain", disable_numparse=True)
    return "\n".join(line.rstrip() for line in text.splitlines())


def say(text: str, *, err: bool = False) -> None:
    """Write lines for people; what others have put into them (a reason, a message) cannot command the terminal."""
    click.echo(harmless(text, keep="\n"), err=err)


def paragraph(text: str, *, indent: int = 2) -> str:
    """Break a text into lines that the terminal is wide enough for; all but the first are indented."""
    return textwrap.fill(text, min(shutil.get_terminal_size().columns, 110), subsequent_indent=" " * indent)


def write_objects(items: Iterable[Mapping[str, Any]], form: str) -> None:
    """Write a list as JSON or YAML, item by item: it may be long."""
    out = sys.stdout
    if form == "yaml":
        import yaml

        empty = True
        for item in items:
            empty = False
            out.write(yaml.safe_dump([dict(item)], sort_keys=False, allow_unicode=True))
        out.write("[]\n" if empty else "")
        return
    separator = "["
    for item in items:
        out.write(f"{separator}\n  {json.dumps(item, ensure_ascii=False)}")
        separator = ","
    out.write("[]\n" if separator == "[" else "\n]\n")


def write_object(item: Mapping[str, Any], form: str) -> None:
    """Write one thing as JSON or YAML."""
    if form == "yaml":
        import yaml

        click.echo(yaml.safe_dump(dict(item), sort_keys=False, allow_unicode=True), nl=False)
    else:
        click.echo(json.dumps(item, ensure_ascii=False, indent=2))


def colours() -> bool:
    """Tell whether colours may be used: on a terminal, and where nobody has said no."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def paint(text: str, colour: str) -> str:
    """Colour a text, where colours may be used."""
    return click.style(text, fg=colour) if colours() else text


def write_manifests(manifests: Sequence[Mapping[str, Any]], form: str) -> None:
    """Write objects as `kubectl apply -f -` takes them."""
    if form == "json":
        write_object({"apiVersion": "v1", "kind": "List", "items": manifests}, form)
        return
    import yaml

    for manifest in manifests:
        click.echo("---\n" + yaml.safe_dump(dict(manifest), sort_keys=False, allow_unicode=True), nl=False)
