"""
All that there is to see of a host, as plain values for JSON.
"""

from __future__ import annotations

import time
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import sniffio

from remora.types import Status
from remora_admin._problems import problems_of
from remora_admin._recent import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remora import Manager
    from remora.observability import InstanceMetrics, LastError, Latencies, ObservabilityMetrics, PluginMetrics
    from remora_admin._recent import Lately, Recent

_STARTED = time.time()
_VERSION = version("remora")


def status_of(manager: Manager, recent: Recent) -> dict[str, Any]:
    """
    What `/status` answers.

    Durations are seconds, times seconds since the epoch, rates shares between 0 and 1; None stands for what nobody
    knows yet.

    Args:
        manager: The manager.
        recent: What was there to see before.
    """
    found = manager.observability()
    lately = _compared(found, recent)
    plugins = [_plugin(manager, name, each, lately) for name, each in found.plugin_metrics.items()]
    return {
        "time": found.time,
        "started": _STARTED,
        "version": _VERSION,
        "backend": sniffio.current_async_library(),
        "status": _overall([each.health.status for each in found.plugin_metrics.values() if not is_dormant(each)]),
        "requests": found.total_requests,
        "success_rate": found.overall_success_rate if found.total_requests else None,
        "problems": problems_of(found.plugin_metrics, lately),
        "plugins": plugins,
    }


def look(manager: Manager, recent: Recent) -> None:
    """
    Remember what there is to see, for those who come later.
    """
    _compared(manager.observability(), recent)


def _compared(found: ObservabilityMetrics, recent: Recent) -> Mapping[object, Lately]:
    return recent.look(found.time, dict(_counts(found.plugin_metrics)))


def _counts(plugins: Mapping[str, PluginMetrics]) -> Iterator[tuple[object, Counts]]:
    for name, plugin in plugins.items():
        yield name, Counts.of(plugin.total_requests, plugin.errors)
        for address, instance in plugin.instances.items():
            yield (name, address), Counts.of(instance.total_requests, instance.errors)


def _overall(statuses: list[Status]) -> Status:
    """
    Healthy when all are, else degraded while one is; nobody asks those that wait for their first call.
    """
    healthy = statuses.count(Status.HEALTHY)
    if healthy == len(statuses):
        return Status.HEALTHY
    return Status.DEGRADED if healthy or Status.DEGRADED in statuses else max(statuses, key=statuses.count)


def _plugin(manager: Manager, name: str, found: PluginMetrics, lately: Mapping[object, Lately]) -> dict[str, Any]:
    return {
        "name": name,
        "labels": dict(manager.config.plugins[name].labels) if name in manager.config.plugins else {},
        "dormant": is_dormant(found),
        "draining": found.is_draining,
        "retries": found.retries,
        "latency_sum": found.latency.mean * found.total_requests,
        **_figures(found, lately.get(name)),
        "instances": [
            _instance(each, instance, lately.get((name, each))) for each, instance in found.instances.items()
        ],
    }


def is_dormant(found: PluginMetrics) -> bool:
    """
    Whether it waits for its first call to be started.
    """
    return bool(found.instances) and all(each.state == "dormant" for each in found.instances.values())


def _instance(name: str, found: InstanceMetrics, lately: Lately | None) -> dict[str, Any]:
    return {"name": name, "state": found.state, "breaker": found.breaker_state, **_figures(found, lately)}


def _figures(found: PluginMetrics | InstanceMetrics, lately: Lately | None) -> dict[str, Any]:
    """
    What there is to say about plugins and instances alike.
    """
    return {
        "status": found.health.status,
        "message": found.health.message,
        "in_flight": found.in_flight,
        "requests": found.total_requests,
        "success_rate": found.success_rate if found.total_requests else None,
        "recent": None if lately is None else lately.document(),
        "latency": _latency(found.latency, found.total_requests),
        "errors": dict(found.errors),
        "last_error": _error(found.last_error),
    }


def _latency(latency: Latencies, count: int) -> dict[str, float | None]:
    if not count:
        return {"p50": None, "p95": None, "p99": None}
    return {"p50": latency.p50, "p95": latency.p95, "p99": latency.p99}


def _error(error: LastError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {"time": error.time, "code": error.code, "message": error.message, "instance": error.instance}
