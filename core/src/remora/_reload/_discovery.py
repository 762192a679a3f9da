"""
The manifests of a manager: what they say now, and following their changes.

What lives here: reading, and which manifests are used. What must not: putting them in force (see `_transition`).
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread

from remora._reload._admission import check_plugin
from remora._watch import FileWatch, contents_of, folders_of, require_watching
from remora.config import Discovered, discover, folders, is_same, manifests, problems_of_order
from remora.errors import ConfigError
from remora.types import ManifestRejected, PluginsDiscovered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from anyio.abc import TaskGroup

    from remora._extensions._catalog import Catalog
    from remora.config import DiscoveryConfig, ManagerConfig, PluginConfig
    from remora.types import Event

_log = logging.getLogger(__name__)


class Discovery:
    """
    The manifests that `[discovery]` finds.

    Args:
        catalog: The installed features.
        publish: Takes events.
    """

    def __init__(self, catalog: Catalog, publish: Callable[[Event], None]) -> None:
        self._catalog = catalog
        self._publish = publish
        self._known = Discovered()
        self._told: dict[str, tuple[str, ...]] = {}
        self._watched: DiscoveryConfig | None = None
        self._scope: anyio.CancelScope | None = None

    def look(self, config: ManagerConfig) -> Discovered:
        """
        What manifests say now. One that cannot be used keeps its last good content for as long as it exists.
        """
        found = discover(config) if config.discovery.directories else Discovered()
        plugins, rejected = dict(found.plugins), dict(found.rejected)
        for file, plugin in found.plugins.items():
            if problem := self._problem_of(plugin, config):
                del plugins[file]
                rejected[file] = problem
        taken = {each.name for each in plugins.values()} | config.plugins.keys()
        for file in rejected:
            former = self._known.plugins.get(file)
            if former is not None and former.name not in taken:
                plugins[file] = former
        return self._in_order(replace(found, plugins=plugins, rejected=rejected), config)

    async def look_aside(self, config: ManagerConfig) -> Discovered:
        """
        The same, without blocking the event loop.
        """
        if not config.discovery.directories:
            return Discovered()
        return await anyio.to_thread.run_sync(self.look, config)

    def is_news(self, found: Discovered) -> bool:
        """
        Whether anything in it is new.
        """
        return not is_same(found.plugins, self._known.plugins) or dict(found.rejected) != self._told

    def accept(self, found: Discovered, failed: Mapping[str, str] | None = None) -> None:
        """
        What was found is in force: publish what is new in it.

        Args:
            found: What was found.
            failed: By name, why plugins are not in force as they were found.
        """
        found = self._without(found, failed or {})
        before, after = _by_name(self._known), _by_name(found)
        self._known = found
        news = PluginsDiscovered(
            time=time.time(),
            added=tuple(name for name in after if name not in before),
            changed=tuple(name for name in after if name in before and not is_same(before[name], after[name])),
            removed=tuple(name for name in before if name not in after),
        )
        if news.added or news.changed or news.removed:
            self._publish(news)
        self._complain(found.rejected)

    def file_of(self, name: str) -> str | None:
        """
        The manifest that a plugin comes from; None when it does not come from one.
        """
        return next((file for file, plugin in self._known.plugins.items() if plugin.name == name), None)

    def follow(self, discovery: DiscoveryConfig, changed: Callable[[], Awaitable[None]], group: TaskGroup) -> None:
        """
        Call a function after each change of the manifests, from a task in a group.
        """
        if is_same(discovery, self._watched):
            return
        self.close()
        self._watched, self._scope = discovery, anyio.CancelScope()
        if discovery.directories and discovery.watch:
            group.start_soon(self._watch, discovery, changed, self._scope)

    def close(self) -> None:
        """
        Stop following.
        """
        if self._scope is not None:
            self._scope.cancel()

    async def _watch(
        self, discovery: DiscoveryConfig, changed: Callable[[], Awaitable[None]], scope: anyio.CancelScope
    ) -> None:
        watch = FileWatch(
            content=partial(_contents, discovery),
            folders=partial(_folders, discovery),
            changed=changed,
            known=None,  # changes since they were read count, too
        )
        with scope:
            await watch.run()

    def _without(self, found: Discovered, failed: Mapping[str, str]) -> Discovered:
        """
        What was found, but plugins that do not work are as they were before.
        """
        wrong = {file: plugin.name for file, plugin in found.plugins.items() if plugin.name in failed}
        former = {file: self._known.plugins[file] for file in wrong if file in self._known.plugins}
        plugins = {file: each for file, each in found.plugins.items() if file not in wrong}
        rejected = {file: (f"{file}: {failed[name]}",) for file, name in wrong.items()}
        return replace(found, plugins={**plugins, **former}, rejected={**found.rejected, **rejected})

    def _complain(self, rejected: Mapping[str, tuple[str, ...]]) -> None:
        for file, problems in rejected.items():
            if self._told.get(file) != problems:
                _log.error("a manifest is not used: %s", "; ".join(problems))
                self._publish(ManifestRejected(time=time.time(), source=file, problems=problems))
        self._told = dict(rejected)

    def _problem_of(self, plugin: PluginConfig, config: ManagerConfig) -> tuple[str, ...]:
        try:
            check_plugin(self._catalog, plugin, security=config.security)
        except ConfigError as error:
            return tuple(error.problems)
        return ()

    def _in_order(self, found: Discovered, config: ManagerConfig) -> Discovered:
        """
        What was found, without plugins whose requirements are missing, but with those that configured ones require.
        """
        while problems := problems_of_order(found.added_to(config).plugins):
            lines = {line.split(".requires:")[0].removeprefix("plugins."): line for line in problems}
            wrong = {file: lines[each.name] for file, each in found.plugins.items() if each.name in lines}
            if not wrong:
                found = self._with_required(found, config)
                wrong = _in_circles(found, config)
            if not wrong:
                return found
            plugins = {file: each for file, each in found.plugins.items() if file not in wrong}
            rejected = {**found.rejected, **{file: (f"{file}: {line}",) for file, line in wrong.items()}}
            found = replace(found, plugins=plugins, rejected=rejected)
        return found

    def _with_required(self, found: Discovered, config: ManagerConfig) -> Discovered:
        required = {name for each in config.plugins.values() if each.enabled for name in each.requires}
        gone = {
            file: plugin
            for file, plugin in self._known.plugins.items()
            if plugin.name in required and plugin.name not in found.added_to(config).plugins
        }
        rejected = {file: (f"{file}: {plugin.name!r} is gone, but is required",) for file, plugin in gone.items()}
        return replace(found, plugins={**found.plugins, **gone}, rejected={**rejected, **found.rejected})


def _in_circles(found: Discovered, config: ManagerConfig) -> dict[str, str]:
    """
    By file, what is wrong with manifests whose plugins require each other in a circle through configured ones.
    """
    lines = [(line, set(line.split())) for line in problems_of_order(found.added_to(config).plugins)]
    return {file: line for file, each in found.plugins.items() for line, words in lines if each.name in words}


def require_watching_of(config: ManagerConfig) -> None:
    """
    Check that manifests can be followed if the configuration says so.

    Raises:
        NotInstalled: The package that watches files is not installed.
    """
    if config.discovery.directories and config.discovery.watch:
        require_watching()


def _by_name(found: Discovered) -> dict[str, PluginConfig]:
    return {each.name: each for each in found.plugins.values()}


def _contents(discovery: DiscoveryConfig) -> object:
    files, problems = manifests(discovery)
    return contents_of(files), tuple(sorted(problems.items()))


def _folders(discovery: DiscoveryConfig) -> set[str]:
    return set().union(*(folders_of(folder) for folder in folders(discovery)))
