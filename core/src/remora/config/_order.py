"""
Which plugin is started before which, as their `requires` keys say.

What lives here: the order, and what is wrong with it. What must not: starting anything.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from remora.config._records import PluginConfig


def start_order(plugins: Mapping[str, PluginConfig]) -> list[list[str]]:
    """
    The names of the plugins that are switched on, in steps: each requires only plugins of earlier steps.
    """
    sorter = TopologicalSorter(_graph(plugins))
    sorter.prepare()
    steps = []
    while sorter.is_active():
        ready = set(sorter.get_ready())
        steps.append([name for name in plugins if name in ready])
        sorter.done(*ready)
    return steps


def problems_of_order(plugins: Mapping[str, PluginConfig]) -> list[str]:
    """
    What is wrong with the `requires` keys: plugins that are not there, are switched off, or require each other.
    """
    return [
        f"plugins.{name}.requires: {problem}"
        for name, plugin in plugins.items()
        if plugin.enabled
        for required in plugin.requires
        if (problem := _problem_of(name, required, plugins))
    ] + [
        f"plugins.{circle[0]}.requires: must not form a circle: {' requires '.join(circle)}"
        for circle in _circles(_graph(plugins))
    ]


def _circles(graph: Mapping[str, Collection[str]]) -> Iterator[list[str]]:
    """
    Circles of plugins that require each other, until none is left; no plugin is in two of them.
    """
    left = {name: {each for each in required if each != name} for name, required in graph.items()}
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1][::-1]
            yield circle
            left = {name: required.difference(circle) for name, required in left.items() if name not in circle}
        else:
            return


def dependants_of(name: str, plugins: Mapping[str, PluginConfig]) -> list[str]:
    """
    The plugins that are switched on and require the named one.
    """
    return [each.name for each in plugins.values() if each.enabled and name in each.requires]


def _graph(plugins: Mapping[str, PluginConfig]) -> dict[str, list[str]]:
    return {
        name: [each for each in dict.fromkeys(plugin.requires) if each in plugins and plugins[each].enabled]
        for name, plugin in plugins.items()
        if plugin.enabled
    }


def _problem_of(name: str, required: str, plugins: Mapping[str, PluginConfig]) -> str:
    if required == name:
        return "a plugin cannot require itself"
    if required not in plugins:
        return f"expected plugins that are configured, got {required!r}"
    return "" if plugins[required].enabled else f"{required!r} is switched off with enabled = false"
