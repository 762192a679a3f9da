"""
What the public modules offer: what they say in `__all__`, each with a docstring in the style of the house.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from types import ModuleType

import pytest

import remora


def _public_modules() -> list[str]:
    found = [each.name for each in pkgutil.walk_packages(remora.__path__, "remora.")]
    return ["remora", *(name for name in found if not any(part.startswith("_") for part in name.split(".")))]


MODULES = _public_modules()
WITHOUT_NAMES = {"remora.plugin"}
"""Modules of hooks: pluggy looks at everything in them."""


def _module(name: str) -> ModuleType:
    return importlib.import_module(name)


def _defined(module: ModuleType) -> set[str]:
    """
    The public names that a module defines, or that a package re-exports.
    """
    is_package = hasattr(module, "__path__")
    return {
        name
        for name, value in vars(module).items()
        if not name.startswith("_")
        and not inspect.ismodule(value)
        and (getattr(value, "__module__", None) == module.__name__ or (is_package and _is_ours(value, module)))
    }


def _is_ours(value: object, package: ModuleType) -> bool:
    return str(getattr(value, "__module__", "")).startswith("remora")


@pytest.mark.parametrize("name", [name for name in MODULES if name not in WITHOUT_NAMES])
def test_all_names_exactly_what_a_module_offers(name: str) -> None:
    """
    Nothing is forgotten, nothing is invented, and the list is sorted.
    """
    module = _module(name)
    exported = list(module.__all__)

    assert [] == [each for each in exported if not hasattr(module, each)]
    assert len(set(exported)) == len(exported)
    if name == "remora":
        assert set(exported) - {"hookimpl"} == _defined(module)  # a marker does not know where it comes from


def _documented() -> list[tuple[str, object]]:
    objects = {}
    for name in MODULES:
        for exported in getattr(_module(name), "__all__", ()):
            value = getattr(_module(name), exported)
            if inspect.isclass(value) or inspect.isfunction(value):
                objects[f"{value.__module__}.{value.__qualname__}"] = value
    return sorted(objects.items())


@pytest.mark.parametrize(("name", "value"), _documented(), ids=lambda item: item if isinstance(item, str) else "")
def test_everything_public_has_a_docstring_with_its_quotes_on_their_own_lines(name: str, value: object) -> None:
    """
    Also the public methods of public classes.
    """
    things = {name: value}
    if inspect.isclass(value):
        things |= {f"{name}.{key}": member for key, member in vars(value).items() if _is_method(key, member)}

    assert [] == [each for each, thing in things.items() if not _is_documented(thing)]


def _is_method(name: str, member: object) -> bool:
    return not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, classmethod | property))


def _is_documented(thing: object) -> bool:
    text = thing.__doc__ or ""
    return text.startswith("\n") and bool(text.strip())


def test_the_hookspecs_are_all_public() -> None:
    """
    A hook that is not in `__all__` is not in the docs either.
    """
    hooks = {name for name in vars(_module("remora.hookspecs")) if name.startswith("remora_")}

    assert hooks == set(_module("remora.hookspecs").__all__) - {"hookimpl"}
