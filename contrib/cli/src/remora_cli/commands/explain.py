"""
`remora explain`: what a configuration means for one plugin, in sentences.
"""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

import click

from remora.extensions import transports
from remora_cli._host import BUILT_IN, find_plugin, load_whole
from remora_cli._options import command as remora_command
from remora_cli._sentences import points

if TYPE_CHECKING:
    from remora.config import LoadedConfig
    from remora_cli._output import Output
    from remora_cli._sentences import Point

_HELP = """
Explain what a configuration means for one plugin.

It tells where calls go, what each policy does with them, and what is off and
why; in parentheses, where each of these was set. Nothing is started.

CONFIG is a file in TOML, JSON or YAML, or a directory of such files.

\b
  remora explain remora.toml text
"""

_WIDTH = 80


@remora_command("explain", help=_HELP)
@click.argument("config", type=click.Path())
@click.argument("plugin")
def command(output: Output, config: str, plugin: str) -> None:
    """
    Print the sentences.
    """
    loaded = load_whole(config)
    found = points(find_plugin(loaded.config, plugin), transports())
    if output.as_json:
        output.document({"plugin": plugin, "points": [_fact(loaded, plugin, each) for each in found]})
        return
    output.line(plugin)
    for point in found:
        _print(output, point, _set_by(loaded, plugin, point))


def _fact(loaded: LoadedConfig, plugin: str, point: Point) -> dict[str, object]:
    return {"topic": point.topic, "text": point.text, "set_by": _set_by(loaded, plugin, point)}


def _set_by(loaded: LoadedConfig, plugin: str, point: Point) -> dict[str, str]:
    """
    The keys that were set, each with the place.
    """
    where = f"plugins.{plugin}."
    known = {path.removeprefix(where): place for path, place in loaded.places.items() if path.startswith(where)}
    return {
        key: str(place)
        for key, place in known.items()
        for deciding in point.keys
        if key.startswith(deciding) and key[len(deciding) :][:1] in ("", ".", "[")
    }


def _print(output: Output, point: Point, set_by: dict[str, str]) -> None:
    default = BUILT_IN if point.text.startswith("Off") else ""
    places = ", ".join(dict.fromkeys(set_by.values())) or default
    text = f"{point.topic}: {point.text}" + (f" ({places})" if places else "")
    for line in wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False):
        output.line(line)
