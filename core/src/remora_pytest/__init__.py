"""
The pytest plugin of Remora. It is a package of its own so that pytest, which imports it in every run, does not import
Remora: nothing of that is loaded before a test asks for a fixture.

Fixtures: `remora_host`, a manager of scripted plugins. Marker: `virtual_time`, event loops whose time jumps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from remora.testing import TestHost

__all__ = ["remora_host"]


def pytest_configure(config: pytest.Config) -> None:
    """
    Register the marker.
    """
    line = "virtual_time: run on every installed event loop, with time that jumps to the next timer (remora)"
    config.addinivalue_line("markers", line)


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """
    Run marked tests on event loops whose time is virtual.
    """
    if "anyio_backend" in metafunc.fixturenames and metafunc.definition.get_closest_marker("virtual_time"):
        from remora.testing import virtual_backends

        backends = virtual_backends()
        mark = pytest.mark.parametrize("anyio_backend", backends, ids=[name for name, _ in backends])
        metafunc.definition.add_marker(mark)


@pytest.fixture
async def remora_host(anyio_backend: object) -> AsyncIterator[TestHost]:
    """
    A `remora.testing.TestHost`: scripted plugins, and a manager of them that is closed at the end of the test.
    """
    from remora.testing import TestHost

    async with TestHost() as host:
        yield host
