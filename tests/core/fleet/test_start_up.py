"""
How many plugins are started at once: in virtual time, over a stranger's transport.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import Manager
from remora._fleet._supervisor import LAUNCHES
from remora.types import InstanceReady
from tests.core.hosts import Observer, PlainChannel, Stranger

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

MANY = 100
HUNG = 3


class Slow:
    """
    Takes a second to open each plugin but the first ones, which hang.
    """

    def __init__(self) -> None:
        self.opening = self.most = 0

    @asynccontextmanager
    async def __call__(self, attempt: int) -> AsyncIterator[PlainChannel]:
        """
        Open one.
        """
        self.opening += 1
        self.most = max(self.most, self.opening)
        try:
            await anyio.sleep(3600 if attempt <= HUNG else 1)
        finally:
            self.opening -= 1
        yield PlainChannel()


@pytest.mark.parametrize("launches", [False, True])
async def test_hundred_plugins_are_started_side_by_side_and_programs_only_so_many_at_once(
    launches: bool, anyio_backend: object
) -> None:
    """
    Where they are only connected to, nobody waits for another one; those that hang hold up no more than their places.
    """
    slow, observer = Slow(), Observer()
    stranger: Any = Stranger(slow, launches=launches)
    plugins = {f"p{number}": {"endpoint": f"strange:{number}"} for number in range(MANY)}
    async with Manager({"plugins": plugins}, extensions=[stranger, observer]):
        started = anyio.current_time()
        with anyio.fail_after(60):
            while observer.names().count(InstanceReady.__name__) < MANY - HUNG:
                await anyio.sleep(0.5)
        took = anyio.current_time() - started

    at_once = LAUNCHES if launches else MANY
    assert slow.most == min(at_once, MANY)
    assert took <= (MANY - HUNG) / (at_once - HUNG) + 2


async def test_manager_that_ends_waits_for_no_turn(anyio_backend: object) -> None:
    """
    Neither for programs that hang, nor for those that were to be started after them.
    """

    @asynccontextmanager
    async def hang(attempt: int) -> AsyncIterator[PlainChannel]:
        await anyio.sleep(3600)
        yield PlainChannel()

    stranger: Any = Stranger(hang, launches=True)
    plugins = {f"p{number}": {"endpoint": f"strange:{number}"} for number in range(MANY)}
    async with Manager({"plugins": plugins}, extensions=[stranger]):
        await anyio.sleep(1)
        started = anyio.current_time()

    assert (LAUNCHES, started) == (stranger.attempts, anyio.current_time())
