"""
What a manager counts by itself, in virtual time: everything once, in the registry, in `observability()` and for the
application alike.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

import anyio
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families as parse

from remora import (
    Code,
    InterceptorSpec,
    Manager,
    ObservabilityMetrics,
    PluginError,
    RemoraError,
    Unavailable,
    hookimpl,
)
from remora.metrics import Distribution, MetricBatch, TraceIds
from remora.metrics._series import Series
from remora.testing import RecordingExporter
from remora_prometheus import RemoraCollector
from tests.core.hosts import Text
from tests.core.scripts import Stage, endpoint, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio


def _requests(batch: MetricBatch, plugin: str = "p") -> dict[str, float]:
    """
    How the calls of a plugin have ended, as the registry says.
    """
    return _by_last_label(batch, "remora_requests_total", plugin)


def _by_last_label(batch: MetricBatch, name: str, *labels: str) -> dict[str, float]:
    metric = batch.metric(name)
    found: Counter[str] = Counter()
    for point in () if metric is None else metric.points:
        if point.labels[: len(labels)] == labels and not isinstance(point.value, Distribution):
            found[point.labels[-1]] += point.value  # type: ignore[assignment]  # counters of calls are whole
    return dict(found)


def _scraped(manager: Manager) -> dict[str, float]:
    """
    The same, as the page for Prometheus says.
    """
    registry = CollectorRegistry()
    registry.register(RemoraCollector(manager.metrics.snapshot))
    samples = [sample for family in parse(generate_latest(registry).decode()) for sample in family.samples]
    return {each.labels["code"]: each.value for each in samples if each.name == "remora_requests_total"}


async def _ten_thousand_calls(host: Stage) -> Counter[str]:
    """
    Calls that end in all ways, the last hundred of them cancelled; how often which code came of them.
    """
    seen: Counter[str] = Counter()
    chance = random.Random(3)

    def fail() -> RemoraError:
        code = chance.choice([Code.UNAVAILABLE, Code.NOT_FOUND, Code.INTERNAL, Code.DEADLINE_EXCEEDED])
        return PluginError("injected", code=code)

    async def call(number: int) -> None:
        outcome = str(Code.CANCELLED)
        try:
            error = await host.outcome(timeout=10 if number % 2 else 20, idempotent=number % 3 == 0)
            outcome = "OK" if error is None else str(error.code)
        finally:
            seen[outcome] += 1

    host["a"].latency = host["b"].latency = 0.05
    host["a"].failure = fail
    host["c"].latency = 30
    async with anyio.create_task_group() as group:
        for number in range(9_900):
            group.start_soon(call, number)
    async with anyio.create_task_group() as group:
        for number in range(100):
            group.start_soon(call, number)
        await anyio.sleep(0.01)
        group.cancel_scope.cancel()
    return seen


@pytest.mark.long
async def test_ten_thousand_calls_are_counted_the_same_everywhere() -> None:
    """
    With failures, the plugin's own errors, retries, time-outs, a rate limit, cancelled calls and full queues.
    """
    exporter = RecordingExporter()
    settings: dict[str, Any] = {
        "retry": {"max_retries": 2},
        "rate_limit": {"enabled": True, "requests_per_second": 3000, "burst_size": 9000},
        "connection": {"max_pending": 3000},
    }
    async with stage(table("abc", **settings), extensions=[exporter], config={"exporters": {"recording": {}}}) as host:
        seen = await _ten_thousand_calls(host)
        said = host.manager.observability()
        counted = _requests(host.manager.metrics.snapshot())
        scraped = _scraped(host.manager)

        attempts = sum(each.total_requests for each in said.plugin_metrics["p"].instances.values())
        sent = sum(len(host[each].calls) for each in "abc")
    exported = exporter.batches[-1]

    assert 10_000 == sum(seen.values()) == said.total_requests
    assert {"OK", "CANCELLED", "RESOURCE_EXHAUSTED", "NOT_FOUND", "DEADLINE_EXCEEDED"} <= seen.keys()
    assert seen == counted == scraped == _requests(exported)
    assert {**said.plugin_metrics["p"].errors, "OK": seen["OK"]} == seen
    assert seen["OK"] / 10_000 == said.overall_success_rate == said.plugin_metrics["p"].success_rate
    assert sent == attempts
    assert said.plugin_metrics["p"].retries > 0
    assert 0 == said.plugin_metrics["p"].in_flight


async def test_observability_says_how_each_instance_is() -> None:
    """
    What fails is seen where it fails, with the last error and its time.
    """
    settings = {"circuit_breaker": {"enabled": True, "failure_threshold": 3}, "health_check": {"enabled": True}}
    async with stage(table("ab", **settings)) as host:
        host["a"].latency = 0.2
        host["b"].failure = lambda: Unavailable("on fire")
        await host.outcomes(8)
        said = host.manager.observability().plugin_metrics["p"]
    good, bad = said.instances["script:a"], said.instances["script:b"]

    assert ("closed", "open", "closed") == (good.breaker_state, bad.breaker_state, said.breaker_state)
    assert ({}, {"UNAVAILABLE": 3}) == (good.errors, bad.errors)
    assert (1.0, 0.0) == (good.success_rate, bad.success_rate)
    assert bad.last_error is not None
    assert said.last_error is not None
    assert ("UNAVAILABLE", "on fire", "script:b") == (
        bad.last_error.code,
        bad.last_error.message,
        said.last_error.instance,
    )
    assert good.last_error is None
    assert 0.1 < good.latency.p50 <= good.latency.p95 <= good.latency.p99 <= 0.25
    assert 0.2 == pytest.approx(good.latency.mean)
    assert (8, 5) == (said.total_requests, good.total_requests)


async def test_observability_of_a_host_that_has_done_nothing() -> None:
    """
    Nothing has failed yet.
    """
    async with stage(table()) as host:
        said = host.manager.observability()

    assert (0, 1.0) == (said.total_requests, said.overall_success_rate)
    assert (None, {}, 0) == _facts(said)


def _facts(said: ObservabilityMetrics) -> tuple[object, ...]:
    plugin = said.plugin_metrics["p"]
    return plugin.last_error, dict(plugin.errors), plugin.latency.p99


async def test_calls_under_way_are_seen_while_they_are() -> None:
    """
    As one in flight, at the plugin and at the instance.
    """
    async with stage(table()) as host:
        host["a"].latency = 5
        async with anyio.create_task_group() as group:
            group.start_soon(host.call)
            await anyio.sleep(1)
            during = host.manager.metrics.snapshot()
        after = host.manager.metrics.snapshot()

    for batch, expected in ((during, 1), (after, 0)):
        assert expected == batch.value("remora_requests_in_flight", "p")
        assert expected == batch.value("remora_attempts_in_flight", "p", "script:a")


async def test_events_are_counted() -> None:
    """
    Breakers, losses, restarts, fallbacks, refused calls and retries that the budget refuses.
    """
    settings: dict[str, Any] = {
        "circuit_breaker": {"enabled": True, "failure_threshold": 3},
        "retry": {"max_retries": 1},
        "fallback": {"value": {"text": "spare"}},
    }
    rate_limit = {"enabled": True, "requests_per_second": 1, "burst_size": 1}
    async with stage(table("a", **settings), q=table("b", rate_limit=rate_limit)) as host:
        host["a"].failure = lambda: Unavailable("on fire", sent=False)
        assert "spare" == await host.call()
        assert "spare" == await host.call()
        opened = host.manager.metrics.snapshot()
        host["a"].crash()
        await anyio.sleep(60)
        await host.outcomes(3, "q")
        batch = host.manager.metrics.snapshot()

    assert {"open": 1, "closed": 0, "half-open": 0} == _by_last_label(opened, "remora_breaker_state", "p", "script:a")
    assert 1 == batch.value("remora_breaker_changes_total", "p", "script:a", "open")
    assert 1 == batch.value("remora_instance_losses_total", "p", "script:a")
    assert 1 == batch.value("remora_restarts_total", "p", "script:a")
    assert 1 == batch.value("remora_instance_up", "p", "script:a")
    assert 2 == batch.value("remora_fallbacks_total", "p", "value")
    assert {"OK": 2} == _requests(opened)
    assert 2 == batch.value("remora_rate_limited_total", "q")
    assert (batch.value("remora_retries_total", "p"), {"OK": 1, "RESOURCE_EXHAUSTED": 2}) == (2, _requests(batch, "q"))


async def test_an_instance_that_a_reload_tries_in_vain_hides_not_the_one_that_is_called() -> None:
    """
    Both have the same address; an alert would call somebody for a plugin that answers.
    """
    async with stage(table("a")) as host, anyio.create_task_group() as group:
        host["a"].is_refusing = True
        config = host.manager._fleet.config
        changed = replace(config, plugins={"p": replace(config.plugins["p"], version="2")})
        group.start_soon(host.manager.reload, changed)
        await anyio.sleep(1)
        batch, answer = host.manager.metrics.snapshot(), await host.outcome()

    assert answer is None
    assert (batch.value("remora_instance_losses_total", "p", "script:a") or 0) > 0  # of the one that is tried
    assert 1 == batch.value("remora_instance_up", "p", "script:a")
    assert 0 == _by_last_label(batch, "remora_instance_health", "p", "script:a")["offline"]


async def test_retries_without_budget_are_counted() -> None:
    """
    The floor of the budget pays for some.
    """
    async with stage(table("a", retry={"max_retries": 1, "initial_interval": 0.001})) as host:
        host["a"].failure = lambda: Unavailable("on fire", sent=False)
        await host.outcomes(100)
        batch = host.manager.metrics.snapshot()
    retried, refused = (batch.value(f"remora_retries{each}_total", "p") for each in ("", "_refused"))

    assert isinstance(retried, int)
    assert (100, True) == (retried + int(refused), retried > 0)  # type: ignore[arg-type]


async def test_a_call_after_one_like_it_looks_up_no_series(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Its method, its code and its instance have their cells by then; also those of retries and refusals.
    """
    looked_up: list[tuple[object, ...]] = []
    cell = Series.cell

    def noticed(series: Series[object], values: tuple[object, ...], named: Mapping[str, object]) -> object:
        looked_up.append(values)
        return cell(series, values, named)

    async def in_all_ways(host: Stage) -> None:
        for failure in (None, lambda: Unavailable("on fire", sent=False), lambda: PluginError("no")):
            host["a"].failure = failure
            for method in ("one", "other", "one"):
                with suppress(RemoraError):
                    await host.manager.plugin("p", Text, Text, method=method).execute(Text("hello"))
        assert "RateLimited" in {type(error).__name__ for error in await host.outcomes(30)}
        await anyio.sleep(10)

    monkeypatch.setattr(Series, "cell", noticed)
    limit = {"enabled": True, "requests_per_second": 20, "burst_size": 20}
    async with stage(table("a", retry={"max_retries": 1, "initial_interval": 0.001}, rate_limit=limit)) as host:
        await in_all_ways(host)
        assert any("OK" in values for values in looked_up)
        before = sum(_requests(host.manager.metrics.snapshot()).values())
        looked_up.clear()
        await in_all_ways(host)
        after = sum(_requests(host.manager.metrics.snapshot()).values())

    assert [] == looked_up
    assert 2 * before == after > 0


async def test_series_of_an_instance_end_with_it_and_those_of_its_plugin_do_not() -> None:
    """
    A plugin of the same name goes on counting where the first one stopped.
    """
    async with stage(table("ab")) as host:
        await host.outcomes(4)
        config = host.route().config
        await host.manager.unregister("p")
        gone = host.manager.metrics.snapshot()
        await host.manager.register(replace(config, endpoints=config.endpoints[:1]))
        await anyio.sleep(1)
        await host.outcomes(2)
        batch = host.manager.metrics.snapshot()
        said = host.manager.observability()

    assert [] == [point for each in gone.metrics for point in each.points if "plugin_instance" in each.labels]
    assert {"OK": 4} == _requests(gone)
    assert ({"OK": 6}, 6) == (_requests(batch), said.total_requests)
    assert {"OK": 2} == _by_last_label(batch, "remora_attempts_total", "p", "script:a")


async def test_instance_that_is_replaced_goes_on_counting_in_the_series_of_its_name() -> None:
    """
    With the calls that the old one still had.
    """
    async with stage(table()) as host:
        await host.outcomes(3)
        host["a"].latency = 5
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            renewed = table(connection={"connection_timeout": 9})
            await host.manager.reload({"plugins": {"p": renewed}})
        host["a"].latency = 0
        await host.outcomes(2)
        batch = host.manager.metrics.snapshot()
        said = host.manager.observability().plugin_metrics["p"].instances
        spread = batch.value("remora_attempt_duration_seconds", "p", "script:a")

    assert 2 == host["a"].opened
    assert {"OK": 6} == _by_last_label(batch, "remora_attempts_total", "p", "script:a")
    assert isinstance(spread, Distribution)
    assert (6, 5) == (spread.count, pytest.approx(spread.sum))
    assert [6] == [each.total_requests for each in said.values()]


async def test_what_instances_counted_is_exported_after_they_have_stopped() -> None:
    """
    At the end of the manager.
    """
    exporter = RecordingExporter()
    async with stage(table(), extensions=[exporter], config={"exporters": {"recording": {}}}) as host:
        await host.outcomes(3)

    assert 3 == exporter.value("remora_attempts_total", "p", "script:a", "OK")


async def test_manager_that_is_told_not_to_count_does_not() -> None:
    """
    How things are now can be said all the same.
    """
    async with stage(table(), config={"metrics": {"enabled": False}}) as host:
        await host.outcomes(3)
        said = host.manager.observability()
        metrics = host.manager.metrics.snapshot().metrics

    assert ((), 0, ["script:a"]) == (metrics, said.total_requests, list(said.plugin_metrics["p"].instances))


async def test_traced_calls_leave_exemplars() -> None:
    """
    Whoever traces says which trace is at hand.
    """
    async with stage(table()) as host:
        host.manager.metrics.tracing = lambda _: {"trace_id": "ab" * 16, "span_id": "cd" * 8}
        await host.call()
        batch = host.manager.metrics.snapshot()

    for name, label in (("request", "(default method)"), ("attempt", "script:a")):
        spread = batch.value(f"remora_{name}_duration_seconds", "p", label)
        assert isinstance(spread, Distribution)
        assert ["ab" * 16] == [each.trace_id for each in spread.exemplars if each]


class Tracer:
    """
    An extension that traces.
    """

    @hookimpl
    def remora_register_interceptors(self) -> list[InterceptorSpec]:
        """
        One that wraps nothing, and says which trace is at hand.
        """
        ids = TraceIds(trace_id="ab" * 16, span_id="cd" * 8)
        return [InterceptorSpec("tracer", lambda plugin: None, tracing=lambda: lambda call: ids)]


def traces(host: Stage, plugin: str) -> set[str]:
    """
    The traces that the exemplars of a plugin's calls and attempts tell of, wherever each has one.
    """
    batch = host.manager.metrics.snapshot()
    spreads = [batch.value("remora_request_duration_seconds", plugin, "(default method)")]
    spreads += [batch.value("remora_attempt_duration_seconds", plugin, "script:a")]
    found = [{each.trace_id for each in spread.exemplars if each} for spread in spreads]  # type: ignore[union-attr]
    return found[0] & found[1]


OFF: dict[str, Any] = {"interceptors": {"tracer": {"enabled": False}}}
ON: dict[str, Any] = {"interceptors": {"tracer": {"enabled": True}}}


async def test_exemplars_follow_a_reload_of_the_interceptor_that_traces() -> None:
    """
    Where the application does not say itself where they come from.
    """
    async with stage(table(), extensions=[Tracer()], config=OFF) as host:
        await host.call()
        assert set() == traces(host, "p")
        assert (await host.manager.reload({"plugins": {"p": table()}})).applied
        await host.call()
        assert {"ab" * 16} == traces(host, "p")

        host.manager.metrics.tracing = lambda call: TraceIds(trace_id="ef" * 16, span_id="")
        await host.call()
        assert {"ef" * 16} == traces(host, "p")


@pytest.mark.parametrize(("general", "own"), [({}, OFF), (OFF, ON), (ON, OFF)], ids=["without", "on", "off"])
async def test_exemplars_follow_the_interceptors_of_the_plugin_itself(
    general: dict[str, Any], own: dict[str, Any]
) -> None:
    """
    Whatever holds for the other plugins.
    """
    async with stage(table(**own), extensions=[Tracer()], config=general, other=table()) as host:
        await host.call()
        await host.call("other")

        assert ({"ab" * 16} if own is ON else set()) == traces(host, "p")
        assert (set() if general is OFF else {"ab" * 16}) == traces(host, "other")


async def test_faults_of_extensions_are_counted() -> None:
    """
    By who did it.
    """
    exporter = RecordingExporter()
    exporter.failure = lambda: OSError("no")
    async with stage(table(), extensions=[exporter], config={"exporters": {"recording": {}}}) as host:
        await exporter.wait_for(1)
        await anyio.sleep(1)
        metric = host.manager.metrics.snapshot().metric("remora_extension_faults_total")

    assert metric is not None
    assert [("failure", 1)] == [(point.labels[1], point.value) for point in metric.points]
    assert "the exporter 'recording'" in metric.points[0].labels[0]


async def test_health_of_an_instance_is_one_of_five() -> None:
    """
    Whichever it is, it is 1.
    """
    async with stage(table([endpoint("a")], health_check={"enabled": True, "interval": 1, "timeout": 0.5})) as host:
        await anyio.sleep(3)
        well = host.manager.metrics.snapshot()
        host["a"].health = None
        await anyio.sleep(60)
        ill = host.manager.metrics.snapshot()

    for batch, expected in ((well, "healthy"), (ill, "offline")):
        states = _by_last_label(batch, "remora_instance_health", "p", "script:a")
        assert (5, expected) == (len(states), next(name for name, value in states.items() if value))
        assert 1 == sum(states.values())
