"""
What exporters are given: immutable records of what the instruments of a registry hold at one moment.

What lives here: records. What must not: anything that counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MetricKind(StrEnum):
    """
    What a metric is: a counter only grows, a gauge goes up and down, a histogram is a distribution.
    """

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Exemplar:
    """
    One value out of many, with the trace that it was measured in.

    Attributes:
        value: The value.
        trace_id: The trace, in hexadecimal digits.
        span_id: The span of that trace, in hexadecimal digits; empty when none was given.
        time: When it was recorded, in seconds since the epoch.
    """

    value: float
    trace_id: str
    span_id: str
    time: float


@dataclass(frozen=True, slots=True)
class Distribution:
    """
    How many values fell into each bucket.

    Attributes:
        bounds: The upper bounds of the buckets, each inclusive, in rising order; the last bucket has none.
        counts: How many values fell into each bucket, not cumulative; one entry more than there are bounds.
        sum: All values added up.
        exemplars: The latest exemplar of each bucket; None where there is none.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float
    exemplars: tuple[Exemplar | None, ...]

    @property
    def count(self) -> int:
        """
        How many values there were.
        """
        return sum(self.counts)

    def quantile(self, share: float) -> float:
        """
        The value below which a share of all values lies, interpolated within its bucket; 0 when there are no values.

        When it lies in the last bucket, which has no upper bound, the highest bound is returned.

        Args:
            share: Between 0 and 1: 0.95 for what 95 of 100 values stay below.
        """
        rank, seen = share * self.count, 0
        for index, count in enumerate(self.counts):
            if count and seen + count >= rank:
                return self._within(index, (rank - seen) / count)
            seen += count
        return 0.0

    def _within(self, bucket: int, share: float) -> float:
        if bucket == len(self.bounds):
            return self.bounds[-1]
        lower = self.bounds[bucket - 1] if bucket else min(0.0, self.bounds[0])
        return lower + (self.bounds[bucket] - lower) * share


@dataclass(frozen=True, slots=True)
class Point:
    """
    What one series of a metric holds.

    Attributes:
        labels: The values of the metric's labels, in their order.
        value: A number, or the `Distribution` of a histogram.
        started: When counting began, in seconds since the epoch.
    """

    labels: tuple[str, ...]
    value: float | Distribution
    started: float


@dataclass(frozen=True, slots=True)
class Metric:
    """
    One metric with its series.

    Attributes:
        name: Its name, unique in a registry.
        kind: Whether it is a counter, a gauge or a histogram.
        description: What it measures, in a sentence.
        labels: The names of its labels.
        points: One for each series, that is, for each combination of label values that has been used.
    """

    name: str
    kind: MetricKind
    description: str
    labels: tuple[str, ...]
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class MetricBatch:
    """
    What is exported at once. A metric with more points than fit into a batch continues in the next one.

    Attributes:
        time: When the numbers were read, in seconds since the epoch.
        metrics: The metrics.
    """

    time: float
    metrics: tuple[Metric, ...]

    def metric(self, name: str) -> Metric | None:
        """
        The metric of that name; None when there is none.
        """
        return next((each for each in self.metrics if each.name == name), None)

    def value(self, name: str, *labels: str) -> float | Distribution | None:
        """
        What the series of a metric with these label values holds; None when there is none.
        """
        metric = self.metric(name)
        points = () if metric is None else metric.points
        return next((each.value for each in points if each.labels == labels), None)
