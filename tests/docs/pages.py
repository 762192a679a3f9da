"""
What tests of documentation read: the fenced blocks of a page.

    ```python            a file, where the first line is a comment with its name; otherwise a program
    ```python fragment   lines for the middle of a program, which are only compiled
    ```sh                commands that a reader types; one with `--listen` stays until the page ends
    ```sh fails          commands that end with an error
    ```text              what the commands before it print; on standard error where they fail
    ```text NAME         what a test of the page captures
    ```toml wrong        a file that is written, and not loaded

What is indented instead of fenced is not run: installing, and commands for machines that are not here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from tests.architecture.sources import ROOT
from tests.ports import free_port

__all__ = ["ROOT", "Block", "Ports", "blocks_of"]

_FENCE = re.compile(r"(?ms)^```(\w+)([^\n]*)\n(.*?)^```$")
_NAME = re.compile(r"# ([\w./-]+\.\w+)\n")


@dataclass(frozen=True)
class Block:
    """
    One fenced block.

    Attributes:
        language: The first word after the fence.
        words: The other words.
        text: What stands in it.
        line: The line of the page on which it begins.
        output: The text that follows it at once, where it is what commands print.
    """

    language: str
    words: str
    text: str
    line: int
    output: str | None = None

    @property
    def name(self) -> str:
        """
        The file that it is; empty for none.
        """
        found = _NAME.match(self.text)
        return found.group(1) if found else ""


def blocks_of(page: Path, translate: Callable[[str], str] = str) -> list[Block]:
    """
    The blocks of a page, in order.
    """
    text = page.read_text(encoding="utf-8")
    found = [
        Block(match.group(1), match.group(2).strip(), translate(match.group(3)), text.count("\n", 0, match.start()) + 1)
        for match in _FENCE.finditer(text)
    ]
    return [_with_output(each, after) for each, after in pairwise([*found, None]) if each]


def _with_output(block: Block, after: Block | None) -> Block:
    if block.language != "sh" or after is None or after.language != "text":
        return block
    return Block(block.language, block.words, block.text, block.line, output=after.text)


class Ports:
    """
    Free ports in place of those that a page names, always the same one for the same.
    """

    def __init__(self) -> None:
        self._free: dict[str, str] = {}

    def __call__(self, text: str) -> str:
        """
        The text with addresses that are free here.
        """
        return re.sub(r"(?<=127\.0\.0\.1:)\d{4,5}", lambda match: self._port(match.group()), text)

    def _port(self, named: str) -> str:
        if named not in self._free:
            self._free[named] = str(free_port())
        return self._free[named]
