"""
Two authorities for certificates, one of which nobody trusts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.transports.tls import Authority

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    """
    An authority that nobody trusts by default.
    """
    return Authority(tmp_path / "one")


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    """
    Another one.
    """
    return Authority(tmp_path / "two")
