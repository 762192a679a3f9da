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


def open_traces(options: Options, wire: Wire) -> TracerProvider | None:
    """
    Have spans sent until `close_traces`; None when the application does so, or the standard variables forbid it.
    """
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    if disabled or os.environ.get("OTEL_TRACES_EXPORTER", "").lower() == "none" or _tracers.application_traces():
        return None
    provider = TracerProvider(resource=resource(options))
    provider.add_span_processor(BatchSpanProcessor(wire.span_sender(options)))
    _tracers.adopt(provider)
    return provider


def close_traces(provider: TracerProvider) -> None:
    """
    Send what is left. Blocks.
    """
    _tracers.drop(provider)
    provider.shutdown()


def resource(options: Options) -> Resource:
    """
    What telemetry says about this process: what the standard variables say, and the name in the options.
    """
    return Resource.create({"service.name": options.service_name} if options.service_name else {})
