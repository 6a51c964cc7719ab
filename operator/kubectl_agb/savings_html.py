"""A report as one HTML file that needs no network: a bar for each group, a line through the months, the table.

Bars are boxes of CSS, and the lines are SVG that is stretched to the width there is: texts stay as large on a phone as
on a screen. Everything that comes from a cluster is escaped.
"""

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final

from agb_operator.model.status import timestamp

from .savings import Report, Sums, amount, money_cells, notes, share, usage_cells

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #59636e; --ground: #fff; --line: #d1d9e0; --card: #f6f8fa;
  --running: #c2570c; --paused: #2563eb; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9198a1; --ground: #0d1117; --line: #3d444d;
  --card: #151b23; --running: #f0883e; --paused: #6aa5ff; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem 3rem; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: 0; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .75rem; }
p, small { color: var(--soft); margin: .25rem 0; }
.facts { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin-top: 1.25rem; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .6rem .9rem; }
.facts b { display: block; font-size: 1.35rem; font-variant-numeric: tabular-nums; }
.key { color: var(--soft); font-size: .9rem; }
.key i { display: inline-block; width: .8em; height: .8em; border-radius: .2em; margin: 0 .4em 0 0; }
.key i + i, .key span { margin-left: 1rem; }
.running { background: var(--running); }
.paused { background: var(--paused); }
.bar { margin: .7rem 0; }
.bar div { display: flex; flex-wrap: wrap; justify-content: space-between; column-gap: 1rem; font-size: .95rem; }
.bar div span:first-child { overflow-wrap: anywhere; }
.bar div span:last-child { color: var(--soft); white-space: nowrap; font-variant-numeric: tabular-nums; }
.bar p { display: flex; height: 1rem; gap: 2px; margin: .2rem 0 0; }
.bar i { border-radius: .2rem; min-width: 2px; }
figure { margin: 1.25rem 0 0; padding-right: 1.5rem; display: grid; grid-template-columns: auto 1fr;
  gap: .35rem .6rem; }
svg { width: 100%; height: 12rem; display: block; overflow: visible; }
svg path { fill: none; vector-effect: non-scaling-stroke; stroke-linecap: round; stroke-linejoin: round; }
.grid { stroke: var(--line); }
.l-running { stroke: var(--running); } .l-paused { stroke: var(--paused); }
.scale { display: flex; flex-direction: column; justify-content: space-between; text-align: right; height: 13.2rem;
  margin: -.6rem 0; }
.scale, .months { color: var(--soft); font-size: .8rem; font-variant-numeric: tabular-nums; }
.months { grid-column: 2; display: flex; justify-content: space-between; }
.months span { width: 0; display: flex; justify-content: center; white-space: nowrap; }
@media (max-width: 40rem) { .months span:not(:first-child):not(:last-child) { visibility: hidden; } }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .4rem .75rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
@media (max-width: 40rem) { th, td { padding: .4rem .5rem; }
  th:first-child, td:first-child { white-space: normal; overflow-wrap: anywhere; min-width: 6rem; } }
tfoot td { font-weight: 600; border-bottom: 0; }
"""
_KEY: Final = '<p class="key"><i class="running"></i>running<span><i class="paused"></i>paused</span></p>'


def page(found: Report) -> str:
    """Write the whole file."""
    title = f"What pausing saved in {_month(found.month)}"
    parts = (
        f"<h1>{title}</h1><p>Counted until {timestamp(found.at)}; months are those of UTC.</p>",
        _facts(found),
        f"<h2>Hours by {escape(found.heading)}</h2>{_KEY}{_bars(found.groups)}" if found.groups else "",
        f"<h2>Hours by month</h2>{_KEY}{_lines(found.months)}" if len(found.months) > 1 else "",
        f"<h2>All numbers</h2>{_table(found)}",
        "".join(f"<p><small>{escape(note)}</small></p>" for note in notes(found)),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{_STYLE}</style></head>\n<body>" + "\n".join(parts) + "\n</body></html>"
    )


def _month(name: str) -> str:
    return f"{datetime.fromisoformat(f'{name}-01'):%B %Y}"


def _facts(found: Report) -> str:
    total, rates = found.total, found.rates
    facts = [
        ("sessions", f"{total.sessions:,}"),
        ("hours running", amount(total.running_hours)),
        ("hours paused", amount(total.paused_hours)),
        ("of the time asleep", share(total)),
    ]
    if rates is not None:
        unit = f" {rates.currency}" if rates.currency else ""
        facts += [("cost", amount(rates.cost(total)) + unit), ("saved", amount(rates.saved(total)) + unit)]
    return '<div class="facts">' + "".join(f"<div><b>{escape(v)}</b>{k}</div>" for k, v in facts) + "</div>"


def _bars(groups: Sequence[tuple[str, Sums]]) -> str:
    most = max(sums.running_seconds + sums.paused_seconds for _, sums in groups) or 1
    return "".join(_bar(name, sums, most) for name, sums in groups)


def _bar(name: str, sums: Sums, most: int) -> str:
    pieces = "".join(
        f'<i class="{kind}" style="width:{100 * seconds / most:.2f}%"></i>'
        for kind, seconds in (("running", sums.running_seconds), ("paused", sums.paused_seconds))
        if seconds
    )
    said = f"{amount(sums.running_hours)} h running, {amount(sums.paused_hours)} h paused"
    return f'<div class="bar"><div><span>{escape(name)}</span><span>{said}</span></div><p>{pieces}</p></div>'


def _lines(months: Sequence[tuple[str, Sums]]) -> str:
    most = max(max(sums.running_seconds, sums.paused_seconds) for _, sums in months) or 1
    step = 1000 / max(len(months) - 1, 1)
    lines = []
    for kind, values in (
        ("running", [sums.running_seconds for _, sums in months]),
        ("paused", [sums.paused_seconds for _, sums in months]),
    ):
        points = [f"{step * number:.1f} {200 - 200 * value / most:.1f}" for number, value in enumerate(values)]
        dots = "".join(f"M{point}h0" for point in points)
        lines.append(f'<path class="l-{kind}" stroke-width="2.5" d="M{"L".join(points)}"/>')
        lines.append(f'<path class="l-{kind}" stroke-width="8" d="{dots}"/>')
    label = f"Hours running and paused in each month from {months[0][0]} to {months[-1][0]}"
    return (
        f'<figure><div class="scale"><span>{amount(most / 3600)}</span><span>{amount(most / 7200)}</span><span>0</span>'
        f'</div><svg viewBox="0 0 1000 200" preserveAspectRatio="none" role="img" aria-label="{label}">'
        f'<path class="grid" d="M0 0H1000M0 100H1000M0 200H1000"/>{"".join(lines)}</svg>'
        f'<div class="months">{"".join(f"<span>{name}</span>" for name, _ in months)}</div></figure>'
    )


def _table(found: Report) -> str:
    headers = [found.heading, "sessions", "hours running", "hours paused", "asleep", "pauses", "resumes"]
    if found.rates is not None:
        headers += ["cost", "saved"]
    head = "".join(f"<th>{escape(header)}</th>" for header in headers)
    body = "".join(_row(found, name, sums) for name, sums in found.groups)
    return (
        f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        f"<tfoot>{_row(found, 'Total', found.total)}</tfoot></table></div>"
    )


def _row(found: Report, name: str, sums: Sums) -> str:
    cells = [name, *usage_cells(sums), f"{sums.resumes:,}", *money_cells(found, sums)]
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"
