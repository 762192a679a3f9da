"""
Whatever happens to a manager, its numbers stay true, in virtual time: under failures, retries, fallbacks, limits,
deadlines, callers that give up, crashes, restarts, drains and reloads.
"""

from __future__ import annotations

import gc
import random
import weakref
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import anyio
import pytest

from remora import Code, ConfigError, PluginError, PluginNotFound, RemoraError, Unavailable
from remora._telemetry._metric_table import BUDGET, IN_FLIGHT
from remora.errors import DrainTimeout
from remora.metrics import Distribution, MetricBatch, MetricKind
from tests.core.hosts import Text
from tests.core.scripts import Stage, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

SHOWN = {"remora_instance_up", "remora_instance_health", "remora_breaker_state", "remora_attempts_in_flight"}


class Storm:
    """
    Calls, and an operator and plugins that do what they like, by chance.
    """

    def __init__(self, host: Stage, rng: random.Random) -> None:
        self.seen: Counter[tuple[str, str]] = Counter()
        self.wrong: list[object] = []
        self._host, self._rng = host, rng
        self._last: dict[object, tuple[float, ...]] = {}

    async def rage(self, calls: int) -> None:
        """
        Until so many calls have ended, one way or the other.
        """
        async with anyio.create_task_group() as group:
            group.start_soon(self._operate)
            async with anyio.create_task_group() as callers:
                for _ in range(calls):
                    callers.start_soon(self._call, self._rng.choice("ppq"))
                    await anyio.sleep(self._rng.random() * 0.02)
            group.cancel_scope.cancel()

    def look(self) -> MetricBatch:
        """
        What is counted now; what only grows must not have fallen.
        """
        batch = self._host.manager.metrics.snapshot()
        for metric in batch.metrics:
            for point in metric.points:
                value = point.value
                numbers = (value.count, value.sum) if isinstance(value, Distribution) else (value,)
                before = self._last.get((metric.name, point.labels, point.started), (0.0, 0.0))
                floor = (0.0,) if metric.kind is MetricKind.GAUGE else before
                if any(now < then - 1e-9 for now, then in zip(numbers, floor, strict=False)):
                    self.wrong.append((metric.name, point.labels, floor, numbers))
                self._last[metric.name, point.labels, point.started] = numbers
        return batch

    async def _call(self, name: str) -> None:
        outcome = str(Code.CANCELLED)
        try:
            with anyio.move_on_after(self._rng.choice([100, 100, 0.05])):
                timeout, is_safe = self._rng.choice([0.01, 0.2, 5, 50]), self._rng.random() < 0.5
                error = await self._host.outcome(name, timeout=timeout, idempotent=is_safe)
                outcome = "OK" if error is None else "" if isinstance(error, PluginNotFound) else str(error.code)
        finally:
            if outcome:
                self.seen[name, outcome] += 1

    async def _operate(self) -> None:
        manager = self._host.manager
        while True:
            await anyio.sleep(self._rng.random() * 0.7)
            self._disturb()
            self.look()
            try:
                match self._rng.randrange(5):
                    case 0:
                        await manager.reload({"plugins": plugins(self._rng)})
                    case 1:
                        manager.restart("p")
                    case 2 | 3 as kind:
                        await manager.drain("p", 0.1, force=kind == 2)
            except DrainTimeout:
                pass
            finally:
                manager.restart("p")

    def _disturb(self) -> None:
        for address in "abcde":
            plugin = self._host[address]
            plugin.latency = self._rng.choice([0, 0.01, 0.3])
            plugin.failure = self._rng.choice([None, None, self._failure])
            plugin.is_refusing = self._rng.random() < 0.03
            if self._rng.random() < 0.1:
                plugin.crash()

    def _failure(self) -> RemoraError:
        own = PluginError("no", code=Code.NOT_FOUND)
        return self._rng.choice([Unavailable("x"), Unavailable("y", sent=False), own])

    def calm(self) -> None:
        """
        From now on everything is well.
        """
        for address in "abcde":
            plugin = self._host[address]
            plugin.is_refusing, plugin.failure, plugin.latency = False, None, 0


def plugins(rng: random.Random) -> dict[str, Any]:
    """
    The plugin `p` at some of four addresses, and now and then a plugin `q`.
    """

    def settings() -> dict[str, Any]:
        return {
            "retry": {"max_retries": rng.choice([0, 2]), "initial_interval": 0.01},
            "circuit_breaker": {"enabled": True, "failure_threshold": 5, "recovery_timeout": 2},
            "health_check": {"enabled": True, "interval": 1, "timeout": 0.5},
            "rate_limit": {"enabled": True, "requests_per_second": rng.choice([100, 2000]), "burst_size": 100},
            "connection": {"max_connections": rng.choice([2, 50]), "max_pending": rng.choice([1, 50])},
            **({"fallback": {"value": {"text": "spare"}}} if rng.random() < 0.4 else {}),
        }

    found = {"p": table(rng.sample("abcd", rng.randint(1, 4)), **settings())}
    return found | ({"q": table("e", **settings())} if rng.random() < 0.5 else {})


@pytest.mark.parametrize("seed", range(4))
async def test_numbers_are_true_whatever_happens(seed: int) -> None:
    """
    Every call is counted once, with the code that its caller saw; what only grows never falls; nothing is under way at
    the end; and an instance has its series while it is there, with the same numbers as `observability()`.
    """
    rng = random.Random(seed)
    async with stage(**plugins(rng)) as host:
        storm = Storm(host, rng)
        await storm.rage(700)
        storm.calm()
        host.manager.restart("p")
        await anyio.sleep(5)
        batch = storm.look()
        said = host.manager.observability().plugin_metrics

    assert [] == storm.wrong
    assert storm.seen == _sums(batch, "remora_requests_total", 0, 2)
    assert _sums(batch, "remora_requests_total", 0) == _sums(batch, "remora_request_duration_seconds", 0)
    assert _sums(batch, "remora_attempts_total", 0, 1) == _sums(batch, "remora_attempt_duration_seconds", 0, 1)
    assert not +_sums(batch, "remora_requests_in_flight", 0)
    assert not +_sums(batch, "remora_attempts_in_flight", 0, 1)
    there = {(name, address): each for name, plugin in said.items() for address, each in plugin.instances.items()}
    assert "stopped" not in {each.state for each in there.values()}
    assert [there.keys()] * len(SHOWN) == [_instances(batch, name) for name in sorted(SHOWN)]
    assert {key: each.total_requests for key, each in there.items() if each.total_requests} == _sums(
        batch, "remora_attempts_total", 0, 1
    )


def _sums(batch: MetricBatch, name: str, *labels: int) -> Counter[Any]:
    metric = batch.metric(name)
    assert metric is not None
    found: Counter[Any] = Counter()
    for point in metric.points:
        key = tuple(point.labels[each] for each in labels)
        found[key] += point.value.count if isinstance(point.value, Distribution) else int(point.value)
    return +found


def _instances(batch: MetricBatch, name: str) -> set[tuple[str, ...]]:
    metric = batch.metric(name)
    assert metric is not None
    return {point.labels[:2] for point in metric.points}


async def test_an_instance_that_was_cut_is_seen_again_when_it_is_started_again() -> None:
    """
    After a drain by force and a restart, it is up and goes on counting.
    """
    async with stage(table()) as host:
        host["a"].latency = 60
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcome)
            await anyio.sleep(1)
            with pytest.raises(DrainTimeout):
                await host.manager.drain("p", 0.1, force=True)
        gone = host.manager.metrics.snapshot()
        host["a"].latency = 0
        host.manager.restart("p")
        await anyio.sleep(1)
        await host.call()
        batch = host.manager.metrics.snapshot()

    assert not any(_instances(gone, name) for name in SHOWN)
    assert 1 == batch.value("remora_instance_up", "p", "script:a")
    assert 1 == batch.value("remora_attempts_total", "p", "script:a", "OK")


async def test_an_instance_that_takes_the_place_of_another_goes_on_counting() -> None:
    """
    In `observability()` as in the metrics: it is the same address.
    """
    async with stage(table()) as host:
        await host.outcomes(3)
        config = host.manager.config
        changed = replace(config.plugins["p"], codec="json", labels={"v": "2"}, env={"A": "1"})
        report = await host.manager.reload(replace(config, plugins={"p": changed}))
        await host.outcomes(2)
        said = host.manager.observability().plugin_metrics["p"].instances["script:a"]
        batch = host.manager.metrics.snapshot()

    assert (True, "script:a") == (report.applied, *report.plugins["p"].opened)
    assert 5 == said.total_requests == batch.value("remora_attempts_total", "p", "script:a", "OK")


async def test_a_call_that_the_rate_limit_refused_is_counted_also_when_a_fallback_answers() -> None:
    """
    It was refused all the same.
    """
    limit = {"enabled": True, "requests_per_second": 1, "burst_size": 1}
    async with stage(table(rate_limit=limit, fallback={"value": {"text": "spare"}})) as host:
        answers = [await host.call(text="mine") for _ in range(3)]
        batch = host.manager.metrics.snapshot()

    assert ["mine", "spare", "spare"] == answers
    assert 2 == batch.value("remora_rate_limited_total", "p")


async def test_a_plugin_that_is_gone_says_nothing_of_the_present_and_is_not_kept() -> None:
    """
    Its counters stay, its gauges end, and the memory that it took is free.
    """
    async with stage(table(), q=table("b")) as host:
        await host.outcomes(2)
        route = weakref.ref(host.route())
        await host.manager.unregister("p")
        batch = host.manager.metrics.snapshot()
        await anyio.sleep(1)
        gc.collect()

        assert route() is None
    gauges = [each for each in batch.metrics if each.kind is MetricKind.GAUGE and "plugin" in each.labels]
    assert {"q"} == {point.labels[each.labels.index("plugin")] for each in gauges for point in each.points}
    assert 2 == batch.value("remora_requests_total", "p", "(default method)", "OK")


async def test_plugins_that_come_and_go_without_end_do_not_fill_the_registry() -> None:
    """
    The counters of the last hundred are kept.
    """
    async with stage(table()) as host:
        config = host.route().config
        for number in range(105):
            await host.manager.register(replace(config, name=f"guest-{number}"))
            await host.call(f"guest-{number}")
            await host.manager.unregister(f"guest-{number}")
        batch = host.manager.metrics.snapshot()

    kept = {plugin for (plugin,) in _sums(batch, "remora_requests_total", 0)}
    assert {f"guest-{number}" for number in range(5, 105)} == kept


async def test_the_retry_budget_is_shown() -> None:
    """
    As full as it is now, also when nobody has called for a while.
    """
    async with stage(table(retry={"max_retries": 1, "initial_interval": 0.001})) as host:
        host["a"].failure = lambda: Unavailable("on fire", sent=False)
        levels = [host.manager.metrics.snapshot().value("remora_retry_budget", "p")]
        await host.outcomes(20)
        levels.append(host.manager.metrics.snapshot().value("remora_retry_budget", "p"))
        await anyio.sleep(11)
        levels.append(host.manager.metrics.snapshot().value("remora_retry_budget", "p"))

    assert [30, 30 + 20 * 0.2 - 20, 30] == pytest.approx(levels)


async def test_gauges_of_a_plugin_can_be_read_while_it_goes() -> None:
    """
    A scrape in another thread may have them at hand already.
    """
    async with stage(table()) as host:
        gauges = [each.gauge(host.manager.metrics).bind("p") for each in (BUDGET, IN_FLIGHT)]
        await host.manager.unregister("p")

    assert [0.0, 0] == [gauge.read() for gauge in gauges]


async def test_gauges_of_more_instances_than_are_told_apart_add_up() -> None:
    """
    Forty instances have two hundred series of health; of those without room it is said how many there are in each.
    """
    addresses = [f"n{number}" for number in range(40)]
    async with stage(table(addresses), config={"metrics": {"max_series": 100}}) as host:
        await anyio.sleep(1)
        full = host.manager.metrics.snapshot()
        await host.manager.unregister("p")
        empty = host.manager.metrics.snapshot()

    health = {point.labels[0]: 0 for metric in _named(full, "remora_instance_health") for point in metric.points}
    assert {"p", "_overflow"} == health.keys()
    total = sum(float(point.value) for metric in _named(full, "remora_instance_health") for point in metric.points)  # type: ignore[arg-type]
    assert 40 == total
    assert 0 == empty.value("remora_instance_health", "_overflow", "_overflow", "_overflow")


def _named(batch: MetricBatch, name: str) -> Iterator[Any]:
    metric = batch.metric(name)
    assert metric is not None
    yield metric


async def test_a_reload_that_fails_leaves_no_series() -> None:
    """
    What never came up was never there.
    """
    async with stage(table()) as host:
        host["z"].is_refusing = True
        report = await host.manager.reload({"plugins": {"p": table(), "late": table("z")}})
        with pytest.raises(ConfigError):
            await host.manager.reload({"plugins": {"wrong": 1}})
        batch = host.manager.metrics.snapshot()

    assert report.rolled_back
    assert not [point for metric in batch.metrics for point in metric.points if "late" in point.labels]


async def test_a_reply_that_does_not_fit_is_counted_as_its_caller_sees_it() -> None:
    """
    As INTERNAL, the code of the error, and not as a good answer.
    """
    async with stage(table()) as host:
        with pytest.raises(RemoraError) as caught:
            await host.manager.plugin("p", Text, int).execute(Text("seven"))
        batch = host.manager.metrics.snapshot()

    assert (Code.INTERNAL, "p") == (caught.value.code, caught.value.plugin)
    assert {("INTERNAL",): 1} == _sums(batch, "remora_requests_total", 2)


async def test_faults_are_counted_also_when_counting_is_switched_on_later() -> None:
    """
    Those of extensions that have worked for a plugin before.
    """

    def break_down() -> RemoraError:
        raise KeyError("broken")

    async with stage(table(), config={"metrics": {"enabled": False}}) as host:
        await host.call()
        await host.manager.reload({"plugins": {"p": table()}, "metrics": {"enabled": True}})
        host["a"].failure = break_down
        await host.outcome()
        batch = host.manager.metrics.snapshot()

    assert {("failure",): 1} == _sums(batch, "remora_extension_faults_total", 1)
