"""
Drawings stand in the page instead of beside it, so that they have the page's colours, light or dark.

`<!-- drawing: NAME -->` in a page is the place of one that a program of tools/ makes while the site is built.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes

if TYPE_CHECKING:
    from sphinx.application import Sphinx

_STYLE = re.compile(r"(?s)<style>.*?</style>")  # the colours of a drawing that is looked at alone
_PLACE = re.compile(r"<!-- drawing: (\w+) -->")


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Add to Sphinx what stands here.
    """
    app.connect("source-read", _draw)
    app.connect("doctree-resolved", _inline)
    return {"parallel_read_safe": True}


def _draw(app: Sphinx, name: str, source: list[str]) -> None:
    source[0] = _PLACE.sub(lambda place: _drawn(Path(app.srcdir), place.group(1)), source[0])


def _drawn(root: Path, name: str) -> str:
    program = [sys.executable, str(root / "tools" / f"{name}.py")]
    return _STYLE.sub("", subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def _inline(app: Sphinx, tree: nodes.document, name: str) -> None:
    for image in list(tree.findall(nodes.image)):
        file = Path(app.srcdir, image["uri"])
        drawing = file.read_text(encoding="utf-8") if file.suffix == ".svg" else ""
        if 'class="drawing"' in drawing:  # and no screenshot, whose colours are its own
            image.replace_self(nodes.raw("", _STYLE.sub("", drawing), format="html"))
