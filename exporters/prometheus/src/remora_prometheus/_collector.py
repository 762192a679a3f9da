"""
Snapshots of a registry in the words of `prometheus_client`.
"""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.samples import Exemplar as ClientExemplar

from remora.metrics import Distribution, MetricKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from prometheus_client.metrics_core import Metric as Family

    from remora.metrics import Exemplar, Metric, MetricBatch

    Bucket = tuple[str, float] | tuple[str, float, ClientExemplar]


class RemoraCollector(Collector):
    """
    What a Remora registry holds, for a registry of `prometheus_client`::

        from prometheus_client import REGISTRY

        REGISTRY.register(RemoraCollector(manager.metrics.snapshot))

    Args:
        read: Gives a snapshot, from any thread: `MetricsRegistry.snapshot`.
    """

    def __init__(self, read: Callable[[], MetricBatch]) -> None:
        self._read = read

    def collect(self) -> Iterator[Family]:
        """
        All metrics, as they are now.
        """
        return map(_family, self._read().metrics)

    def describe(self) -> list[Family]:
        """
        Nothing: metrics are declared at any time.
        """
        return []


def _family(metric: Metric) -> Family:
    if metric.kind is MetricKind.HISTOGRAM:
        return _histogram(metric)
    kind = CounterMetricFamily if metric.kind is MetricKind.COUNTER else GaugeMetricFamily
    family = kind(metric.name, metric.description, labels=metric.labels)
    for point in metric.points:
        if not isinstance(point.value, Distribution):
            family.add_metric(point.labels, point.value)
    return family


def _histogram(metric: Metric) -> Family:
    family = HistogramMetricFamily(metric.name, metric.description, labels=metric.labels)
    for point in metric.points:
        if isinstance(point.value, Distribution):
            family.add_metric(point.labels, _buckets(point.value), point.value.sum)
    return family


def _buckets(spread: Distribution) -> Sequence[Bucket]:
    """
    Buckets as Prometheus has them: each holds all values below its bound.
    """
    found: list[Bucket] = []
    total = 0
    for bound, count, exemplar in zip((*spread.bounds, inf), spread.counts, spread.exemplars, strict=True):
        total += count
        name = "+Inf" if bound == inf else str(bound)
        found.append((name, total) if exemplar is None else (name, total, _exemplar(exemplar)))
    return found


def _exemplar(exemplar: Exemplar) -> ClientExemplar:
    span = {"span_id": exemplar.span_id} if exemplar.span_id else {}
    return ClientExemplar({"trace_id": exemplar.trace_id, **span}, exemplar.value, exemplar.time)
