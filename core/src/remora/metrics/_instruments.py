"""
Counters, gauges and histograms: what an application records with.

What lives here: the instruments. What must not: where their numbers are kept (see `_cells`).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Generic, TypeVar, final

from remora.metrics._cells import BoundCounter, BoundGauge, BoundHistogram
from remora.metrics._records import MetricKind
from remora.metrics._series import Series

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock

BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds for durations in seconds, from a local call to a request's default timeout."""


Cell = TypeVar("Cell")


class Labelled(Generic[Cell]):
    """
    What all instruments have: a name, a description, labels, and a cell for each combination of their values.
    """

    def __init__(
        self, name: str, description: str, labels: tuple[str, ...], make: Callable[[Lock], Cell], *, limit: int
    ) -> None:
        self.name = name
        self.description = description
        self.labels = labels
        self.series: Series[Cell] = Series(name, labels, make, limit=limit)

    def bind(self, *labels: object, **named: object) -> Cell:
        """
        A handle for these label values, for hot paths; that of a histogram takes exemplars too.

        Args:
            *labels: The values, in the order of the labels.
            **named: Those that are given by name instead.

        Raises:
            ValueError: They are not those of its labels.
        """
        return self.series.cell(labels, named)

    def remove(self, *labels: object, **named: object) -> None:
        """
        Forget the series of these label values; their handles record for nobody from now on.
        """
        self.series.remove(labels, named)


@final
class Counter(Labelled[BoundCounter]):
    """
    A number that only grows. Made by `MetricsRegistry.counter`.

    Attributes:
        kind: `MetricKind.COUNTER`.
        name: Its name.
        description: What it counts, in a sentence.
        labels: The names of its labels.
    """

    kind = MetricKind.COUNTER

    def __init__(self, name: str, description: str, labels: tuple[str, ...], *, limit: int) -> None:
        super().__init__(name, description, labels, BoundCounter, limit=limit)

    def inc(self, *labels: object, **named: object) -> None:
        """
        Count one more, for label values in order or by name.

        Raises:
            ValueError: They are not those of its labels.
        """
        self.series.cell(labels, named).inc()

    def add(self, amount: float, /, *labels: object, **named: object) -> None:
        """
        Raise the count by an amount, for label values in order or by name.

        Raises:
            ValueError: The amount is negative, or the label values are not those of its labels.
        """
        self.series.cell(labels, named).add(amount)


@final
class Gauge(Labelled[BoundGauge]):
    """
    A number that goes up and down. Made by `MetricsRegistry.gauge`.

    Attributes:
        kind: `MetricKind.GAUGE`.
        name: Its name.
        description: What it measures, in a sentence.
        labels: The names of its labels.
    """

    kind = MetricKind.GAUGE

    def __init__(self, name: str, description: str, labels: tuple[str, ...], *, limit: int) -> None:
        super().__init__(name, description, labels, BoundGauge, limit=limit)

    def set(self, value: float, /, *labels: object, **named: object) -> None:
        """
        Replace the value, for label values in order or by name.

        Raises:
            ValueError: They are not those of its labels.
        """
        self.series.cell(labels, named).set(value)

    def add(self, amount: float, /, *labels: object, **named: object) -> None:
        """
        Raise the value; a negative amount lowers it.
        """
        self.series.cell(labels, named).add(amount)

    def inc(self, *labels: object, **named: object) -> None:
        """
        Raise the value by one.
        """
        self.series.cell(labels, named).add(1)

    def dec(self, *labels: object, **named: object) -> None:
        """
        Lower the value by one.
        """
        self.series.cell(labels, named).add(-1)

    def watch(self, read: Callable[[], float], /, *labels: object, **named: object) -> None:
        """
        Take the value for these label values from a function, from now on, each time that it is read.

        The function may be called from any thread. When `max_series` leaves no room for a series of its own, it adds to
        the series that all such functions share.

        Raises:
            ValueError: The label values are not those of its labels.
        """
        if (cell := self.series.cell(labels, named)) is self.series.overflow:
            cell.watch(read, part=self.series.texts(labels, named))
        else:
            cell.watch(read)

    def remove(self, *labels: object, **named: object) -> None:
        """
        Forget the series of these label values; their handles record for nobody from now on.
        """
        super().remove(*labels, **named)
        if (shared := self.series.overflow) is not None:
            shared.forget(self.series.texts(labels, named))


@final
class Histogram(Labelled[BoundHistogram]):
    """
    A distribution of values. Made by `MetricsRegistry.histogram`.

    Attributes:
        kind: `MetricKind.HISTOGRAM`.
        name: Its name.
        description: What it measures, in a sentence, with the unit.
        labels: The names of its labels.
        buckets: The upper bounds of its buckets, each inclusive, without infinity.
    """

    kind = MetricKind.HISTOGRAM

    def __init__(
        self, name: str, description: str, labels: tuple[str, ...], *, buckets: tuple[float, ...], limit: int
    ) -> None:
        super().__init__(name, description, labels, partial(BoundHistogram, buckets), limit=limit)
        self.buckets = buckets

    def observe(self, value: float, /, *labels: object, **named: object) -> None:
        """
        Record a value, for label values in order or by name.

        Raises:
            ValueError: They are not those of its labels.
        """
        self.series.cell(labels, named).observe(value)


Instrument = Counter | Gauge | Histogram
