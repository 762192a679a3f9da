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

PARTS = ("remora.client", "remora.serve", "remora.secret")
"""Modules whose main names belong to the page of `remora`."""

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
    The modules that have a page; what two of them export is described with the earlier one.
    """
    return sorted((page.stem for page in API.glob("*.rst")), key=_rank)


def _rank(name: str) -> tuple[int, str]:
    order = {"remora": 1, **dict.fromkeys(PARTS, 2)}
    return order.get(name, 0), name


def _skip(app: Sphinx, what: str, name: str, thing: object, skip: bool, options: object) -> bool | None:
    here = app.env.docname.rpartition("/")[2]
    if what != "module" or here not in modules():
        return None
    earlier = modules()[: modules().index(here)]
    return any(_exports(module, name, thing) for module in earlier) or None


def _exports(module: str, name: str, thing: object) -> bool:
    loaded = importlib.import_module(module)
    return name in loaded.__all__ and getattr(loaded, name) is thing
