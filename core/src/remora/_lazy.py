"""
Packages whose names are loaded when they are first used (PEP 562), so that a process loads only what it needs.

What lives here: finding a name's module. What must not: which names there are.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def lazily(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """
    The `__getattr__` and the `__dir__` of a package.

    For type checkers, the package has plain imports under `TYPE_CHECKING`; a test compares the two.

    Args:
        package: The package's full name.
        homes: By module, the names that come from it, separated by spaces.
    """
    table = {name: module for module, names in homes.items() for name in names.split()}

    def load(name: str) -> object:
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(table[name]), name)
        setattr(sys.modules[package], name, value)  # so that the next access does not come here
        return value

    return load, lambda: sorted({*vars(sys.modules[package]), *table})
