"""The picture of the dashboard shows every panel, and its lines are where the data is."""

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

from chart_rbac import CHART
from dashboard_picture.draw import Series, dashboard

PANELS = json.loads((CHART / "files" / "dashboard.json").read_text())["panels"]
PICTURE = CHART.parent.parent / "docs" / "images" / "dashboard.svg"


def panel(*, stacked: bool) -> dict[str, Any]:
    mode = "normal" if stacked else "none"
    custom = {"stacking": {"mode": mode}}
    return {
        "id": 1,
        "type": "timeseries",
        "title": "Queue & more",
        "description": "Text.",
        "gridPos": {"x": 0, "y": 0, "w": 24, "h": 8},
        "fieldConfig": {"defaults": {"unit": "short", "custom": custom}},
    }


def heights(svg: str, shape: str) -> list[list[float]]:
    """Return the vertical positions of each shape's points."""
    return [
        [float(point.split(",")[1]) for point in points.split()]
        for points in re.findall(rf'<{shape} points="([^"]*)"', svg)
    ]


def test_the_picture_in_the_docs_shows_every_panel_of_the_dashboard() -> None:
    texts = {element.text for element in ET.fromstring(PICTURE.read_text()).iter() if element.tag.endswith("text")}
    assert {panel["title"] for panel in PANELS} <= texts


def test_a_gap_in_the_data_is_a_gap_in_the_line() -> None:
    svg = dashboard([panel(stacked=False)], {1: [Series(name="a", values=[1.0, 2.0, None, 4.0, 4.0])]}, title="t")
    rising, level = heights(svg, "polyline")
    assert rising[0] > rising[1], "more is higher up"
    assert level[0] == level[1]


def test_stacked_series_stand_on_each_other() -> None:
    series = [Series(name="below", values=[1.0, 1.0]), Series(name="above", values=[2.0, 2.0])]
    above, below = heights(dashboard([panel(stacked=True)], {1: series}, title="t"), "polygon")
    assert min(above) < min(below)


def test_a_panel_without_data_and_texts_with_special_characters_are_drawn() -> None:
    root = ET.fromstring(dashboard([panel(stacked=False)], {1: []}, title="a < b"))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[:2] == ["a < b", "Queue & more"]
