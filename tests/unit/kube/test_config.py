"""The cluster is found where kubectl finds it, and a configuration that cannot be used is told in one line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import certifi
import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import incluster_config

from agb_operator.kube.config import find_cluster
from agb_operator.model.errors import StartupError


def config(
    path: Path, context: str = "", *, names: str = "", server: str = "", token: str = "", namespace: str = ""
) -> str:
    """Write a kubeconfig with the current context `context` and, if given, one context of the name `names`."""
    content: dict[str, object] = {"apiVersion": "v1", "kind": "Config"}
    if context:
        content["current-context"] = context
    if names:
        content["contexts"] = [{"name": names, "context": {"cluster": names, "user": names, "namespace": namespace}}]
        content["clusters"] = [{"name": names, "cluster": {"server": server}}]
        content["users"] = [{"name": names, "user": {"token": token}}]
    path.write_text(json.dumps(content))
    return str(path)


CA = Path(certifi.where()).read_bytes()


async def found(environ: Mapping[str, str]) -> Configuration:
    return (await find_cluster(environ)()).configuration


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without a kubeconfig."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    return home


async def test_kubeconfig_names_the_file(tmp_path: Path) -> None:
    file = config(tmp_path / "one", "a", names="a", server="http://one:1", token="simulated")
    configuration = await found({"KUBECONFIG": file})
    assert configuration.host == "http://one:1"
    assert await configuration.get_api_key_with_prefix("BearerToken") == "Bearer simulated"


async def test_several_files_are_merged_and_the_first_context_named_wins(tmp_path: Path) -> None:
    files = [
        str(tmp_path / "missing"),
        config(tmp_path / "only-a-context", "b"),
        config(tmp_path / "one", "a", names="a", server="http://one:1"),
        config(tmp_path / "two", "a", names="b", server="http://two:2"),
    ]
    empty = tmp_path / "empty"
    empty.write_text("")
    assert (await found({"KUBECONFIG": ":".join([str(empty), *files])})).host == "http://two:2"


async def test_of_two_entries_of_one_name_the_first_wins(tmp_path: Path) -> None:
    first = config(tmp_path / "one", "a", names="a", server="http://one:1")
    second = config(tmp_path / "two", "a", names="a", server="http://two:2")
    assert (await found({"KUBECONFIG": f"{first}:{second}"})).host == "http://one:1"


async def test_without_kubeconfig_the_home_directory_s_file_is_taken(home: Path) -> None:
    (home / ".kube").mkdir()
    config(home / ".kube" / "config", "a", names="a", server="http://home:1")
    assert (await found({})).host == "http://home:1"


async def test_in_a_pod_the_service_account_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("simulated")
    (tmp_path / "ca.crt").write_bytes(CA)
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "token"))
    monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(tmp_path / "ca.crt"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "fd00::1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "6443")
    configuration = await found({"KUBERNETES_SERVICE_HOST": "fd00::1"})
    assert configuration.host == "https://[fd00::1]:6443"
    assert await configuration.get_api_key_with_prefix("BearerToken") == "bearer simulated"


async def test_a_pod_without_a_token_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(tmp_path / "none"))
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "443")
    with pytest.raises(StartupError, match="the pod's service account: Service token file does not exist"):
        await found({"KUBERNETES_SERVICE_HOST": "10.0.0.1"})


async def test_no_cluster_at_all_is_told_with_the_ways_to_name_one() -> None:
    with pytest.raises(StartupError, match=r"set KUBECONFIG, or create ~/\.kube/config, or run in a pod"):
        await found({})


async def test_a_kubeconfig_that_does_not_exist_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match=f"KUBECONFIG={tmp_path}/none names no file"):
        await found({"KUBECONFIG": f"{tmp_path}/none"})


class Broken(NamedTuple):
    why: str
    text: str
    says: str


BROKEN = [
    Broken("no YAML", "{", "cannot use"),
    Broken("no mapping", "[1]", "is no kubeconfig"),
    Broken("no current context", "kind: Config", "kubectl config use-context"),
    Broken("an unknown context", "current-context: nope\ncontexts: []", "nope"),
    Broken("binary", "\x00\x01", "cannot use"),
    Broken(
        "no such cluster",
        "current-context: a\ncontexts: [{name: a, context: {cluster: b}}]\nclusters: []",
        "cannot use",
    ),
]


@pytest.mark.parametrize("case", BROKEN, ids=lambda case: case.why)
async def test_a_broken_kubeconfig_is_told_in_one_line_that_names_it(case: Broken, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(case.text)
    with pytest.raises(StartupError, match=case.says) as error:
        await found({"KUBECONFIG": str(file)})
    assert str(file) in str(error.value)
    assert "\n" not in str(error.value)


async def test_another_context_can_be_asked_for(tmp_path: Path) -> None:
    files = [
        config(tmp_path / "one", "a", names="a", server="http://one:1"),
        config(tmp_path / "two", names="b", server="http://two:2"),
    ]

    access = await find_cluster({"KUBECONFIG": ":".join(files)}, context="b")()

    assert access.configuration.host == "http://two:2"


async def test_a_context_that_is_asked_for_and_is_not_there_is_named(tmp_path: Path) -> None:
    file = config(tmp_path / "one", "a", names="a", server="http://one:1")

    with pytest.raises(StartupError, match="the context 'c' does not exist"):
        await find_cluster({"KUBECONFIG": file}, context="c")()


async def test_in_a_pod_there_are_no_contexts() -> None:
    with pytest.raises(StartupError, match="no Kubernetes cluster found"):
        find_cluster({"KUBERNETES_SERVICE_HOST": "10.0.0.1"}, context="c")


@pytest.mark.parametrize(("said", "meant"), [("ml", "ml"), ("", "default")])
async def test_the_context_says_which_namespace_is_meant(tmp_path: Path, said: str, meant: str) -> None:
    file = config(tmp_path / "one", "a", names="a", server="http://one:1", namespace=said)

    assert (await find_cluster({"KUBECONFIG": file})()).namespace == meant
