"""
What the transport inside the process does as a wire does.
"""

from __future__ import annotations

from typing import Any

import pytest

from remora import Code, Manager, PluginError, serving
from remora.testing import MemoryTransport

pytestmark = pytest.mark.anyio


class NotThereError(PluginError):
    """
    A plugin's own class of errors.
    """


class Shelf:
    """
    A service that has nothing.
    """

    async def find(self, request: str) -> str:
        """
        Refuse.
        """
        raise NotThereError(f"no {request}", code=Code.NOT_FOUND, details={"pair": (1, 2)}, retry_after=3)


async def test_an_error_arrives_as_over_a_wire() -> None:
    """Or tests would pass that fail with a real plugin."""
    memory = MemoryTransport()
    config: Any = {"plugins": {"s": {"endpoint": "memory:s"}}}

    async with (
        serving(Shelf(), listen="memory:s", extensions=[memory.extension]),
        Manager(config, extensions=[memory.extension]) as manager,
    ):
        with pytest.raises(PluginError, match="no fish") as caught:
            await manager.client("s", Shelf).find("fish")

    error = caught.value
    assert (type(error), error.code, error.details, error.retry_after) == (
        PluginError,
        Code.NOT_FOUND,
        {"pair": [1, 2]},
        3,
    )
