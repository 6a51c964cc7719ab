"""See that everything a release consists of says the same, and put its files into `dist/`.

    python hack/release_check.py [--version 1.2.3] [--image ghcr.io/owner/agb-operator] [--source https://...]

The version has one place, `agb_operator/__init__.py`; chart, changelog, image and manifests have to agree with it,
and so has the tag that a release is made from. Without `--image` and `--source` this is a dry run.
"""

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import yaml

from image import ROOT, image_name, version
from release import Home, build

LABELS = ("title", "description", "licenses", "version", "revision")


def problems(root: Path = ROOT, *, wanted: str = "") -> Iterator[str]:
    """Yield what does not agree, each with what to do; `wanted` is the version of the tag, if there is one."""
    current = version()
    if wanted not in ("", current):
        yield f"the tag says {wanted}, operator/agb_operator/__init__.py says {current}"
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


def main(arguments: list[str] | None = None) -> int:
    """Check, then build; the exit code says whether all is well."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--version", default="", help="what the tag says, without its v")
    parser.add_argument("--image", default=Home().image, help="the image without its tag")
    parser.add_argument("--source", default="", help="address of the repository, for links")
    given = parser.parse_args(arguments)
    found = list(problems(wanted=given.version))
    for problem in found:
        print(f"release-check: {problem}", file=sys.stderr)
    if found:
        return 1
    for path in build(Home(image=given.image, source=given.source.rstrip("/"))):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")
    print(f"release {version()} is consistent")
    return 0


if __name__ == "__main__":
    sys.exit(main())
