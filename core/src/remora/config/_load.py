"""
From files to configuration records. Every problem is reported at once, each with the place of its key.

What lives here: the order of the steps. What must not: the steps themselves, and the keys (see `_records`).
"""

from __future__ import annotations

import logging
import os
from dataclasses import field, replace
from typing import TYPE_CHECKING, Any

from remora._frozen import dataclass
from remora.config._checks import bad_name, check, missing_fallbacks
from remora.config._defaults import with_defaults
from remora.config._expand import expand
from remora.config._exporters import exporters_in
from remora.config._manifests import discover
from remora.config._order import problems_of_order
from remora.config._overrides import misspelt, override
from remora.config._places import PREFIX, is_below, nearest, placed
from remora.config._problems import add, summary
from remora.config._records import Defaults, ManagerConfig, PluginConfig
from remora.config._sources import Source, read_source
from remora.config._structured import plugin_in, structured
from remora.config._switches import switched_off
from remora.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from remora.config._places import Place, Places

_log = logging.getLogger(__name__)

_OTHERS = (".requires", ".fallback.plugin")
"""The keys that name other plugins."""


@dataclass(frozen=True, slots=True)
class LoadedConfig:
    """
    A configuration that was read from files, with the place of everything that they or the environment set.

    Attributes:
        config: The configuration.
        source: The file or the directory.
        places: Where each key was set, by its path; what is not there has its built-in default.
    """

    config: ManagerConfig
    source: str
    places: Mapping[str, Place] = field(default_factory=dict, repr=False)

    def origin(self, path: str) -> Place | None:
        """
        What set the value at a path; None where the built-in default holds.
        """
        around = nearest(self.places, path)
        is_whole = around is not None and around.is_variable
        if path in self.places or is_whole:  # a variable may set a table with all that is in it
            return around
        return self.places.get(path.removesuffix(".url")) if path.endswith("].url") else None

    def with_manifests(self) -> tuple[LoadedConfig, list[str]]:
        """
        The same with the plugins that its `[discovery]` finds now, and what is wrong with manifests that add none.
        """
        found = discover(self.config)
        both = replace(self, config=found.added_to(self.config), places={**found.places, **self.places})
        return both, [line for problems in found.rejected.values() for line in problems]

    def locate(self, error: ConfigError) -> None:
        """
        Put the place of each problem into an error that was found later, as far as nobody has done so yet.
        """
        if error.source is None:
            lines = _placed(error.problems, self.places, self.source)
            error.found_in(self.source, message=summary(lines, self.source), problems=lines)


def load_config(path: str | os.PathLike[str], variables: Mapping[str, str] | None = None) -> ManagerConfig:
    """
    The configuration in a file, or in all fragments of a directory.

    Args:
        path: The file, whose ending tells the format; or a directory, whose files must not set the same keys.
        variables: What `${VAR}` stands for, and `REMORA__...` that set keys; by default the environment.

    Raises:
        ConfigError: It cannot be read or parsed, or has problems; each names the file, the line and the path.
        NotInstalled: A file is of a format for which something must be installed.
    """
    return trace_config(path, variables).config


def trace_config(
    path: str | os.PathLike[str],
    variables: Mapping[str, str] | None = None,
    *,
    more: Callable[[ManagerConfig], object] | None = None,
    may_be_empty: bool = True,
) -> LoadedConfig:
    """
    As `load_config`, together with where each value was set.

    Args:
        path: The file or the directory.
        variables: What `${VAR}` stands for, and `REMORA__...` that set keys; by default the environment.
        more: Asked when there are problems, with what is left without them: raises a ConfigError for further ones, such
            as only the installed extensions can tell, so that all are named at once.
        may_be_empty: Whether a file with nothing in it is taken to mean that. Whoever reads it again while plugins run
            had better not do so: a disk that is full, or a program that was killed, leaves such a file.

    Raises:
        ConfigError: As `load_config`.
    """
    source = read_source(path, may_be_empty=may_be_empty)
    return _load(source, os.environ if variables is None else variables, overridden=True, more=more)


def structure_config(
    data: Mapping[str, object], *, source: str | None = None, variables: Mapping[str, str] | None = None
) -> ManagerConfig:
    """
    The configuration in a mapping such as a file gives.

    Args:
        data: Tables by name.
        source: The file that it comes from, for messages.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: It has problems; each names the path of its key.
    """
    return _load(Source(source or "", data), os.environ if variables is None else variables, overridden=False).config


def _load(
    source: Source,
    variables: Mapping[str, str],
    *,
    overridden: bool,
    more: Callable[[ManagerConfig], object] | None = None,
) -> LoadedConfig:
    problems: list[str] = []
    places = dict(source.places)
    try:
        tables = _values(source, variables, places, problems, overridden=overridden)
        config = _whole(tables, places, problems)
    except RecursionError as error:
        (line,) = _placed(["nested too deeply"], {}, source.name)
        raise ConfigError(line, source=source.name or None) from error
    if not problems:
        for line in switched_off(tables):
            _log.warning("%s", placed(line, places, source.name or None))
        return LoadedConfig(config, source.name, places)
    add(_further(config, more), problems)
    lines = _placed(problems, places, source.name)
    raise ConfigError(summary(lines, source.name), problems=lines, source=source.name or None)


def _further(config: ManagerConfig, more: Callable[[ManagerConfig], object] | None) -> list[str]:
    """
    The problems that others find; what they miss among the plugins may only be wrong itself.
    """
    try:
        if more is not None:
            more(config)
    except ConfigError as error:
        return [line for line in error.problems if not line.partition(": ")[0].endswith(_OTHERS)]
    return []


def _placed(problems: Sequence[str], places: Mapping[str, Place], source: str) -> list[str]:
    """
    Problems with their places, as they follow each other in the files; a variable that leads nowhere is a place itself.
    """
    files = {place.source: None for place in places.values()}
    order = {file: number for number, file in enumerate(files)}

    def position(line: str) -> tuple[int, int]:
        place = nearest(places, line.partition(": ")[0])
        return (len(order), 0) if place is None else (order[place.source], place.line or 0)

    found = sorted(problems, key=position)
    return [line if line.startswith(PREFIX) else placed(line, places, source or None) for line in found]


def _values(
    source: Source, variables: Mapping[str, str], places: Places, problems: list[str], *, overridden: bool
) -> Any:
    """
    The tables with all references to variables replaced, and with what other variables set.
    """
    missing: list[str] = []
    tables = expand(source.tables, variables, missing)
    if isinstance(tables, dict):
        tables.pop("$schema", None)
    if overridden:
        tables = override(tables, variables, places, problems)
        for name in misspelt(variables, source.tables):
            _log.warning("%s: sets no key; the names of those that do begin with %s", name, PREFIX)
    replaced = [path for path, place in places.items() if place.is_variable]
    problems += [line for line in missing if not any(is_below(line.partition(": ")[0], path) for path in replaced)]
    return tables


def _whole(tables: object, places: Places, problems: list[str]) -> ManagerConfig:
    """
    The configuration in expanded tables, without the parts that have problems; each part is looked at.
    """
    if not isinstance(tables, dict) or not all(isinstance(key, str) for key in tables):
        hint = "; a file is read by `from_file`" if isinstance(tables, str | os.PathLike) else ""
        problems.append(f"the configuration must be a table whose keys are text{hint}")
        return ManagerConfig()
    rest = {key: value for key, value in tables.items() if key not in ("defaults", "plugins", "exporters")}
    config: ManagerConfig | None = structured(ManagerConfig, rest, "", problems)
    defaults: Defaults | None = structured(Defaults, tables.get("defaults", {}), "defaults", problems)
    given = tables.get("defaults", {}) if defaults else {}
    is_whole = config is None or not config.discovery.directories
    plugins = _plugins(tables.get("plugins", {}), given, places, problems, is_whole=is_whole)
    exporters = exporters_in(tables.get("exporters", {}), problems)
    return replace(config or ManagerConfig(), defaults=defaults or Defaults(), plugins=plugins, exporters=exporters)


def _plugins(
    tables: object, defaults: Mapping[str, Any], places: Places, problems: list[str], *, is_whole: bool
) -> dict[str, PluginConfig]:
    if not isinstance(tables, dict):
        problems.append("plugins: expected a table of plugins by name")
        return {}
    plugins = {}
    for name, table in tables.items():
        if (problem := bad_name(name, table)) is not None:
            problems.append(problem)
            continue
        merged = with_defaults(name, table, defaults, places)
        if (plugin := plugin_in(merged, f"plugins.{name}", problems)) is not None:
            plugins[name] = plugin
            add(check(plugin), problems)
    if not is_whole:  # what is missing may be in a manifest
        return plugins
    add(missing_fallbacks(plugins, tables), problems)
    if len(plugins) == len(tables):  # else what is missing may only be wrong
        add(problems_of_order(plugins), problems)
    return plugins
