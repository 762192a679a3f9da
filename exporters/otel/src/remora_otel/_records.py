"""
From Remora's records of metrics to those of OpenTelemetry's SDK, which its OTLP exporters take.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from remora.metrics import Distribution, MetricKind

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opentelemetry.sdk.resources import Resource

    from remora import metrics

_SCOPE = InstrumentationScope("remora")
_NANO = 1_000_000_000
_UNITS = {"seconds": "s", "bytes": "By", "ratio": "1"}
_TRACE = re.compile(r"[0-9a-fA-F]{1,32}")
_SPAN = re.compile(r"[0-9a-fA-F]{0,16}")
_UNKNOWN: Any = None  # the smallest and the largest value are optional on the wire, and nobody has kept them


def metrics_data(
    found: Iterable[metrics.Metric], now: float, resource: Resource, *, is_delta: bool = False
) -> MetricsData:
    """
    Metrics as the SDK would have collected them.

    Args:
        found: The metrics.
        now: When they were read, in seconds since the epoch.
        resource: What is said about this process.
        is_delta: The numbers are what came on top, not totals.
    """
    temporality = AggregationTemporality.DELTA if is_delta else AggregationTemporality.CUMULATIVE
    scope = ScopeMetrics(_SCOPE, [_metric(each, now, temporality) for each in found], "")
    return MetricsData([ResourceMetrics(resource, [scope], "")])


def _metric(metric: metrics.Metric, now: float, temporality: AggregationTemporality) -> Metric:
    words = metric.name.removesuffix("_total").split("_")
    unit = next((_UNITS[word] for word in words if word in _UNITS), "")
    return Metric(metric.name, metric.description, unit, _data(metric, now, temporality))


def _data(metric: metrics.Metric, now: float, temporality: AggregationTemporality) -> Sum | Gauge | Histogram:
    if metric.kind is MetricKind.HISTOGRAM:
        return Histogram([_distribution(metric, point, now) for point in metric.points], temporality)
    numbers = [_number(metric, point, now) for point in metric.points]
    return Gauge(numbers) if metric.kind is MetricKind.GAUGE else Sum(numbers, temporality, is_monotonic=True)


def _number(metric: metrics.Metric, point: metrics.Point, now: float) -> NumberDataPoint:
    assert not isinstance(point.value, Distribution)
    attributes = dict(zip(metric.labels, point.labels, strict=True))
    return NumberDataPoint(attributes, _nanoseconds(point.started), _nanoseconds(now), point.value)


def _distribution(metric: metrics.Metric, point: metrics.Point, now: float) -> HistogramDataPoint:
    assert isinstance(point.value, Distribution)
    return HistogramDataPoint(
        attributes=dict(zip(metric.labels, point.labels, strict=True)),
        start_time_unix_nano=_nanoseconds(point.started),
        time_unix_nano=_nanoseconds(now),
        count=point.value.count,
        sum=point.value.sum,
        bucket_counts=point.value.counts,
        explicit_bounds=point.value.bounds,
        min=_UNKNOWN,
        max=_UNKNOWN,
        exemplars=[_exemplar(each) for each in point.value.exemplars if each is not None and _is_sound(each)],
    )


def _is_sound(exemplar: metrics.Exemplar) -> bool:
    """
    Whether its identifiers are such as OpenTelemetry has; a program may have given any text.
    """
    return bool(_TRACE.fullmatch(exemplar.trace_id) and _SPAN.fullmatch(exemplar.span_id))


def _exemplar(exemplar: metrics.Exemplar) -> Exemplar:
    span_id = int(exemplar.span_id, 16) if exemplar.span_id else None
    return Exemplar({}, exemplar.value, _nanoseconds(exemplar.time), span_id, int(exemplar.trace_id, 16))


def _nanoseconds(seconds: float) -> int:
    return int(seconds * _NANO)
