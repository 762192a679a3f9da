"""
`remora describe`: what can be called in a plugin, with the schemas of its records.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remora.wire import printable
from remora_cli._description_lines import lines_of
from remora_cli._descriptions import described, described_plugin
from remora_cli._options import backend as backend_option
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
List the methods of a plugin, with their types.

TARGET is MODULE:OBJECT (nothing is started), or a host's configuration,
followed by the name of a PLUGIN in it (which is started and asked), or a file
with what this command printed with --json.

\b
  remora describe notes:Notes
  remora describe remora.toml notes --json > notes.json
"""


@remora_command("describe", help=_HELP)
@click.argument("target")
@click.argument("plugin", required=False)
@backend_option
def command(output: Output, target: str, plugin: str | None, backend: str) -> None:
    """
    Describe it.
    """
    info = described(target) if plugin is None else described_plugin(target, plugin, backend=backend)
    if output.as_json:
        output.document(info, indent=2)
        return
    for line in lines_of(info):
        output.line(printable(line))  # a name may have line breaks
