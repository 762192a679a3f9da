"""
The endpoints of plugins, as their resolvers report them; the last good report stays in use.

What lives here: which resolvers run, and what is known. What must not: running one (see `_resolver`), and the
order of opening and draining (see `_adoption`).
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from remora._fleet._closing import retire
from remora._fleet._places import endpoints_of, has_resolver
from remora._reload._adoption import Adoption
from remora._reload._resolver import RunningResolver
from remora.config import Kind, compare, is_same
from remora.types import EndpointsChanged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from anyio.abc import TaskGroup

    from remora._extensions._conduct import Conduct
    from remora._fleet._assembly import Part
    from remora._fleet._fleet import Fleet
    from remora._reload._turns import Turns
    from remora.config import ManagerConfig, PluginConfig
    from remora.types import Endpoint

_DRAIN = 30.0


class Resolution:
    """
    The resolvers of a manager's plugins.

    Args:
        fleet: The plugins.
        turns: The turns of those who change them.
        conduct: The record of how extensions behave.
    """

    def __init__(self, fleet: Fleet, turns: Turns, conduct: Conduct) -> None:
        self._fleet = fleet
        self._turns = turns
        self._conduct = conduct
        self._running: dict[str, RunningResolver] = {}
        self._adoptions: dict[str, Adoption] = {}
        self._group: TaskGroup | None = None

    def complete(self, config: ManagerConfig) -> ManagerConfig:
        """
        A configuration with the endpoints that are known now.
        """
        plugins = {name: self._placed(plugin) for name, plugin in config.plugins.items()}
        return replace(config, plugins=plugins)

    def follow(self, config: ManagerConfig, group: TaskGroup) -> None:
        """
        Run the resolvers that a configuration names, and no others, by tasks in a group.
        """
        self._group = group
        plugins = config.plugins.items()
        wanted = {name: plugin for name, plugin in plugins if has_resolver(plugin) and name in self._fleet}
        for name, resolver in list(self._running.items()):
            if name not in wanted or not resolver.is_about(wanted[name]):
                resolver.end()
                del self._running[name]
        for name, plugin in wanted.items():
            if name not in self._running:
                resolver = self._running[name] = RunningResolver(plugin, self._fleet, self._conduct, self._adopt)
                group.start_soon(resolver.run, name=f"remora resolver of {name}")

    def give_way(self, config: ManagerConfig) -> Collection[str]:
        """
        Let a change to another configuration begin although new endpoints are being put in force. For plugins that it
        changes, they are put in force after it.

        Returns:
            The plugins that the change must leave alone, since it changes nothing about them.
        """
        assert self._group is not None
        before = self._fleet.config
        plugins, is_safe = compare(before, config).plugins, is_same(before.security, config.security)
        for name, adoption in list(self._adoptions.items()):
            if not is_safe or plugins[name].kind is not Kind.UNCHANGED:
                del self._adoptions[name]
                self._drain(name, adoption.give_way())
        return self._adoptions.keys()

    def close(self) -> None:
        """
        Stop all resolvers.
        """
        for resolver in self._running.values():
            resolver.end()
        self._running.clear()

    async def _adopt(self, resolver: RunningResolver, endpoints: Sequence[Endpoint]) -> None:
        """
        Put endpoints in force, unless the resolver was stopped in the meantime.

        Raises:
            RemoraError: They cannot be used.
        """
        while not await self._adopt_once(resolver, endpoints):
            pass

    async def _adopt_once(self, resolver: RunningResolver, endpoints: Sequence[Endpoint]) -> bool:
        """
        Returns:
            Whether they are in force, or nobody wants them any more; otherwise this gave way to another change.
        """
        async with self._turns.take():
            if self._running.get(resolver.name) is not resolver or resolver.name not in self._fleet:
                return True
            adoption = Adoption(self._fleet, resolver.name, endpoints)
            if not adoption.begin():
                await self._finish(resolver.name, adoption, endpoints)
                return True
            self._adoptions[resolver.name] = adoption
        try:
            with adoption.scope:
                await adoption.until_ready()
                async with self._turns.take():
                    self._forget(resolver.name, adoption)
                    await self._finish(resolver.name, adoption, endpoints)
                    return True
        finally:
            self._forget(resolver.name, adoption)
        return False

    def _forget(self, name: str, adoption: Adoption) -> None:
        if self._adoptions.get(name) is adoption:
            del self._adoptions[name]

    async def _finish(self, name: str, adoption: Adoption, endpoints: Sequence[Endpoint]) -> None:
        before = endpoints_of(self._fleet.config.plugins[name])
        self._drain(name, await adoption.end())
        self._tell(name, before, endpoints)

    def _drain(self, name: str, parts: Iterable[Part]) -> None:
        assert self._group is not None
        for part in parts:
            self._group.start_soon(retire, self._fleet, self._fleet[name], part, _DRAIN)

    def _tell(self, name: str, before: Iterable[Endpoint], after: Iterable[Endpoint]) -> None:
        old, new = {each.url for each in before}, {each.url for each in after}
        if old != new:
            added, removed = tuple(sorted(new - old)), tuple(sorted(old - new))
            self._fleet.publish(EndpointsChanged(time=time.time(), plugin=name, added=added, removed=removed))

    def _placed(self, plugin: PluginConfig) -> PluginConfig:
        """
        A table with the endpoints in force, if they come from a resolver.
        """
        before = self._fleet.config.plugins.get(plugin.name)
        if not has_resolver(plugin) or before is None or not before.enabled:
            return plugin
        resolver = self._running.get(plugin.name)
        has_own = bool(plugin.endpoint or plugin.endpoints)
        if has_own and (resolver is None or not resolver.has_told):
            return plugin
        known = endpoints_of(before)
        return replace(plugin, endpoint="", endpoints=tuple(known)) if known else plugin
