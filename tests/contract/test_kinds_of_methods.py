"""
Methods and records that are a little unusual, on both sides.
"""

from __future__ import annotations

import pytest

from tests.contract.services import Kinds, Private
from tests.contract.wires import over

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(("wire", "codec"), [("unix", "json"), ("unix", "msgpack"), ("jsonl", "json")])
async def test_unusual_methods_and_records_are_the_same_on_both_sides(
    wire: str, codec: str, anyio_backend: str
) -> None:
    """
    The only parameter is the request, whatever its kind; the names on the wire are those of the fields.
    """
    async with over(wire, Kinds, codec=codec) as manager:
        kinds = manager.client("p", Kinds)

        assert 7 == await kinds.named(number=7)
        assert 7 == await manager.execute("p", 7, int, service="Kinds", method="named")
        for record in (Private(1), Private(1, "2", 4)):
            for _ in range(9):  # the shortest way is taken after a while
                assert record == await kinds.private(record)
        plain = await manager.execute("p", {"_first": 1}, dict, service="Kinds", method="private")
        assert {"_first": 1, "_second": "two", "third": 3} == plain
