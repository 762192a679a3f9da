"""
What the tests of core share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from tests.core import generated
from tests.core.site import Site
from tests.fork_server import ForkServer


@pytest.fixture
def site(tmp_path: Path, fork_server: ForkServer) -> Site:
    """
    A place to install made-up distributions into.
    """
    return Site(tmp_path, fork_server)


@pytest.fixture(scope="session")
def typed_values() -> st.SearchStrategy[tuple[Any, Any]]:
    """
    Pairs of a type and a value of it.
    """
    return generated.typed_values()
