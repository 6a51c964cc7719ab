"""The alerts mean what they say: unit tests by promtool, a page for each, and metrics that exist."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from agb_operator.control.metrics import Metrics
from agb_operator.model.status import Phase, Reason
from chart_rbac import CHART

ROOT = CHART.parent.parent
ALERTS = CHART / "files" / "alerts.yaml"
UNIT_TESTS = Path(__file__).parent / "alerts.yaml"
RUNBOOKS = ROOT / "docs" / "runbooks"


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def exported() -> str:
    """Return the operator's metrics page, with a sample of each metric that has labels."""
    metrics = Metrics()
    metrics.show(
        phases=lambda: {("ml", "Paused"): 1},
        stalled=lambda: {("ml", "DeletionBlocked"): 1},
        depth=lambda: 0,
        open_breakers=lambda: {"credentials": 0, "account": 0, "endpoint": 0},
        rate_limit=lambda: 50.0,
    )
    metrics.show_schedules(
        asks=lambda: {("ml", "Paused"): 1},
        invalid=lambda: {("ml",): 1},
        unsettled=lambda: {("ml",): 1},
        wanted=lambda: {("ml", "Paused", "Schedule"): 1},
    )
    metrics.show_orphans(lambda: 1)
    metrics.override("Running")
    metrics.operation("Pause", "Succeeded", 3.0)
    metrics.api_call("getSession", "200", 0.1)
    return metrics.page()[0].decode()


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_rule_file_is_valid(promtool: Path) -> None:
    assert f"{len(alerts())} rules found" in run(promtool, "check", "rules", ALERTS)


def test_each_alert_fires_when_it_should_and_not_before(promtool: Path) -> None:
    assert "SUCCESS" in run(promtool, "test", "rules", UNIT_TESTS)


def test_every_alert_is_tested_firing_and_silent() -> None:
    cases = [case for test in yaml.safe_load(UNIT_TESTS.read_text())["tests"] for case in test["alert_rule_test"]]
    tested = {(case["alertname"], bool(case["exp_alerts"])) for case in cases}
    assert tested == {(alert["alert"], fires) for alert in alerts() for fires in (True, False)}


def test_every_alert_has_a_page_that_helps_and_every_page_an_alert() -> None:
    names = {alert["alert"] for alert in alerts()}
    assert {page.stem for page in RUNBOOKS.glob("Agb*.md")} == names
    for alert in alerts():
        assert alert["annotations"]["runbook_url"] == f"docs/runbooks/{alert['alert']}.md"
        text = (RUNBOOKS / f"{alert['alert']}.md").read_text()
        for heading in ("## Meaning", "## Impact", "## Diagnosis", "## Mitigation"):
            assert heading in text, alert["alert"]
        assert "```sh" in text, "a page gives the commands"


@pytest.mark.parametrize("page", ["how-to/monitor.md", "runbooks/README.md"])
def test_the_pages_with_a_table_of_alerts_leave_none_out(page: str) -> None:
    text = (ROOT / "docs" / page).read_text()

    assert [alert["alert"] for alert in alerts() if alert["alert"] not in text] == []


def test_alerts_speak_of_metrics_phases_and_reasons_that_exist() -> None:
    page = exported()
    for alert in alerts():
        for name in re.findall(r"\bagb_\w+", alert["expr"]):
            assert re.search(rf"^{name}[ {{]", page, re.MULTILINE), f"{alert['alert']}: no metric {name}"
        for label, known in (("phase", set(Phase)), ("reason", {*Reason, "Unforeseen"})):
            for value in re.findall(rf'{label}[!=]=?~?"([^"]*)"', alert["expr"]):
                assert set(value.split("|")) <= {str(word) for word in known}, alert["alert"]


@pytest.mark.parametrize("severity", ["info", "warning", "critical"])
def test_severities_are_the_usual_three(severity: str) -> None:
    assert any(alert["labels"]["severity"] == severity for alert in alerts())


def test_promtool_has_nothing_to_say_about_the_metrics(promtool: Path) -> None:
    done = subprocess.run(
        [promtool, "check", "metrics"], input=exported(), capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
