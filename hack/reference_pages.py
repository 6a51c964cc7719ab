"""Writes docs/reference/settings.md and docs/reference/metrics.md from the code, so that they cannot drift from it.

python hack/reference_pages.py            # write them
python hack/reference_pages.py --check    # name those that are out of date, exit 1 if there are any
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from agb_operator.control.metrics import Metrics
from agb_operator.process.flags import Variable
from agb_operator.process.settings import OPTIONS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
_LIBRARY = ("process_", "python_")


def settings_page() -> str:
    """Render the flags of `agb-operator run` with their variables."""
    lines = [
        "# Settings",
        "",
        "`agb-operator run` reads flags and environment variables; a flag wins over its variable.",
        "A wrong value ends it with one line that names the setting, and exit code 2.",
        "This page is generated from the code.",
        "",
        "| flag | variable | meaning |",
        "| --- | --- | --- |",
    ]
    for option in OPTIONS:
        flags = " / ".join(f"`{name}`" for name in (*option.opts, *option.secondary_opts))
        metavar = f" `{option.metavar}`" if option.metavar else ""
        flag = "" if isinstance(option, Variable) else f"{flags}{_cell(metavar)} "
        lines.append(f"| {flag}| `{option.variables[0]}` | {_cell(option.meaning)} |")
    lines += [
        "| | `KUBECONFIG` | Kubeconfig files, as for kubectl; else `~/.kube/config`, else the pod's ServiceAccount. |",
        "",
    ]
    return "\n".join(lines)


def metrics_page() -> str:
    """Render the metrics that the operator exposes, with their types and help texts."""
    metrics = Metrics()
    metrics.show(
        phases=lambda: {("ns", "Paused"): 1},
        stalled=lambda: {("ns", "Lost"): 1},
        depth=lambda: 0,
        open_breakers=lambda: {"endpoint": 0},
        rate_limit=lambda: 0.0,
    )
    metrics.show_seconds(lambda: {("ns", "Paused"): 1.0})
    metrics.show_schedules(
        asks=lambda: {("ns", "Paused"): 1},
        invalid=lambda: {("ns",): 1},
        unsettled=lambda: {("ns",): 1},
        wanted=lambda: {("ns", "Paused", "Spec"): 1},
    )
    metrics.show_orphans(lambda: 1)
    metrics.override("Running")
    metrics.operation("Pause", "Succeeded", 1.0)
    metrics.api_call("getSession", "200", 0.1)
    text = metrics.page()[0].decode()
    lines = [
        "# Metrics",
        "",
        "Served on `/metrics` of `--http-address`, in the Prometheus format.",
        "No label holds the name of an object, and all labels but `namespace` have a closed set of values.",
        "This page is generated from the code.",
        "",
        "| metric | type | labels | meaning |",
        "| --- | --- | --- | --- |",
        *sorted(_rows(text)),
        "",
        "Standard `process_*` and `python_gc_*` metrics are also exported.",
        "",
    ]
    return "\n".join(lines)


def _rows(text: str) -> Iterator[str]:
    for family in text_string_to_metric_families(text):
        if family.name.startswith(_LIBRARY):
            continue
        if not family.samples:
            raise SystemExit(f"{family.name} shows no labels: give it a sample in metrics_page()")
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = sorted({label for sample in family.samples for label in sample.labels} - {"le"})
        shown = ", ".join(f"`{label}`" for label in labels)
        yield f"| `{name}` | {family.type} | {shown} | {_cell(family.documentation)} |"


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split()) if not text.startswith(" ") else text.replace("|", "\\|")


def main() -> int:
    """Write the pages, or with --check name those that differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 1 if a page is out of date")
    check = parser.parse_args().check
    stale = 0
    for name, text in {"settings.md": settings_page(), "metrics.md": metrics_page()}.items():
        path = FOLDER / name
        if path.exists() and path.read_text() == text:
            continue
        stale += 1
        if check:
            print(f"{path.relative_to(ROOT)} is out of date: run `make generate`", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"wrote {path.relative_to(ROOT)}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
