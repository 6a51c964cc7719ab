"""The command line explains itself, hands settings to the operator and ends with the right code."""

import sys
from types import ModuleType

import pytest
from click.testing import CliRunner, Result

from agb_operator import __main__, __version__
from agb_operator.model.errors import StartupError
from agb_operator.process.settings import LogFormat, Settings, read_settings


class App:
    """Stands for the operator: keeps the settings it was run with, and ends as told."""

    def __init__(self, ending: int | Exception = 0) -> None:
        self.ending = ending
        self.settings: Settings | None = None

    async def run(self, settings: Settings) -> int:
        self.settings = settings
        if isinstance(self.ending, Exception):
            raise self.ending
        return self.ending


def command(*arguments: str, app: App | None = None, monkeypatch: pytest.MonkeyPatch, **environ: str) -> Result:
    module = ModuleType("agb_operator.process.run")
    vars(module)["run"] = (app or App()).run
    monkeypatch.setitem(sys.modules, "agb_operator.process.run", module)
    monkeypatch.setattr("agb_operator.process.run", module, raising=False)
    monkeypatch.setattr("agb_operator.process.logs.configure_logs", lambda *_: None)
    return CliRunner().invoke(__main__.main, list(arguments), env=environ)


@pytest.mark.parametrize("argument", ["version", "--version"])
def test_version_prints_the_version(argument: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert command(argument, monkeypatch=monkeypatch).output == f"agb-operator {__version__}\n"


def test_run_hands_over_its_settings_and_the_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(ending=3)
    result = command(
        "run", "--namespace", "ml", "--namespace", "web", "--no-leader-election", "--log-format", "json",
        app=app, monkeypatch=monkeypatch, AGB_OPERATOR_RESYNC="2m",
    )  # fmt: skip
    assert result.exit_code == 3
    assert app.settings is not None
    assert app.settings.namespaces == ("ml", "web")
    assert app.settings.leader_election is False
    assert app.settings.log_format is LogFormat.JSON
    assert app.settings.resync == 120.0


def test_leader_election_is_on_unless_said_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    assert command("run", app=app, monkeypatch=monkeypatch).exit_code == 0
    assert app.settings is not None
    assert app.settings.leader_election is True


def test_a_wrong_setting_ends_with_2_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App()
    result = command("run", "--resync", "0s", app=app, monkeypatch=monkeypatch)
    assert result.exit_code == 2
    assert result.stderr == (
        "agb-operator: --resync '0s': must be a duration of at least 1s, such as 60s, 10m or 1h30m\n"
    )
    assert app.settings is None


def test_a_failed_start_ends_with_1_and_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    app = App(ending=StartupError("no Kubernetes cluster found: set KUBECONFIG"))
    result = command("run", app=app, monkeypatch=monkeypatch)
    assert result.exit_code == 1
    assert result.stderr == "agb-operator: no Kubernetes cluster found: set KUBECONFIG\n"


def test_an_unknown_flag_ends_with_2(monkeypatch: pytest.MonkeyPatch) -> None:
    result = command("run", "--resinc", "5s", monkeypatch=monkeypatch)
    assert result.exit_code == 2
    assert "--resinc" in result.stderr


def test_the_help_tells_the_real_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = dict(_defaults(command("run", "--help", monkeypatch=monkeypatch).output))
    assert shown.pop("--no-leader-election") == "leader-election"
    assert shown.pop("--lease-namespace") == "the"  # pod's own
    assert len(shown) == 7
    assert read_settings([f"{flag}={default}" for flag, default in shown.items()]) == read_settings()


def test_the_help_names_every_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    output = command("run", "--help", monkeypatch=monkeypatch).output
    for variable in ("AGB_OPERATOR_", "AGB_API_KEY", "AGB_ENDPOINT", "AGB_TIMEOUT_MS", "KUBECONFIG"):
        assert variable in output


def _defaults(help_text: str) -> list[tuple[str, str]]:
    """Find each flag of a help text and the default it shows."""
    found, flag = [], ""
    words = help_text.split("Environment:")[0].split()
    for word, following in zip(words, [*words[1:], ""], strict=True):
        if word.startswith("--"):
            flag = word
        if word == "[default:":
            found.append((flag, following.rstrip("]")))
    return found
