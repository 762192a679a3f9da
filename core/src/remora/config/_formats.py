"""
The formats of configuration files: from text to plain values, and to the line of each key.

What lives here: one function for each format. What must not: files, and what the values mean.
"""

from __future__ import annotations

import json
import re
import tomllib
from typing import TYPE_CHECKING, NoReturn

from remora.config._malformed import Malformed
from remora.config._places import path_text
from remora.config._scanner import repeated_in_toml, scan_json, scan_toml
from remora.errors import NotInstalled

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from remora.config._places import Path

    Parsed = tuple[object, dict[Path, int]]

_TOML_PLACE = re.compile(r"(.*) \(at (?:line ([0-9]+), column [0-9]+|end of document)\)", re.DOTALL)


def _parse_toml(text: str) -> Parsed:
    try:
        return tomllib.loads(text), scan_toml(text)
    except tomllib.TOMLDecodeError as error:
        match = _TOML_PLACE.fullmatch(str(error))
        last = int(match[2]) if match and match[2] else None
        _refuse_repeated(repeated_in_toml("\n".join(text.split("\n")[:last])))
        if match and match[2]:
            hint = "; text stands in quotes" if match[1] == "Invalid value" else ""
            raise Malformed([(int(match[2]), match[1] + hint)]) from error
        raise Malformed([(text.rstrip().count("\n") + 1, str(error))]) from error


def _parse_json(text: str) -> Parsed:
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise Malformed([(error.lineno, error.msg)]) from error
    lines, duplicates = scan_json(text)
    _refuse_repeated(duplicates)
    _check_characters(value)
    return value, lines


def _refuse_repeated(keys: Sequence[tuple[Path, int, int]]) -> None:
    if keys:
        raise Malformed([(second, f"{path_text(path)}: is there already, on line {at}") for path, at, second in keys])


def _check_characters(value: object) -> None:
    """
    Refuse what escapes can write and no text can hold.
    """
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        raise Malformed([(None, "a text contains half of a surrogate pair, which is not a character")]) from error


def _refuse_constant(constant: str) -> NoReturn:
    raise Malformed([(None, f"{constant} is not a JSON number")])


def _parse_yaml(text: str) -> Parsed:
    try:
        from remora.config._yaml import parse_yaml
    except ModuleNotFoundError as error:
        raise NotInstalled('YAML cannot be read without PyYAML: pip install "remora[yaml]"') from error
    value, lines = parse_yaml(text)
    _check_characters(value)
    return value, lines


FORMATS: dict[str, Callable[[str], Parsed]] = {
    ".toml": _parse_toml,
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
"""How a file is parsed, by the ending of its name."""
