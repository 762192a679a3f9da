"""
The site is built without a warning, and what its pages lead to is there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from tests.architecture.sources import ROOT


@dataclass
class Page(HTMLParser):
    """
    The addresses in a page, and the places in it.
    """

    addresses: set[str] = field(default_factory=set)
    places: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """
        Keep what leads somewhere, and what can be led to.
        """
        found = {name: value for name, value in attrs if value}
        self.addresses |= {found[name] for name in ("href", "src") if name in found}
        self.places |= {found["id"]} if "id" in found else set()


def test_no_internal_link_is_broken(site: Path) -> None:
    """
    Every file is there, and in it every place that is named.
    """
    pages = {file.resolve(): _read(file) for file in site.rglob("*.html")}
    broken = [
        f"{file.relative_to(site)}: {address}"
        for file, page in pages.items()
        for address in page.addresses
        if not urlsplit(address).scheme and not _leads_somewhere(file, address, pages)
    ]

    assert len(pages) > 50
    assert broken == []


def test_every_page_of_the_documentation_is_on_the_site(site: Path) -> None:
    """
    Nothing is left out by a pattern.
    """
    sources = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("README.md")]

    assert [page for page in sources if not (site / page.relative_to(ROOT)).with_suffix(".html").exists()] == []


def _read(file: Path) -> Page:
    page = Page()
    page.feed(file.read_text(encoding="utf-8"))
    return page


def _leads_somewhere(file: Path, address: str, pages: dict[Path, Page]) -> bool:
    path, place = urldefrag(address)
    target = (file.parent / unquote(path.partition("?")[0])).resolve() if path else file
    if not place or target.suffix != ".html":
        return target.exists()
    return target in pages and unquote(place) in pages[target].places
