"""
Metrics: a registry of counters, gauges and histograms, and what exporters are given.
"""

from remora.metrics._cells import BoundCounter, BoundGauge, BoundHistogram
from remora.metrics._instruments import BUCKETS, Counter, Gauge, Histogram
from remora.metrics._records import Distribution, Exemplar, Metric, MetricBatch, MetricKind, Point
from remora.metrics._registry import MetricsRegistry, TraceIds
from remora.metrics._series import OVERFLOW

__all__ = [
    "BUCKETS",
    "OVERFLOW",
    "BoundCounter",
    "BoundGauge",
    "BoundHistogram",
    "Counter",
    "Distribution",
    "Exemplar",
    "Gauge",
    "Histogram",
    "Metric",
    "MetricBatch",
    "MetricKind",
    "MetricsRegistry",
    "Point",
    "TraceIds",
]
