"""
The export loop, in virtual time: intervals, limits, back-off, the last export, and that nobody suffers from another.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest

from remora import (
    ConfigError,
    ExporterSpec,
    ExtensionError,
    Manager,
    MetricsRegistry,
    NotInstalled,
    Unavailable,
    hookimpl,
)
from remora.metrics import MetricBatch, MetricKind
from remora.testing import ContractViolation, RecordingExporter, check_exporter
from tests.core.scripts import stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


async def test_exporter_gets_the_totals_in_the_interval_and_once_more_at_the_end() -> None:
    """
    A registry of its own, without a manager.
    """
    registry, exporter = MetricsRegistry(export_interval=15), RecordingExporter()
    registry.add_exporter(exporter)
    counter = registry.counter("c_total")
    async with registry.exporting():
        counter.inc()
        await anyio.sleep(31)
        seen = [batch.value("c_total") for batch in exporter.batches]
        counter.inc()

    assert [1, 1] == seen
    assert (2, True) == (exporter.value("c_total"), exporter.is_closed)


async def test_exporter_whose_interval_is_more_than_any_float_is_asked_once_more_at_the_end() -> None:
    """
    Like one that is infinite.
    """
    registry, exporter = MetricsRegistry(export_interval=10**400, export_timeout=10**400), RecordingExporter()
    registry.add_exporter(exporter)
    counter = registry.counter("c_total")
    async with registry.exporting():
        registry.retune(export_interval=10**400, batch_size=1, max_series=1, export_timeout=10**400)
        await anyio.sleep(3600)
        counter.inc()

    assert 1 == exporter.value("c_total")


async def test_exporter_gets_only_kinds_that_it_supports_in_batches() -> None:
    """
    Five counters and a gauge in batches of two.
    """
    registry, exporter = MetricsRegistry(batch_size=2), RecordingExporter([MetricKind.COUNTER])
    registry.add_exporter(exporter)
    registry.gauge("g").set(1)
    counter = registry.counter("c_total", labels=["x"])
    for number in range(5):
        counter.inc(number)
    async with registry.exporting():
        pass

    assert [2, 2, 1] == [sum(len(each.points) for each in batch.metrics) for batch in exporter.batches]
    assert {"c_total"} == {each.name for batch in exporter.batches for each in batch.metrics}


async def test_failing_exporter_is_tried_less_and_less_often_and_hurts_no_other() -> None:
    """
    After 1, 2, 4 and 8 intervals; once it is well again it is back in the interval.
    """
    registry, broken, well = MetricsRegistry(export_interval=10), RecordingExporter(), RecordingExporter()
    broken.failure = lambda: OSError("no route to host")
    registry.add_exporter(broken)
    registry.add_exporter(well)
    registry.counter("c_total")
    async with registry.exporting():
        times = []
        start = anyio.current_time()
        for attempt in range(1, 5):
            await broken.wait_for(attempt)
            times.append(anyio.current_time() - start)
        broken.failure = None
        await broken.wait_for(5)
        before = anyio.current_time()
        await broken.wait_for(6)

        assert [10, 30, 70, 150] == pytest.approx(times)
        assert 10 == pytest.approx(anyio.current_time() - before)
        assert 32 == len(well.batches)


async def test_a_failed_exporter_says_in_the_log_when_it_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """
    Both kinds of exporters, with and without a traceback; after the last try of all there is no time to tell.
    """
    pushed, pulled = RecordingExporter(), Fetched(failures=1)
    pushed.failure = iter([OSError("no route"), Unavailable("not now"), OSError("gone")]).__next__
    registry = MetricsRegistry(export_interval=10)
    registry.counter("c_total")
    registry.add_exporter(pushed)
    registry.add_exporter(pulled)
    async with registry.exporting():
        await pushed.wait_for(2)

    assert [
        "the exporter 'fetched' failed (next try in 20.0 s)",
        "the exporter 'recording' failed (next try in 20.0 s)",
        "the exporter 'recording' failed: not now (next try in 40.0 s)",
        "the exporter 'recording' failed",
    ] == caplog.messages


async def test_hanging_exporter_is_cut_off_and_blamed_and_no_call_is_late() -> None:
    """
    The record of the manager names it.
    """
    exporter = RecordingExporter()
    exporter.is_hanging = True
    async with stage(table(), extensions=[exporter], config={"exporters": {"recording": {}}}) as host:
        host.manager.metrics.counter("c_total")
        await exporter.wait_for(1)
        before = host.now
        assert await host.call() == "hello"
        assert host.now == before
        await anyio.sleep(11)

        (culprit,) = host.manager.extension_faults()
        assert "the exporter 'recording'" in culprit
        assert "TimeoutError" in host.manager.extension_faults()[culprit].last


async def _hang(exporter: RecordingExporter) -> None:
    exporter.is_hanging = True


async def _fail(exporter: RecordingExporter) -> None:
    exporter.failure = lambda: OSError("no route to host")


async def _dawdle(exporter: RecordingExporter) -> None:
    await anyio.sleep(8)


@pytest.mark.parametrize("trouble", [_hang, _fail, _dawdle])
async def test_an_exporter_that_hangs_fails_or_is_slow_changes_no_calls_latency(trouble: Any) -> None:
    """
    Every call takes as long as the plugin takes to answer, to the microsecond of virtual time; all the while the
    exporter is given something.
    """

    class Troublesome(RecordingExporter):
        async def export(self, batch: MetricBatch, /) -> None:
            await trouble(self)
            await super().export(batch)

    exporter, took = Troublesome(), []
    config = {"exporters": {"recording": {}}, "metrics": {"export_interval": 1}}
    async with stage(table(), extensions=[exporter], config=config) as host:
        host["a"].latency = 0.25
        for _ in range(200):
            before = host.now
            await host.call()
            took.append(host.now - before)
    assert [0.25] * 200 == pytest.approx(took, abs=1e-6)
    assert exporter.attempts > 1


async def test_hanging_exporter_delays_a_shutdown_only_so_long() -> None:
    """
    It is closed all the same.
    """
    registry, exporter = MetricsRegistry(), RecordingExporter()
    exporter.is_hanging = True
    registry.add_exporter(exporter)
    registry.counter("c_total")
    async with registry.exporting():
        ended = anyio.current_time()

    assert 5 == pytest.approx(anyio.current_time() - ended)
    assert exporter.is_closed


async def test_exporter_that_is_added_while_the_manager_runs_begins_at_once() -> None:
    """
    In code, without a hook.
    """
    exporter = RecordingExporter()
    async with stage(table()) as host:
        counter = host.manager.metrics.counter("mine_total", "The application's own.")
        host.manager.metrics.add_exporter(exporter)
        counter.inc()
        await exporter.wait_for(1)
        await anyio.sleep(1)

        assert 1 == exporter.value("mine_total")


async def test_exporter_that_is_switched_off_gets_nothing() -> None:
    """
    `enabled = false` is the last word.
    """
    exporter = RecordingExporter()
    config = {"exporters": {"recording": {"enabled": False}}}
    async with Manager(config, extensions=[exporter]) as manager:
        manager.metrics.counter("c_total").inc()

    assert (0, False) == (exporter.attempts, exporter.is_closed)


async def test_numbers_of_the_metrics_table_are_those_of_the_registry() -> None:
    """
    The interval and the size of batches; the limit of series.
    """
    exporter = RecordingExporter()
    config = {
        "exporters": {"recording": {}},
        "metrics": {"export_interval": "2s", "batch_size": 1, "max_series": 3, "export_timeout": 1},
    }
    async with Manager(config, extensions=[exporter]) as manager:
        counter = manager.metrics.counter("c_total", labels=["x"])
        for number in range(9):
            counter.inc(number)
        start = anyio.current_time()
        await exporter.wait_for(1)
        assert 2 == pytest.approx(anyio.current_time() - start)
        await anyio.sleep(1)

        assert all(1 == sum(len(each.points) for each in batch.metrics) for batch in exporter.batches)
        assert 6 == exporter.value("c_total", "_overflow")
        exporter.is_hanging = True
        await anyio.sleep(2.5)
        assert manager.extension_faults()


async def test_unknown_exporter_names_the_extra() -> None:
    """
    When the manager is made.
    """
    with pytest.raises(NotInstalled, match=r'exporters\.statsd: exporter "statsd" is provided by no installed'):
        Manager({"exporters": {"statsd": {}}})


@pytest.mark.parametrize(
    ("exporters", "message"),
    [
        ([], "exporters: expected a table"),
        ({"recording": 3}, "exporters.recording: expected a table"),
        ({"recording": {"enabled": "no"}}, "exporters.recording.enabled: "),
        ({"recording": {"colour": "red"}}, "exporters.recording.colour: unknown key"),
    ],
)
async def test_wrong_table_of_an_exporter_is_an_error_with_its_path(exporters: Any, message: str) -> None:
    """
    As for plugins.
    """
    with pytest.raises(ConfigError, match=message):
        Manager({"exporters": exporters}, extensions=[RecordingExporter()])


async def test_wrong_plugins_and_exporters_are_named_together() -> None:
    """
    When the manager is made, and when a reload is only planned.
    """
    wrong = {"plugins": {"a": {"endpoint": "nowhere:1"}}, "exporters": {"recording": {"colour": "red"}}}

    with pytest.raises(ConfigError) as made:
        Manager(wrong, extensions=[RecordingExporter()])
    async with Manager({}, extensions=[RecordingExporter()]) as manager:
        with pytest.raises(ConfigError) as planned:
            manager.plan(wrong)

    for of_plugin, of_exporter in (made.value.problems, planned.value.problems):
        assert of_plugin.startswith("plugins.a.endpoint: ")
        assert of_exporter.startswith("exporters.recording.colour: ")


@dataclass
class Fetched:
    """
    A pull exporter that cannot always start.
    """

    failures: int = 0
    entered: list[float] = field(default_factory=list)
    read: Callable[[], MetricBatch] | None = None
    is_closed: bool = False
    name: str = "fetched"

    @asynccontextmanager
    async def serving(self, read: Callable[[], MetricBatch]) -> AsyncIterator[None]:
        """
        Lend the function.
        """
        self.entered.append(anyio.current_time())
        if len(self.entered) <= self.failures:
            raise OSError("address in use")
        self.read = read
        try:
            yield
        finally:
            self.read = None

    async def close(self) -> None:
        """
        Remember it.
        """
        self.is_closed = True


async def test_pull_exporter_reads_whenever_it_likes_and_is_started_again_when_that_failed() -> None:
    """
    Until the manager ends.
    """
    exporter = Fetched(failures=2)
    async with Manager({}) as manager:
        manager.metrics.add_exporter(exporter)
        manager.metrics.counter("c_total").inc()
        await anyio.sleep(200)

        assert exporter.read is not None
        assert 1 == exporter.read().value("c_total")
        assert 3 == len(exporter.entered)
        assert 2 == manager.extension_faults()["the exporter 'fetched'"].failures
    assert (None, True) == (exporter.read, exporter.is_closed)


async def test_exporter_that_cannot_be_built_stops_the_manager_from_starting() -> None:
    """
    That is a mistake of the extension, and named.
    """
    (spec,) = RecordingExporter().remora_register_metric_exporters()
    hook = _Hook(type(spec)("broken", spec.options, lambda _: 1 / 0))  # type: ignore[arg-type,return-value]
    with pytest.raises(ExtensionError, match="the exporter 'broken' of .* cannot be built: ZeroDivisionError"):
        async with Manager({"exporters": {"broken": {}}}, extensions=[hook]):
            pass


class _Hook:
    def __init__(self, spec: Any) -> None:
        self.remora_register_metric_exporters = hookimpl(lambda: [spec])


async def test_shipped_exporters_keep_the_contract() -> None:
    """
    Both kinds are checked.
    """
    (spec,) = RecordingExporter().remora_register_metric_exporters()
    pushed = await check_exporter(spec)
    pulled = await check_exporter(type(spec)("fetched", spec.options, lambda _: Fetched()))

    assert "takes every kind that it supports" in pushed
    assert "leaves room for the next one when it is closed" in pulled


async def test_contract_finds_an_exporter_that_breaks_it() -> None:
    """
    The message names the claim.
    """

    class Picky(RecordingExporter):
        async def export(self, batch: MetricBatch, /) -> None:
            """
            Choke on a histogram.
            """
            for metric in batch.metrics:
                for point in metric.points:
                    assert isinstance(point.value, int | float)

    (spec,) = RecordingExporter().remora_register_metric_exporters()
    with pytest.raises(ContractViolation, match="picky: takes every kind that it supports"):
        await check_exporter(type(spec)("picky", spec.options, lambda _: Picky()))


async def test_a_reload_exchanges_the_exporters_whose_tables_have_changed() -> None:
    """
    What is gone gets a last batch and is closed, what is new is told all, and what is the same goes on.
    """
    made: list[RecordingExporter] = []
    closed: list[str] = []

    @dataclass(frozen=True)
    class Options:
        size: int = 1

    class Kept(RecordingExporter):
        async def close(self) -> None:
            closed.append(self.name)
            await super().close()

    def build(options: Options) -> RecordingExporter:
        made.append(Kept())
        return made[-1]

    class Extension:
        @hookimpl
        def remora_register_metric_exporters(self) -> list[ExporterSpec[Any]]:
            return [ExporterSpec("one", Options, build), ExporterSpec("two", Options, build)]

    def config(**exporters: object) -> dict[str, object]:
        return {"exporters": exporters}

    with anyio.fail_after(60):
        async with Manager(config(one={}, two={"size": 1}), extensions=[Extension()]) as manager:
            manager.metrics.counter("c_total").inc()
            report = await manager.reload(config(two={"size": 2}))
            after_change = len(made), len(closed), [bool(each.batches) for each in made]
            await manager.reload(config(two={"size": 2}))
            unchanged = len(made)
            with pytest.raises(ConfigError, match=r"exporters\.two"):
                await manager.reload(config(two={"sise": 2}))

    assert report.applied
    assert (3, 2, [True, True, False]) == after_change
    assert 3 == unchanged == len(closed)
    assert made[2].batches[-1].value("c_total") == 1
