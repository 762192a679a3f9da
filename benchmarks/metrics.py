"""
The cost of metrics: calls over a transport that does nothing, with metrics on and off; and the cost of one recording.

    python -m benchmarks.metrics [--rounds N] [--seconds S] [--check]

How calls are measured: see `benchmarks.additions`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import timeit
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.additions import calls
from benchmarks.machine import environment, load
from benchmarks.rounds import Round, run_round, spread, steady_of, verdict
from remora import MetricsRegistry

if TYPE_CHECKING:
    from collections.abc import Callable

PER_CALL = 3.0
PER_RECORDING = 1.0
SLACK = 1.25

_REPEATED = 100_000


def recordings() -> dict[str, float]:
    """
    Microseconds per recording, by what is recorded.
    """
    registry = MetricsRegistry()
    counter = registry.counter("c_total", "A counter.", ["method", "status"])
    gauge = registry.gauge("g", "A gauge.", ["service"])
    histogram = registry.histogram("h", "A histogram.", labels=["path"])
    statements: dict[str, Callable[[], object]] = {
        "counter, bound": counter.bind("GET", "200").inc,
        "counter, labels": partial(counter.inc, "GET", "200"),
        "gauge, bound": partial(gauge.bind("auth").add, 1),
        "gauge, labels": partial(gauge.set, 42, "auth"),
        "histogram, bound": partial(histogram.bind("/").observe, 0.02),
        "histogram, labels": partial(histogram.observe, 0.02, "/"),
    }
    return {
        name: min(timeit.repeat(each, number=_REPEATED, repeat=5)) * 1e6 / _REPEATED
        for name, each in statements.items()
    }


def main() -> int:
    """
    Measure, print, and compare with the targets.
    """
    options = _arguments()
    print(environment("remora", "anyio"))
    print(f"load before: {load()}")
    rounds = [run_round(calls(), calls(counted=False), options.seconds) for _ in range(options.rounds)]
    recorded = recordings()
    print(f"load after:  {load()}\n")
    return _report(rounds, recorded, check=options.check)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description="the cost of counting")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    parser.add_argument("--check", action="store_true", help="fail when a target is missed by more than a quarter")
    return parser.parse_args()


def _report(rounds: list[Round], recorded: dict[str, float], *, check: bool) -> int:
    if not (steady := steady_of(rounds)):
        return 1
    extra = [each.ours.cost - each.peer_cost for each in steady]
    print(f"us of CPU per call, counted:     {spread([each.ours.cost for each in steady], 2)}")
    print(f"us of CPU per call, not counted: {spread([each.peer_cost for each in steady], 2)}")
    print(f"us of CPU per call, counting:    {spread(extra, 2)}")
    for name, cost in recorded.items():
        print(f"us per recording, {name + ':':<18} {cost:.3f}")
    cost, slowest = statistics.median(extra), max(recorded.values())
    print(f"{verdict(cost, PER_CALL)}: counting adds {cost:.2f} us to a call, target at most {PER_CALL:g}")
    print(f"{verdict(slowest, PER_RECORDING)}: {slowest:.3f} us a recording, target at most {PER_RECORDING:g}")
    return 1 if check and (cost > PER_CALL * SLACK or slowest > PER_RECORDING * SLACK) else 0


if __name__ == "__main__":
    sys.exit(main())
