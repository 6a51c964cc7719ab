"""See that everything a release consists of says the same, and put its files into `dist/`.

    python hack/release_check.py

The version has one place, `agb_operator/__init__.py`; chart, changelog, image and manifests have to agree with it.
Written are the packaged chart and a bill of materials (CycloneDX) of the locked packages that the image holds.
"""

import json
import re
import subprocess
import sys
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from control_plane import find_helm
from image import image_name, version

ROOT = Path(__file__).resolve().parent.parent
CHART = ROOT / "charts" / "agb-operator"
LOCK = ROOT / "requirements" / "runtime.txt"
DIST = ROOT / "dist"
LABELS = ("title", "description", "licenses", "version", "revision")
_PIN = re.compile(r"^(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


@dataclass(frozen=True, kw_only=True, slots=True)
class Package:
    """One locked package."""

    name: str
    version: str
    hashes: tuple[str, ...]
    """SHA-256 of each file that may be installed: one for each platform and Python."""


def problems(root: Path = ROOT) -> Iterator[str]:
    """Yield what does not agree, each with what to do."""
    current = version()
    chart = yaml.safe_load((root / "charts" / "agb-operator" / "Chart.yaml").read_text())
    for field in ("version", "appVersion"):
        if chart[field] != current:
            yield f"charts/agb-operator/Chart.yaml: {field} is {chart[field]}, the operator is {current}"
    path = root / "CHANGELOG.md"
    changelog = path.read_text() if path.exists() else ""
    if not re.search(rf"^## \[?{re.escape(current)}\]?(\s|$)", changelog, re.MULTILINE):
        yield f"CHANGELOG.md: no heading `## {current}`"
    dockerfile = (root / "Dockerfile").read_text()
    for label in LABELS:
        if f"org.opencontainers.image.{label}=" not in dockerfile:
            yield f"Dockerfile: no label org.opencontainers.image.{label}"
    manifests = (root / "deploy" / "base" / "operator.yaml").read_text()
    if f"image: {image_name()}\n" not in manifests:
        yield f"deploy/base/operator.yaml: does not run {image_name()}; run `make generate`"
    named = set(re.findall(r"agb-operator:(\d[\w.]*)", (root / "docs" / "how-to" / "install.md").read_text()))
    if named != {current}:
        yield f"docs/how-to/install.md: names the image versions {sorted(named)}, the operator is {current}"


def locked(text: str) -> list[Package]:
    """Read a requirements file with hashes."""
    packages: list[Package] = []
    for line in text.splitlines():
        pin = _PIN.match(line)
        if pin:
            packages.append(Package(name=pin["name"], version=pin["version"], hashes=()))
        elif found := _HASH.search(line):
            last = packages.pop()
            packages.append(Package(name=last.name, version=last.version, hashes=(*last.hashes, found[1])))
    return packages


def bill_of_materials(packages: list[Package], *, version: str) -> dict[str, Any]:
    """Return a CycloneDX 1.6 document; the same input gives the same document.

    A component has no `hashes`: the specification means those of one file, and a locked package may be any of
    several. They stand in the property `pip:sha256`, as pip accepts them.
    """
    components = [
        {
            "type": "library",
            "bom-ref": purl,
            "name": package.name,
            "version": package.version,
            "purl": purl,
            "properties": [{"name": "pip:sha256", "value": digest} for digest in package.hashes],
        }
        for package in packages
        for purl in [f"pkg:pypi/{package.name.lower().replace('_', '-')}@{package.version}"]
    ]
    serial = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([version, components]))
    product = {"type": "application", "bom-ref": "agb-operator", "name": "agb-operator", "version": version}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": {"component": {**product, "licenses": [{"license": {"id": "Apache-2.0"}}]}},
        "components": components,
    }


def main() -> int:
    """Check, then write; the exit code says whether all is well."""
    found = list(problems())
    for problem in found:
        print(f"release-check: {problem}", file=sys.stderr)
    if found:
        return 1
    DIST.mkdir(exist_ok=True)
    bill = DIST / f"agb-operator-{version()}.cdx.json"
    packages = locked(LOCK.read_text())
    bill.write_text(json.dumps(bill_of_materials(packages, version=version()), indent=2) + "\n")
    print(f"{bill.relative_to(ROOT)}: {len(packages)} packages")
    subprocess.run([find_helm(), "package", CHART, f"--destination={DIST}"], check=True, stdout=subprocess.DEVNULL)
    print(f"{(DIST / f'agb-operator-{version()}.tgz').relative_to(ROOT)}")
    print(f"release {version()} is consistent")
    return 0


if __name__ == "__main__":
    sys.exit(main())
