"""
`remora completion`: what makes a shell complete the words after `remora`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
from click.shell_completion import get_completion_class

from remora_cli._options import command as remora_command

if TYPE_CHECKING:
    from remora_cli._output import Output

_HELP = """
Print the completion script of a shell.

\b
  bash:  eval "$(remora completion bash)"      in ~/.bashrc
  zsh:   eval "$(remora completion zsh)"       in ~/.zshrc
  fish:  remora completion fish | source       in ~/.config/fish/config.fish
"""


@remora_command("completion", help=_HELP)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(output: Output, shell: str) -> None:
    """
    Print the script.
    """
    completion = get_completion_class(shell)
    assert completion is not None  # click brings those three
    root = click.get_current_context().find_root()
    made = completion(root.command, {}, "remora", "_REMORA_COMPLETE")
    script = made.source_template % made.source_vars()
    if output.as_json:
        output.document({"shell": shell, "script": script})
    else:
        output.line(script.strip("\n"))
