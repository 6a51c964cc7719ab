"""The results as plots: one SVG for each figure, N across, both axes logarithmic; no library is needed for that."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT = 640, 400
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 170, 46, 48
_COLOURS: Final = {
    "agb-operator": "#0b6e4f",
    "controller-runtime": "#2f6690",
    "kopf-usual": "#c8553d",
    "sdk-loop": "#8d6a9f",
}

Point = tuple[int, float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Figure:
    """One plot: `value` takes a scenario's result and gives what is drawn, None for nothing."""

    file: str
    title: str
    unit: str
    scenario: str
    value: Callable[[Mapping[str, Any]], float | None]


def _finished(name: str) -> Callable[[Mapping[str, Any]], float | None]:
    return lambda result: result.get(name) if result.get("finished") else None


FIGURES: Final = (
    Figure(file="wall", title="All flip at once: time until the last is settled", unit="s", scenario="b",
           value=_finished("wall")),
    Figure(file="wall-limited", title="The same with AGB limited to 50 requests a second", unit="s", scenario="e",
           value=_finished("wall")),
    Figure(file="calls", title="AGB calls per flip, all at once", unit="calls", scenario="b",
           value=lambda result: result["calls_per_flip"]),
    Figure(file="cpu", title="CPU per flip, all at once, start included", unit="ms", scenario="b",
           value=lambda result: result["cpu_ms_per_flip"]),
    Figure(file="memory", title="Memory beside a settled fleet", unit="MiB", scenario="d",
           value=lambda result: result["rss"]),
    Figure(file="cold-start", title="Cold start: from exec to the first call", unit="s", scenario="a",
           value=lambda result: result["seconds_to_first_call"]),
    Figure(file="settled-calls", title="AGB calls a minute, all settled", unit="calls/min", scenario="d",
           value=lambda result: sum(result["counts"]["calls"].values()) * 60 / result["seconds"]),
)  # fmt: skip


def plots(results: Mapping[str, Any]) -> dict[str, str]:
    """Draw all figures for which there is something to draw; file names and their SVG."""
    drawn: dict[str, str] = {}
    for figure in FIGURES:
        lines: dict[str, list[Point]] = {}
        for trial in results["trials"]:
            result = trial["scenarios"].get(figure.scenario)
            value = figure.value(result) if result is not None else None
            if value:
                lines.setdefault(trial["contender"], []).append((trial["size"], value))
        if lines:
            drawn[f"{figure.file}.svg"] = draw(figure.title, figure.unit, lines)
    return drawn


def draw(
    title: str, unit: str, lines: Mapping[str, Sequence[Point]], *, across: str = "the number of AgbSessions"
) -> str:
    """Draw one plot, over what `across` names; every line has a name, and all its numbers are above zero."""
    points = [point for line in lines.values() for point in line]
    along = _Axis([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _Axis([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    size = f'width="{_WIDTH}" height="{_HEIGHT}" viewBox="0 0 {_WIDTH} {_HEIGHT}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="20" font-size="14" font-weight="bold">{escape(title)}</text>',
        f'<text x="{_LEFT}" y="36" fill="#555555">{escape(unit)}, over {escape(across)}</text>',
    ]
    for value in up.ticks():
        at = up.at(value)
        parts.append(f'<path d="M{_LEFT} {at:.1f}H{_WIDTH - _RIGHT}" stroke="#dddddd"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{at + 4:.1f}" text-anchor="end">{value:,g}</text>')
    for x in sorted({x for x, _ in points}):
        at = along.at(x)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#eeeeee"/>')
        parts.append(f'<text x="{at:.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{x:,}</text>')
    for row, (name, line) in enumerate(lines.items()):
        colour, ordered = _COLOURS.get(name, "#333333"), sorted(line)
        path = " ".join(f"{along.at(x):.1f},{up.at(y):.1f}" for x, y in ordered)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        for x, y in ordered:
            mark = f'cx="{along.at(x):.1f}" cy="{up.at(y):.1f}" r="3.5" fill="{colour}"'
            parts.append(f"<circle {mark}><title>{escape(name)}, {x:,}: {y:,.3g} {escape(unit)}</title></circle>")
        at = _TOP + 14 + 20 * row
        parts.append(f'<rect x="{_WIDTH - _RIGHT + 14}" y="{at - 9}" width="12" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{_WIDTH - _RIGHT + 32}" y="{at}">{escape(name)}</text>')
    return "\n".join([*parts, "</svg>", ""])


class _Axis:
    """A logarithmic axis over `values`, drawn from one coordinate to another."""

    def __init__(self, values: Sequence[float], begin: float, end: float) -> None:
        self._low = math.floor(math.log10(min(values)) * 2 + 1e-9) / 2
        self._high = max(math.ceil(math.log10(max(values)) * 2 - 1e-9) / 2, self._low + 0.5)
        self._begin, self._end = begin, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._begin + share * (self._end - self._begin)

    def ticks(self) -> list[float]:
        """Give 1, 2 and 5 of each power of ten that the axis covers."""
        decades = range(math.floor(self._low), math.ceil(self._high) + 1)
        steps = [step * 10.0**decade for decade in decades for step in (1, 2, 5)]
        return [value for value in steps if self._low - 1e-9 <= math.log10(value) <= self._high + 1e-9]
