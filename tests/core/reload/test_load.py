"""
A hundred reloads under constant load: no call fails, and none is made twice. In virtual time.
"""

from __future__ import annotations

import random
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any

import anyio
import pytest

from remora import Manager, ReloadOptions, RemoraError, serving
from remora.testing import MemoryTransport
from tests.core.hosts import Text

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

ADDRESSES = "abcdef"
NAMES = ["one", "two", "three", "four"]
RELOADS = 100
BROKEN = 10
EXTRA = "extra"


class Counting:
    """
    A service that takes its time, and counts what arrives.
    """

    def __init__(self, arrivals: Counter[str]) -> None:
        self.arrivals = arrivals

    async def echo(self, request: Text) -> Text:
        """
        The same text, a little later.
        """
        self.arrivals[request.text] += 1
        await anyio.sleep(0.05)
        return request


class Load:
    """
    Calls of four plugins, one after the other by each of twelve callers, until it is over.
    """

    def __init__(self, manager: Manager) -> None:
        self.asked = 0
        self.errors: list[RemoraError] = []
        self.is_over = False
        self._handles = [manager.plugin(name, Text, Text, method="echo") for name in NAMES]

    async def run(self) -> None:
        """
        Make the calls.
        """
        async with anyio.create_task_group() as group:
            for handle in self._handles * 3:
                group.start_soon(self._call, handle)

    async def _call(self, handle: Any) -> None:
        while not self.is_over:
            self.asked += 1
            try:
                await handle.execute(Text(str(self.asked)))
            except RemoraError as error:
                self.errors.append(error)
            await anyio.sleep(0.01)


class Edits:
    """
    What an operator does to the file, one thing after the other.
    """

    def __init__(self, seed: int) -> None:
        self._rng = random.Random(seed)
        self.tables: dict[str, dict[str, Any]] = {name: {"endpoints": ["memory:a"], **_QUIET} for name in NAMES}
        self._edits = [self.add, self.remove, self.retarget, self.reweight, self.relimit, self.more]

    def next(self) -> dict[str, dict[str, Any]]:
        """
        The plugins' tables after the next edit.
        """
        self._rng.choice(self._edits)()
        return {name: dict(table) for name, table in self.tables.items()}

    def broken(self) -> dict[str, dict[str, Any]]:
        """
        The plugins' tables after an edit that cannot work.
        """
        return {**self.tables, self._name(): {"endpoint": "memory:nowhere", **_QUIET}, "new": {"endpoint": "memory:b"}}

    def add(self) -> None:
        """
        Another plugin.
        """
        self.tables[EXTRA] = {"endpoint": "memory:f", "requires": [self._name()]}

    def remove(self) -> None:
        """
        Without it.
        """
        self.tables.pop(EXTRA, None)

    def retarget(self) -> None:
        """
        Other endpoints.
        """
        self.tables[self._name()]["endpoints"] = [f"memory:{each}" for each in self._some()]

    def reweight(self) -> None:
        """
        Other weights and priorities.
        """
        table = self.tables[self._name()]
        urls = [each["url"] if isinstance(each, dict) else each for each in table["endpoints"]]
        table["endpoints"] = [
            {"url": url, "weight": self._rng.randrange(1, 9), "priority": self._rng.randrange(3)} for url in urls
        ]

    def relimit(self) -> None:
        """
        Other limits and policies.
        """
        self.tables[self._name()] |= {
            "rate_limit": {"enabled": True, "requests_per_second": self._rng.randrange(500, 999), "burst_size": 500},
            "connection": {"max_connections": self._rng.randrange(1, 5)},
            "circuit_breaker": {"enabled": self._rng.random() < 0.5},
            "health_check": {"enabled": self._rng.random() < 0.5, "interval": self._rng.randrange(5, 9)},
        }

    def more(self) -> None:
        """
        Another number of connections, another balancer.
        """
        balancers = ["", "round-robin", "least-connections"]
        self.tables[self._name()] |= {"instances": self._rng.randrange(1, 4), "balancer": self._rng.choice(balancers)}

    def _name(self) -> str:
        return self._rng.choice(NAMES)

    def _some(self) -> list[str]:
        return self._rng.sample(ADDRESSES, self._rng.randrange(1, 4))


_QUIET = {"retry": {"max_retries": 0}}


@pytest.mark.fault(50)
@pytest.mark.parametrize("strategy", ["graceful", "rolling", "recreate"])
@pytest.mark.long
async def test_no_call_fails_during_a_hundred_reloads(strategy: Any, anyio_backend: object) -> None:
    """
    They add, remove, retarget, re-weight, re-limit; and every tenth is one that cannot work, and changes nothing.
    """
    pytest.importorskip("remora_balancers")
    transport, arrivals, edits = MemoryTransport(), Counter[str](), Edits(seed=5)
    extensions = [transport.extension]
    options = ReloadOptions(strategy=strategy)
    graceful = ReloadOptions(health_check_timeout=0.5)  # to close what works for what does not would cost calls
    undone = 0
    async with AsyncExitStack() as stack:
        for address in ADDRESSES:
            await stack.enter_async_context(
                serving(Counting(arrivals), listen=f"memory:{address}", extensions=extensions)
            )
        manager = await stack.enter_async_context(Manager({"plugins": edits.tables}, extensions=extensions))
        async with anyio.create_task_group() as group:
            load = Load(manager)
            group.start_soon(load.run)
            for number in range(RELOADS):
                if number % BROKEN:
                    report = await manager.reload({"plugins": edits.next()}, options)
                    assert report.applied, report.error
                else:
                    report = await manager.reload({"plugins": edits.broken()}, graceful)
                    undone += report.rolled_back
            load.is_over = True

    assert [] == load.errors
    assert RELOADS / BROKEN == undone
    assert load.asked > 5 * RELOADS
    assert {str(number): 1 for number in range(1, load.asked + 1)} == arrivals
