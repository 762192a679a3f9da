"""
Arguments that are left out: `...` as a default stands for the plugin's own one, as in a stub.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from remora import service
from remora.schema import describe
from tests.contract.services import Repeater
from tests.contract.wires import WIRES, over

pytestmark = pytest.mark.anyio


@service("Repeater")
class Stub(Protocol):
    """
    What the host knows of it.
    """

    async def up(self, *, text: str = ..., times: int = ..., end: str | None = ...) -> str: ...

    async def once(self, number: int | None = ...) -> int | None: ...

    async def twice(self, *, number: int = ...) -> int: ...


@pytest.mark.parametrize("wire", WIRES)
async def test_what_is_left_out_is_what_the_plugin_says(wire: str, anyio_backend: str) -> None:
    """
    One of several parameters, the only one, or one by name.
    """
    async with over(wire, Repeater) as manager:
        stub = manager.client("p", Stub)

        assert ["aaa!", "aa!", "aNone"] == [
            await stub.up(text="a"),
            await stub.up(text="a", times=2),
            await stub.up(text="a", times=1, end=None),
        ]
        assert [7, 8, None] == [await stub.once(), await stub.once(8), await stub.once(None)]
        assert [14, 16] == [await stub.twice(), await stub.twice(number=8)]


@pytest.mark.parametrize("codec", ["json", "msgpack"])
async def test_it_is_left_out_in_every_format(codec: str, anyio_backend: str) -> None:
    """
    Not only in JSON.
    """
    async with over("unix", Repeater, codec=codec) as manager:
        stub = manager.client("p", Stub)

        assert ["aaa!", 7, None] == [await stub.up(text="a"), await stub.once(), await stub.once(None)]


def test_a_stub_is_described_without_its_dots() -> None:
    """
    What may be left out is not required, and nobody knows its default.
    """
    up, once, _ = describe(Stub).methods

    assert "required" not in up.request
    assert {"type": "integer"} == up.request["properties"]["times"]
    assert "default" not in str([up.request, once.request])
