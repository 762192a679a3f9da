"""
`remora config`: what a configuration comes to, and the schema of its files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from remora.config import config_schema, effective_values, join_path, path_text
from remora.extensions import exporters, interceptors, resolvers, transports
from remora_cli._host import BUILT_IN, find_plugin, load_whole
from remora_cli._options import COMMON
from remora_cli._options import command as remora_command
from remora_cli._toml import toml_lines

if TYPE_CHECKING:
    from collections.abc import Iterator

    from remora.config import LoadedConfig
    from remora_cli._output import Output

_HELP = """
Show effective values, or print the schema of files.
"""

_SHOW = """
Print every key with its effective value, as TOML.

CONFIG is a file in TOML, JSON or YAML, or a directory of such files; with
PLUGIN, only the keys of that plugin are printed. Defaults, and what the
environment sets, are included. Secrets are printed as ***.

\b
  remora config show remora.toml text --origin
"""

_SCHEMA = """
Print the JSON Schema of configuration files.

Editors use it to complete and check files in TOML, YAML and JSON. It includes
the options of the transports that are installed here.

\b
  remora config schema > remora.schema.json

\b
The first line of a file tells an editor where the schema is:
  TOML  #:schema ./remora.schema.json
  YAML  # yaml-language-server: $schema=./remora.schema.json
  JSON  a key "$schema" at the top
"""

command: click.Group = click.Group("config", help=_HELP, params=[*COMMON])


@remora_command("show", help=_SHOW)
@click.argument("config", type=click.Path())
@click.argument("plugin", required=False)
@click.option("--origin", "with_origin", is_flag=True, help="Say where each value was set.")
def show(output: Output, config: str, plugin: str | None, with_origin: bool) -> None:
    """
    Print the values.
    """
    loaded = load_whole(config)
    values = effective_values(loaded.config)
    if plugin is not None:
        values = {"plugins": {plugin: values["plugins"][find_plugin(loaded.config, plugin).name]}}
    if output.as_json:
        origins = dict(_origins(loaded, values, "")) if with_origin else {}
        output.document({"config": values, **({"origins": origins} if with_origin else {})})
        return
    for line in toml_lines(values, lambda path: _origin(loaded, path_text(path)) if with_origin else ""):
        output.line(line)


@remora_command("schema", help=_SCHEMA)
def schema(output: Output) -> None:
    """
    Print the schema.
    """
    document = config_schema(transports(), exporters(), resolvers(), interceptors())
    output.document(document, indent=None if output.as_json else 2)


command.add_command(show)
command.add_command(schema)


def _origin(loaded: LoadedConfig, path: str) -> str:
    return str(loaded.origin(path) or BUILT_IN)


def _origins(loaded: LoadedConfig, values: Any, path: str) -> Iterator[tuple[str, str]]:
    items = values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ()
    for key, value in items:
        inner = join_path(path, key)
        if isinstance(value, dict | list) and value:
            yield from _origins(loaded, value, inner)
        else:
            yield inner, _origin(loaded, inner)
