"""The files of a release: what is in them, and that a release knows its home while Git does not."""

import json
import re
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml

import release
from chart.helm import Helm, operator_container
from chart_rbac import manifests
from image import ROOT, version
from release import Home

HOME = Home(image="registry.example.com/team/agb-operator", source="https://git.example.com/team/agb-operator")
PAGES = f"{HOME.source}/blob/v{version()}"


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("release") / "dist"
    release.build(HOME, folder)
    return folder


@pytest.fixture(scope="module")
def chart(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packaged chart, unpacked."""
    folder = tmp_path_factory.mktemp("chart")
    with tarfile.open(dist / f"agb-operator-{version()}.tgz") as package:
        package.extractall(folder, filter="data")
    return folder / "agb-operator"


def test_a_release_has_these_files(dist: Path) -> None:
    name = f"agb_operator-{version()}"
    assert {path.name for path in dist.iterdir()} == {
        f"{name}-py3-none-any.whl", f"{name}.tar.gz", f"agb-operator-{version()}.tgz", "agbsessions.yaml",
        "agb-operator.yaml", f"agb-operator-{version()}.cdx.json", "notes.md",
    }  # fmt: skip


def test_the_wheel_holds_both_packages_and_links_home(dist: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        metadata = wheel.read(f"agb_operator-{version()}.dist-info/METADATA").decode()
    assert {"agb_operator/__main__.py", "agb_simulator/__main__.py"} <= set(names)
    assert not [name for name in names if name.endswith(".pyc")]
    assert f"Project-URL: Source, {HOME.source}\n" in metadata
    assert f"Project-URL: Documentation, {PAGES}/docs/README.md\n" in metadata


def test_the_same_sources_give_the_same_packages(dist: Path, tmp_path: Path) -> None:
    release.python_packages(HOME, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (dist / path.name).read_bytes(), path.name


def test_the_packaged_chart_pulls_the_released_image(chart: Path, helm: Helm) -> None:
    answer = helm("template", "agb-operator", str(chart))
    assert answer.succeeded, answer.err
    objects = manifests(answer.out)
    assert operator_container(objects)["image"] == f"{HOME.image}:{version()}"


def test_the_alerts_of_the_packaged_chart_link_to_their_runbooks(chart: Path, helm: Helm) -> None:
    flags = ("--set=metrics.prometheusRule.enabled=true", "--api-versions=monitoring.coreos.com/v1/PrometheusRule")
    answer = helm("template", "agb-operator", str(chart), *flags)
    assert answer.succeeded, answer.err
    urls = re.findall(r"runbook_url: (\S+)", answer.out)
    assert urls
    for url in urls:
        assert (ROOT / url.removeprefix(f"{PAGES}/")).is_file(), url


def test_the_packaged_chart_passes_helms_linter(chart: Path, helm: Helm) -> None:
    answer = helm("lint", "--strict", str(chart))
    assert answer.succeeded, answer.out
    assert "[INFO]" not in answer.out, "Helm misses the icon if there is none"


def test_artifact_hub_is_told_of_image_links_and_changes(chart: Path) -> None:
    described = yaml.safe_load((chart / "Chart.yaml").read_text())
    hub: dict[str, Any] = {
        name.removeprefix("artifacthub.io/"): yaml.safe_load(text) for name, text in described["annotations"].items()
    }
    assert [image["image"] for image in hub["images"]] == [f"{HOME.image}:{version()}"]
    assert {link["url"] for link in hub["links"]} == {f"{PAGES}/docs/README.md", f"{HOME.source}/issues"}
    assert hub["changes"]
    assert all(isinstance(change, str) for change in hub["changes"])
    assert described["home"] == HOME.source
    assert (ROOT / described["icon"].removeprefix(f"{HOME.source}/raw/v{version()}/")).is_file()


def test_the_chart_in_git_names_no_home() -> None:
    described = release.chart_metadata(Home())
    assert not {"home", "sources", "icon"} & described.keys()
    assert "artifacthub.io/links" not in described["annotations"]


def test_the_manifests_and_the_crd_are_what_git_holds_with_the_released_image(dist: Path) -> None:
    text = release.manifests(Home())
    names = {(item["kind"], item["metadata"]["name"]) for item in yaml.safe_load_all(text)}
    base = [item for path in (ROOT / "deploy" / "base").glob("*.yaml") for item in yaml.safe_load_all(path.read_text())]
    assert names == {(item["kind"], item["metadata"]["name"]) for item in base if item["kind"] != "Kustomization"}
    assert f"image: {HOME.image}:{version()}\n" in (dist / "agb-operator.yaml").read_text()
    assert (dist / "agbsessions.yaml").read_bytes() == (ROOT / "crds" / "agbsessions.yaml").read_bytes()


def test_the_bill_of_materials_holds_every_locked_package_and_repeats_itself(dist: Path) -> None:
    text = (dist / f"agb-operator-{version()}.cdx.json").read_text()
    bill = json.loads(text)
    locked = re.findall(r"^([A-Za-z0-9._-]+)==([^ ;\\]+)", release.LOCK.read_text(), re.MULTILINE)
    assert sorted((item["name"], item["version"]) for item in bill["components"]) == sorted(locked)
    assert {"kopf", "kubernetes", "httpx", "uvloop"} <= {name for name, _ in locked}
    assert bill["metadata"]["component"]["version"] == version()
    assert text == release.bill_of_materials()


def test_the_notes_are_the_changelogs_words_for_this_release_alone() -> None:
    changelog = "# Changelog\n\n## Unreleased\n\n- New.\n\n## 1.2.0\n\n- This.\n\n## 1.1.0\n\n- Old.\n"
    assert release.notes(changelog, "1.2.0") == "- This.\n"
    assert release.notes(changelog, "1.1.0") == "- Old.\n"
    with pytest.raises(ValueError, match=r"no heading `## 1\.2`"):
        release.notes(changelog, "1.2")


def test_values_that_a_release_cannot_find_stop_it() -> None:
    with pytest.raises(ValueError, match="exactly one line `repository: "):
        release.chart_values("image: {}\n", HOME)
