"""
The navigation of the site, read from the tables of index pages: a row that begins with a link is an entry.

A page is added by a row in `docs/index.md`. One that no table leads to is a warning of Sphinx, and so an error.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sphinx.application import Sphinx

INDEXES = ("docs/index", "docs/policies/index", "docs/api/index", "examples/README")

_SECTION = re.compile(r"(?m)^## ")
_ROW = re.compile(r"(?m)^\| \[([^\]]+)\]\(([\w./-]+?)(?:\.md|\.rst)\)")


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Add to Sphinx what stands here.
    """
    app.connect("source-read", _add_navigation)
    return {"parallel_read_safe": True}


def toctrees(text: str) -> Iterator[str]:
    """
    A hidden table of contents for each section of a page that has rows with links.
    """
    for part in _SECTION.split(text):
        entries = [f"{_short(title)} <{target}>" for title, target in _ROW.findall(part)]
        if entries:
            caption = part.partition("\n")[0].removeprefix("# ")
            yield "\n".join(["```{toctree}", ":hidden:", f":caption: {caption}", "", *entries, "```"])


def _short(title: str) -> str:
    """
    The name of a hook without what all have in common, for it to fit into a line.
    """
    return title.removeprefix("remora_")


def _add_navigation(app: Sphinx, name: str, source: list[str]) -> None:
    if name in INDEXES:
        source[0] = "\n\n".join([source[0].rstrip(), *toctrees(source[0]), ""])
