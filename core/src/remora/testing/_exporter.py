"""
The contract of exporters.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import anyio
import anyio.lowlevel

from remora.metrics import Distribution, Exemplar, Metric, MetricBatch, MetricKind, MetricsRegistry, Point
from remora.protocols import PullExporter
from remora.testing._claims import claims_of, keeps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.protocols import MetricExporter
    from remora.specs import ExporterSpec
    from remora.testing._claims import Claim

__all__ = ["check_exporter"]

_DAY = 1_800_000_000.0
_AWKWARD = 'a "quoted"\nline, \\ and an umlaut: \u00e4'


async def check_exporter(spec: ExporterSpec[Any], options: object = None) -> list[str]:
    """
    Put an exporter through the contract.

    What the options say must be true: something takes what it pushes, or the port at which it serves is free.

    Args:
        spec: What the exporter's hook returns.
        options: The options to build it with; None for the defaults.

    Returns:
        The claims that were checked, in order.

    Raises:
        ContractViolation: A claim does not hold.
    """
    return await keeps(spec.name, await exporter_claims(spec, options))


async def exporter_claims(spec: ExporterSpec[Any], options: object = None) -> list[Claim]:
    """
    The contract of exporters, for one of them.
    """
    bench = _Bench(spec, options if options is not None else spec.options())
    first = bench.build()
    await first.close()
    checks = [*_CHECKS, *(_PULLED if isinstance(first, PullExporter) else _PUSHED)]
    return claims_of(checks, bench)


@dataclass(frozen=True)
class _Bench:
    spec: ExporterSpec[Any]
    options: Any

    def build(self) -> Any:
        return self.spec.build(self.options)


async def _has_a_name(bench: _Bench) -> None:
    exporter = bench.build()
    await exporter.close()
    assert isinstance(exporter.name, str), "its name is not text"
    assert exporter.name, "its name is empty"


async def _closes_though_it_was_never_used(bench: _Bench) -> None:
    await bench.build().close()


async def _says_of_every_kind_whether_it_supports_it(bench: _Bench) -> None:
    exporter = bench.build()
    answers = {kind: exporter.supports(kind) for kind in MetricKind}
    await exporter.close()
    assert all(type(each) is bool for each in answers.values()), f"expected True or False, got {answers}"
    assert any(answers.values()), "it supports nothing"


async def _takes_every_kind_that_it_supports(bench: _Bench) -> None:
    await _exported(bench, _batch())


async def _takes_a_metric_without_points(bench: _Bench) -> None:
    await _exported(bench, MetricBatch(_DAY, (Metric("empty", MetricKind.GAUGE, "", (), ()),)))


async def _takes_the_same_series_again_and_again(bench: _Bench) -> None:
    await _exported(bench, *(_batch(count) for count in (1, 2, 2)))


async def _takes_label_values_of_all_sorts(bench: _Bench) -> None:
    point = Point((_AWKWARD, ""), 1.0, _DAY)
    await _exported(bench, MetricBatch(_DAY, (Metric("awkward", MetricKind.GAUGE, _AWKWARD, ("a", "b"), (point,)),)))


async def _exports_again_after_an_export_that_was_cancelled(bench: _Bench) -> None:
    exporter: MetricExporter = bench.build()
    try:
        with anyio.CancelScope() as scope:
            scope.cancel()
            await exporter.export(_supported(exporter, _batch()))
        await exporter.export(_supported(exporter, _batch(2)))
    finally:
        await exporter.close()


async def _opens_for_a_registry_with_metrics_of_every_kind(bench: _Bench) -> None:
    registry = MetricsRegistry()
    registry.counter("checked_total", "Checks.", ["kind"]).inc("contract")
    registry.gauge("checked", "Checks under way.").set(1)
    registry.histogram("checked_seconds", "Seconds of checks.").observe(0.2)
    exporter: PullExporter = bench.build()
    async with exporter.serving(registry.snapshot):
        await anyio.lowlevel.checkpoint()
    await exporter.close()


async def _leaves_room_for_the_next_one_when_it_is_closed(bench: _Bench) -> None:
    for _ in range(2):
        exporter: PullExporter = bench.build()
        async with exporter.serving(_batch):
            pass
        await exporter.close()


async def _opens_again_after_its_context_was_left(bench: _Bench) -> None:
    exporter: PullExporter = bench.build()
    for _ in range(2):
        async with exporter.serving(_batch):
            pass
    await exporter.close()


async def _lets_a_cancellation_through_its_context(bench: _Bench) -> None:
    exporter: PullExporter = bench.build()
    with anyio.move_on_after(0.01) as scope:
        async with exporter.serving(_batch):
            await anyio.sleep_forever()
    await exporter.close()
    assert scope.cancelled_caught, "it swallows the cancellation"


async def _exported(bench: _Bench, *batches: MetricBatch) -> None:
    exporter: MetricExporter = bench.build()
    try:
        for batch in batches:
            await exporter.export(_supported(exporter, batch))
    finally:
        await exporter.close()


def _supported(exporter: MetricExporter, batch: MetricBatch) -> MetricBatch:
    return MetricBatch(batch.time, tuple(each for each in batch.metrics if exporter.supports(each.kind)))


def _batch(count: int = 1) -> MetricBatch:
    exemplar = Exemplar(0.2, "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", _DAY)
    spread = Distribution((0.1, 1.0), (count, count, count), 5.0 * count, (None, exemplar, None))
    values: Sequence[tuple[MetricKind, float | Distribution]] = [
        (MetricKind.COUNTER, count),
        (MetricKind.GAUGE, -1.5),
        (MetricKind.HISTOGRAM, spread),
    ]
    return MetricBatch(
        _DAY,
        tuple(
            Metric(f"check_{kind}", kind, f"A {kind}.", ("plugin",), (Point(("p",), value, _DAY - 60),))
            for kind, value in values
        ),
    )


_CHECKS = [_has_a_name, _closes_though_it_was_never_used]
_PUSHED = [
    _says_of_every_kind_whether_it_supports_it,
    _takes_every_kind_that_it_supports,
    _takes_a_metric_without_points,
    _takes_the_same_series_again_and_again,
    _takes_label_values_of_all_sorts,
    _exports_again_after_an_export_that_was_cancelled,
]
_PULLED = [
    _opens_for_a_registry_with_metrics_of_every_kind,
    _leaves_room_for_the_next_one_when_it_is_closed,
    _opens_again_after_its_context_was_left,
    _lets_a_cancellation_through_its_context,
]
