"""
The full cost of a call, over a transport that does nothing, compared with the same policies wired by hand.

    python -m benchmarks.overhead [--rounds N] [--seconds S] [--balancer NAME] [--check]

Ours: circuit breaker, health, retry, budget, rate limit, concurrency limit, deadline, and a balancer over three
instances; from a `Call` to a `Reply`, without a codec. The peer: tenacity, purgatory, aiolimiter and asyncio.timeout
around a coroutine that does nothing, for one destination and without a concurrency limit, health or a balancer.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import sys
from typing import TYPE_CHECKING

import anyio
from aiolimiter import AsyncLimiter
from purgatory import AsyncCircuitBreakerFactory
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from benchmarks.machine import environment, load
from benchmarks.null import CALL, PAYLOAD, PLENTY, REPLY, NullTransport, host_of
from benchmarks.rounds import Round, measure, run_round, spread, steady_of, verdict
from remora import Manager
from remora._draft import make_call

if TYPE_CHECKING:
    from benchmarks.rounds import Contender, Slice
    from remora import Call, Reply
    from remora._calls._pipeline import Pipeline

RATIO = 0.12
MICROSECONDS = 15.0
SLACK = 1.25

_TIMEOUT = 5.0
_JSON, _REQUEST_ID = "application/json", "0" * 32


def remora_calls(balancer: str, *, native_deadline: bool = True) -> Contender:
    """
    Calls through a manager's pipeline, over a transport that ends calls at their deadlines or leaves that to it.
    """

    async def contender(seconds: float) -> Slice:
        transport = NullTransport(native_deadline=native_deadline)
        async with Manager(host_of(balancer), extensions=[transport]) as manager:
            pipeline: Pipeline = manager._fleet.caller("null").pipeline

            async def call() -> Reply:  # a typed call without encoding and decoding
                deadline = pipeline.deadline(_TIMEOUT)
                return await pipeline.carry(
                    make_call("bench.v1.Null", "Call", PAYLOAD, _JSON, {}, deadline, _REQUEST_ID, False, "", "")
                )

            await anyio.wait_all_tasks_blocked()  # until every instance is ready
            return await measure(call, seconds)

    return contender


async def hand_wired(seconds: float) -> Slice:
    """
    Calls through the policies of four libraries, used as their documentation shows.
    """
    breakers = AsyncCircuitBreakerFactory(default_threshold=5, default_ttl=30)
    limiter = AsyncLimiter(PLENTY, 1)

    @retry(
        stop=stop_after_attempt(4),
        wait=wait_random_exponential(multiplier=0.1, max=5),
        retry=retry_if_exception_type(ConnectionError),
        reraise=True,
    )
    async def call() -> Reply:
        async with limiter, await breakers.get_breaker("null"), asyncio.timeout(_TIMEOUT):
            return await _nothing(CALL)

    return await measure(call, seconds)


async def one_fail_after(seconds: float) -> Slice:
    """
    Calls that do nothing, in a cancel scope each: a measure of the machine's speed.
    """

    async def call() -> Reply:
        with anyio.fail_after(_TIMEOUT):
            return await _nothing(CALL)

    return await measure(call, seconds)


async def _nothing(call: Call) -> Reply:
    return REPLY


def main() -> int:
    """
    Measure, print, and compare with the targets.
    """
    options = _arguments()
    print(environment("remora", "anyio", "tenacity", "purgatory", "aiolimiter"))
    print(f"load before: {load()}")
    ours = remora_calls(options.balancer)
    pairs = {"pipeline": (ours, hand_wired), "fail_after": (one_fail_after, hand_wired)}
    rounds: dict[str, list[Round]] = {name: [] for name in pairs}
    for _ in range(options.rounds):
        for name in random.sample(sorted(pairs), len(pairs)):
            contender, peer = pairs[name]
            rounds[name].append(run_round(contender, peer, options.seconds))
    print(f"load after:  {load()}\n")
    return _report(rounds["pipeline"], rounds["fail_after"], check=options.check)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description="the overhead of a call")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    parser.add_argument("--balancer", default="least-connections", help="how the three instances are chosen")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed by more than a quarter")
    return parser.parse_args()


def _report(pipeline: list[Round], fail_after: list[Round], *, check: bool) -> int:
    if not (steady := steady_of(pipeline)):
        return 1
    ratio = statistics.median(each.ratio for each in steady)
    cost = statistics.median(each.ours.cost for each in steady)
    print(f"us of CPU per call, pipeline:    {spread([each.ours.cost for each in steady], 1)}")
    print(f"us of CPU per call, hand-wired:  {spread([each.peer_cost for each in steady], 1)}")
    print(f"us of CPU per call, fail_after:  {spread([each.ours.cost for each in fail_after], 1)}")
    print(f"pipeline / hand-wired, CPU:      {spread([each.ratio for each in steady], 3)}")
    print(f"pipeline / hand-wired, wall:     {spread([each.wall_ratio for each in steady], 3)}")
    print(f"{verdict(ratio, RATIO)}: ratio {ratio:.3f}, target at most {RATIO}")
    print(f"{verdict(cost, MICROSECONDS)}: {cost:.1f} us of CPU per call, target at most {MICROSECONDS:g}")
    missed = ratio > RATIO * SLACK or cost > MICROSECONDS * SLACK
    return 1 if check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
