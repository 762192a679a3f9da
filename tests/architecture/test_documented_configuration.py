"""
Every piece of configuration that the documentation shows can be used as it stands.
"""

from __future__ import annotations

import re
import tomllib

import pytest

from remora.config import structure_config
from tests.architecture.sources import ROOT

PAGE = (ROOT / "docs" / "resilience.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"(?s)```toml\n(.*?)```", PAGE)
STAGES = [
    "admit",
    "deadline",
    "rate limit",
    "concurrency",
    "interceptors",
    "attempts",
    "pick",
    "authenticate",
    "send",
    "record",
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0])
def test_block_is_a_valid_configuration(block: str) -> None:
    """
    It loads as a file would, and configures at least one plugin.
    """
    assert structure_config(tomllib.loads(block), variables={}).plugins


def test_page_has_blocks_for_every_table_of_the_defaults() -> None:
    """
    Whatever can be configured is shown.
    """
    shown = "".join(BLOCKS)

    assert [] == [
        name
        for name in ["retry", "circuit_breaker", "health_check", "rate_limit", "connection", "fallback"]
        if name not in shown
    ]


def test_page_names_the_stages_in_their_order() -> None:
    """
    The table is the order of `_pipeline`.
    """
    rows = re.findall(r"(?m)^\| \d+ \| (?:\[([\w ]+)\]\([^)]*\)|([\w ]+)) \|", PAGE)

    assert STAGES == [linked or plain for linked, plain in rows]


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#]+\.md)\)", PAGE))))
def test_link_leads_to_a_page(target: str) -> None:
    """
    No page is missing.
    """
    assert (ROOT / "docs" / target).exists()
