"""
What sends telemetry by OTLP over gRPC.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter

if TYPE_CHECKING:
    from remora_otel.plugin import Options


def span_sender(options: Options) -> OTLPSpanExporter:
    """
    What sends spans.
    """
    return OTLPSpanExporter(options.endpoint or None, headers=options.plain_headers(), timeout=options.timeout)


def metric_sender(options: Options) -> OTLPMetricExporter:
    """
    What sends metrics.
    """
    return OTLPMetricExporter(options.endpoint or None, headers=options.plain_headers(), timeout=options.timeout)
