"""
Variables in the strings of a configuration: `${VAR}` and `${VAR:-default}`; `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from remora.config._places import join_path

_REFERENCE = re.compile(
    r"(?P<literal>\$\$\{)"
    r"|\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?::-(?P<default>(?:(?!\$\{)[^}])*))?\}"
    r"|(?P<unclear>\$\{)(?=[A-Za-z_])"
)
_UNCLEAR = "expected ${VAR} or ${VAR:-default}, where the default has no variable in it; a literal ${ is written as $${"


def expand(value: object, variables: Mapping[str, str], problems: list[str], path: str = "") -> object:
    """
    The same value with the variables in all of its strings replaced.

    Args:
        value: What a file holds: tables, arrays, strings and other values.
        variables: The environment.
        problems: One line is added for every variable that is missing or not written as one; what refers to it stays.
        path: Where the value stands.
    """
    if isinstance(value, str):
        return _expand_text(value, variables, problems, path)
    if isinstance(value, Mapping):
        return {key: expand(each, variables, problems, join_path(path, key)) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [expand(each, variables, problems, f"{path}[{index}]") for index, each in enumerate(value)]
    return value


def _expand_text(text: str, variables: Mapping[str, str], problems: list[str], path: str) -> str:
    def replace(match: re.Match[str]) -> str:
        if match["literal"]:
            return "${"
        if match["unclear"]:
            problems.append(f"{path}: {_UNCLEAR}")
            return match.group()
        name, default = match["name"], match["default"]
        if name in variables and (variables[name] or default is None):
            return variables[name]
        if default is None:
            problems.append(f"{path}: the environment variable {name} is not set")
            return match.group()
        return default

    return _REFERENCE.sub(replace, text)
