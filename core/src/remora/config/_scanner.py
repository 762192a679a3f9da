"""
On which line each key of a TOML or JSON document stands, which the parsers of the standard library do not tell.

What lives here: finding keys in text that a parser has accepted before. What must not: checking it, or its values.
"""

from __future__ import annotations

import json
import re
import tomllib
from bisect import bisect_right
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from remora.config._places import Path

_BLANK = re.compile(r"(?:[\s,]|#[^\n]*)*")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"""(?:"{0,2})|\'\'\'.*?\'\'\'(?:\'{0,2})|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL
)
_SCALAR = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:.Z+-]+|[^\s,\]}#]+")
_BETWEEN = re.compile(r"[ \t]*[.][ \t]*")


def scan_toml(text: str) -> dict[Path, int]:
    """
    The lines of all keys and items of a valid TOML document, by path.
    """
    scanner = _Scanner(text)
    scanner.read_document()
    return scanner.lines


def repeated_in_toml(text: str) -> list[tuple[Path, int, int]]:
    """
    The keys and tables that are there twice in a TOML document, with both lines; none where it is wrong otherwise.
    """
    scanner = _Scanner(text)
    with suppress(ValueError, IndexError):
        scanner.read_document()
    return scanner.duplicates


def scan_json(text: str) -> tuple[dict[Path, int], list[tuple[Path, int, int]]]:
    """
    The lines of all keys and items of a valid JSON document, and the keys that are there twice, with both lines.
    """
    scanner = _Scanner(text, is_json=True)
    scanner.skip_blank()
    scanner.read_value(())
    return scanner.lines, scanner.duplicates


class _Scanner:
    def __init__(self, text: str, *, is_json: bool = False) -> None:
        self.lines: dict[Path, int] = {}
        self.duplicates: list[tuple[Path, int, int]] = []
        self._text, self._at, self._is_json = text, 0, is_json
        self._starts = [0, *(match.end() for match in re.finditer("\n", text))]
        self._items: Counter[Path] = Counter()
        self._declared: dict[Path, int] = {}

    def read_document(self) -> None:
        """
        Read the tables of a TOML document.
        """
        table: Path = ()
        while self.skip_blank():
            if self._text[self._at] == "[":
                table = self._read_header()
            else:
                self._read_pair(table)

    def skip_blank(self) -> bool:
        """
        Pass over blanks, comments and commas; False at the end of the text.
        """
        self._take(_BLANK)
        return self._at < len(self._text)

    def read_value(self, path: Path) -> None:
        """
        Read a value of any kind.
        """
        first = self._text[self._at]
        if first == "{":
            self._read_table(path)
        elif first == "[":
            self._read_list(path)
        else:
            self._take(_STRING if first in "\"'" else _SCALAR)

    def _take(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"cannot be read at character {self._at}")
        self._at = match.end()
        return match.group()

    def _line(self) -> int:
        return bisect_right(self._starts, self._at)

    def _read_header(self) -> Path:
        is_item = self._text.startswith("[[", self._at)
        line = self._line()
        self._at += 2 if is_item else 1
        self._take(_BLANK)
        *parents, last = self._read_keys()
        path: Path = ()
        for key in parents:
            path = self._in_item((*path, key))
            self.lines.setdefault(path, line)
        path = (*path, last)
        if is_item:
            self.lines.setdefault(path, line)
            self._items[path] += 1
        path = self._in_item(path)
        self.lines.setdefault(path, line)
        self._declare(path, line)
        self._take(_BLANK)
        self._at += 2 if is_item else 1
        return path

    def _declare(self, path: Path, line: int) -> None:
        if path in self._declared:
            self.duplicates.append((path, self._declared[path], line))
        self._declared[path] = line

    def _in_item(self, path: Path) -> Path:
        """
        The path itself, or the last item so far where it leads to a list of tables.
        """
        return (*path, self._items[path] - 1) if path in self._items else path

    def _read_keys(self) -> list[str]:
        keys = [self._read_key()]
        while not self._is_json and _BETWEEN.match(self._text, self._at):
            self._take(_BETWEEN)
            keys.append(self._read_key())
        return keys

    def _read_key(self) -> str:
        if self._text[self._at] not in "\"'":
            return self._take(_BARE_KEY)
        raw = self._take(_STRING)
        return str(json.loads(raw) if self._is_json else tomllib.loads(f"key = {raw}")["key"])

    def _read_pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._read_keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._declare(path, line)
        self._take(_BLANK)
        self._at += 1  # the "=" or ":"
        self._take(_BLANK)
        self.read_value(path)

    def _read_table(self, path: Path) -> None:
        self._at += 1
        while self.skip_blank() and self._text[self._at] != "}":
            self._read_pair(path)
        self._at += 1

    def _read_list(self, path: Path) -> None:
        self._at += 1
        index = 0
        while self.skip_blank() and self._text[self._at] != "]":
            self.lines[*path, index] = self._line()
            self.read_value((*path, index))
            index += 1
        self._at += 1
