"""The files of a release, put into `dist/`: Python packages, chart, manifests, bill of materials, notes.

Git does not know where it is hosted. What depends on it, the image's repository and every link, is told here
(`Home`) and written into the copies that are packaged; the sources in Git name `localhost` and link to nothing.
"""

import json
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from control_plane import find_helm
from generate_deploy import NAMESPACE, namespace, render
from image import REPOSITORY, ROOT, version

CHART = ROOT / "charts" / "agb-operator"
LOCK = ROOT / "requirements" / "runtime.txt"
DIST = ROOT / "dist"
ICON = "docs/images/icon.svg"
PACKAGED = ("operator", "crds", "README.md", "LICENSE", "CHANGELOG.md", "pyproject.toml")
"""What the Python packages are built from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Home:
    """Where a release can be found."""

    image: str = REPOSITORY
    """The image without its tag."""
    source: str = ""
    """Address of the repository on GitHub, without a slash at the end; empty if it has none."""


def build(home: Home, dist: Path = DIST) -> list[Path]:
    """Make every file of the release in an empty folder `dist`, and return their paths."""
    shutil.rmtree(dist, ignore_errors=True)
    dist.mkdir(parents=True)
    python_packages(home, dist)
    package_chart(home, dist)
    (dist / "agbsessions.yaml").write_text((ROOT / "crds" / "agbsessions.yaml").read_text())
    (dist / "agb-operator.yaml").write_text(manifests(home))
    (dist / f"agb-operator-{version()}.cdx.json").write_text(bill_of_materials())
    (dist / "notes.md").write_text(notes((ROOT / "CHANGELOG.md").read_text(), version()))
    return sorted(dist.iterdir())


def python_packages(home: Home, dist: Path) -> None:
    """Build the wheel and the source distribution; the same commit and home give the same bytes."""
    with TemporaryDirectory() as folder:
        for part in PACKAGED:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy
            copy(ROOT / part, Path(folder) / part)
        if home.source:
            with (Path(folder) / "pyproject.toml").open("a") as project:
                project.write(project_urls(home.source))
        command = [sys.executable, "-m", "hatchling", "build", "--directory", str(dist)]
        subprocess.run(command, cwd=folder, check=True, stdout=subprocess.DEVNULL)


def project_urls(source: str) -> str:
    """Return the part of pyproject.toml that package indexes show as links."""
    pages = {"Documentation": f"blob/v{version()}/docs/README.md", "Changelog": "releases", "Issues": "issues"}
    links = {"Source": source, **{name: f"{source}/{page}" for name, page in pages.items()}}
    return "\n[project.urls]\n" + "".join(f"{name} = {json.dumps(url)}\n" for name, url in links.items())


def package_chart(home: Home, dist: Path) -> Path:
    """Package the chart with the image and the links of its home."""
    with TemporaryDirectory() as folder:
        chart = Path(folder) / CHART.name
        shutil.copytree(CHART, chart)
        described = chart / "Chart.yaml"
        described.write_text(yaml.safe_dump(chart_metadata(home), sort_keys=False, width=110))
        values = chart / "values.yaml"
        values.write_text(chart_values(values.read_text(), home))
        command = [str(find_helm()), "package", str(chart), f"--destination={dist}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return dist / f"agb-operator-{version()}.tgz"


def chart_metadata(home: Home) -> dict[str, Any]:
    """Return Chart.yaml with what Artifact Hub shows: image, changes, and the links if there are any."""
    chart: dict[str, Any] = yaml.safe_load((CHART / "Chart.yaml").read_text())
    changes = re.findall(r"^- (.+)$", notes((ROOT / "CHANGELOG.md").read_text(), version()), re.MULTILINE)
    annotations = chart["annotations"]
    annotations["artifacthub.io/changes"] = yaml.safe_dump(changes, width=1000)
    annotations["artifacthub.io/images"] = yaml.safe_dump(
        [{"name": "agb-operator", "image": f"{home.image}:{version()}", "platforms": ["linux/amd64", "linux/arm64"]}],
        sort_keys=False,
    )
    if home.source:
        pages = f"{home.source}/blob/v{version()}"
        links = {"Documentation": f"{pages}/docs/README.md", "Support": f"{home.source}/issues"}
        annotations["artifacthub.io/links"] = yaml.safe_dump(
            [{"name": name, "url": url} for name, url in links.items()], sort_keys=False
        )
        chart |= {
            "home": home.source,
            "sources": [home.source],
            "icon": f"{home.source}/raw/v{version()}/{ICON}",
        }
    return chart


def chart_values(text: str, home: Home) -> str:
    """Return values.yaml with the image and the runbooks of the home; comments stay."""
    runbooks = f"{home.source}/blob/v{version()}/docs/runbooks/" if home.source else ""
    for line, new in {
        f"repository: {REPOSITORY}": f"repository: {home.image}",
        'runbookUrl: ""': f"runbookUrl: {json.dumps(runbooks)}",
    }.items():
        if text.count(line) != 1:
            raise ValueError(f"values.yaml must hold exactly one line `{line}`")
        text = text.replace(line, new)
    return text


def manifests(home: Home) -> str:
    """Return everything for `kubectl apply`, as the chart makes it with its default values."""
    objects = render(find_helm(), {"image": {"repository": home.image}})
    head = f"# agb-operator {version()}, installed into the namespace {NAMESPACE}.\n"
    return head + yaml.safe_dump_all([namespace(), *objects], sort_keys=False, width=110)


def bill_of_materials() -> str:
    """Return a CycloneDX document of the locked packages that the image holds; the same lock gives the same text."""
    options = ["--output-reproducible", "--validate", "--of=JSON", f"--pyproject={ROOT / 'pyproject.toml'}"]
    command = [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", *options, str(LOCK)]
    bill = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    # pyproject.toml leaves the version to the code.
    bill["metadata"]["component"]["version"] = version()
    return json.dumps(bill, indent=2) + "\n"


def notes(changelog: str, release: str) -> str:
    """Return what the changelog says of one release.

    Raises:
        ValueError: it says nothing of it.
    """
    found = re.search(
        rf"^## \[?{re.escape(release)}\]?(?:[ \t][^\n]*)?\n(.*?)(?=^## |\Z)", changelog, re.MULTILINE | re.DOTALL
    )
    if not found:
        raise ValueError(f"CHANGELOG.md: no heading `## {release}`")
    return found[1].strip() + "\n"
