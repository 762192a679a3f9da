"""
The cost of tracing: calls over a transport that does nothing, with spans from OpenTelemetry's SDK and without.

    python -m benchmarks.tracing [--rounds N] [--seconds S]

Each traced call has two spans, its own and that of its attempt. First they are only created; then a batch processor
passes all of them to an exporter that drops them. Encoding and sending would come on top, in a thread of its own.
How it is measured: see `benchmarks.additions`.
"""

from __future__ import annotations

import sys
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from benchmarks.additions import calls, compare
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
        return await calls()(seconds)
    finally:
        _tracers.drop(wanted)
        provider.shutdown()


def main() -> int:
    """
    Measure, print, and compare with the target.
    """
    contenders: dict[str, Contender] = {
        "spans that are only created": traced,
        "spans that are exported, too": partial(traced, exported=True),
    }
    return compare("tracing", contenders, most=PER_CALL, distributions=["remora", "opentelemetry-sdk"])


if __name__ == "__main__":
    sys.exit(main())
