"""
Plain values as TOML.
"""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from remora_cli._toml import toml_lines

WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5)
LEAVES = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS | st.dates()
VALUES = st.recursive(LEAVES, lambda each: st.lists(each, max_size=3) | st.dictionaries(WORDS, each, max_size=3))


@given(st.dictionaries(WORDS, VALUES, max_size=4))
def test_what_is_written_can_be_read(values: dict[str, Any]) -> None:
    """
    With a remark behind every key or without.
    """
    for remark in ("", "x.toml:1"):
        lines = toml_lines(values, lambda path, remark=remark: remark)  # type: ignore[misc]
        assert tomllib.loads("\n".join(lines)) == values


def test_null_is_left_out() -> None:
    """
    TOML has none; in a list its place is kept.
    """
    lines = list(toml_lines({"a": None, "b": {"c": None, "d": [None, {"e": None}]}}))

    assert ["", "[b]", 'd = ["null", {}]'] == lines
