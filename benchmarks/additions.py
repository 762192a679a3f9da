"""
What something optional adds to a call: slices of the same calls with it and without it, in turns.

The calls go through a manager's pipeline over a transport that does nothing, as in `benchmarks.overhead`.
"""

from __future__ import annotations

import argparse
import statistics
from typing import TYPE_CHECKING

import anyio

from benchmarks.machine import environment, load
from benchmarks.null import CALL, NullTransport, host_of
from benchmarks.rounds import Round, measure, run_round, spread, steady_of, verdict
from remora import Manager, Reply

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from benchmarks.rounds import Contender, Slice
    from remora._calls._pipeline import Pipeline

_TIMEOUT = 5.0


def calls(*, counted: bool = True, extensions: Sequence[object] = ()) -> Contender:
    """
    Calls through a manager's pipeline, with metrics or without, and with what `extensions` add.
    """

    async def contender(seconds: float) -> Slice:
        config = {**host_of("least-connections"), "metrics": {"enabled": counted}}
        async with Manager(config, extensions=[NullTransport(), *extensions]) as manager:
            pipeline: Pipeline = manager._fleet.caller("null").pipeline

            async def call() -> Reply:
                return await pipeline(CALL, _TIMEOUT)

            await anyio.wait_all_tasks_blocked()  # until every instance is ready
            return await measure(call, seconds)

    return contender


def compare(name: str, contenders: Mapping[str, Contender], *, most: float, distributions: Sequence[str]) -> int:
    """
    The program of such a comparison: measures, prints, and compares with the target.

    Args:
        name: The module, for its usage.
        contenders: Calls with something added, by what that is.
        most: The most microseconds of CPU that each may add to a call.
        distributions: Whose versions are printed.

    Returns:
        The exit status: 1 when the machine was never quiet.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{name}", description=f"the cost of {name}")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    options = parser.parse_args()
    print(environment(*distributions))
    print(f"load before: {load()}")
    rounds: dict[str, list[Round]] = {what: [] for what in contenders}
    for _ in range(options.rounds):
        for what, contender in contenders.items():
            rounds[what].append(run_round(contender, calls(), options.seconds))
    print(f"load after:  {load()}")
    return max(_report(what, each, most) for what, each in rounds.items())


def _report(what: str, rounds: Sequence[Round], most: float) -> int:
    print(f"\n{what}")
    if not (steady := steady_of(rounds)):
        return 1
    extra = [each.ours.cost - each.peer_cost for each in steady]
    print(f"us of CPU per call, with:    {spread([each.ours.cost for each in steady], 2)}")
    print(f"us of CPU per call, without: {spread([each.peer_cost for each in steady], 2)}")
    word = verdict(statistics.median(extra), most)
    print(f"{word}: adds {spread(extra, 2)} us to a call, target at most {most:g}")
    return 0
