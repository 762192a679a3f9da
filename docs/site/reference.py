"""
In the reference everything is described once: what a module only exports again stands on the page of its home. And
attributes are called so.
"""

from __future__ import annotations

import importlib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sphinx.domains.python import PyObject

if TYPE_CHECKING:
    from sphinx.application import Sphinx

API = Path(__file__).resolve().parent.parent / "api"


def setup(app: Sphinx) -> dict[str, bool]:
    """
    Add to Sphinx what stands here.
    """
    app.connect("autodoc-skip-member", _skip)
    next(field for field in PyObject.doc_field_types if field.name == "variable").label = "Attributes"
    return {"parallel_read_safe": True}


@cache
def modules() -> list[str]:
    """
    The modules that have a page, each before those that export again what it holds.
    """
    names = sorted(page.stem for page in API.glob("*.rst"))
    return [*(name for name in names if name != "remora"), "remora"]


def _skip(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    here = app.env.docname.rpartition("/")[2]
    if what != "module" or here not in modules():
        return None
    earlier = modules()[: modules().index(here)]
    return any(_exports(module, name, thing) for module in earlier) or None


def _exports(module: str, name: str, thing: object) -> bool:
    loaded = importlib.import_module(module)
    return name in loaded.__all__ and getattr(loaded, name) is thing
