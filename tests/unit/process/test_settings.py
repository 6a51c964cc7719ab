"""Settings are read from flags and environment, and a wrong one is told in one line."""

import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from unittest.mock import patch

import pytest

from agb_operator.agb.api_key import ApiKey
from agb_operator.process import settings as module
from agb_operator.process.flags import SettingsError
from agb_operator.process.settings import ALL, Address, LogFormat, Settings, read_settings

NOWHERE = Path("/nonexistent/namespace")


def read(
    flags: Mapping[str, str | Sequence[str] | bool | None] | None = None,
    environ: Mapping[str, str] | None = None,
    pod_namespace_file: Path = NOWHERE,
) -> Settings:
    arguments = [argument for flag, value in (flags or {}).items() for argument in spelled(flag, value)]
    with (
        patch.dict(os.environ, environ or {}, clear=True),
        patch.object(module, "POD_NAMESPACE_FILE", pod_namespace_file),
    ):
        return read_settings(arguments)


def spelled(flag: str, value: str | Sequence[str] | bool | None) -> list[str]:
    """Write a flag as on the command line."""
    name = flag.replace("_", "-")
    match value:
        case None:
            return []
        case bool():
            return [f"--{name}" if value else f"--no-{name}"]
        case str():
            return [f"--{name}={value}"]
        case _:
            return [f"--{name}={one}" for one in value]


def test_nothing_given_means_the_defaults() -> None:
    assert read() == Settings(
        namespaces=(),
        default_key_namespaces=(),
        resync=60.0,
        workers=256,
        api_qps=None,
        http_address=Address("", 8080),
        leader_election=True,
        lease_namespace="default",
        lease_name="agb-operator",
        cluster_name="kubernetes",
        log_format=LogFormat.TEXT,
        log_level="info",
        api_key=None,
        endpoint="https://sdk-api.agb.cloud",
        api_timeout=60.0,
    )


class Case(NamedTuple):
    flag: str
    text: str
    attribute: str
    value: object


GOOD = [
    Case("namespace", "ml", "namespaces", ("ml",)),
    Case("resync", "90s", "resync", 90.0),
    Case("resync", "1h30m", "resync", 5400.0),
    Case("workers", "1", "workers", 1),
    Case("api_qps", "0.5", "api_qps", 0.5),
    Case("http_address", "127.0.0.1:0", "http_address", Address("127.0.0.1", 0)),
    Case("http_address", ":9090", "http_address", Address("", 9090)),
    Case("http_address", "[::]:8080", "http_address", Address("::", 8080)),
    Case("http_address", "localhost:8080", "http_address", Address("localhost", 8080)),
    Case("lease_namespace", "ops", "lease_namespace", "ops"),
    Case("lease_name", "agb.operator-2", "lease_name", "agb.operator-2"),
    Case("cluster_name", "Prod_eu.1", "cluster_name", "Prod_eu.1"),
    Case("log_format", "JSON", "log_format", LogFormat.JSON),
    Case("log_level", "Debug", "log_level", "debug"),
]


@pytest.mark.parametrize("case", GOOD, ids=lambda case: f"{case.flag}={case.text}")
def test_a_setting_is_read_alike_from_its_flag_and_its_variable(case: Case) -> None:
    from_flag = read({case.flag: case.text})
    from_variable = read({}, {f"AGB_OPERATOR_{case.flag.upper()}": f" {case.text}\n"})
    assert getattr(from_flag, case.attribute) == case.value
    assert from_flag == from_variable


def test_a_flag_wins_over_its_variable() -> None:
    assert read({"workers": "3"}, {"AGB_OPERATOR_WORKERS": "5"}).workers == 3


def test_an_empty_variable_counts_as_absent() -> None:
    environ = {"AGB_OPERATOR_RESYNC": "", "AGB_API_KEY": " ", "AGB_ENDPOINT": "", "AGB_TIMEOUT_MS": ""}
    assert read({}, environ) == read()


@pytest.mark.parametrize("words", [("true", True), ("1", True), ("No", False), ("off", False)], ids=str)
def test_leader_election_is_switched_by_words_in_the_environment(words: tuple[str, bool]) -> None:
    text, value = words
    assert read({}, {"AGB_OPERATOR_LEADER_ELECTION": text}).leader_election is value


def test_leader_election_is_switched_by_its_flag() -> None:
    assert read({"leader_election": False}, {"AGB_OPERATOR_LEADER_ELECTION": "true"}).leader_election is False


def test_repeated_flags_and_listed_variables_name_several_namespaces_once_each() -> None:
    assert read({"namespace": ("ml", "web", "ml")}).namespaces == ("ml", "web")
    assert read({}, {"AGB_OPERATOR_NAMESPACE": "ml, web research"}).namespaces == ("ml", "web", "research")


def test_the_own_key_is_for_the_listed_namespaces() -> None:
    environ = {"AGB_API_KEY": "simulator-key-a", "AGB_OPERATOR_DEFAULT_KEY_NAMESPACE": "ml"}
    settings = read({}, environ)
    assert settings.api_key == ApiKey("simulator-key-a")
    assert settings.default_key_namespaces == ("ml",)
    everywhere = read({"default_key_namespace": ("ml", "*")}, environ)
    assert everywhere.default_key_namespaces == (ALL,)
    assert read({}, {"AGB_API_KEY": "simulator-key-a"}).default_key_namespaces == ()


def test_the_sdk_s_variables_keep_their_meaning() -> None:
    settings = read({}, {"AGB_ENDPOINT": "http://127.0.0.1:8090/", "AGB_TIMEOUT_MS": "2500"})
    assert (settings.endpoint, settings.api_timeout) == ("http://127.0.0.1:8090", 2.5)
    assert read({}, {"AGB_ENDPOINT": "agb.example"}).endpoint == "https://agb.example"


class Wrong(NamedTuple):
    where: str
    text: str
    right: str


WRONG = [
    Wrong("--namespace", "Ml", "lower-case letters"),
    Wrong("--namespace", "a" * 64, "up to 63"),
    Wrong("--namespace", "*", "a namespace"),
    Wrong("--namespace", " ", "must be a namespace"),
    Wrong("--default-key-namespace", "-ml", "a namespace"),
    Wrong("--resync", "0s", "at least 1s"),
    Wrong("--resync", "999ms", "at least 1s"),
    Wrong("--resync", "60", "such as 60s"),
    Wrong("--resync", "-5s", "such as 60s"),
    Wrong("--workers", "-1", "from 1 to 10000"),
    Wrong("--workers", "0", "from 1 to 10000"),
    Wrong("--workers", "many", "a whole number"),
    Wrong("--workers", "1_0", "a whole number"),
    Wrong("--api-qps", "0", "from 0.01"),
    Wrong("--api-qps", "nan", "requests a second"),
    Wrong("--api-qps", "inf", "requests a second"),
    Wrong("--http-address", "8080", "HOST:PORT"),
    Wrong("--http-address", "0.0.0.0:65536", "from 0 to 65535"),
    Wrong("--http-address", "::1:8080", "[::1]:8080"),
    Wrong("--lease-namespace", "a_b", "a namespace"),
    Wrong("--lease-name", "A", "a Lease's name"),
    Wrong("--cluster-name", "two words", "dashes, dots and underscores"),
    Wrong("--log-format", "xml", "text, json"),
    Wrong("--log-level", "trace", "debug, info, warning, error"),
    Wrong("AGB_OPERATOR_LEADER_ELECTION", "maybe", "true or false"),
    Wrong("AGB_OPERATOR_RESYNC", "soon", "such as 60s"),
    Wrong("POD_NAMESPACE", "Ops", "a namespace"),
    Wrong("AGB_TIMEOUT_MS", "abc", "from 1000"),
    Wrong("AGB_TIMEOUT_MS", "999", "from 1000"),
    Wrong("AGB_TIMEOUT_MS", "6e4", "a whole number"),
    Wrong("AGB_ENDPOINT", "https://agb.example/v1", "without a path"),
    Wrong("AGB_ENDPOINT", "https://user:word@agb.example", "without a user"),
    Wrong("AGB_ENDPOINT", "agb example", "https://"),
    Wrong("AGB_ENDPOINT", "ftp://agb.example", "https://"),
    Wrong("AGB_ENDPOINT", "https://agb.example?key=1", "query"),
]


@pytest.mark.parametrize("case", WRONG, ids=lambda case: f"{case.where}={case.text}")
def test_a_wrong_setting_is_told_with_its_name_its_value_and_what_is_right(case: Wrong) -> None:
    flags, environ = {}, {}
    if case.where.startswith("--"):
        flags[case.where.removeprefix("--").replace("-", "_")] = case.text
    else:
        environ[case.where] = case.text
    with pytest.raises(SettingsError, match=re.escape(case.right)) as error:
        read(flags, environ)
    message = str(error.value)
    assert message.startswith(f"{case.where} {case.text!r}: ")
    assert "\n" not in message


@pytest.mark.parametrize("key", ["simulator key", "simulator-kéy", "simulator\x07key"], ids=ascii)
def test_a_key_that_no_header_can_carry_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(SettingsError) as error:
        read({}, {"AGB_API_KEY": key})
    assert str(error.value).startswith("AGB_API_KEY: ")
    assert "simulator" not in str(error.value)


def test_the_key_is_not_in_the_settings_repr() -> None:
    assert "simulator-key-a" not in repr(read({}, {"AGB_API_KEY": "simulator-key-a"}))


def test_a_namespace_that_may_use_the_own_key_needs_one() -> None:
    with pytest.raises(SettingsError, match="set AGB_API_KEY"):
        read({"default_key_namespace": ("ml",)})


def test_the_lease_lives_in_the_pod_s_namespace_unless_said_otherwise(tmp_path: Path) -> None:
    file = tmp_path / "namespace"
    file.write_text("from-file\n")
    assert read({}, {}).lease_namespace == "default"
    assert read({}, {}, file).lease_namespace == "from-file"
    assert read({}, {"POD_NAMESPACE": "from-pod"}, file).lease_namespace == "from-pod"
    assert read({"lease_namespace": "ops"}, {"POD_NAMESPACE": "from-pod"}, file).lease_namespace == "ops"
