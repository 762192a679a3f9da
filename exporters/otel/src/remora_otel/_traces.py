"""
Spans of this process on their way to a collector, where the application does not send them itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Protocol

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from remora_otel import _tracers

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter
    from opentelemetry.sdk.trace.export import SpanExporter

    from remora_otel.plugin import Options


class Wire(Protocol):
    """
    One of the ways of OTLP: the module `_over_grpc` or `_over_http`.
    """

    def span_sender(self, options: Options, /) -> SpanExporter:
        """
        What sends spans.
        """
        ...

    def metric_sender(self, options: Options, /) -> MetricExporter:
        """
        What sends metrics.
        """
        ...


class Traces:
    """
    Sends the spans of this process from when the first tracer is asked for, until it is closed.

    Args:
        options: Where to, and by which name.
        wire: How.
    """

    def __init__(self, options: Options, wire: Wire) -> None:
        self._options, self._wire = options, wire
        self._provider: TracerProvider | None = None

    def provider(self) -> TracerProvider:
        """
        What makes tracers.
        """
        if self._provider is None:
            self._provider = TracerProvider(resource=resource(self._options), shutdown_on_exit=False)
            self._provider.add_span_processor(BatchSpanProcessor(self._wire.span_sender(self._options)))
        return self._provider

    def close(self) -> None:
        """
        Send what is left, and let no tracer be asked for any more. Blocks.
        """
        _tracers.drop(self.provider)
        if self._provider is not None:
            self._provider.shutdown()


def open_traces(options: Options, wire: Wire) -> Traces | None:
    """
    Have spans sent until they are closed; None when the application does so, or the standard variables forbid it.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or os.environ.get("OTEL_TRACES_EXPORTER", "").lower() == "none" or _tracers.application_traces():
        return None
    traces = Traces(options, wire)
    _tracers.adopt(traces.provider)
    return traces


def resource(options: Options) -> Resource:
    """
    What telemetry says about this process: what the standard variables say, and the name in the options.
    """
    return Resource.create({"service.name": options.service_name} if options.service_name else {})
