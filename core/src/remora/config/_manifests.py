"""
Files that each add a plugin: which there are, and what they say.

What lives here: finding and reading them. What must not: following them while the program runs.
"""

from __future__ import annotations

import os
from dataclasses import field, replace
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from remora._frozen import dataclass
from remora.config._anchor import anchored
from remora.config._checks import NAME_RULE, check, is_name
from remora.config._defaults import with_defaults
from remora.config._expand import expand
from remora.config._places import Place, placed
from remora.config._records import PluginConfig
from remora.config._sources import read_source
from remora.config._structured import as_table, structured
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from remora.config._places import Places
    from remora.config._records import DiscoveryConfig, ManagerConfig

_MOST = 1000
_ANY = "x"  # a name in place of one that cannot be used


@dataclass(frozen=True, slots=True)
class Discovered:
    """
    What manifests say.

    Attributes:
        plugins: The plugins that they add, by the file that does.
        rejected: What is wrong with the others, by the file.
        places: Where each key was set, by its path in the whole configuration.
    """

    plugins: Mapping[str, PluginConfig] = field(default_factory=dict)
    rejected: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)

    def added_to(self, config: ManagerConfig) -> ManagerConfig:
        """
        A configuration with these plugins.
        """
        more = {each.name: each for each in self.plugins.values() if each.name not in config.plugins}
        return replace(config, plugins={**config.plugins, **more}) if more else config


class Rejection(ValueError):
    """
    A manifest cannot be used; `problems` has a line for each problem.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems


def manifests(discovery: DiscoveryConfig) -> tuple[list[str], dict[str, str]]:
    """
    The files that `[discovery]` means, and what is wrong with its directories.

    Names that begin with a dot are left out. Links are followed, each folder is looked through once.
    """
    walk = _Walk(discovery)
    return walk.found, walk.problems


def folders(discovery: DiscoveryConfig) -> list[str]:
    """
    The folders that are looked through.
    """
    return _Walk(discovery).folders


def discover(config: ManagerConfig, variables: Mapping[str, str] | None = None) -> Discovered:
    """
    The plugins that the manifests of a configuration add.

    A manifest holds a plugin's own table, with its `name`. One that cannot be used is left out, with what is wrong;
    so is one with the name of a configured plugin, and the second of two with the same name.

    Args:
        config: The configuration: where manifests are, and the defaults that hold for them too.
        variables: What `${VAR}` stands for; by default the environment.
    """
    files, troubles = manifests(config.discovery)
    reader = _Reader(config, os.environ if variables is None else variables)
    reader.rejected.update({folder: (problem,) for folder, problem in troubles.items()})
    for file in files:
        reader.read(file)
    return Discovered(reader.plugins, reader.rejected, reader.places)


class _Walk:
    """
    A way through the directories of `[discovery]`, as deep as is allowed.

    Attributes:
        found: The files that are meant.
        folders: The folders that were looked through.
        problems: What is wrong with folders, by their paths.
    """

    def __init__(self, discovery: DiscoveryConfig) -> None:
        self._discovery = discovery
        self._seen: set[tuple[int, int]] = set()
        self.found: list[str] = []
        self.folders: list[str] = []
        self.problems: dict[str, str] = {}
        for directory in discovery.directories:
            self._go_through(os.path.abspath(directory))

    def _go_through(self, top: str) -> None:
        for file in self._files(top, top, self._discovery.max_depth):
            if file in self.found:
                continue
            if len(self.found) >= _MOST:
                self.problems[top] = f"{top}: more than {_MOST} files; the rest is left out"
                return
            self.found.append(file)

    def _files(self, top: str, folder: str, depth: int) -> Iterator[str]:
        for path in self._paths(folder):
            if os.path.isdir(path):
                if depth > 0:
                    yield from self._files(top, path, depth - 1)
            elif self._is_meant(os.path.relpath(path, top)) and os.path.isfile(path):
                yield path

    def _paths(self, folder: str) -> list[str]:
        """
        What is in a folder, unless it was looked through before or cannot be.
        """
        self.folders.append(folder)
        try:
            status = os.stat(folder)
            names = sorted(os.listdir(folder))
        except OSError as error:
            self.problems[folder] = f"discovery: {folder}: {error.strerror}"
            return []
        if (status.st_dev, status.st_ino) in self._seen:
            return []
        self._seen.add((status.st_dev, status.st_ino))
        return [os.path.join(folder, name) for name in names if not name.startswith(".")]

    def _is_meant(self, path: str) -> bool:
        name = os.path.basename(path)
        return any(fnmatch(path if "/" in pattern else name, pattern) for pattern in self._discovery.patterns)


class _Reader:
    """
    Takes manifests in, one after the other.
    """

    def __init__(self, config: ManagerConfig, variables: Mapping[str, str]) -> None:
        self._config = config
        self._variables = variables
        self._defaults = as_table(config.defaults)
        self._names: dict[str, str] = {}
        self.plugins: dict[str, PluginConfig] = {}
        self.rejected: dict[str, tuple[str, ...]] = {}
        self.places: Places = {}

    def read(self, file: str) -> None:
        """
        Take one in, or note what is wrong with it.
        """
        try:
            plugin, places = self._plugin(file)
        except Rejection as rejection:
            self.rejected[file] = rejection.problems
            return
        self._names[plugin.name] = file
        self.plugins[file] = plugin
        self.places |= places

    def _plugin(self, file: str) -> tuple[PluginConfig, Places]:
        try:
            source = read_source(file)
        except ConfigError as error:
            raise Rejection(*error.problems) from error
        missing: list[str] = []
        table = expand(source.tables, self._variables, missing)
        if not isinstance(table, dict):
            raise Rejection(f"{file}: expected the table of a plugin")
        if missing:
            raise Rejection(*(placed(line, source.places, file) for line in missing))
        table.pop("$schema", None)
        name = table.pop("name", None)
        if problem := self._misnamed(name):
            raise Rejection(placed(problem, source.places, file), *self._beside_name(table, source.places, file))
        where = f"plugins.{name}"
        places = {f"{where}.{path}": place for path, place in source.places.items() if path != "name"}
        places.setdefault(where, source.places.get("name", Place(file)))
        return self._structured(name, anchored(table, os.path.dirname(file)), places, file), places

    def _misnamed(self, name: Any) -> str:
        """
        What is wrong with the name; empty when nothing is.
        """
        if name is None:
            return "name: missing"
        if not is_name(name):
            return f"name: {NAME_RULE}"
        if name in self._config.plugins:
            return f"name: {name!r} is the name of a plugin that is configured"
        if name in self._names:
            return f"name: {name!r} is the name of the plugin in {self._names[name]}"
        return ""

    def _beside_name(self, table: dict[str, Any], places: Places, file: str) -> Iterator[str]:
        """
        What else is wrong with a manifest whose name is, by the paths that its keys have in the file.
        """
        where = f"plugins.{_ANY}"
        for line in self._problems(_ANY, table)[1]:
            path, _, reason = line.removeprefix(where).removeprefix(".").partition(": ")
            yield placed(f"{path}: {reason}", places, file) if path else f"{file}: {reason}"

    def _structured(self, name: str, table: dict[str, Any], places: Places, file: str) -> PluginConfig:
        plugin, problems = self._problems(name, table)
        if plugin is None or problems:
            raise Rejection(*(placed(line, places, file) for line in problems))
        return plugin

    def _problems(self, name: str, table: dict[str, Any]) -> tuple[PluginConfig | None, list[str]]:
        problems: list[str] = []
        merged = with_defaults(name, table, self._defaults, {})
        plugin: PluginConfig | None = structured(PluginConfig, merged, f"plugins.{name}", problems)
        return plugin, problems if plugin is None else [*problems, *check(plugin)]
