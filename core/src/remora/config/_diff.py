"""
What is different between two configurations, key by key.

What lives here: the comparison, over all fields. What must not: what a change means (see `_effects`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

from remora._frozen import dataclass
from remora.config._interceptors import interceptors_for

if TYPE_CHECKING:
    from collections.abc import Sequence

    from remora.config._records import ManagerConfig, PluginConfig
    from remora.types import Endpoint


_PLAIN = frozenset({str, int, float, bool})


class Kind(StrEnum):
    """
    What has become of a plugin.
    """

    ADDED = "added"
    REMOVED = "removed"
    STARTED = "started"
    STOPPED = "stopped"
    CHANGED = "changed"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class PluginDiff:
    """
    What is different about one plugin.

    Attributes:
        kind: What has become of it: "started" and "stopped" are what `enabled` does.
        keys: The paths in its table that have other values.
    """

    kind: Kind
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """
    What is different between two configurations.

    Attributes:
        keys: The paths outside the plugins' tables that have other values. Defaults and interceptors are not among
            them: they are in the tables of the plugins that they hold for.
        plugins: All plugins of both, by name.
    """

    keys: tuple[str, ...]
    plugins: Mapping[str, PluginDiff]


def compare(old: ManagerConfig, new: ManagerConfig) -> Diff:
    """
    What is different between two configurations.
    """
    names = dict.fromkeys([*old.plugins, *new.plugins])
    rest = [each for each in fields(old) if each.name not in ("defaults", "interceptors", "plugins")]
    keys = [key for each in rest for key in changed_keys(getattr(old, each.name), getattr(new, each.name), each.name)]
    before, after = _whole_plugins(old), _whole_plugins(new)
    plugins = {name: compare_plugins(before.get(name), after.get(name)) for name in names}
    return Diff(tuple(keys), plugins)


def _whole_plugins(config: ManagerConfig) -> dict[str, PluginConfig]:
    """
    The tables of the plugins, with everything that holds for their interceptors.
    """
    general = config.interceptors
    return {
        name: replace(each, interceptors=interceptors_for(own, general))
        if (own := each.interceptors) or general
        else each
        for name, each in config.plugins.items()
    }


def compare_plugins(old: PluginConfig | None, new: PluginConfig | None) -> PluginDiff:
    """
    What is different about a plugin; None where there is none.
    """
    if old is None or new is None:
        return PluginDiff(Kind.ADDED if old is None else Kind.REMOVED)
    keys = tuple(changed_keys(old, new))
    if old.enabled != new.enabled:
        return PluginDiff(Kind.STARTED if new.enabled else Kind.STOPPED, keys)
    return PluginDiff(Kind.CHANGED if keys else Kind.UNCHANGED, keys)


def changed_keys(old: object, new: object, path: str = "") -> Iterator[str]:
    """
    The paths of the values in two records that are not the same.
    """
    kind: Any = type(old)
    if old is new:
        return
    if path == "endpoints":
        yield from _changed_endpoints(_endpoints(old), _endpoints(new))
    elif (names := _names_in(kind)) is not None and kind is type(new):
        for name in names:
            before, after = getattr(old, name), getattr(new, name)
            if before is not after:
                yield from changed_keys(before, after, f"{path}.{name}" if path else name)
    elif not is_same(old, new):
        yield path


def is_same(old: object, new: object) -> bool:
    """
    Whether two values mean the same; `true` and `1` do not.
    """
    kind: Any = type(old)
    if old is new:
        return True
    if kind in _PLAIN and kind is type(new):
        return bool(old == new)
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(is_same(old[key], new[key]) for key in old)
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(is_same, old, new))
    if _names_in(kind) is not None:
        return kind is type(new) and not any(changed_keys(old, new))
    return kind is type(new) and bool(old == new)


@cache
def _names_in(kind: Any) -> tuple[str, ...] | None:
    """
    The names of a record's fields; None for what is no record.
    """
    return tuple(each.name for each in fields(kind)) if is_dataclass(kind) else None


def value_at(record: Any, path: str) -> object:
    """
    The value at a path such as "connection.keep_alive".
    """
    for name in path.split("."):
        record = getattr(record, name)
    return record


def _endpoints(value: Any) -> Sequence[Endpoint]:
    return tuple(value)


def _changed_endpoints(old: Sequence[Endpoint], new: Sequence[Endpoint]) -> Iterator[str]:
    """
    Endpoints are told apart by their addresses; what else they say is compared for each.
    """
    if Counter(each.url for each in old) != Counter(each.url for each in new):
        yield "endpoints.url"
    elif [each.url for each in old] != [each.url for each in new]:
        yield "endpoints"
    before, after = _by_place(old), _by_place(new)
    both = [(before[place], after[place]) for place in before if place in after]
    for name in ("weight", "priority", "labels"):
        if any(not is_same(getattr(one, name), getattr(other, name)) for one, other in both):
            yield f"endpoints.{name}"


def _by_place(endpoints: Sequence[Endpoint]) -> dict[tuple[str, int], Endpoint]:
    seen = Counter[str]()
    found = {}
    for each in endpoints:
        seen[each.url] += 1
        found[each.url, seen[each.url]] = each
    return found
