"""Draws panels as Grafana lays them out: numbers, and lines or stacked areas over time. Pure: data in, SVG out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

COLUMN, ROW, GAP = 50, 30, 8
"""Pixels: of one of the 24 columns of Grafana's grid, of one of its rows, between two panels."""
COLORS = ("#56a64b", "#1f78c1", "#e0752d", "#a352cc", "#e24d42", "#806eb7", "#3f6833", "#c9a227", "#447ebc", "#7b7b7b")
_GRAFANA = {
    "green": "#73bf69", "light-green": "#96d98d", "blue": "#5794f2", "light-blue": "#8ab8ff", "yellow": "#fade2a",
    "orange": "#ff9830", "red": "#f2495c", "purple": "#b877d9",
}  # fmt: skip
"""Grafana's names of colours; others are written as `#rrggbb`."""
_TITLE, _LEGEND, _AXIS, _TIME = 22, 13, 40, 20
_NARROW = 150
"""Pixels of a chart that is too narrow for three times below it."""
_UNITS = {"s": " s", "ops": "/s", "reqps": "/s", "bytes": " MB", "percent": " %", "short": ""}


@dataclass(frozen=True, kw_only=True, slots=True)
class Series:
    """One line: what it is called, and its value at each time, None where there is none."""

    name: str
    values: Sequence[float | None]


def dashboard(
    panels: Sequence[Mapping[str, Any]], data: Mapping[int, Sequence[Series]], *, title: str, seconds: float
) -> str:
    """Draw all panels, the data of each by its id.

    Args:
        panels: as in the dashboard's JSON.
        data: for a number the series' last value counts.
        title: a line above them.
        seconds: from the first value of a series to its last.
    """
    height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in panels) * ROW + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {24 * COLUMN} {height}" font-family="sans-serif">',
        '<rect width="100%" height="100%" fill="#f4f5f5"/>',
        _text(GAP, 24, title, size=16, weight="bold"),
    ]
    for panel in panels:
        place = panel["gridPos"]
        x, y = place["x"] * COLUMN, place["y"] * ROW + 36
        inner = _row_title(panel) if panel["type"] == "row" else _panel(panel, data[panel["id"]], seconds)
        parts.append(f'<g transform="translate({x} {y})">{inner}</g>')
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Mapping[str, Any], series: Sequence[Series], seconds: float) -> str:
    width, height = panel["gridPos"]["w"] * COLUMN - GAP, panel["gridPos"]["h"] * ROW - GAP
    frame = (
        f'<rect width="{width}" height="{height}" rx="3" fill="#fff" stroke="#d8d9da"/>'
        f"<title>{escape(panel['description'])}</title>" + _text(8, 15, panel["title"], size=12, weight="bold")
    )
    if panel["type"] == "stat":
        return frame + _stat(panel, series, width=width, height=height)
    return frame + _chart(panel, series, seconds, width=width, height=height)


def _stat(panel: Mapping[str, Any], series: Sequence[Series], *, width: int, height: int) -> str:
    last = next((value for one in series for value in reversed(one.values) if value is not None), None)
    if panel["options"]["textMode"] == "name":
        shown = ", ".join(one.name for one in series)
    else:
        shown = "-" if last is None else _number(last)
    reached = [
        step["color"]
        for step in panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        if step["value"] is None or (last is not None and last >= step["value"])
    ]
    return _text(width / 2, height / 2 + 20, shown, size=34, anchor="middle", color=_color(reached[-1]))


def _color(name: str) -> str:
    return _GRAFANA.get(name, name)


def _colors(panel: Mapping[str, Any], series: Sequence[Series]) -> list[str]:
    """Give each series the color that the panel fixes for its name, or the next of the palette."""
    fixed = {
        override["matcher"]["options"]: _color(prop["value"]["fixedColor"])
        for override in panel["fieldConfig"].get("overrides", ())
        for prop in override["properties"]
        if prop["id"] == "color"
    }
    return [fixed.get(one.name, COLORS[number % len(COLORS)]) for number, one in enumerate(series)]


def _chart(panel: Mapping[str, Any], series: Sequence[Series], seconds: float, *, width: int, height: int) -> str:
    unit = panel["fieldConfig"]["defaults"]["unit"]
    stacked = panel["fieldConfig"]["defaults"]["custom"]["stacking"]["mode"] == "normal"
    lines = _stacked(series) if stacked else [list(one.values) for one in series]
    if unit == "bytes":
        lines = [[None if value is None else value / 1e6 for value in line] for line in lines]
    top = max((value for line in lines for value in line if value is not None), default=0.0) or 1.0
    colors = _colors(panel, series)
    legend, legend_height = _legend([one.name for one in series], colors, width=width)
    left, right, above, below = _AXIS, width - 8, _TITLE, height - legend_height - _TIME
    count = max((len(line) for line in lines), default=2)

    def point(index: int, value: float) -> str:
        x = left + (right - left) * index / max(count - 1, 1)
        return f"{x:.1f},{below - (below - above - 6) * value / top:.1f}"

    parts = []
    for share in (0.0, 0.5, 1.0):
        y = below - (below - above - 6) * share
        parts.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e8e9ea"/>')
        label = _number(top * share) + _UNITS.get(unit, "")
        parts.append(_text(left - 4, y + 3, label, size=9, anchor="end", color="#767779"))
    for share in (0.0, 1.0) if right - left < _NARROW else (0.0, 0.5, 1.0):
        anchor = {0.0: "start", 1.0: "end"}.get(share, "middle")
        label = f"{_number(seconds * share / 60)} min"
        parts.append(_text(left + (right - left) * share, below + 11, label, size=9, anchor=anchor, color="#767779"))
    for color, line in reversed(list(zip(colors, lines, strict=True))):
        for piece in _pieces(line):
            points = " ".join(point(index, value) for index, value in piece)
            if stacked:
                first, last = piece[0][0], piece[-1][0]
                area = f"{points} {point(last, 0)} {point(first, 0)}"
                parts.append(f'<polygon points="{area}" fill="{color}" fill-opacity="0.85"/>')
            else:
                parts.append(f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="1.5"/>')
    return "".join([*parts, f'<g transform="translate(0 {height - legend_height + 6})">{legend}</g>'])


def _legend(names: Sequence[str], colors: Sequence[str], *, width: int) -> tuple[str, int]:
    """Return all names beside their colors, on as many lines as they need, and the height of that."""
    parts, x, line = [], 8.0, 0
    for name, color in zip(names, colors, strict=True):
        needed = 14 + 5.2 * len(name)
        if x > 8 and x + needed > width:
            x, line = 8.0, line + 1
        y = line * _LEGEND
        parts.append(f'<rect x="{x:.0f}" y="{y - 7}" width="8" height="3" fill="{color}"/>')
        parts.append(_text(x + 11, y, name, size=9, color="#44474a"))
        x += needed + 6
    return "".join(parts), (line + 1) * _LEGEND + 4


def _stacked(series: Sequence[Series]) -> list[list[float | None]]:
    """Put each series on top of those before it; a gap counts as nothing."""
    count = max((len(one.values) for one in series), default=0)
    total = [0.0] * count
    lines: list[list[float | None]] = []
    for one in series:
        total = [sum(pair) for pair in zip(total, [value or 0.0 for value in one.values], strict=True)]
        lines.append(list(total))
    return lines


def _pieces(line: Sequence[float | None]) -> list[list[tuple[int, float]]]:
    """Cut a line at its gaps."""
    pieces: list[list[tuple[int, float]]] = [[]]
    for index, value in enumerate(line):
        if value is not None:
            pieces[-1].append((index, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _row_title(panel: Mapping[str, Any]) -> str:
    return _text(8, 20, panel["title"], size=14, weight="bold")


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 10 or value == int(value) else f"{value:.2g}"


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int,
    anchor: str = "start",
    color: str = "#24292e",
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" text-anchor="{anchor}" '
        f'fill="{color}">{escape(text)}</text>'
    )
