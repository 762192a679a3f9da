"""
What a move to another configuration would do with each plugin.

What lives here: the smallest action for each difference. What must not: doing it (see `_transition`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from remora._fleet._places import has_resolver, places_of
from remora.config import Effect, Kind, compare, effect_of
from remora.reload import Action, PluginPlan, ReloadPlan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora._extensions._catalog import Catalog
    from remora._fleet._places import Place
    from remora.config import ManagerConfig, PluginDiff


def plan(catalog: Catalog, old: ManagerConfig, new: ManagerConfig) -> ReloadPlan:
    """
    What a reload would do.

    Raises:
        NotInstalled: One of the configurations needs a transport that is not installed.
    """
    diff = compare(old, new)
    plugins = {}
    for name, each in diff.plugins.items():
        before, after = _places(catalog, name, old), _places(catalog, name, new)
        kept = [place for place in after if any(place.is_taken_by(other) for other in before)]
        closed = [place for place in before if not any(other.is_taken_by(place) for other in after)]
        opened = [place for place in after if place not in kept]
        names = [tuple(place.name for place in places) for places in (opened, kept, closed)]
        plugins[name] = plan_of(each, *names, is_resolved=is_resolved(name, old, new))
    return ReloadPlan(keys=diff.keys, plugins=plugins)


def plan_of(
    diff: PluginDiff,
    opened: tuple[str, ...],
    kept: tuple[str, ...],
    closed: tuple[str, ...],
    *,
    is_resolved: bool = False,
) -> PluginPlan:
    """
    What happens to a plugin, given what is different and which of its instances are opened, kept and closed; it may
    have none while its resolver has not reported any endpoints.
    """
    is_served = bool(opened or kept or closed) or is_resolved
    action = _action(diff, is_served=is_served, is_replaced=bool(opened or closed))
    return PluginPlan(action=action, keys=diff.keys, opened=opened, kept=kept, closed=closed)


def _action(diff: PluginDiff, *, is_served: bool, is_replaced: bool) -> Action:
    if not is_served:
        return Action.UNCHANGED if diff.kind is Kind.UNCHANGED else Action.NOTED
    if diff.kind not in (Kind.CHANGED, Kind.UNCHANGED):
        return Action(diff.kind.value)
    if is_replaced:
        return Action.REPLACED
    if any(effect_of(key) is not Effect.NOTHING for key in diff.keys):
        return Action.RETUNED
    return Action.NOTED if diff.keys else Action.UNCHANGED


def is_resolved(name: str, *configs: ManagerConfig) -> bool:
    """
    Whether one of several configurations has a resolver find the endpoints of a plugin.
    """
    return any(has_resolver(config.plugins[name]) for config in configs if name in config.plugins)


def _places(catalog: Catalog, name: str, config: ManagerConfig) -> Sequence[Place]:
    plugin = config.plugins.get(name)
    return places_of(catalog, plugin, config.security) if plugin is not None and plugin.enabled else ()
