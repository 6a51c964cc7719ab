"""Build the documentation site, and see that every link of it leads somewhere.

    python hack/docs_site.py

The generator checks links between pages and their anchors. It does not check links to other files, pictures, and
whether the navigation holds every page; so the built site is walked once.
"""

import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
CONFIG = "zensical.toml"
LOGO = Path("docs/images/icon.svg")
PAGES = ("*.md", "docs/**/*.md", "examples/*.md", "charts/*/*.md")
_COLOR = re.compile(r"\x1b\[[0-9;]*m")
_LINK = re.compile(r"\]\(([^)\s]+)\)")


class SiteError(Exception):
    """The site is not right; the text says what is wrong and where."""


class _Targets(HTMLParser):
    """Collects what a page links to and shows."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value for name, value in attrs if name in ("href", "src") and value]


def pages(root: Path) -> list[Path]:
    """Return every page of the site, relative to the repository."""
    return sorted(path.relative_to(root) for pattern in PAGES for path in root.glob(pattern))


def linked_files(root: Path, page: Path) -> Iterator[Path]:
    """Yield the files that a page links to, relative to the repository.

    Raises:
        SiteError: a link leads to nothing, to a folder, or out of the repository.
    """
    text = re.sub(r"^```.*?^```|`[^`\n]+`(?!\])", "", (root / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in _LINK.findall(text):
        address = urlsplit(link)
        if address.scheme or not address.path:
            continue
        target = (root / page).parent.joinpath(unquote(address.path)).resolve()
        if not (target.is_file() and target.is_relative_to(root)):
            raise SiteError(f"{page}: {link} is no file of the repository")
        yield target.relative_to(root)


def stage(root: Path, folder: Path) -> None:
    """Copy the pages, and all that they link to, to the places they have in the repository."""
    shutil.rmtree(folder, ignore_errors=True)
    files = {root / LOGO}
    for page in pages(root):
        files |= {root / page, *(root / file for file in linked_files(root, page))}
    for file in files:
        copy = folder / file.relative_to(root)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)


def in_navigation(entry: Any) -> Iterator[Path]:
    """Yield the pages of a part of the navigation."""
    match entry:
        case str():
            yield Path(entry)
        case list():
            for part in entry:
                yield from in_navigation(part)
        case dict():
            yield from in_navigation(list(entry.values()))


def missing_from_navigation(root: Path, config: dict[str, Any]) -> Iterator[str]:
    """Yield the pages that nobody can find, and the entries without a page."""
    known, there = set(in_navigation(config["project"]["nav"])), set(pages(root))
    yield from (f"zensical.toml: the navigation lacks {page}" for page in sorted(there - known))
    yield from (f"zensical.toml: the navigation names {page}, which is not there" for page in sorted(known - there))


def dead_links(site: Path) -> Iterator[str]:
    """Yield what the built pages link to and the site does not have."""
    for page in sorted(site.rglob("*.html")):
        parser = _Targets()
        parser.feed(page.read_text())
        for link in parser.found:
            address = urlsplit(link)
            if address.scheme or address.netloc or not address.path or page.name == "404.html":
                continue
            target = page.parent / unquote(address.path)
            if not (target.is_file() or (target / "index.html").is_file()):
                yield f"{page.relative_to(site)}: {link} leads nowhere"


def build(root: Path = ROOT) -> Path:
    """Build the site of the repository at `root` and return its folder.

    Raises:
        SiteError: something is wrong with pages, links or navigation.
    """
    config_file = root / CONFIG
    config = tomllib.loads(config_file.read_text())
    problems = list(missing_from_navigation(root, config))
    stage(root, root / config["project"]["docs_dir"])
    site = root / str(config["project"]["site_dir"])
    shutil.rmtree(site, ignore_errors=True)
    command = [sys.executable, "-m", "zensical", "build", "--clean", "--strict", f"--config-file={config_file}"]
    done = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        told, _, _traceback = done.stdout.partition("Traceback (most recent call last)")
        problems.append(_COLOR.sub("", told))
    problems += dead_links(site)
    if problems:
        raise SiteError("\n".join(problems))
    return site


def main() -> int:
    """Build; the exit code says whether all is well."""
    try:
        site = build()
    except SiteError as exc:
        print(f"docs: {exc}", file=sys.stderr)
        return 1
    print(f"{site.relative_to(ROOT)}/index.html: {len(list(site.rglob('*.html')))} pages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
