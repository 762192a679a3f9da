"""
The cost of tracing: calls over a transport that does nothing, with spans from OpenTelemetry's SDK and without.

    python -m benchmarks.tracing [--rounds N] [--seconds S]

Each traced call has two spans, its own and that of its attempt. First they are only created; then a batch processor
passes all of them to an exporter that drops them. Encoding and sending would come on top, in a thread of its own.
Slices alternate, as in `benchmarks.metrics`.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.metrics import calls
from benchmarks.rounds import Round, environment, load, run_round, spread, steady_of, verdict
from remora_otel import _tracers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from opentelemetry.sdk.trace import ReadableSpan

    from benchmarks.rounds import Contender, Slice

PER_CALL = 60.0


class _Dropping(SpanExporter):
    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS


async def traced(seconds: float, *, exported: bool = False) -> Slice:
    """
    Calls through a manager for which a tracer provider is installed.
    """
    provider = TracerProvider(shutdown_on_exit=False)
    if exported:
        provider.add_span_processor(BatchSpanProcessor(_Dropping()))

    def wanted() -> TracerProvider:
        return provider

    _tracers.adopt(wanted)
    try:
        return await calls(counted=True)(seconds)
    finally:
        _tracers.drop(wanted)
        provider.shutdown()


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
    contenders: dict[str, Contender] = {"made": traced, "exported": partial(traced, exported=True)}
    rounds: dict[str, list[Round]] = {name: [] for name in contenders}
    for _ in range(options.rounds):
        for name, contender in contenders.items():
            rounds[name].append(run_round(contender, calls(counted=True), options.seconds))
    print(f"load after:  {load()}")
    return max(_report(name, each) for name, each in rounds.items())


def _report(name: str, rounds: list[Round]) -> int:
    print(f"\nspans are {name}")
    if not (steady := steady_of(rounds)):
        return 1
    extra = [each.ours.cost - each.peer_cost for each in steady]
    print(f"us of CPU per call, traced:     {spread([each.ours.cost for each in steady], 2)}")
    print(f"us of CPU per call, not traced: {spread([each.peer_cost for each in steady], 2)}")
    word = verdict(statistics.median(extra), PER_CALL)
    print(f"{word}: tracing adds {spread(extra, 2)} us to a call, target at most {PER_CALL:g}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
