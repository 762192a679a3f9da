"""
The tests of core: a module with `VIRTUAL_TIME = True` runs on event loops whose time jumps to the next timer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import strategies as st

from remora.testing import virtual_backends
from tests.core import generated
from tests.core.site import Site
from tests.fork_server import ForkServer


@pytest.fixture(scope="module")
def anyio_backend(request: pytest.FixtureRequest) -> str | tuple[str, dict[str, Any]]:
    """
    The backend on which a test runs, in virtual time where its module wants that.
    """
    name: str = request.param
    is_virtual = getattr(request.module, "VIRTUAL_TIME", False)
    return (name, dict(virtual_backends())[name]) if is_virtual else name


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
