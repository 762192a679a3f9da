"""
What the page about authentication shows.
"""

from __future__ import annotations

import re
import tomllib

from remora.config import AccessConfig, load_access
from tests.architecture.sources import ROOT

PAGE = (ROOT / "docs" / "auth.md").read_text(encoding="utf-8")


def test_table_of_a_served_plugin_is_one() -> None:
    """
    The block with [auth]; the plugins' blocks are loaded with those of all pages.
    """
    (table,) = [
        tomllib.loads(block)["auth"] for block in re.findall(r"(?s)```toml\n(.*?)```", PAGE) if "[auth]" in block
    ]

    assert "api-key" == load_access(table).method


def test_page_names_every_key_of_a_served_plugins_table() -> None:
    """
    Those for code and for extensions apart.
    """
    second = PAGE.partition("## A plugin checks who calls")[2]

    assert [] == [
        name
        for name in AccessConfig.__dataclass_fields__
        if f"`{name}`" not in second and name not in ("custom", "options")
    ]
