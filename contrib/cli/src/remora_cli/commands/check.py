"""
`remora check`: whether a configuration holds, with what is installed, without starting anything.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remora.config import load_config
from remora.extensions import installed
from remora_cli._host import make_manager
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from remora.config import ManagerConfig, PluginConfig
    from remora_cli._output import Output

_HELP = """
Check a configuration without starting anything.

Every problem is named at once. Extensions that are installed but broken are
warnings, unless the configuration needs them.
"""


@remora_command("check", help=_HELP, short_help="Check a configuration without starting anything.")
@click.argument("config", type=click.Path())
def command(output: Output, config: str) -> None:
    """
    Check and list.
    """
    loaded = load_config(config)
    make_manager(loaded, path=config)  # which logs the extensions that are broken
    if output.as_json:
        output.document(_report(loaded))
        return
    for plugin in loaded.plugins.values():
        output.line(_describe(plugin))
    output.line("ok")


def _report(config: ManagerConfig) -> dict[str, object]:
    plugins = [
        {"name": each.name, "transport": _transport(each), "endpoints": _addresses(each), "enabled": each.enabled}
        for each in config.plugins.values()
    ]
    return {"ok": True, "plugins": plugins, "warnings": [each.problem for each in installed() if each.problem]}


def _describe(plugin: PluginConfig) -> str:
    state = "" if plugin.enabled else "  (disabled)"
    return f"{plugin.name}  {_transport(plugin)}  {' '.join(_addresses(plugin))}{state}"


def _addresses(plugin: PluginConfig) -> list[str]:
    named = [each.url for each in plugin.endpoints] or [plugin.endpoint]
    return [each for each in named if each] or [f"{plugin.transport or 'exec'}:{plugin.executable}"]


def _transport(plugin: PluginConfig) -> str:
    """
    The configured name, or else the schemes that choose one.
    """
    return plugin.transport or ",".join(dict.fromkeys(each.partition(":")[0].lower() for each in _addresses(plugin)))
