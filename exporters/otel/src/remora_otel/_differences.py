"""
From totals to what came on top since the last time, for receivers that add up by themselves.

What lives here: arithmetic. What must not: OpenTelemetry.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from remora.metrics import Distribution, MetricKind

if TYPE_CHECKING:
    from remora.metrics import Metric, Point

    Key = tuple[tuple[str, ...], float]


class Differences:
    """
    Remembers the totals that a receiver has got of each series that there is.
    """

    def __init__(self) -> None:
        self._last: dict[str, dict[Key, tuple[float | Distribution, float]]] = {}

    def of(self, metric: Metric) -> Metric:
        """
        The metric with what each series has gained since it was last sent, and since when. A gauge stays what it is.
        """
        if metric.kind is MetricKind.GAUGE:
            return metric
        return replace(metric, points=tuple(self._gained(metric.name, point) for point in metric.points))

    def sent(self, metric: Metric, now: float) -> None:
        """
        The receiver has got these totals; until then, what it has not got is part of what it gets next. Series that are
        no longer there are forgotten.

        Args:
            metric: The metric, with totals.
            now: When these were read.
        """
        if metric.kind is not MetricKind.GAUGE:
            self._last[metric.name] = {_key(point): (point.value, now) for point in metric.points}

    def _gained(self, name: str, point: Point) -> Point:
        last = self._last.get(name, {}).get(_key(point))
        if last is None:
            return point
        before, since = last
        return replace(point, value=_minus(point.value, before), started=since)


def _key(point: Point) -> Key:
    return point.labels, point.started


def _minus(value: float | Distribution, before: float | Distribution) -> float | Distribution:
    if isinstance(value, Distribution) and isinstance(before, Distribution):
        counts = tuple(more - less for more, less in zip(value.counts, before.counts, strict=True))
        return replace(value, counts=counts, sum=value.sum - before.sum)
    assert not isinstance(value, Distribution)
    assert not isinstance(before, Distribution)
    return value - before
