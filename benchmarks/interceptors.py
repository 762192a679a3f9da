"""
The cost of interceptors: calls over a transport that does nothing, through three interceptors that do nothing.

    python -m benchmarks.interceptors [--rounds N] [--seconds S]

Slices with and without interceptors alternate, as in `benchmarks.metrics`; once the interceptors wrap each call, once
each attempt.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING

from benchmarks.metrics import calls
from benchmarks.rounds import Round, environment, load, run_round, spread, steady_of, verdict
from remora import InterceptorSpec, hookimpl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from benchmarks.rounds import Contender
    from remora import Call, Reply
    from remora.types import Attempt

NUMBER = 3
PER_CALL = 1.0


class AroundCalls:
    """
    An extension with interceptors that wrap each call.
    """

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        Interceptors that only go on.
        """
        return [InterceptorSpec(f"idle-{number}", lambda _: _go_on, waits=False) for number in range(NUMBER)]


class AroundAttempts:
    """
    An extension with interceptors that wrap each attempt.
    """

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        Interceptors that only go on.
        """
        return [
            InterceptorSpec(f"idle-{number}", lambda _: None, attempt=lambda _: _try_on, waits=False)
            for number in range(NUMBER)
        ]


async def _go_on(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /) -> Reply:
    return await proceed(call)


async def _try_on(call: Call, proceed: Callable[[Call], Awaitable[Reply]], /, *, attempt: Attempt) -> Reply:
    return await proceed(call)


def main() -> int:
    """
    Measure, print, and compare with the target.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.interceptors", description="the cost of interceptors")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    options = parser.parse_args()
    print(environment("remora", "anyio"))
    print(f"load before: {load()}")
    contenders: dict[str, Contender] = {
        "calls": calls(counted=True, extensions=[AroundCalls()]),
        "attempts": calls(counted=True, extensions=[AroundAttempts()]),
    }
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, contender in contenders.items():
            rounds[name].append(run_round(contender, calls(counted=True), options.seconds))
    print(f"load after:  {load()}")
    return max(_report(name, each) for name, each in rounds.items())


def _report(name: str, rounds: list[Round]) -> int:
    print(f"\n{NUMBER} interceptors around {name}")
    if not (steady := steady_of(rounds)):
        return 1
    extra = [each.ours.cost - each.peer_cost for each in steady]
    print(f"us of CPU per call, with them:    {spread([each.ours.cost for each in steady], 2)}")
    print(f"us of CPU per call, without:      {spread([each.peer_cost for each in steady], 2)}")
    word = verdict(statistics.median(extra), PER_CALL)
    print(f"{word}: they add {spread(extra, 2)} us to a call, target at most {PER_CALL:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
