"""
Write the pages about the policies, docs/policies/*.md, from their modules.

    python tools/policy_pages.py

A page contains the module's docstring, its configuration record and its transition table, which is also drawn. Nothing
is written by hand.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pkgutil
import types
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Union, get_args, get_origin, get_type_hints

import remora.policy
from drawing import lanes
from pages import attributes, summary, table
from remora.config import ConnectionConfig, Defaults
from remora.values import Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from enum import StrEnum

    Table = Mapping[tuple[StrEnum, StrEnum], StrEnum]

FOLDER = Path(__file__).resolve().parent.parent / "docs" / "policies"

TITLES = {
    "backoff": "Backoff",
    "breaker": "Circuit breaker",
    "bucket": "Rate limit",
    "budget": "Retry budget",
    "drain": "Draining",
    "gradient": "Adaptive limit",
    "health": "Health",
    "limit": "Concurrency limit",
    "restart": "Restarts",
    "retry": "Retries",
    "slow_start": "Slow start",
    "turns": "Turns",
    "verdict": "Verdicts",
    "window": "Windows",
}
"""The titles of the pages. A new policy needs a line here."""

ELSEWHERE = {"limit": (ConnectionConfig, ("max_connections", "max_pending"))}
"""Policies whose keys are part of a larger table: its record, and their keys."""

HELPERS = {"chance", "change"}
"""Modules that are not policies."""


def main() -> None:
    """
    Rewrite all pages.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    written = pages()
    for name, text in written.items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for file in FOLDER.iterdir():
        if file.name not in written:
            file.unlink()


def pages() -> dict[str, str]:
    """
    The text of each page and drawing, by file name.
    """
    files = {"index.md": _index()}
    for name, module in modules().items():
        files[f"{_file(module)}.md"] = _page(TITLES[name], module)
        if transitions := table_of(module):
            files[f"{_file(module)}.svg"] = lanes(TITLES[name], transitions)
    return files


def modules() -> dict[str, types.ModuleType]:
    """
    The modules of the policies, by name without the underscore.
    """
    names = sorted(each.name for each in pkgutil.iter_modules(remora.policy.__path__))
    found = {name.lstrip("_"): importlib.import_module(f"remora.policy.{name}") for name in names}
    return {name: module for name, module in found.items() if name not in HELPERS}


def table_of(module: types.ModuleType) -> Table | None:
    """
    The transition table of a policy; None when it has no states.
    """
    found: Table | None = getattr(module, "TRANSITIONS", None)
    return found


def _index() -> str:
    rows = [[f"[{TITLES[name]}]({_file(module)}.md)", _summary(module)] for name, module in modules().items()]
    head = "How they work together is told in [Resilience](../resilience.md)."
    return "\n\n".join(["# Policies", head, table(["policy", "decides"], rows)]) + "\n"


def _file(module: types.ModuleType) -> str:
    return module.__name__.rpartition("._")[2].replace("_", "-")


def _summary(module: types.ModuleType) -> str:
    return summary(module).rstrip(".")


_LEGEND = "Each line is a state; an arrow leads from the state that is left to the one that is entered."


def _page(title: str, module: types.ModuleType) -> str:
    parts = [f"# {title}", inspect.getdoc(module) or ""]
    for record, keys in _records(module):
        parts += ["## Configuration", *_configuration(record, keys)]
    transitions = table_of(module)
    if transitions is not None:
        parts += ["## States", f"![The table below as a drawing]({_file(module)}.svg)", _LEGEND, _rows(transitions)]
    return "\n\n".join(parts) + "\n"


def _records(module: types.ModuleType) -> Iterator[tuple[type, Sequence[str]]]:
    """
    The records that configure a policy, each with the relevant keys.
    """
    name = module.__name__.rpartition("_")[2]
    if name in ELSEWHERE:
        yield ELSEWHERE[name]
    for item in vars(module).values():
        if not isinstance(item, type) or not dataclasses.is_dataclass(item):
            continue
        if item.__module__ == module.__name__ and item.__name__.endswith("Config"):
            yield item, [each.name for each in dataclasses.fields(item)]


def _configuration(record: type, keys: Sequence[str]) -> list[str]:
    where = _block(record)
    said = f"The table `[plugins.NAME.{where}]`, or `[defaults.{where}]` for all plugins." if where else _FIXED
    sentence = (inspect.getdoc(record) or "").partition("Attributes:")[0].strip()
    meanings = attributes(record)
    hints = get_type_hints(record, include_extras=True)
    defaults = {each.name: each.default for each in dataclasses.fields(record)}
    rows = [[f"`{key}`", _type(hints[key]), _default(defaults[key]), meanings[key]] for key in keys]
    return [*([sentence] if sentence else []), said, table(["key", "type", "default", "meaning"], rows)]


_FIXED = "These figures are not part of the configuration file."


def _block(record: type) -> str:
    """
    The path of a record's table within a plugin's, with dots; empty when it has none.
    """
    blocks = get_type_hints(Defaults)
    inner = {f"{name}.{key}": hint for name, each in blocks.items() for key, hint in get_type_hints(each).items()}
    return next((name for name, hint in {**blocks, **inner}.items() if hint is record), "")


_WORDS = {float: "number", int: "whole number", bool: "true or false", str: "text"}


def _type(hint: object) -> str:
    origin, parts = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return " or ".join(_type(each) for each in parts if each is not type(None))
    if origin is Literal:
        return " or ".join(f'`"{each}"`' for each in parts)
    if origin is tuple:
        return f"list of {_type(parts[0])}"
    if origin is Annotated:
        return _limited(parts[0], next(each for each in parts[1:] if isinstance(each, Limits)))
    assert isinstance(hint, type)
    return _WORDS[hint]


def _limited(kind: type, limits: Limits) -> str:
    word = "duration" if limits.is_duration else _WORDS[kind]
    least = f"{'more than' if limits.is_exclusive else 'at least'} {limits.minimum:g}"
    return f"{word}, {least}" + ("" if limits.maximum is None else f", at most {limits.maximum:g}")


def _default(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`[{', '.join(map(repr, value))}]`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value:g}`"


def _rows(transitions: Table) -> str:
    rows = [[str(state), str(signal), str(after)] for (state, signal), after in transitions.items()]
    return table(["state", "signal", "next state"], rows)


if __name__ == "__main__":
    main()
