"""Writes docs/reference/kubectl-agb.md from the plugin's own help, so that it cannot drift from it.

python hack/plugin_page.py            # write it
python hack/plugin_page.py --check    # say whether it is out of date, exit 1 if it is
"""

import argparse
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from kubectl_agb.__main__ import VERBS, main

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reference" / "kubectl-agb.md"
_OPENING = """# kubectl agb

`kubectl agb` answers what people ask about sessions that sleep, and changes them in one word.
It is a client only: it has your kubeconfig and your rights, and answers by the rules of the operator itself.
This page is generated from the plugin's own help.

```sh
uv tool install agb-operator
kubectl agb --help
```

kubectl finds every program on the `PATH` whose name begins with `kubectl-`.
The same package brings `kubectl_complete-agb`: by it kubectl completes verbs, options and the names of AgbSessions.
"""
_ENDING = """
## Exit codes

| code | meaning |
| --- | --- |
| 0 | done |
| 1 | failed; of many, the others are done |
| 2 | wrong usage; nothing has changed |
| 3 | accepted, and not in effect: see below |
| 124 | `--wait` ran out of time; the change stands |

A change is not in effect where a schedule keeps the session asleep, where it is only observed, lost or being deleted, \
and where another AgbSession manages it.

## Times

A time is `18:00` (today) or `2026-12-24T18:00`, both in `--tz`, or one with its offset such as `2026-12-24T17:00:00Z`.
Without `--tz` that is the local zone.
A duration is such as `90s`, `1h30m` or `3d`.
"Now" is the API server's time, so a wrong clock of your computer does no harm.
Times are shown with their offset.
"""


def page() -> str:
    """Render the page."""
    context = click.Context(main, info_name="kubectl agb")
    lines = [_OPENING, *_overview()]
    for name in VERBS:
        command = main.get_command(context, name)
        assert command is not None
        lines += _verb(name, command, context)
    return "\n".join([*lines, _ENDING])


def _overview() -> Iterator[str]:
    yield "| verb | does |"
    yield "| --- | --- |"
    yield from (f"| [`{name}`](#{name}) | {verb.help} |" for name, verb in VERBS.items())
    yield ""


def _verb(name: str, command: click.Command, parent: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=parent)
    usage = " ".join(command.collect_usage_pieces(context))
    yield f"## {name}"
    yield ""
    yield _prose(command.help or "")
    yield ""
    yield "```console"
    yield f"$ kubectl agb {name} {usage}"
    yield "```"
    yield ""
    yield "| option | meaning |"
    yield "| --- | --- |"
    for option in command.params:
        if isinstance(option, click.Option) and (record := option.get_help_record(context)):
            flags, text = (_cell(part) for part in record)
            yield f"| `{flags}` | {text} |"
    yield ""
    yield from _epilog(inspect.cleandoc(command.epilog or ""))


def _epilog(text: str) -> Iterator[str]:
    """Write the paragraphs after the options; one that begins with a \\b is an example to be typed."""
    for paragraph in text.split("\n\n"):
        if paragraph.startswith("\b"):
            _, *examples = paragraph.removeprefix("\b\n").splitlines()
            yield "\n".join(["```sh", *(line.strip() for line in examples), "```", ""])
        elif paragraph:
            yield _prose(paragraph) + "\n"


def _prose(text: str) -> str:
    """Write one sentence a line."""
    return " ".join(text.split()).replace(". ", ".\n").replace("\n(", " (")


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def run() -> int:
    """Write the page, or with --check say whether it differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if the page is out of date")
    check = parser.parse_args().check
    text = page().rstrip("\n") + "\n"
    if PAGE.exists() and PAGE.read_text() == text:
        return 0
    if check:
        print(f"{PAGE.relative_to(ROOT)} is out of date: run `make generate`", file=sys.stderr)
        return 1
    PAGE.write_text(text)
    print(f"wrote {PAGE.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(run())
