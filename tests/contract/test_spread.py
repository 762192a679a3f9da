"""
What a user would measure at real plugins over real wires: how calls are spread, and what limits let through.
"""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from remora import Manager, Plugin, RateLimited, Status, serving
from remora.testing._contract import Text
from tests.contract.health import until_healthy

pytestmark = pytest.mark.anyio

TRANSPORTS = ("unix", "http")
PLACES = 7


@dataclass(frozen=True)
class Name:
    """
    The name of the plugin that answered.
    """

    name: str = ""


class Named:
    """
    A plugin that knows its name, and how many calls it has had at once.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls = self.active = self.most_active = 0
        self.arrivals: list[float] = []
        self.full = anyio.Event()

    async def who(self, request: Name) -> Name:
        """
        Its name.
        """
        self.calls += 1
        self.arrivals.append(time.monotonic())
        return Name(self.name)

    async def wait(self, request: Name) -> Name:
        """
        Its name, once all places were taken, and whoever has no place had a chance to come in.
        """
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        if self.active == PLACES:
            self.full.set()
        await self.full.wait()
        await anyio.sleep(0.005)
        self.active -= 1
        return Name(self.name)


@asynccontextmanager
async def served(
    transport: str, *, weights: Sequence[int] = (100,), method: str = "who", **settings: Any
) -> AsyncIterator[tuple[Plugin[Name, Name], list[Named]]]:
    """
    As many served plugins as there are weights, and a handle on them.
    """
    services = [Named(name) for name in "abcdef"[: len(weights)]]
    async with AsyncExitStack() as stack:
        stack.enter_context(anyio.fail_after(30))
        endpoints = []
        for service, weight in zip(services, weights, strict=True):
            here = await stack.enter_async_context(serving(service, listen=f"{transport}:"))
            endpoints.append({"url": here.endpoints[0].url, "weight": weight})
        config = {"plugins": {"p": {"endpoints": endpoints, **settings}}}
        manager = await stack.enter_async_context(Manager(config, rng=random.Random(7)))
        await until_healthy(manager)
        yield manager.plugin("p", Name, Name, service="Named", method=method), services


async def counted(plugin: Plugin[Name, Name], calls: int) -> Counter[str]:
    """
    Who answers so many calls of a few callers.
    """
    names: Counter[str] = Counter()

    async def caller() -> None:
        for _ in range(calls // 5):
            names[(await plugin.execute(Name())).name] += 1

    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(caller)
    return names


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("balancer", ["", "round-robin"])
async def test_turns_are_even(transport: str, balancer: str, anyio_backend: str) -> None:
    """
    To two in a hundred.
    """
    async with served(transport, weights=(100, 100, 100), balancer=balancer) as (plugin, services):
        names = await counted(plugin, 300)

        assert dict(names) == {each.name: each.calls for each in services}
        assert all(abs(names[name] - 100) <= 2 for name in "abc"), names


@pytest.mark.parametrize("transport", TRANSPORTS)
@pytest.mark.parametrize("balancer", ["round-robin", "weighted-random"])
async def test_weights_are_kept(transport: str, balancer: str, anyio_backend: str) -> None:
    """
    To one in ten of each share.
    """
    async with served(transport, weights=(50, 30, 20), balancer=balancer) as (plugin, _):
        names = await counted(plugin, 2000)

        shares = {"a": 0.5, "b": 0.3, "c": 0.2}
        assert all(names[name] == pytest.approx(2000 * share, rel=0.1) for name, share in shares.items()), names


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_no_more_calls_than_max_connections_reach_the_server(transport: str, anyio_backend: str) -> None:
    """
    And no fewer: a hundred callers, seven places.
    """
    settings: dict[str, Any] = {"connection": {"max_connections": PLACES}, "method": "wait"}
    async with served(transport, **settings) as (plugin, (service,)):
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(plugin.execute, Name())

        assert PLACES == service.most_active


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_fifty_calls_a_second_are_fifty(transport: str, anyio_backend: str) -> None:
    """
    Measured from the first until the last arrives, beyond the burst; no machine is fast enough for more. One that
    stalls may be late, and is measured again.
    """
    limit = {"enabled": True, "requests_per_second": 50, "burst_size": 10, "mode": "wait"}
    rates: list[float] = []
    async with served(transport, rate_limit=limit) as (plugin, (service,)):
        while len(rates) < 3 and max(rates, default=0) <= 35:
            began = time.monotonic()
            async with anyio.create_task_group() as group:
                for _ in range(60):
                    group.start_soon(plugin.execute, Name())
            rates.append(50 / (service.arrivals[-1] - began))

        assert 60 * len(rates) == service.calls
        assert 35 < max(rates) < 50.5


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_calls_above_the_rate_are_refused(transport: str, anyio_backend: str) -> None:
    """
    In any stretch of time, the burst and what the rate allows, and not less by much.
    """
    limit = {"enabled": True, "requests_per_second": 50, "burst_size": 10}
    async with served(transport, rate_limit=limit) as (plugin, (service,)):
        started, waits = time.monotonic(), list[float]()
        while time.monotonic() - started < 1:
            try:
                await plugin.execute(Name())
            except RateLimited as error:
                waits.append(error.retry_after or 0.0)
                await anyio.sleep(0.001)
        allowed = 10 + 50 * (time.monotonic() - started)

        assert waits
        assert all(0 < each <= 0.02 for each in waits)
        assert 0.5 * allowed < service.calls <= allowed + 1


@pytest.mark.parametrize("start", ["eager", "lazy"])
async def test_thousand_callers_start_one_process(start: str, anyio_backend: str, tmp_path: Path) -> None:
    """
    They all wait for the same one, and all are answered by it. Where it is started lazily, there is none before, and
    its health is unknown rather than offline.
    """
    log, program = tmp_path / "starts", tmp_path / "peer"
    program.write_text(f"#!/bin/sh\necho started >> {log}\nexec {sys.executable} -m remora.testing\n")
    program.chmod(0o755)
    table = {"endpoint": f"exec:{program}", "service": "remora.testing.v1.Contract", "method": "echo", "start": start}
    answers: list[str] = []
    with anyio.fail_after(60):
        async with Manager({"plugins": {"peer": table}}) as manager:
            peer = manager.plugin("peer", Text, Text)
            if start == "lazy":
                assert Status.UNKNOWN is (await manager.health())["peer"].status
                assert not log.exists()

            async def call(number: int) -> None:
                answers.append((await peer.execute(Text(str(number)))).text)

            async with anyio.create_task_group() as group:
                for number in range(1000):
                    group.start_soon(call, number)

    assert sorted(map(str, range(1000))) == sorted(answers)
    assert ["started"] == log.read_text().splitlines()
