"""The documentation site builds, and each kind of dead end in it is told."""

import shutil
from pathlib import Path

import pytest

import docs_site
from docs_site import ROOT, SiteError

CONFIG = """
[project]
site_name = "small"
docs_dir = "build/site-source"
site_dir = "build/site"
nav = ["README.md", {"More" = ["docs/more.md"]}]
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository with a page, another one, a file and a picture, and a site that is right."""
    files = {
        "zensical.toml": CONFIG,
        "README.md": "# Home\n\n[more](docs/more.md#part), [code](src/code.py), ![icon](docs/images/icon.svg)\n",
        "docs/more.md": "# More\n\n## Part\n\n[home](../README.md)\n",
        "src/code.py": "",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / docs_site.LOGO).parent.mkdir(parents=True)
    shutil.copy(ROOT / docs_site.LOGO, tmp_path / docs_site.LOGO)
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


def test_the_site_of_this_repository_is_right(tmp_path: Path) -> None:
    """On a copy, since somebody may be reading the one that `make docs` has built."""
    kept = shutil.ignore_patterns(".*", "build", "dist", "__pycache__")
    shutil.copytree(ROOT, tmp_path / "copy", ignore=kept)

    site = docs_site.build(tmp_path / "copy")

    built = {path.relative_to(site).parent for path in site.rglob("index.html")}
    assert Path() in built
    assert Path("docs/how-to/troubleshoot") in built
    assert (site / "search.json").stat().st_size > 100_000


def test_a_small_site_is_right(small: Path) -> None:
    site = docs_site.build(small)

    assert (site / "src" / "code.py").exists(), "what a page links to comes along"
    assert not (site / "zensical.toml").exists()


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("\n[x](gone.md)\n", r"README.md: gone.md is no file of the repository"),
        ("\n![x](gone.svg)\n", r"README.md: gone.svg is no file of the repository"),
        ("\n[x](docs/)\n", r"README.md: docs/ is no file of the repository"),
        ("\n[x](../../etc/passwd)\n", r"is no file of the repository"),
        ("\n[x](docs/more.md#gone)\n", r"anchor does not exist"),
        ('\n<a href="gone.html">x</a>\n', r"index.html: \S*gone.html leads nowhere"),
    ],
)
def test_a_link_to_nothing_stops_the_build(small: Path, text: str, complaint: str) -> None:
    append(small / "README.md", text)

    with pytest.raises(SiteError, match=complaint):
        docs_site.build(small)


def test_a_page_that_the_navigation_lacks_stops_the_build(small: Path) -> None:
    (small / "docs" / "orphan.md").write_text("# Orphan\n")

    with pytest.raises(SiteError, match=r"the navigation lacks docs/orphan.md"):
        docs_site.build(small)


def test_an_entry_without_a_page_stops_the_build(small: Path) -> None:
    (small / "docs" / "more.md").unlink()
    (small / "README.md").write_text("# Home\n")

    with pytest.raises(SiteError, match=r"the navigation names docs/more.md, which is not there"):
        docs_site.build(small)


def test_what_stands_in_code_is_no_link(small: Path) -> None:
    append(small / "README.md", "\n`[a](gone)` and\n\n```sh\n[b](gone)\n```\n")

    docs_site.build(small)
