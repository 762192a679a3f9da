"""
Variables in the strings of a configuration: `${VAR}` and `${VAR:-default}`; `$${` stands for a literal `${`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from remora.config._places import join_path

_REFERENCE = re.compile(r"\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def expand(value: object, variables: Mapping[str, str], problems: list[str], path: str = "") -> object:
    """
    The same value with the variables in all of its strings replaced.

    Args:
        value: What a file holds: tables, arrays, strings and other values.
        variables: The environment.
        problems: One line is added for every variable that is missing; the reference to it stays as it is.
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
        name, default = match.group(1), match.group(2)
        if name is None:
            return "${"
        if name in variables and (variables[name] or default is None):
            return variables[name]
        if default is None:
            problems.append(f"{path}: the environment variable {name} is not set")
            return match.group()
        return default

    return _REFERENCE.sub(replace, text)
