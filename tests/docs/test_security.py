"""
The examples of docs/security.md are what the code reads.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from remora import Manager
from remora.config import structure_config
from remora.security import parse_allow_list

PAGE = (Path(__file__).parents[2] / "docs" / "security.md").read_text()
EXAMPLES: list[tuple[str, str]] = re.findall(r"^```toml ?(\S*)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("kind", "text"), EXAMPLES, ids=range(len(EXAMPLES)))
def test_example_is_read(kind: str, text: str) -> None:
    """
    As a configuration by a manager, or as an allow-list.
    """
    if kind == "allow-list":
        assert parse_allow_list(text).plugins["wordcount"].size == 65536
    else:
        data = tomllib.loads(text)
        assert structure_config(data) == Manager(data).config


def test_there_are_examples_of_everything() -> None:
    """
    Also of the list.
    """
    assert {"", "allow-list"} == {kind for kind, _ in EXAMPLES}
    assert len(EXAMPLES) == 4
