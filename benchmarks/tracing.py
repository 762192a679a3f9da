"""
What tracing costs: calls over a transport that does nothing, with OpenTelemetry's SDK making the spans and without.

    python -m benchmarks.tracing [--rounds N] [--seconds S]

Each traced call has two spans, its own and that of its attempt; they are made, and sent nowhere: what a processor takes
to export them comes on top. Slices take turns, as in `benchmarks.metrics`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider

from benchmarks.metrics import calls
from benchmarks.rounds import environment, load, run_round, spread, steady_of
from remora_otel import _tracers

if TYPE_CHECKING:
    from benchmarks.rounds import Slice

PER_CALL = 60.0


async def traced(seconds: float) -> Slice:
    """
    Calls through a manager that finds somebody who wants spans.
    """
    provider = TracerProvider(shutdown_on_exit=False)

    def wanted() -> TracerProvider:
        return provider

    _tracers.adopt(wanted)
    try:
        return await calls(counted=True)(seconds)
    finally:
        _tracers.drop(wanted)


def main() -> int:
    """
    Measure and print.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tracing", description="the cost of tracing")
    parser.add_argument("--rounds", type=int, default=9, help="how often each pair is run")
    parser.add_argument("--seconds", type=float, default=0.2, help="the length of a slice")
    options = parser.parse_args()
    print(environment("remora", "opentelemetry-sdk"))
    print(f"load before: {load()}")
    rounds = [run_round(traced, calls(counted=True), options.seconds) for _ in range(options.rounds)]
    print(f"load after:  {load()}\n")
    if not (steady := steady_of(rounds)):
        return 1
    extra = [each.ours.cost - each.peer_cost for each in steady]
    print(f"us of CPU per call, traced:     {spread([each.ours.cost for each in steady], 2)}")
    print(f"us of CPU per call, not traced: {spread([each.peer_cost for each in steady], 2)}")
    verdict = "met" if statistics.median(extra) <= PER_CALL else "MISSED"
    print(f"{verdict}: tracing adds {spread(extra, 2)} us to a call, target at most {PER_CALL:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
