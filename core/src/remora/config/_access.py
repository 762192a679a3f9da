"""
Who may call a served plugin, from a file, a mapping or the command line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from remora.config._expand import expand
from remora.config._formats import FORMATS
from remora.config._places import placed
from remora.config._problems import summary
from remora.config._records import AccessConfig
from remora.config._sources import Source, read_source
from remora.config._structured import structured
from remora.errors import ConfigError

if TYPE_CHECKING:
    from remora.config._places import Place

_SHORT = re.compile(r"[A-Za-z0-9_-]+:[A-Za-z_]+=")
_HIDDEN = frozenset({"api_key", "token", "password", "callers"})


def load_access(
    source: str | os.PathLike[str] | Mapping[str, object], variables: Mapping[str, str] | None = None
) -> AccessConfig:
    """
    Who may call a served plugin, as the `[auth]` table of a file says, or a table itself.

    Args:
        source: The file; its ending tells the format. Or the table.
        variables: What `${VAR}` stands for; by default the environment.

    Raises:
        ConfigError: The file cannot be read or parsed, or the table has problems; each names the path of its key.
    """
    read = Source("", {"auth": source}) if isinstance(source, Mapping) else read_source(source)
    name = read.name or None
    problems: list[str] = []
    tables = expand(read.tables, os.environ if variables is None else variables, problems)
    table = tables.get("auth") if isinstance(tables, dict) else None
    if table is None:
        raise _error(["a table [auth] is missing"], {}, name)
    access: AccessConfig | None = structured(AccessConfig, table, "auth", problems)
    if access is not None and not problems:
        return access
    raise _error(problems, read.places, name)


def _error(problems: list[str], places: Mapping[str, Place], name: str | None) -> ConfigError:
    lines = [placed(line, places, name) for line in problems]
    return ConfigError(summary(lines, name), problems=lines, source=name)


def read_access(text: str) -> AccessConfig:
    """
    Who may call a served plugin, as the command line says: a file, or `METHOD:KEY=VALUE,KEY=VALUE`.

    Raises:
        ConfigError: It makes no sense, or has a secret in it, which everybody on the machine could read there.
    """
    if Path(text).suffix.lower() in FORMATS and not _SHORT.match(text):
        return load_access(text)
    method, _, rest = text.partition(":")
    table: dict[str, object] = {"method": method}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise ConfigError(f"auth: {item!r} is not of the form KEY=VALUE")
        if key in _HIDDEN:
            raise ConfigError(f"auth.{key}: a command line is no place for a secret; name a file instead")
        table[key] = {"true": True, "false": False}.get(value, value)
    return load_access(table)
