"""
What needs somebody's attention, in a list that fits on a screen: which plugin, which instance, what is wrong with it.

What lives here: telling what is wrong. What must not: how it is shown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from remora.types import Status

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remora.observability import InstanceMetrics, PluginMetrics
    from remora_admin._recent import Lately

_BAD, _FAIR = "bad", "fair"
_OUT = (Status.UNHEALTHY, Status.OFFLINE)
_FEW = 3  # faults that may happen before they are a problem
_SHARE, _LARGE_SHARE = 0.05, 0.25


def problems_of(plugins: Mapping[str, PluginMetrics], lately: Mapping[object, Lately]) -> list[dict[str, Any]]:
    """
    All that is wrong, the worst first.

    Args:
        plugins: The plugins.
        lately: What has come on top lately, by plugin, and by plugin and instance.
    """
    found = [
        problem
        for name, plugin in plugins.items()
        for problem in (*_of_plugin(name, plugin, lately.get(name)), *_of_instances(name, plugin, lately))
    ]
    return sorted(found, key=lambda problem: problem["severity"] != _BAD)


def _of_plugin(name: str, plugin: PluginMetrics, lately: Lately | None) -> Iterator[dict[str, Any]]:
    if plugin.is_draining:
        what = f"is being drained: {plugin.in_flight} calls under way, new ones are refused"
        yield _problem(_FAIR, name, "", what, plugin)
    if not plugin.instances:
        yield _problem(_BAD, name, "", f"has no instance: {plugin.health.message}", plugin)
    share = 0.0 if lately is None else _share(lately, lately.counts.refused)
    if share >= _SHARE:
        yield _problem(_FAIR, name, "", f"a limit refuses {share:.0%} of the calls", plugin)


def _of_instances(name: str, plugin: PluginMetrics, lately: Mapping[object, Lately]) -> Iterator[dict[str, Any]]:
    for address, instance in plugin.instances.items():
        told = list(_of_instance(instance, lately.get((name, address)), is_alone=plugin.health.status in _OUT))
        if told:
            severity = _BAD if any(each is _BAD for each, _ in told) else _FAIR
            yield _problem(severity, name, address, "; ".join(what for _, what in told), instance)


def _of_instance(instance: InstanceMetrics, lately: Lately | None, *, is_alone: bool) -> Iterator[tuple[str, str]]:
    """
    What is wrong with an instance, and how bad that is; while no other one takes calls, a start is bad as well.
    """
    if instance.state == "dormant":
        return
    if instance.state != "ready":
        severity = _FAIR if instance.state == "starting" and not is_alone else _BAD
        was_well = instance.health.status is Status.HEALTHY  # as before a restart: then its message explains nothing
        yield severity, instance.state if was_well else f"{instance.state}: {instance.health.message}"
    elif instance.health.status in _OUT:
        yield _BAD, f"{instance.health.status}: {instance.health.message}"
    elif instance.health.status is Status.DEGRADED:
        yield _FAIR, f"degraded: {instance.health.message}"
    if instance.breaker_state != "closed":
        yield _BAD if instance.breaker_state == "open" else _FAIR, f"its circuit breaker is {instance.breaker_state}"
    share = 0.0 if lately is None else _share(lately, lately.counts.faulty)
    if share >= _SHARE:
        yield _BAD if share >= _LARGE_SHARE else _FAIR, f"{share:.0%} of its attempts fail"


def _share(lately: Lately, faults: int) -> float:
    """
    The share of faults among all; nothing while there are few.
    """
    return lately.share(faults) if faults >= _FEW else 0.0


def _problem(
    severity: str, plugin: str, instance: str, what: str, about: PluginMetrics | InstanceMetrics
) -> dict[str, Any]:
    error = about.last_error
    last = None if error is None else {"time": error.time, "code": error.code, "message": error.message}
    return {"severity": severity, "plugin": plugin, "instance": instance, "what": what, "last_error": last}
