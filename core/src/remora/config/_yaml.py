"""
YAML as a format of configuration: the core schema of YAML 1.2 on PyYAML's safe parser, and no tags of anybody's own.

`no` and `on` are words, `1:30` is text and a date is text, as in the other formats; keys are text and unique; aliases
are followed as far as a configuration may need it.

What lives here: nodes to plain values. What must not: anything that is imported where YAML is not used.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import yaml

from remora.config._malformed import Malformed

if TYPE_CHECKING:
    from remora.config._places import Path

_MOST_VALUES = 100_000
_PREFIX = "tag:yaml.org,2002:"


def parse_yaml(text: str) -> tuple[object, dict[Path, int]]:
    """
    The value in a YAML document, and the line of each key and item.

    Raises:
        Malformed: It is no such document; with the lines.
    """
    try:
        root = yaml.compose(text, Loader=_Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise Malformed([(mark.line + 1 if mark else None, error.problem or str(error))]) from error
    except yaml.YAMLError as error:  # characters that YAML does not have
        raise Malformed([(None, " ".join(str(error).split()))]) from error
    reader = _Reader()
    value = reader.read(root, ()) if root is not None else {}
    if reader.problems:
        raise Malformed(reader.problems)
    return value, reader.lines


class _Loader(yaml.SafeLoader):
    """
    The safe loader, with the words of YAML 1.2.
    """

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


_WORDS = [
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
]
for _name, _pattern, _first in _WORDS:
    _Loader.add_implicit_resolver(
        f"{_PREFIX}{_name}", re.compile(f"^(?:{_pattern})$"), ["" if each == "\0" else each for each in _first]
    )


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[tuple[int | None, str]] = []
        self._count = 0

    def read(self, node: yaml.Node, path: Path) -> object:
        """
        The value of a node.
        """
        self._count += 1
        if self._count > _MOST_VALUES:
            raise Malformed([(_line(node), f"the aliases make more than {_MOST_VALUES} values")])
        if isinstance(node, yaml.MappingNode):
            return self._read_mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            self._check_tag(node, "seq")
            return [self._read_item(each, (*path, index)) for index, each in enumerate(node.value)]
        return self._read_scalar(node)

    def _read_item(self, node: yaml.Node, path: Path) -> object:
        self.lines[path] = _line(node)
        return self.read(node, path)

    def _read_mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, object]:
        self._check_tag(node, "map")
        result: dict[str, object] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            inner = (*path, key)
            if key in result:
                self.problems.append(
                    (_line(key_node), f"the key {key!r} is there already, on line {self.lines[inner]}")
                )
            self.lines.setdefault(inner, _line(key_node))
            result[key] = self.read(value_node, inner)
        return result

    def _key(self, node: yaml.Node) -> str | None:
        is_text = isinstance(node, yaml.ScalarNode) and node.tag == f"{_PREFIX}str"
        if not is_text:
            found = node.value if isinstance(node, yaml.ScalarNode) else "a collection"
            self.problems.append((_line(node), f"a key must be text, not {found}; quotes make it text"))
            return None
        return str(node.value)

    def _read_scalar(self, node: yaml.Node) -> object:
        text, kind = str(node.value), node.tag.removeprefix(_PREFIX)
        try:
            if kind == "bool":
                return _boolean(text)
            if kind == "int":
                return int(text, 8 if text.startswith("0o") else 16 if text.startswith("0x") else 10)
            if kind == "float":
                return float(re.sub(r"\.(?=inf|nan)", "", text.lower()))
        except ValueError as error:
            self.problems.append((_line(node), str(error)))
            return None
        if kind == "null":
            return None
        self._check_tag(node, "str")
        return text

    def _check_tag(self, node: yaml.Node, kind: str) -> None:
        if node.tag not in (f"{_PREFIX}{kind}", "!"):
            self.problems.append((_line(node), f"the tag {node.tag} means nothing here"))


def _boolean(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f"{text!r} is not a boolean: write true or false")
    return text.lower() == "true"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
