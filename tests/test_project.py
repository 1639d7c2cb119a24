"""What the project is to others: its package's page, its releases, and the checks of a change."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hatchling.metadata.core import ProjectMetadata
from hatchling.plugin.manager import PluginManager
from markdown_it import MarkdownIt

from depthsvc.version import __version__

ROOT = Path(__file__).parents[1]
ADDRESS = "https://github.com/depthsvc/depthsvc"


@pytest.fixture(scope="module")
def metadata() -> ProjectMetadata[Any]:
    """What the package says of itself, as a build would compute it."""
    return ProjectMetadata(str(ROOT), PluginManager())


def links(markdown: str) -> list[str]:
    """The addresses of all links and images, those of HTML included."""
    tokens = MarkdownIt("gfm-like", {"linkify": False}).parse(markdown)
    inline = [child for token in tokens for child in token.children or []]
    found = [str(token.attrs[name]) for token in inline for name in ("href", "src") if name in token.attrs]
    html = "".join(token.content for token in [*tokens, *inline] if token.type.startswith("html"))
    return [*found, *re.findall(r"""(?:href|src|srcset)=["']([^"']+)""", html)]


def fences(markdown: str) -> list[str]:
    return [token.content for token in MarkdownIt().parse(markdown) if token.type == "fence"]


def test_links_of_the_readme_work_on_the_package_page(metadata: ProjectMetadata[Any]) -> None:
    readme, page = (ROOT / "README.md").read_text(), metadata.core.readme
    assert metadata.core.readme_content_type == "text/markdown"
    assert len(links(page)) == len(links(readme)) > 20
    assert [link for link in links(page) if not link.startswith(("https://", "#"))] == []
    for link in links(page):
        if link.startswith(ADDRESS):
            path = link.removeprefix(ADDRESS).partition("#")[0]
            kind, file = re.fullmatch(r"/(blob|raw)/main/(.+)", path).groups()  # type: ignore[union-attr]
            assert (ROOT / file).is_file(), link
            assert (kind == "raw") == (Path(file).suffix in {".png", ".jpg", ".svg"}), link
    assert fences(page) == fences(readme)


def test_the_project_says_where_it_is(metadata: ProjectMetadata[Any]) -> None:
    urls = metadata.core.urls
    assert set(urls) >= {"Homepage", "Documentation", "Source", "Issues", "Changelog"}
    assert all(url == ADDRESS or url.startswith(f"{ADDRESS}/") for url in urls.values())


def test_a_released_version_is_in_the_changelog(metadata: ProjectMetadata[Any]) -> None:
    assert metadata.version == __version__
    assert re.fullmatch(r"\d+\.\d+\.\d+((a|b|rc)\d+|\.dev\d+)?", __version__)
    sections = re.findall(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = [section for section in sections if section != "Unreleased"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\S* - \d{4}-\d\d-\d\d", section) for section in released)
    assert ".dev" in __version__ or released[0].split()[0] == __version__
