"""The picture of the dashboard shows every panel, and its lines are where the data is."""

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import yaml

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
    svg = dashboard(
        [panel(stacked=False)], {1: [Series(name="a", values=[1.0, 2.0, None, 4.0, 4.0])]}, title="t", seconds=240
    )
    rising, level = heights(svg, "polyline")
    assert rising[0] > rising[1], "more is higher up"
    assert level[0] == level[1]


def test_stacked_series_stand_on_each_other() -> None:
    series = [Series(name="below", values=[1.0, 1.0]), Series(name="above", values=[2.0, 2.0])]
    above, below = heights(dashboard([panel(stacked=True)], {1: series}, title="t", seconds=240), "polygon")
    assert min(above) < min(below)


def test_a_panel_without_data_and_texts_with_special_characters_are_drawn() -> None:
    root = ET.fromstring(dashboard([panel(stacked=False)], {1: []}, title="a < b", seconds=240))
    texts = [element.text for element in root.iter() if element.tag.endswith("text")]
    assert texts[:2] == ["a < b", "Queue & more"]


def stat(value: float) -> str:
    (stalled,) = [panel for panel in PANELS if panel["title"] == "Stalled"]
    svg = dashboard([stalled], {stalled["id"]: [Series(name="stalled", values=[value])]}, title="t", seconds=240)
    (color,) = re.findall(r'font-size="34"[^>]*fill="(#\w+)"', svg)
    return str(color)


def test_a_number_has_the_color_of_the_threshold_that_it_has_reached() -> None:
    assert stat(0) == "#73bf69"
    assert stat(1) == stat(7) == "#ff9830"


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def test_the_time_is_written_below_a_chart() -> None:
    svg = dashboard([panel(stacked=False)], {1: [Series(name="a", values=[1.0, 2.0])]}, title="t", seconds=240)
    assert {"0 min", "2 min", "4 min"} <= set(texts(svg))


def test_a_long_legend_is_whole_and_takes_more_lines() -> None:
    names = [f"a series with the number {number}" for number in range(30)]
    svg = dashboard(
        [panel(stacked=False)], {1: [Series(name=name, values=[1.0]) for name in names]}, title="t", seconds=60
    )
    assert set(names) <= set(texts(svg))
    lines = {y for y, name in re.findall(r'y="(\d+)"[^>]*>(a series[^<]*)<', svg)}
    assert len(lines) > 1


def test_every_phase_has_one_color_whoever_else_is_there() -> None:
    (phases,) = [panel for panel in PANELS if panel["title"] == "Sessions by phase"]

    def legend(*names: str) -> dict[str, str]:
        svg = dashboard(
            [phases], {phases["id"]: [Series(name=name, values=[1.0, 2.0]) for name in names]}, title="t", seconds=60
        )
        return {name: color for color, name in re.findall(r'fill="(#\w+)"/><text [^>]*>(\w+)<', svg)}

    few, many = legend("Paused", "Lost"), legend("Creating", "Lost", "Running", "Paused")
    assert few.keys() == {"Paused", "Lost"}
    assert many | few == many
    assert len(set(many.values())) == 4


def test_the_phases_that_have_a_color_are_those_of_the_crd() -> None:
    crd = yaml.safe_load((CHART.parent.parent / "crds" / "agbsessions.yaml").read_text())
    status = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
    (phases,) = [panel for panel in PANELS if panel["title"] == "Sessions by phase"]
    assert [one["matcher"]["options"] for one in phases["fieldConfig"]["overrides"]] == status["phase"]["enum"]
