"""
The registry of metrics: declarations, recording, limits, snapshots.
"""

from __future__ import annotations

import logging
import math
from threading import Thread

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remora import ConfigError, MetricsRegistry
from remora.metrics import OVERFLOW, Distribution, Metric, MetricBatch, MetricKind, Point
from remora.metrics._batches import batches


@pytest.fixture
def registry() -> MetricsRegistry:
    """
    An empty registry.
    """
    return MetricsRegistry()


def test_counter_counts_each_combination_of_label_values(registry: MetricsRegistry) -> None:
    """
    In order, by name, mixed, and through a handle: it is all the same series.
    """
    counter = registry.counter("http_requests_total", "Requests.", ["method", "status"])
    counter.inc("GET", "200")
    counter.inc(status=200, method="GET")
    counter.inc("GET", status="200")
    counter.add(2.5, "GET", "200")
    counter.bind("GET", "200").inc()
    counter.inc("GET", "404")

    assert 6.5 == registry.snapshot().value("http_requests_total", "GET", "200")
    assert 1 == registry.snapshot().value("http_requests_total", "GET", "404")


def test_gauge_holds_what_was_set_last_and_can_be_watched(registry: MetricsRegistry) -> None:
    """
    A watched gauge is asked when somebody reads it.
    """
    gauge = registry.gauge("connections", "Connections.", ["service"])
    gauge.set(42, "auth-service")
    gauge.inc("auth-service")
    gauge.add(-3, "auth-service")
    gauge.dec("auth-service")
    queue = [1, 2, 3]
    gauge.watch(lambda: len(queue), "queue")
    gauge.watch(lambda: bool(queue), "busy")
    queue.pop()

    assert int is type(registry.snapshot().value("connections", "busy"))
    assert 39 == registry.snapshot().value("connections", "auth-service")
    assert 2 == registry.snapshot().value("connections", "queue")


def test_histogram_sorts_values_into_buckets_with_inclusive_bounds(registry: MetricsRegistry) -> None:
    """
    What is no number is left out.
    """
    histogram = registry.histogram("seconds", "Seconds.", [0.1, 0.5, 1], ["path"])
    for value in (0.05, 0.1, 0.25, 2, float("nan")):
        histogram.observe(value, "/api/users")
    found = registry.snapshot().value("seconds", "/api/users")

    assert isinstance(found, Distribution)
    assert (2, 1, 0, 1) == found.counts
    assert (4, 2.4) == (found.count, pytest.approx(found.sum))


def test_histogram_keeps_the_latest_exemplar_of_each_bucket(registry: MetricsRegistry) -> None:
    """
    Where whoever records knows the trace.
    """
    histogram = registry.histogram("seconds", buckets=[1, 2]).bind()
    histogram.observe(0.5, trace_id="aa", span_id="01")
    histogram.observe(0.7, trace_id="bb", span_id="02")
    histogram.observe(0.9)
    found = registry.snapshot().value("seconds")

    assert isinstance(found, Distribution)
    assert found.exemplars[0] is not None
    assert (0.7, "bb", "02") == (found.exemplars[0].value, found.exemplars[0].trace_id, found.exemplars[0].span_id)
    assert (None, None) == found.exemplars[1:]


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((0, 0, 0), 0.5, 0.0),
        ((10, 0, 0), 0.5, 0.5),
        ((0, 10, 0), 0.5, 1.5),
        ((5, 5, 0), 0.95, 1.9),
        ((0, 0, 4), 0.5, 2.0),
        ((1, 0, 0), 1.0, 1.0),
        ((0, 3, 1), 0.0, 1.0),
    ],
)
def test_quantile_lies_where_the_buckets_say(counts: tuple[int, ...], share: float, expected: float) -> None:
    """
    As even as the buckets allow; never above the highest bound.
    """
    assert pytest.approx(expected) == Distribution((1.0, 2.0), counts, 0.0, (None,) * 3).quantile(share)


def test_declaring_the_same_metric_again_returns_it(registry: MetricsRegistry) -> None:
    """
    Two parts of a program may share a metric.
    """
    first = registry.counter("jobs_total", "Jobs.", ["queue"])

    assert registry.counter("jobs_total", "Jobs.", ["queue"]) is first


@pytest.mark.parametrize("labels", [["queue", "host"], [], ["host"]])
def test_declaring_a_metric_with_other_labels_is_an_error(registry: MetricsRegistry, labels: list[str]) -> None:
    """
    The message says what there is and what was asked for.
    """
    registry.counter("jobs_total", "Jobs.", ["queue"])
    with pytest.raises(ConfigError, match=r"as a counter 'Jobs\.' of \(queue\), not a counter"):
        registry.counter("jobs_total", "Jobs.", labels)


def test_declaring_another_kind_of_the_same_name_is_an_error(registry: MetricsRegistry) -> None:
    """
    So are other buckets.
    """
    registry.histogram("size", buckets=[1, 2])
    with pytest.raises(ConfigError, match="is declared already"):
        registry.gauge("size")
    with pytest.raises(ConfigError, match=r"bounds \(1\.0, 2\.0\), not"):
        registry.histogram("size", buckets=[1, 3])


@pytest.mark.parametrize(
    ("name", "labels"),
    [("1st", []), ("a-b", []), ("", []), ("ok", ["a-b"]), ("ok", ["__x"]), ("ok", ["le"]), ("ok", ["a", "a"])],
)
def test_names_that_no_exporter_could_write_are_refused(
    registry: MetricsRegistry, name: str, labels: list[str]
) -> None:
    """
    When they are declared, not when they are exported.
    """
    with pytest.raises(ConfigError):
        registry.gauge(name, labels=labels)


@pytest.mark.parametrize("buckets", [[], [2, 1], [1, 1], [float("nan")], [float("inf")]])
def test_buckets_must_rise(registry: MetricsRegistry, buckets: list[float]) -> None:
    """
    The last bucket has no bound in any case.
    """
    with pytest.raises(ConfigError, match="rising order"):
        registry.histogram("h", buckets=buckets)


def test_labels_in_the_place_of_buckets_are_told(registry: MetricsRegistry) -> None:
    """
    The third argument of a counter and of a gauge is their labels.
    """
    with pytest.raises(ConfigError, match=r"buckets are numbers, got \['queue'\]; labels are given by name"):
        registry.histogram("h", "Seconds.", ["queue"])  # type: ignore[list-item]


@pytest.mark.parametrize("arguments", [(0, 1), (15, 0), (-1, 1)])
def test_numbers_of_a_registry_must_make_sense(arguments: tuple[float, int]) -> None:
    """
    An interval of nothing would export for ever.
    """
    with pytest.raises(ConfigError):
        MetricsRegistry(*arguments)


@pytest.mark.parametrize(
    ("values", "named"), [((), {}), (("a",), {}), (("a", "b", "c"), {}), (("a", "b"), {"y": 1}), (("a",), {"z": 1})]
)
def test_label_values_must_fit_the_labels(
    registry: MetricsRegistry, values: tuple[str, ...], named: dict[str, object]
) -> None:
    """
    Too few, too many, twice, unknown.
    """
    with pytest.raises(ValueError, match="metric m_total has the labels x, y"):
        registry.counter("m_total", labels=["x", "y"]).inc(*values, **named)


def test_counter_never_falls(registry: MetricsRegistry) -> None:
    """
    Neither by a negative amount nor by none at all.
    """
    counter = registry.counter("c_total")
    for amount in (-1, float("nan")):
        with pytest.raises(ValueError, match="only grows"):
            counter.add(amount)

    assert 0 == registry.snapshot().value("c_total")


def test_series_above_the_limit_are_counted_together_with_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    """
    Nothing is lost, and memory is bounded.
    """
    registry = MetricsRegistry(max_series=2)
    counter = registry.counter("visits_total", labels=["user", "page"])
    with caplog.at_level(logging.WARNING, "remora"):
        for user in range(10):
            counter.inc(user, "/")
    found = registry.snapshot()

    assert (1, 1, 8) == (found.value("visits_total", "0", "/"), found.value("visits_total", "1", "/"), _rest(found))
    assert 1 == len(caplog.records)


def _rest(batch: MetricBatch) -> object:
    return batch.value("visits_total", OVERFLOW, OVERFLOW)


def test_removed_series_is_gone_and_frees_its_place() -> None:
    """
    What is gone for good makes room.
    """
    registry = MetricsRegistry(max_series=1)
    gauge = registry.gauge("g", labels=["instance"])
    gauge.set(1, "a")
    gauge.remove("a")
    gauge.set(2, "b")

    assert (None, 2) == (registry.snapshot().value("g", "a"), registry.snapshot().value("g", "b"))


def test_label_values_are_always_text_that_can_be_written(registry: MetricsRegistry) -> None:
    """
    Half of a surrogate pair would break every exporter.
    """
    registry.counter("c_total", labels=["x"]).inc("\ud800")
    metric = registry.snapshot().metric("c_total")

    assert metric is not None
    assert [b"\\ud800"] == [point.labels[0].encode() for point in metric.points]


def test_nothing_is_lost_when_many_threads_record(registry: MetricsRegistry) -> None:
    """
    Each kind of instrument, in series that are new to all of them, while somebody reads.
    """
    counter = registry.counter("c_total", labels=["x"])
    gauge = registry.gauge("g", labels=["x"])
    histogram = registry.histogram("h", buckets=[1], labels=["x"])

    def work() -> None:
        for number in range(2000):
            label = number % 3
            counter.inc(label)
            gauge.inc(label)
            histogram.observe(number % 2 * 2, label)

    threads = [Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        registry.snapshot()
    metrics = {each.name: each.points for each in registry.snapshot().metrics}

    assert 8000 == sum(point.value for point in metrics["c_total"] if not isinstance(point.value, Distribution))
    assert 8000 == sum(point.value for point in metrics["g"] if not isinstance(point.value, Distribution))
    spread = [point.value for point in metrics["h"] if isinstance(point.value, Distribution)]
    assert (4000, 4000) == tuple(map(sum, zip(*(each.counts for each in spread), strict=True)))
    assert 8000 == sum(each.sum for each in spread)


def test_part_of_one_thread_counts_in_the_sum_and_stays_in_it(registry: MetricsRegistry) -> None:
    """
    Beside what everybody records; also after it was absorbed, which is done once.
    """
    counter, histogram = registry.counter("c_total").bind(), registry.histogram("h", buckets=[1, 2]).bind()
    tally = histogram.tally()
    counter.include(tally)
    for seconds in (0.5, 1.5, 5):
        tally.add(seconds)
    counter.inc()
    histogram.observe(1.5)
    before = counter.read(), histogram.read()
    for _ in range(2):
        counter.absorb(tally)
        histogram.absorb(tally)
    tally.add(1)

    assert before == (counter.read(), histogram.read())
    assert (4, (1, 2, 1), 8.5) == (before[0], before[1].counts, before[1].sum)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.5, 2.0, 3.0, math.inf]) | st.floats(0), max_size=30))
def test_part_sorts_values_as_the_histogram_does(values: list[float]) -> None:
    """
    Whatever came before, also for values on a bound.
    """
    registry = MetricsRegistry()
    whole = registry.histogram("whole_seconds", buckets=[1.0, 2.0]).bind()
    tally = registry.histogram("part_seconds", buckets=[1.0, 2.0]).bind().tally()
    for value in values:
        whole.observe(value)
        tally.add(value)

    assert whole.read().counts == tuple(tally.counts)


def test_snapshot_does_not_change_any_more(registry: MetricsRegistry) -> None:
    """
    An exporter may keep it as long as it likes.
    """
    counter = registry.counter("c_total")
    before = registry.snapshot()
    counter.inc()

    assert (0, 1) == (before.value("c_total"), registry.snapshot().value("c_total"))


def test_gauge_whose_function_fails_is_left_out(registry: MetricsRegistry, caplog: pytest.LogCaptureFixture) -> None:
    """
    The others are read all the same.
    """
    gauge = registry.gauge("g", labels=["x"])
    gauge.watch(lambda: 1 / 0, "broken")
    gauge.set(1, "well")

    assert (None, 1) == (registry.snapshot().value("g", "broken"), registry.snapshot().value("g", "well"))
    assert "the value of metric g cannot be read" in caplog.text


@given(
    sizes=st.lists(st.tuples(st.sampled_from(list(MetricKind)), st.integers(0, 7)), max_size=6), limit=st.integers(1, 9)
)
def test_batches_hold_every_supported_point_once_and_no_more_than_they_may(
    sizes: list[tuple[MetricKind, int]], limit: int
) -> None:
    """
    In the order of the snapshot, and no batch but the last has room left.
    """
    metrics = tuple(
        Metric(f"m{index}", kind, "", ("x",), tuple(Point((str(each),), each, 0.0) for each in range(size)))
        for index, (kind, size) in enumerate(sizes)
    )
    found = list(batches(MetricBatch(1.0, metrics), limit, lambda kind: kind is not MetricKind.GAUGE))
    points = [[(metric.name, point) for metric in batch.metrics for point in metric.points] for batch in found]
    expected = [(each.name, point) for each in metrics if each.kind is not MetricKind.GAUGE for point in each.points]

    assert expected == [each for batch in points for each in batch]
    assert all(len(batch) == limit for batch in points[:-1])
    assert all(0 < len(batch) <= limit for batch in points)
