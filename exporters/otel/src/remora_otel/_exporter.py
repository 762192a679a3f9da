"""
Metrics over OTLP. OpenTelemetry's exporters block while they send, so they do it in a thread.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from anyio import to_thread
from opentelemetry.sdk.metrics.export import MetricExportResult

from remora.errors import ConfigError, Unavailable
from remora_otel._differences import Differences
from remora_otel._providers import close_traces, open_traces, resource
from remora_otel._records import metrics_data

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter as SdkExporter

    from remora.metrics import MetricBatch, MetricKind
    from remora_otel.plugin import Options

_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


class OtelExporter:
    """
    Sends metrics, and for as long as it lives also the spans of this process, to a collector.
    """

    name = "otel"

    def __init__(self, options: Options) -> None:
        self._timeout = options.timeout
        self._sender = _sender(options) if options.metrics else None
        self._resource = resource(options)
        self._traces = open_traces(options) if options.traces else None
        wants_deltas = os.environ.get(_TEMPORALITY, "").lower() in {"delta", "lowmemory"}
        self._differences = Differences() if wants_deltas else None

    def supports(self, kind: MetricKind, /) -> bool:
        """
        All kinds, unless only traces are wanted.
        """
        return self._sender is not None

    async def export(self, batch: MetricBatch, /) -> None:
        """
        Send a batch.

        Raises:
            Unavailable: The collector did not take it.
        """
        if self._sender is None:
            return
        found = batch.metrics
        if self._differences is not None:
            found = tuple(self._differences.of(each, batch.time) for each in found)
        data = metrics_data(found, batch.time, self._resource, is_delta=self._differences is not None)
        send = partial(self._sender.export, data, timeout_millis=self._timeout * 1000)
        result = await to_thread.run_sync(send, abandon_on_cancel=True)
        if result is not MetricExportResult.SUCCESS:
            raise Unavailable("the collector did not take the metrics")

    async def close(self) -> None:
        """
        Send the spans that are left.
        """
        if self._traces is not None:
            await to_thread.run_sync(close_traces, self._traces, abandon_on_cancel=True)
        if self._sender is not None:
            await to_thread.run_sync(self._sender.shutdown, abandon_on_cancel=True)


def _sender(options: Options) -> SdkExporter:
    if options.wire == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as OverGrpc

        return OverGrpc(endpoint=options.endpoint or None, headers=options.plain_headers(), timeout=options.timeout)
    if options.wire == "http/protobuf":
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as OverHttp

        return OverHttp(endpoint=options.path("/v1/metrics"), headers=options.plain_headers(), timeout=options.timeout)
    raise ConfigError(f'protocol: OTLP is "grpc" or "http/protobuf", not {options.protocol!r}')
