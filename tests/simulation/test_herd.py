"""
No thundering herd after an outage: not of one host's callers, and not of many hosts at one plugin. In virtual time.
"""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import pytest

from remora import Manager, RemoraError, Unavailable
from remora.testing import ScriptedPlugin, ScriptedTransport
from tests.core.hosts import Text
from tests.core.scripts import Stage, stage

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

OUTAGE = 60.0
CALLERS = 300
PLACES = 10
PROBES = 2
"""The defaults of `max_connections` and `success_threshold`."""


def most_within(seconds: float, times: Sequence[float]) -> int:
    """
    The most arrivals that there were in any stretch of so many seconds.
    """
    times = sorted(times)
    return max((sum(begin <= at < begin + seconds for at in times[index:]) for index, begin in enumerate(times)))


async def _impatient(host: Stage, rng: random.Random, until: float) -> None:
    """
    A caller who asks again as soon as the error says that it makes sense.
    """
    await anyio.sleep(rng.random())
    while host.now < until:
        error = await host.outcome(idempotent=True, timeout=5)
        await anyio.sleep(max(1.0, getattr(error, "retry_after", None) or 0.0))


async def test_callers_of_one_host_do_not_storm_a_plugin_that_is_back(anyio_backend: object) -> None:
    """
    Three hundred who never cease to ask: first the probes are let through, then no more than there are places.
    """
    async with stage({"endpoint": "script:a"}) as host:
        plugin, rng = host["a"], random.Random(3)
        plugin.failure, plugin.latency = lambda: Unavailable("out of order"), 0.02
        async with anyio.create_task_group() as group:
            for _ in range(CALLERS):
                group.start_soon(_impatient, host, rng, host.now + 2 * OUTAGE)
            await anyio.sleep(OUTAGE)
            sent_in_outage, plugin.most_active = len(plugin.calls), 0
            plugin.failure, plugin.latency, back = None, 0.5, host.now
            await anyio.sleep(OUTAGE)

        closed = next(at for at, after in host.breaker_changes() if after == "closed" and at > back)
        arrivals = [at for at, _ in plugin.calls if at >= back]
        assert sent_in_outage < CALLERS  # less than one call for each of those who kept asking for a minute
        assert PROBES == sum(at < closed for at in arrivals)
        assert plugin.most_active == PLACES
        assert most_within(0.49, arrivals) <= PLACES
        assert await host.outcome() is None


async def test_callers_who_wait_for_a_restart_do_not_arrive_all_at_once(anyio_backend: object) -> None:
    """
    A thousand wait for a process that died; there is one start, and as many arrive at once as there are places.
    """
    async with stage({"endpoint": "script:a", "connection": {"request_timeout": 600}}) as host:
        plugin = host["a"]
        plugin.start_time, plugin.latency = 5.0, 0.5
        plugin.crash()
        await anyio.sleep(0.01)
        outcomes = await host.at_once(1000)

        assert {None} == set(outcomes)
        assert (2, PLACES) == (plugin.opened, plugin.most_active)


@asynccontextmanager
async def _hosts(count: int, transport: ScriptedTransport, **table: Any) -> AsyncIterator[list[Manager]]:
    config = {"plugins": {"p": {"endpoint": "script:a", **table}}}
    async with AsyncExitStack() as stack:
        yield [
            await stack.enter_async_context(
                Manager(config, extensions=[transport.extension], rng=random.Random(number)),
            )
            for number in range(count)
        ]


async def _ask(manager: Manager, number: int) -> None:
    try:
        await manager.plugin("p", Text, Text).execute(Text(str(number)))
    except RemoraError:
        return


async def _ask_all(managers: Sequence[Manager], seconds: float, every: float) -> None:
    """
    All hosts ask at the very same moments.
    """
    async with anyio.create_task_group() as group:
        for _ in range(round(seconds / every)):
            for number, manager in enumerate(managers):
                group.start_soon(_ask, manager, number)
            await anyio.sleep(every)


async def test_hosts_that_lost_a_plugin_together_come_back_one_after_the_other(anyio_backend: object) -> None:
    """
    Forty hosts whose breakers opened in the same moment send their first probes over three seconds, a tenth of the
    recovery time.
    """
    transport = ScriptedTransport()
    plugin = transport.plugin("a")
    async with _hosts(40, transport, health_check={"enabled": False}, retry={"max_retries": 0}) as managers:
        await anyio.sleep(0.01)
        plugin.failure = lambda: Unavailable("out of order")
        await _ask_all(managers, 1, 0.1)
        assert 5 * 40 == len(plugin.calls)
        plugin.failure = None
        await anyio.sleep(25)
        await _ask_all(managers, 6, 0.1)
        probes = _firsts(plugin)

        assert len(probes) == 40
        assert max(probes) - min(probes) > 2
        assert most_within(0.29, probes) <= 40 / 4


async def test_hosts_whose_connections_broke_together_connect_one_after_the_other(anyio_backend: object) -> None:
    """
    And go on trying at moments of their own, ever less often.
    """
    transport = ScriptedTransport()
    plugin = transport.plugin("a")
    async with _hosts(40, transport) as managers:
        await anyio.sleep(0.01)
        plugin.is_refusing = True
        plugin.crash()
        lost = anyio.current_time()
        await anyio.sleep(OUTAGE)
        plugin.is_refusing = False
        await anyio.sleep(10)
        await _ask_all(managers, 1, 1)

        assert 80 == plugin.opened
        late = [at for at in plugin.tries if lost + 10 < at <= lost + OUTAGE]
        assert most_within(0.1, late) <= 40 / 4
        assert len(late) <= 40 * 50 / 4


def _firsts(plugin: ScriptedPlugin) -> list[float]:
    """
    When the first call of each host arrived after those that opened its breaker.
    """
    firsts: dict[bytes, float] = {}
    for at, call in plugin.calls[5 * 40 :]:
        firsts.setdefault(call.payload, at)
    return list(firsts.values())
