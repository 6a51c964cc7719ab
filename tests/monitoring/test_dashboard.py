"""Every query of dashboard and alerts, asked of a real Prometheus that scrapes a real operator."""

import json
import re
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import prometheus
from chart_rbac import CHART
from control_plane import ControlPlane
from control_plane.processes import free_port
from e2e.stack import Operator, Process, Simulator, environment, eventually
from e2e.tenant import Tenant
from kubectl import Kubectl

ALERTS = CHART / "files" / "alerts.yaml"
DASHBOARD = json.loads((CHART / "files" / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = [
    pytest.param(target["expr"], id=f"{panel['title']} {target['refId']}")
    for panel in PANELS
    for target in panel["targets"]
]
VARIABLES = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
JOB = "agb-operator"


class Prometheus(Process):
    """A Prometheus that scrapes one operator every second, with the chart's alerts."""

    def __init__(self, program: Path, *, target: str, folder: Path) -> None:
        """Start it; `folder` takes its data."""
        self._url = f"http://127.0.0.1:{free_port()}"
        config = {
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [str(ALERTS)],
            "scrape_configs": [{"job_name": JOB, "honor_labels": True, "static_configs": [{"targets": [target]}]}],
        }
        (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
        command = [
            str(program),
            f"--config.file={folder / 'prometheus.yaml'}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={urllib.parse.urlsplit(self._url).netloc}",
        ]
        super().__init__(command, env=environment(), log=folder / "prometheus.log")

    def get(self, path: str, **parameters: str) -> Any:
        """Ask its API."""
        query = urllib.parse.urlencode(parameters)
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{query}", timeout=10) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[Any]:
        """Evaluate an expression now."""
        return list(self.get("query", query=expression)["result"])


@pytest.fixture(scope="module")
def scraped(
    control_plane: ControlPlane, kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Prometheus]:
    """A Prometheus that has scraped an operator at work: sessions that run, are paused, and one that waits for help."""
    folder = tmp_path_factory.mktemp("dashboard")
    with Simulator("--transition=1s", log=folder / "simulator.log") as simulator:
        operator = Operator(
            "--resync=1s",
            "--no-leader-election",
            kubeconfig=control_plane.kubeconfig,
            endpoint=simulator.endpoint,
            log=folder / "operator.log",
        )
        with operator.ready():
            (port,) = re.findall(r"/metrics are on port (\d+)", operator.text())
            program = prometheus.find("prometheus")
            with Prometheus(program, target=f"127.0.0.1:{port}", folder=folder) as scraper:
                eventually(lambda: scraper.running and _is_up(scraper), within=60)
                tenant = Tenant(kubectl=kubectl, control=simulator.control, audit=control_plane.audit_events())
                tenant.adopt("running")
                tenant.adopt("paused", paused=True)
                tenant.apply("lost", sessionId="session-that-never-was")
                assert kubectl.apply(schedule(tenant.namespace)).succeeded
                tenant.wait("running", "Ready")
                tenant.wait("paused", "Paused")
                tenant.wait("lost", "Stalled", seconds=60)
                yield scraper
                tenant.remove()


def schedule(namespace: str) -> dict[str, Any]:
    """An AgbPauseSchedule that selects nothing."""
    spec = {"selector": {"matchLabels": {"team": "none"}}, "timeZone": "UTC"}
    return {
        "apiVersion": "agb.cloud/v1alpha1",
        "kind": "AgbPauseSchedule",
        "metadata": {"name": "nights", "namespace": namespace},
        "spec": {**spec, "pauseAt": "0 20 * * *", "resumeAt": "0 7 * * *"},
    }


def _is_up(scraper: Prometheus) -> bool:
    try:
        return bool(scraper.query(f'up{{job="{JOB}"}} == 1'))
    except OSError:
        return False


def filled_in(expression: str) -> str:
    """Do what Grafana does with the dashboard's variables, all of them set to `All` or to what they begin with."""
    for name, variable in VARIABLES.items():
        value = variable["query"] if variable["type"] == "textbox" else variable.get("allValue", "")
        expression = expression.replace(f"${name}", value)
    return expression.replace("$__rate_interval", "15s")


@pytest.mark.parametrize("expression", QUERIES)
def test_every_panel_shows_data(scraped: Prometheus, expression: str) -> None:
    query = filled_in(expression)
    assert "$" not in query, "all variables are known"
    eventually(lambda: scraped.query(query))


def test_every_variable_offers_values(scraped: Prometheus) -> None:
    for name in ("job", "namespace"):
        label_values = re.fullmatch(r"label_values\((\w+), (\w+)\)", VARIABLES[name]["query"]["query"])
        assert label_values is not None
        metric, label = label_values.groups()
        assert scraped.get(f"label/{label}/values", **{"match[]": metric})


def test_every_alert_can_be_evaluated(scraped: Prometheus) -> None:
    def rules() -> list[Any]:
        found = [rule for group in scraped.get("rules")["groups"] for rule in group["rules"]]
        return found if found and all(rule["health"] != "unknown" for rule in found) else []

    evaluated = eventually(rules)
    assert {rule["name"] for rule in evaluated if rule["health"] != "ok"} == set()
    assert len(evaluated) == ALERTS.read_text().count("- alert: ")


def test_the_lost_session_is_noticed_by_its_alert(scraped: Prometheus) -> None:
    def noticed() -> set[str]:
        return {alert["labels"]["alertname"] for alert in scraped.get("alerts")["alerts"]}

    assert eventually(lambda: "AgbSessionLost" in noticed())


def test_panels_do_not_overlap_and_fill_the_width() -> None:
    cells: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells, panel["title"]
                cells.add((x, y))
    height = max(y for _, y in cells) + 1
    assert len(cells) == 24 * height


def test_every_panel_explains_itself() -> None:
    assert all(panel["description"].endswith(".") for panel in PANELS)
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
