"""
Metrics over OTLP. OpenTelemetry's exporters block while they send, so they do it in a thread.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from opentelemetry.sdk.metrics.export import MetricExportResult

from remora.errors import Unavailable
from remora_otel._apart import apart
from remora_otel._differences import Differences
from remora_otel._records import metrics_data
from remora_otel._traces import open_traces, resource

if TYPE_CHECKING:
    from remora.metrics import MetricBatch, MetricKind
    from remora_otel._traces import Wire
    from remora_otel.plugin import Options

_TEMPORALITY = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE"


class OtelExporter:
    """
    Sends metrics, and for as long as it lives also the spans of this process, to a collector.
    """

    name = "otel"

    def __init__(self, options: Options, wire: Wire) -> None:
        self._sender = wire.metric_sender(options) if options.metrics else None
        self._resource = resource(options)
        self._traces = open_traces(options, wire) if options.traces else None
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
            found = tuple(map(self._differences.of, found))
        data = metrics_data(found, batch.time, self._resource, is_delta=self._differences is not None)
        result = await apart(partial(self._sender.export, data))
        if result is not MetricExportResult.SUCCESS:
            raise Unavailable("the collector did not take the metrics")
        if self._differences is not None:
            for each in batch.metrics:
                self._differences.sent(each, batch.time)

    async def close(self) -> None:
        """
        Send the spans that are left.
        """
        if self._traces is not None:
            await apart(self._traces.close)
        if self._sender is not None:
            await apart(self._sender.shutdown)
