"""
What a host sees of each key of the policies: with one value, and with another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import anyio

from remora import Overloaded, RateLimited, RemoraError, Unavailable
from remora.testing import ScriptedTransport
from remora.types import BreakerChanged, InstanceLost
from tests.core.scripts import Stage, endpoint


def lost() -> RemoraError:
    """
    The request never reached the plugin.
    """
    return Unavailable("it is away", sent=False)


def broken() -> RemoraError:
    """
    The request may have reached the plugin.
    """
    return Unavailable("it broke")


@dataclass(frozen=True)
class Case:
    """
    What is seen (`measure`) with one value of a key and with another; each pair is (value, what is seen).
    """

    measure: Callable[[Stage], Awaitable[object]]
    one: tuple[Any, object]
    other: tuple[Any, object]
    addresses: tuple[Any, ...] = ("a",)
    block: dict[str, Any] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)
    script: Callable[[ScriptedTransport], object] | None = None


async def arrivals(host: Stage, count: int = 1, **options: Any) -> int:
    """
    How many calls arrive of so many that fail.
    """
    host["a"].failure = host["a"].failure or lost
    await host.outcomes(count, **options)
    return len(host["a"].calls)


async def arrivals_of_20(host: Stage) -> int:
    """
    How many calls arrive of twenty that fail.
    """
    return await arrivals(host, 20)


async def arrivals_of_broken(host: Stage) -> int:
    """
    How many calls arrive of one whose fate is not known.
    """
    host["a"].failure = broken
    return await arrivals(host)


async def gaps(host: Stage) -> list[float]:
    """
    The seconds between the attempts of a call.
    """
    await arrivals(host)
    times = [at for at, _ in host["a"].calls]
    return [round(after - before, 6) for before, after in pairwise(times)]


async def is_gap_even(host: Stage) -> bool:
    """
    Whether the second attempt comes exactly when the longest wait is over.
    """
    return await gaps(host) == [1.0]


async def arrivals_later(host: Stage) -> int:
    """
    How many calls arrive ten seconds after a breaker has opened.
    """
    before = await arrivals_of_20(host)
    await anyio.sleep(10)
    await host.outcome()
    return len(host["a"].calls) - before


async def probes_at_once(host: Stage) -> int:
    """
    How many of twenty calls arrive at once after the recovery time.
    """
    before = await arrivals_of_20(host)
    host["a"].failure, host["a"].latency = None, 0.1
    await anyio.sleep(30)
    await host.at_once(20)
    return len(host["a"].calls) - before


async def arrivals_slowly(host: Stage) -> int:
    """
    How many of eight failing calls arrive when they come every three seconds.
    """
    for _ in range(8):
        await arrivals(host)
        await anyio.sleep(3)
    return len(host["a"].calls)


async def failures_after_successes(host: Stage) -> int:
    """
    How many failing calls arrive after three good ones.
    """
    await host.outcomes(3)
    return await arrivals_of_20(host) - 3


async def is_slowness_a_failure(host: Stage) -> bool:
    """
    Whether a breaker opens for calls of a second after as many fast ones.
    """
    await host.outcomes(10)
    host["a"].latency = 1.0
    await host.outcomes(10)
    return bool(host.events(BreakerChanged))


async def probes(host: Stage) -> int:
    """
    How many tens of probes there are in a thousand seconds, about.
    """
    await anyio.sleep(1000)
    return round(len(host["a"].probes) / 10)


async def status_soon(host: Stage) -> str:
    """
    The health three seconds after the start of a plugin that answers no probes.
    """
    host["a"].crash()
    await anyio.sleep(3)
    return str(host.route().instances[0].condition.status)


def mute(transport: ScriptedTransport) -> None:
    """
    The plugin answers no probes.
    """
    transport.plugin("a").health = None


async def refused(host: Stage) -> int:
    """
    How many of thirty calls at once are above the rate.
    """
    return sum(isinstance(each, RateLimited) for each in await host.at_once(30))


async def refused_after_a_second(host: Stage) -> int:
    """
    How many of thirty calls are above the rate a second after the burst is used up.
    """
    await host.at_once(100)
    await anyio.sleep(1)
    return await refused(host)


async def most_active(host: Stage) -> int:
    """
    How many of a hundred calls are answered at once.
    """
    host["a"].latency = 0.1
    await host.at_once(100)
    return host["a"].most_active


async def active_of_five(host: Stage) -> int:
    """
    How many of five calls are answered at once.
    """
    host["a"].latency = 0.1
    await host.at_once(5)
    return host["a"].most_active


async def turned_away(host: Stage) -> int:
    """
    How many of twenty calls do not even get into the queue.
    """
    host["a"].latency = 0.1
    return sum(isinstance(each, Overloaded) for each in await host.at_once(20))


async def patience(host: Stage) -> float:
    """
    Seconds until a call that is never answered ends.
    """
    host["a"].is_hanging = True
    started = anyio.current_time()
    assert await host.outcome() is not None
    return round(anyio.current_time() - started, 3)


async def is_too_slow_to_start(host: Stage) -> bool:
    """
    Whether a plugin that was lost, and needs five seconds to start, is given up.
    """
    host["a"].start_time = 5.0
    host["a"].crash()
    await anyio.sleep(20)
    return len(host.events(InstanceLost)) > 1


async def takers(host: Stage, **options: Any) -> int:
    """
    How many of three instances take part in thirty calls.
    """
    for number in range(30):
        await host.call(text=str(number), **options)
    return sum(bool(host[each].calls) for each in "abc")


async def takers_of_one_key(host: Stage) -> int:
    """
    The same for calls about one thing.
    """
    return await takers(host, hash_key="user 1")


async def takers_of_one_header(host: Stage) -> int:
    """
    The same for calls with one header.
    """
    return await takers(host, headers={"X-User": "1"})


async def share_of_a(host: Stage) -> float:
    """
    The share of calls that the first of two instances takes, once both are warm.
    """
    await anyio.sleep(60)
    await host.outcomes(100)
    return len(host["a"].calls) / 100


async def connections(host: Stage) -> int:
    """
    How often the plugin is connected to again when it is lost.
    """
    before = host["a"].opened
    host["a"].crash()
    await anyio.sleep(1)
    return host["a"].opened - before


async def answer(host: Stage) -> str:
    """
    What a failing call is answered with, twenty seconds after a good one.
    """
    await host.call(text="hello")
    host["a"].failure = broken
    await anyio.sleep(20)
    try:
        return await host.call(text="hello")
    except RemoraError as error:
        return type(error).__name__


BREAKER = {"enabled": True, "failure_threshold": 1, "min_request_threshold": 1}
PLAIN = {"random_jitter": False, "initial_interval": 1, "max_interval": 60, "max_retries": 2}
SLOW = {"slow_call_duration": 0.5, "slow_call_rate": 0.5}
LIMIT = {"enabled": True, "requests_per_second": 5, "burst_size": 10}
LONG = {"connection": {"request_timeout": 1000}}
ABC = ("a", "b", "c")
CASES: dict[str, Case] = {
    "retry.max_retries": Case(arrivals, (0, 1), (2, 3)),
    "retry.initial_interval": Case(gaps, (1, [1.0]), (0.25, [0.25]), block={**PLAIN, "max_retries": 1}),
    "retry.max_interval": Case(
        gaps, (60, [1.0, 10.0]), (2, [1.0, 2.0]), block={**PLAIN, "multiplier": 10}, beside=LONG
    ),
    "retry.multiplier": Case(gaps, (1, [1.0, 1.0]), (3, [1.0, 3.0]), block=PLAIN),
    "retry.random_jitter": Case(is_gap_even, (False, True), (True, False), block={**PLAIN, "max_retries": 1}),
    "retry.idempotent_methods": Case(arrivals_of_broken, ([], 1), (["*"], 3), block={"max_retries": 2}),
    "circuit_breaker.enabled": Case(arrivals_of_20, (False, 20), (True, 5)),
    "circuit_breaker.failure_threshold": Case(arrivals_of_20, (1, 1), (4, 4), block=BREAKER),
    "circuit_breaker.recovery_timeout": Case(arrivals_later, (5, 1), (30, 0), block=BREAKER),
    "circuit_breaker.min_request_threshold": Case(arrivals_of_20, (1, 1), (7, 7), block=BREAKER),
    "circuit_breaker.success_threshold": Case(probes_at_once, (1, 1), (3, 3), block=BREAKER),
    "circuit_breaker.window": Case(arrivals_slowly, (30, 5), (5, 8), block={"enabled": True}),
    "circuit_breaker.failure_rate": Case(failures_after_successes, (0.1, 1), (0.5, 3), block=BREAKER),
    "circuit_breaker.slow_call_duration": Case(
        is_slowness_a_failure, (0.5, True), (2, False), block={**BREAKER, **SLOW}
    ),
    "circuit_breaker.slow_call_rate": Case(is_slowness_a_failure, (0.5, True), (1, False), block={**BREAKER, **SLOW}),
    "health_check.enabled": Case(probes, (False, 0), (True, 10), block={"interval": 10}),
    "health_check.interval": Case(probes, (10, 10), (50, 2), block={"enabled": True}),
    "health_check.timeout": Case(status_soon, (2, "unhealthy"), (20, "unknown"), block={"enabled": True}, script=mute),
    "health_check.failure_limit": Case(
        status_soon, (1, "offline"), (3, "unhealthy"), block={"enabled": True, "timeout": 2}, script=mute
    ),
    "rate_limit.enabled": Case(refused, (False, 0), (True, 20), block={"burst_size": 10}),
    "rate_limit.requests_per_second": Case(refused_after_a_second, (5, 25), (8, 22), block=LIMIT),
    "rate_limit.burst_size": Case(refused, (1, 29), (10, 20), block=LIMIT),
    "rate_limit.mode": Case(refused, ("reject", 20), ("wait", 0), block=LIMIT),
    "connection.max_connections": Case(most_active, (1, 1), (17, 17)),
    "connection.max_pending": Case(turned_away, (0, 18), (5, 13), block={"max_connections": 2}),
    "connection.adaptive_limit": Case(active_of_five, ({"enabled": False}, 5), ({"enabled": True, "initial": 2}, 2)),
    "connection.request_timeout": Case(patience, (2, 2.0), ("1m", 60.0)),
    "connection.connection_timeout": Case(is_too_slow_to_start, (2, True), (10, False)),
    "fallback.value": Case(answer, ({"text": "one"}, "one"), ({"text": "other"}, "other")),
    "fallback.last_good": Case(answer, (60, "hello"), (10, "Unavailable")),
    "fallback.plugin": Case(answer, ("q", "hello"), ("r", "Unavailable")),
    "endpoint.weight": Case(
        share_of_a, (100, 0.5), (300, 0.75), (endpoint("a"), endpoint("b")), beside={"balancer": "round-robin"}
    ),
    "endpoint.priority": Case(share_of_a, (1, 0.5), (2, 1.0), (endpoint("a"), endpoint("b"))),
    "balancer": Case(takers_of_one_key, ("round-robin", 3), ("consistent-hash", 1), ABC),
    "hash_header": Case(takers_of_one_header, ("", 3), ("x-user", 1), ABC, beside={"balancer": "consistent-hash"}),
    "priority": Case(share_of_a, (1, 0.0), (3, 1.0), (endpoint("a"), endpoint("b", priority=2))),
    "instances": Case(connections, (1, 1), (3, 3)),
}
