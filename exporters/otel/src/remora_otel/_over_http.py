"""
What sends telemetry by OTLP over HTTP.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

if TYPE_CHECKING:
    from remora_otel.plugin import Options


def span_sender(options: Options) -> OTLPSpanExporter:
    """
    What sends spans.
    """
    endpoint = _endpoint(options, "/v1/traces")
    return OTLPSpanExporter(endpoint, headers=options.plain_headers(), timeout=options.timeout)


def metric_sender(options: Options) -> OTLPMetricExporter:
    """
    What sends metrics.
    """
    endpoint = _endpoint(options, "/v1/metrics")
    return OTLPMetricExporter(endpoint, headers=options.plain_headers(), timeout=options.timeout)


def _endpoint(options: Options, path: str) -> str | None:
    """
    The address for one kind of telemetry; None for what the standard variables say.
    """
    return options.endpoint.rstrip("/") + path if options.endpoint else None
