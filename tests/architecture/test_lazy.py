"""
Packages that load their names at first use: users and type checkers see the same names.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

PARTS = ("_structure", "config", "io", "policy", "protocols", "testing", "tls", "types", "wire")
LAZY = ["remora", *(f"remora.{name}" for name in PARTS)]


@pytest.mark.parametrize("name", LAZY)
def test_lazy_package_finds_each_name_where_type_checkers_see_it(name: str) -> None:
    """
    The table of a package says what its imports under TYPE_CHECKING say, and each name is there.
    """
    package = import_module(name)
    tree = ast.parse(Path(str(package.__file__)).read_text())
    (shown, otherwise) = next((each.body, each.orelse) for each in tree.body if isinstance(each, ast.If))
    imports = {each.module: {alias.name for alias in each.names} for each in shown if isinstance(each, ast.ImportFrom)}
    tables = [each for part in otherwise for each in ast.walk(part) if isinstance(each, ast.Dict)]
    table = {module: set(names.split()) for module, names in ast.literal_eval(tables[0]).items()}

    assert imports == table
    for module, names in table.items():
        for each in names:
            assert getattr(package, each) is getattr(import_module(module), each)


@pytest.mark.parametrize("name", LAZY)
def test_lazy_package_lists_all_its_names_and_no_other(name: str) -> None:
    """
    `dir` has what `__all__` has before anything is loaded, and a misspelt name is an AttributeError.
    """
    package = import_module(name)

    assert set(package.__all__) <= set(dir(package))
    assert all(hasattr(package, each) for each in package.__all__)
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'nonsense'"):
        _ = package.nonsense


def test_the_plugin_that_contracts_are_checked_with_loads_nothing_of_a_host() -> None:
    """
    A kit that checks a transport starts it as a process many times.
    """
    code = "import sys, remora.testing._contract, remora.serve; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60).stdout

    assert {"attr", "cattrs", "remora._manager", "remora._fleet", "trio"} & set(loaded.split()) == set()
