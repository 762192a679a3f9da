"""
`remora diff-schema`: whether a newer plugin still serves the callers of an older one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from remora.schema import compare
from remora_cli._descriptions import described
from remora_cli._errors import FAILED
from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
Compare two descriptions of a plugin, and tell what breaks callers.

OLD and NEW are files with what `remora describe --json` printed, or
MODULE:OBJECT. The exit code is 1 when a caller that was made for OLD can fail
with NEW: a method or a field is gone, a request needs more than before, or a
reply can hold what it could not before.

\b
  remora diff-schema notes.json notes:Notes
"""


@remora_command("diff-schema", help=_HELP)
@click.argument("old")
@click.argument("new")
def command(output: Output, old: str, new: str) -> None:
    """
    Compare them.
    """
    changes = compare(described(old), described(new))
    is_breaking = any(change.is_breaking for change in changes)
    if output.as_json:
        output.document({"is_breaking": is_breaking, "changes": changes})
    else:
        for change in changes:
            output.line(f"{'breaks ' if change.is_breaking else 'ok     '} {change.where}: {change.what}")
        output.line("callers of the old one can fail" if is_breaking else "callers of the old one still work")
    if is_breaking:
        click.get_current_context().exit(FAILED)
