"""
Every key outside the plugins' tables takes effect by reload, as the table of effects says. In virtual time; `discovery`
is in `test_discovery`, `exporters` in `test_exports`, and `metrics_port` in the tests of the Prometheus exporter.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import fields
from typing import Any

import anyio
import pytest

from remora import Manager
from remora.config import TOP, Defaults, MetricsConfig, SecurityConfig, value_at
from remora.testing import RecordingExporter
from tests.core.hosts import Text
from tests.core.reload.leaves import leaves
from tests.core.reload.spy import Spy
from tests.core.scripts import Stage, stage, table

VIRTUAL_TIME = True
pytestmark = pytest.mark.anyio

Show = Callable[[Stage, RecordingExporter], Awaitable[object]]


async def interval(host: Stage, exporter: RecordingExporter) -> object:
    """
    How long the pauses are.
    """
    await exporter.wait_for(exporter.attempts + 1)
    before = host.now
    await exporter.wait_for(exporter.attempts + 1)
    return round(host.now - before, 3)


async def patience(host: Stage, exporter: RecordingExporter) -> object:
    """
    When an exporter that hangs is given up.
    """
    exporter.is_hanging = True
    await exporter.wait_for(exporter.attempts + 1)
    before, known = host.now, _failures(host)
    while _failures(host) == known:
        await anyio.sleep(0.1)
    exporter.is_hanging = False
    return round(host.now - before)


async def size(host: Stage, exporter: RecordingExporter) -> object:
    """
    The most points that came at once.
    """
    seen = len(exporter.batches)
    await exporter.wait_for(exporter.attempts + 20)
    return max(sum(len(metric.points) for metric in batch.metrics) for batch in exporter.batches[seen:])


async def room(host: Stage, exporter: RecordingExporter) -> object:
    """
    How many series of a metric are told apart.
    """
    counter = host.manager.metrics.counter("c_total", labels=["number"])
    for number in range(50):
        counter.inc(number)
    return len(counter.series.items()) - 1


async def counting(host: Stage, exporter: RecordingExporter) -> object:
    """
    Whether calls are counted.
    """
    assert await host.call() == "hello"
    assert host.manager.metrics.snapshot().metric("mine_total") is not None
    asked = host.manager.metrics.snapshot().metric("remora_requests_total")
    return asked is not None and 1 <= sum(each.value for each in asked.points)  # type: ignore[misc]


METRICS: dict[str, tuple[Any, Any, Show]] = {
    "enabled": (True, False, counting),
    "export_interval": (2, 7, interval),
    "export_timeout": (3, 5, patience),
    "batch_size": (2, 4, size),
    "max_series": (5, 30, room),
}


def test_every_key_outside_of_plugins_has_a_test_of_its_effect() -> None:
    """
    Here, or where the head of this file says.
    """
    assert {each.name for each in fields(MetricsConfig)} == METRICS.keys()
    elsewhere = {"discovery", "interceptors", "security"}  # "interceptors" in `test_interceptor_options`
    assert {"log_level", "metrics_port", "metrics", "exporters"} | elsewhere == TOP.keys()
    assert set(leaves(SecurityConfig)) == SECURITY.keys()
    assert {each.name for each in fields(Defaults)} == DEFAULTS.keys()


@pytest.mark.parametrize("key", METRICS)
async def test_what_the_metrics_table_says_takes_effect_by_reload(key: str, anyio_backend: object) -> None:
    """
    There and back; a registry, its exporters and the handles of the application stay.
    """
    one, other, show = METRICS[key]
    exporter, plugins = RecordingExporter(), {"p": table("a")}
    quick = {"export_interval": 1, **({"max_series": 99} if key != "max_series" else {})}

    def config(value: object) -> dict[str, Any]:
        return {"metrics": {**quick, key: value}, "exporters": {"recording": {}}, "plugins": plugins}

    async with stage(config=config(one), extensions=[exporter]) as host:
        host.manager.metrics.counter("mine_total").inc()
        seen = [await show(host, exporter)]
        for value in (other, one):
            host.manager.metrics.remove("c_total")
            report = await host.manager.reload(config(value))
            assert ((f"metrics.{key}",), "unchanged") == (report.keys, report.plugins["p"].action)
            seen.append(await show(host, exporter))

        assert [one, other, one] == seen
        assert not exporter.is_closed
        assert 1 == host.manager.metrics.snapshot().value("mine_total")


async def test_a_pause_that_has_begun_ends_by_the_new_interval(anyio_backend: object) -> None:
    """
    Nobody waits an hour because an hour was configured before; and the time that has passed counts.
    """
    exporter = RecordingExporter()
    tables = [{"exporters": {"recording": {}}, "metrics": {"export_interval": each}} for each in (3600, 20)]
    async with stage(config=tables[0], extensions=[exporter]) as host:
        began = host.now
        await anyio.sleep(15)
        await host.manager.reload(tables[1])
        await exporter.wait_for(1)

        assert 20 == pytest.approx(host.now - began, abs=0.01)


async def test_what_is_counted_again_begins_at_nothing_and_shows_how_everything_is(anyio_backend: object) -> None:
    """
    Calls under way through all of it are no problem.
    """
    plugins = {"p": table(["a", "b"])}
    async with stage(config={"plugins": plugins}) as host:
        await host.outcomes(4)
        host["a"].latency = host["b"].latency = 10
        async with anyio.create_task_group() as group:
            group.start_soon(host.outcomes, 1)
            await anyio.sleep(1)
            await host.manager.reload({"plugins": plugins, "metrics": {"enabled": False}})
            assert [] == list(host.manager.metrics.snapshot().metrics)
            assert 0 == host.manager.observability().total_requests
            await host.manager.reload({"plugins": {"p": table(["a", "c"])}, "metrics": {"enabled": True}})
            found = host.manager.metrics.snapshot()

            assert 1 == found.value("remora_requests_in_flight", "p")
            up = found.metric("remora_instance_up")
            assert up is not None
            assert {("p", "script:a"): True, ("p", "script:c"): True} == {each.labels: each.value for each in up.points}
        await host.outcomes(3)

        assert 3 <= host.manager.observability().total_requests <= 4


def _failures(host: Stage) -> int:
    return sum(each.failures for each in host.manager.extension_faults().values())


SECURITY: dict[str, tuple[Any, Any]] = {
    "policy": ("permissive", "audit-only"),
    "allow_list": ("", "list.toml"),
    "audit_log": ("", "audit.log"),
    "audit_size": (1000, 2000),
    "audit_files": (1, 2),
    "no_new_privileges": (True, False),
    "limits.memory": (None, 2**40),
    "limits.open_files": (64, 65),
    "limits.processes": (None, 1000),
    "limits.cpu_seconds": (None, 1000),
    "limits.core": (0, 1),
    "sandbox": ("none", "bwrap"),
}


@pytest.mark.parametrize("key", SECURITY)
async def test_what_the_security_table_says_comes_with_new_instances(key: str, anyio_backend: object) -> None:
    """
    Of transports that want to know it; what it means to programs is tested with the exec transport.
    """
    spy, plugins = Spy(), {"p": {"endpoint": "spy:a"}}
    block, _, name = key.rpartition(".")

    def config(value: object) -> dict[str, Any]:
        inner = {} if value is None else {name: value}
        return {"plugins": plugins, "security": {block: inner} if block else inner}

    one, other = SECURITY[key]
    async with Manager(config(one), extensions=[spy]) as manager:
        await manager.plugin("p", Text, Text).execute(Text("x"))
        for value in (other, one):
            report = await manager.reload(config(value))
            assert ((f"security.{key}",), "replaced") == (report.keys, report.plugins["p"].action)

    assert [one, other, one] == [value_at(options.security, key) for _, _, options in spy.seen]


DEFAULTS: dict[str, dict[str, Any]] = {
    "auth": {"method": "basic", "username": "u", "password": "p"},
    "connection": {"request_timeout": 3},
    "retry": {"max_retries": 9},
    "circuit_breaker": {"failure_threshold": 9},
    "health_check": {"interval": 9},
    "rate_limit": {"burst_size": 9},
}


@pytest.mark.parametrize("block", DEFAULTS)
async def test_defaults_take_effect_for_the_plugins_that_they_hold_for(block: str, anyio_backend: object) -> None:
    """
    And for no plugin that says something else.
    """
    spy, own = Spy(), DEFAULTS[block]
    plugins = {"p": {"endpoint": "spy:a"}, "own": {"endpoint": "spy:b", block: own}}
    async with Manager({"plugins": plugins}, extensions=[spy]) as manager:
        report = await manager.reload({"plugins": plugins, "defaults": {block: own}})
        inside = [manager._fleet[name].route.config for name in plugins]

        assert ("replaced" if block == "auth" else "retuned", "unchanged") == tuple(
            report.plugins[name].action for name in plugins
        )
        assert getattr(inside[0], block) == getattr(inside[1], block)


async def test_the_level_of_the_log_takes_effect_at_once(anyio_backend: object) -> None:
    """
    There and back.
    """
    async with Manager({"log_level": "info"}) as manager:
        seen = []
        for level in ("debug", "error", "info"):
            await manager.reload({"log_level": level})
            seen.append(logging.getLogger("remora").level)

    assert [logging.DEBUG, logging.ERROR, logging.INFO] == seen
